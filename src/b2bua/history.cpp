// SPDX-License-Identifier: Apache-2.0
#include "b2bua/history.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "b2bua/caller.h"
#include "sip/grammar.h"

namespace sheaf::b2bua {
namespace {

using exchange::Diversion;

struct ReasonOf {
    int cause;               // RFC 4458 §2.1
    std::string_view words;  // RFC 5806 §4.1
};
constexpr std::array<ReasonOf, 8> kReasons{{{302, "unconditional"},
                                            {404, "unknown"},
                                            {408, "no-answer"},
                                            {480, "deflection"},
                                            {486, "user-busy"},
                                            {487, "deflection"},
                                            {503, "unavailable"},
                                            {380, "time-of-day"}}};
constexpr std::string_view kUnknown = "unknown";
constexpr int kUnknownCause = 404;

std::string words_of(std::optional<std::uint64_t> cause) {
    const auto known =
        std::ranges::find_if(kReasons, [&](const ReasonOf& r) { return cause == static_cast<std::uint64_t>(r.cause); });
    return std::string(known == kReasons.end() ? kUnknown : known->words);
}

int cause_of(const std::string& words) {
    const auto known = std::ranges::find(kReasons, words, &ReasonOf::words);
    return known == kReasons.end() ? kUnknownCause : known->cause;
}

std::optional<std::uint64_t> number_in(const sip::Params& params, std::string_view name) {
    const auto text = params.value(name);
    return text ? sip::number_from_text(*text, 999) : std::nullopt;
}

// RFC 7044 §10.1.2: the entry's own.
bool is_private(const sip::NameAddr& entry) {
    for (const auto& [name, value] : sip::headers_of(entry.uri)) {
        if (name == "privacy" && !sip::same_name(sip::trimmed(value), "none")) return true;
    }
    return false;
}

// "1.2.10" as numbers, so that entries come in the order of the call's way; empty: it is none.
std::vector<std::uint64_t> index_of(const sip::NameAddr& entry) {
    std::vector<std::uint64_t> out;
    std::string_view rest;
    const auto text = entry.params.value("index");
    if (!text) return out;
    rest = *text;
    while (!rest.empty() && out.size() < kHistoryMax) {
        const auto dot = rest.find('.');
        const auto number = sip::number_from_text(rest.substr(0, dot), 1'000'000);
        if (!number) return {};
        out.push_back(*number);
        rest = dot == std::string_view::npos ? std::string_view{} : rest.substr(dot + 1);
    }
    return out;
}

// Each entry but the last is a number the call left, for the reason that the next one gives (its `cause`, RFC 4458 §4)
// or itself (a Reason header of its URI).
std::vector<Diversion> from_history(const sip::Message& request) {
    std::multimap<std::vector<std::uint64_t>, sip::NameAddr> entries;
    for (const auto& text : request.list("History-Info")) {
        const auto entry = sip::name_addr_from_text(text);
        if (entry && entries.size() < kHistoryMax) entries.emplace(index_of(*entry), *entry);
    }
    std::vector<Diversion> out;
    const sip::NameAddr* from = nullptr;
    for (const auto& [index, to] : entries) {
        const auto cause = number_in(to.uri.params, "cause");
        const bool is_sent_on = cause || to.params.has("mp");  // else a server on the way, to the same number
        const sip::NameAddr* before = std::exchange(from, &to);
        if (before == nullptr || !is_sent_on || is_private(*before)) continue;
        if (auto number = number_of(before->uri); !number.empty()) out.push_back({std::move(number), words_of(cause)});
    }
    return out;
}

std::vector<Diversion> from_diversion(const sip::Message& request) {
    std::vector<Diversion> out;
    for (const auto& text : request.list("Diversion")) {
        const auto entry = sip::name_addr_from_text(text);
        if (!entry || out.size() == kHistoryMax) continue;
        const auto number = number_of(entry->uri);
        const auto privacy = entry->params.value("privacy");
        const bool is_hidden = privacy && !sip::same_name(*privacy, "off");
        if (number.empty() || is_hidden) continue;
        const auto reason = sip::lower(entry->params.value("reason").value_or(std::string(kUnknown)));
        out.push_back({number, words_of(std::uint64_t(cause_of(reason)))});
    }
    std::ranges::reverse(out);  // the header's first is the latest
    return out;
}

sip::Uri at_host(const std::string& number, const std::string& host) {
    sip::Uri uri;
    const auto ours = sip::host_port_from_text(host, false);
    uri.user = number;
    uri.host = ours ? ours->host : host;
    return uri;
}

std::string in_brackets(const sip::Uri& uri) {
    return '<' + sip::to_text(uri) + '>';
}

}  // namespace

Privacy privacy_of(const sip::Message& request) {
    Privacy out;
    for (const auto& text : request.all("Privacy")) {
        // RFC 3323 §4.2: values are parted by ";"; some write ",".
        std::string_view rest = text;
        while (!rest.empty()) {
            const auto end = rest.find_first_of(";,");
            const auto value = sip::lower(sip::trimmed(rest.substr(0, end)));
            rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
            out.of_identity |= value == "id" || value == "user" || value == "header";
            out.of_history |= value == "history" || value == "header";
        }
    }
    return out;
}

std::vector<Diversion> diversions_of(const sip::Message& request) {
    if (privacy_of(request).of_history) return {};
    auto out = from_history(request);
    if (out.empty()) out = from_diversion(request);
    if (out.size() > exchange::kDiversionsMax) out.erase(out.begin() + 1, out.end() - (exchange::kDiversionsMax - 1));
    return out;
}

std::vector<sip::Header> history_headers(const std::vector<Diversion>& diversions, const sip::Uri& target,
                                         const std::string& host) {
    if (diversions.empty()) return {};
    std::vector<sip::Header> out;
    std::string index = "1";
    std::string before;
    for (std::size_t i = 0; i <= diversions.size(); ++i) {
        sip::Uri uri = i < diversions.size() ? at_host(diversions[i].number, host) : target;
        if (i > 0) uri.params.set("cause", std::to_string(cause_of(diversions[i - 1].reason)));
        out.push_back({"History-Info", in_brackets(uri) + ";index=" + index + (i > 0 ? ";mp=" + before : "")});
        before = index;
        index += ".1";
    }
    for (auto one = diversions.rbegin(); one != diversions.rend(); ++one) {
        out.push_back({"Diversion", in_brackets(at_host(one->number, host)) + ";reason=" + one->reason + ";counter=1"});
    }
    return out;
}

}  // namespace sheaf::b2bua
