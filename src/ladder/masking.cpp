// SPDX-License-Identifier: Apache-2.0
#include "ladder/masking.h"

#include <algorithm>

#include "sip/grammar.h"

namespace sheaf::ladder {
namespace {

constexpr char kMask = '*';
constexpr std::string_view kPivot = "px-";
constexpr std::string_view kBlanks = " \t\r\n";  // of a value that may go on in the next line
constexpr std::uint64_t kCseqMax = UINT32_MAX;

std::string_view value_of(std::string_view line, std::size_t colon) {
    const auto from = std::min(line.find_first_not_of(kBlanks, colon + 1), line.size());
    return line.substr(from, line.find_last_not_of(kBlanks) + 1 - from);
}

}  // namespace

Reading::Reading(std::string_view message) : text_(message), body_(message.size()) {
    std::size_t at = text_.find('\n');
    while (at != std::string_view::npos && at + 1 < text_.size()) {
        const std::size_t begin = at + 1;
        at = text_.find('\n', begin);
        // A line that begins with white space goes on with the one before it (RFC 3261 §7.3.1).
        while (at != std::string_view::npos && at + 1 < text_.size() && sip::is_blank(text_[at + 1])) {
            at = text_.find('\n', at + 1);
        }
        const std::size_t end = at == std::string_view::npos ? text_.size() : at;
        if (end == begin || (end == begin + 1 && text_[begin] == '\r')) {
            body_ = std::min(end + 1, text_.size());
            return;
        }
        header(begin, end);
    }
}

void Reading::header(std::size_t begin, std::size_t end) {
    // Most lines are told by their first character.
    if (std::string_view("aApPxXcCiI \t").find(text_[begin]) == std::string_view::npos) return;
    const auto line = text_.substr(begin, end - begin);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const auto is = [name = sip::trimmed(line.substr(0, colon))](std::string_view other) {
        return sip::same_name(name, other);
    };
    if (is("Call-ID") || is("i")) {
        if (call_id_.empty()) call_id_ = value_of(line, colon);
    } else if (is("CSeq")) {
        if (cseq_.empty()) cseq_ = value_of(line, colon);
    } else if (is("Content-Type") || is("c")) {
        type_ = value_of(line, colon);
    } else if (is("Authorization") || is("Proxy-Authorization")) {
        credentials(begin + colon + 1, end);
    } else if (is("Authentication-Info")) {
        parameter(begin + colon + 1, end, "rspauth=");
    } else if (is("X-Sheaf-Link")) {
        parameter(begin + colon + 1, end, "mac=");
    }
}

std::optional<Names> Reading::names() const {
    const auto space = std::min(cseq_.find_first_of(kBlanks), cseq_.size());
    const auto number = sip::number_from_text(cseq_.substr(0, space), kCseqMax);
    const auto method = cseq_.substr(std::min(cseq_.find_first_not_of(kBlanks, space), cseq_.size()));
    if (call_id_.empty() || !number || !sip::is_token(method)) return std::nullopt;
    return Names{call_id_, static_cast<std::uint32_t>(*number), method};
}

void Reading::mask(std::span<char> copy) {
    pivots();
    body();
    for (const Range& secret : secrets_) {
        for (std::size_t i = secret.from; i < std::min(secret.to, copy.size()); ++i) {
            if (copy[i] != '\r' && copy[i] != '\n') copy[i] = kMask;
        }
    }
}

void Reading::credentials(std::size_t from, std::size_t to) {
    while (from < to && sip::is_blank(text_[from])) ++from;
    constexpr std::string_view kDigest = "digest";
    if (sip::same_name(text_.substr(from, kDigest.size()), kDigest)) return parameter(from, to, "response=");
    while (from < to && text_[from] != ' ') ++from;  // the scheme stays
    secrets_.push_back({from, to});
}

// The value of every parameter of that name (with its "="), up to where it ends.
void Reading::parameter(std::size_t from, std::size_t to, std::string_view name) {
    const std::string lower = sip::lower(text_.substr(from, to - from));
    for (std::size_t at = lower.find(name); at != std::string_view::npos;) {
        std::size_t value = from + at + name.size();
        while (value < to && sip::is_blank(text_[value])) ++value;
        std::size_t end = value;
        if (value < to && text_[value] == '"') {
            end = ++value;
            while (end < to && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
        } else {
            while (end < to && text_[end] != ',' && text_[end] != ';' && text_[end] != ' ') ++end;
        }
        end = std::min(end, to);
        secrets_.push_back({value, end});
        at = lower.find(name, end - from);  // not within what is a value
    }
}

// sip:px-TOKEN@…, wherever it stands. An x is rarer than a p.
void Reading::pivots() {
    for (std::size_t x = text_.find('x'); x != std::string_view::npos; x = text_.find('x', x + 1)) {
        if (x == 0 || !text_.substr(x - 1).starts_with(kPivot)) continue;
        const std::size_t from = x - 1 + kPivot.size();
        std::size_t end = from;
        while (end < text_.size() && sip::is_alphanumeric(text_[end])) ++end;
        if (end < text_.size() && (text_[end] == '@' || text_[end] == '%')) secrets_.push_back({from, end});
    }
}

void Reading::body() {
    const auto secret_to = [&](std::size_t from, std::string_view ends) {
        secrets_.push_back({from, std::min(text_.find_first_of(ends, from), text_.size())});
    };
    if (body_ >= text_.size()) return;
    const std::string type = sip::lower(type_);
    if (type.find("dtmf") != std::string::npos || type.find("kpml") != std::string::npos) {
        return secrets_.push_back({body_, text_.size()});
    }
    constexpr std::string_view kDigit = "<name>digit</name><value>";
    for (auto at = text_.find(kDigit, body_); at != std::string_view::npos; at = text_.find(kDigit, at + 1)) {
        secret_to(at + kDigit.size(), "<");
    }
    for (auto at = text_.find(':', body_); at != std::string_view::npos; at = text_.find(':', at + 1)) {
        const auto before = text_.substr(body_, at - body_);
        if (before.ends_with("inline")) secret_to(at + 1, "|\r\n ");
        if (before.ends_with("a=ice-pwd")) secret_to(at + 1, "\r\n");
    }
}

std::string masked(std::string_view message) {
    std::string out(message);
    Reading(message).mask(out);
    return out;
}

}  // namespace sheaf::ladder
