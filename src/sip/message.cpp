// SPDX-License-Identifier: Apache-2.0
#include "sip/message.h"

#include <algorithm>

#include "base/text.h"
#include "sip/grammar.h"

namespace sheaf::sip {

const std::string& Message::method() const {
    if (const auto* request = std::get_if<RequestLine>(&start)) return request->method;
    const auto* value = first("CSeq");
    auto cseq = value != nullptr ? cseq_from_text(*value) : fail(Errc::not_found, "CSeq");
    cseq_method_ = cseq ? std::move(cseq->method) : std::string();
    return cseq_method_;
}

const std::string* Message::first(std::string_view name) const {
    const auto it = std::ranges::find_if(headers, [&](const Header& h) { return same_name(h.name, name); });
    return it == headers.end() ? nullptr : &it->value;
}

std::vector<std::string> Message::all(std::string_view name) const {
    std::vector<std::string> out;
    for (const auto& header : headers) {
        if (same_name(header.name, name)) out.push_back(header.value);
    }
    return out;
}

std::vector<std::string> Message::list(std::string_view name) const {
    std::vector<std::string> out;
    for (const auto& header : headers) {
        if (!same_name(header.name, name)) continue;
        for (const auto item : list_items(header.value)) out.emplace_back(item);
    }
    return out;
}

bool Message::has_token(std::string_view name, std::string_view token) const {
    // Methods are case-sensitive, option tags are not (RFC 3261 §7.1, §7.3.1).
    const bool exact = same_name(name, "Allow");
    return std::ranges::any_of(list(name),
                               [&](const std::string& item) { return exact ? item == token : same_name(item, token); });
}

void Message::add(std::string name, std::string value) {
    headers.push_back({std::move(name), std::move(value)});
}

void Message::add_first(std::string name, std::string value) {
    headers.insert(headers.begin(), Header{std::move(name), std::move(value)});
}

void Message::set(std::string name, std::string value) {
    const auto it = std::ranges::find_if(headers, [&](const Header& h) { return same_name(h.name, name); });
    if (it == headers.end()) return add(std::move(name), std::move(value));
    const auto rest = std::remove_if(it + 1, headers.end(), [&](const Header& h) { return same_name(h.name, name); });
    headers.erase(rest, headers.end());
    *it = {std::move(name), std::move(value)};
}

void Message::remove(std::string_view name) {
    std::erase_if(headers, [&](const Header& h) { return same_name(h.name, name); });
}

void Message::remove_first_item(std::string_view name) {
    for (auto& header : headers) {
        if (!same_name(header.name, name)) continue;
        const auto items = list_items(header.value);
        if (items.empty()) continue;
        if (items.size() > 1) {
            header.value.erase(0, static_cast<std::size_t>(items[1].data() - header.value.data()));
        } else {
            headers.erase(headers.begin() + (&header - headers.data()));
        }
        return;
    }
}

void Message::replace_first_item(std::string_view name, std::string_view item) {
    for (auto& header : headers) {
        if (!same_name(header.name, name)) continue;
        const auto items = list_items(header.value);
        if (items.empty()) continue;
        header.value.replace(static_cast<std::size_t>(items[0].data() - header.value.data()), items[0].size(), item);
        return;
    }
}

namespace {

// As they stand in the text.
struct ViaParts {
    std::string_view transport, sent_by, params;
};

// All is checked but sent-by and parameters.
Result<ViaParts> parts_of_via(std::string_view text) {
    auto rest = trimmed(text);
    const auto part = [&rest](bool last) -> std::string_view {
        const auto end = end_before(rest, last ? " \t" : " \t/");
        const auto word = rest.substr(0, end);
        rest = trimmed(rest.substr(end));
        if (last) return word;
        if (!rest.starts_with('/')) return {};
        rest = trimmed(rest.substr(1));
        return word;
    };
    // sent-protocol: name and version may be any token; who answers goes by the start line's version.
    const auto name = part(false);
    const auto version = part(false);
    const auto transport = part(true);
    if (!is_token(name) || !is_token(version) || !is_token(transport)) {
        return fail(Errc::malformed, "Invalid protocol in Via");
    }
    const auto end = std::min(rest.find(';'), rest.size());
    return ViaParts{transport, trimmed(rest.substr(0, end)), rest.substr(end)};
}

}  // namespace

Result<Via> via_from_text(std::string_view text) {
    TRY(const auto parts, parts_of_via(text));
    Via via;
    via.transport = parts.transport;
    std::ranges::transform(via.transport, via.transport.begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    TRY(auto where, host_port_from_text(parts.sent_by, true));
    via.host = std::move(where.host);
    via.port = where.port;
    TRY(via.params, header_params_from_text(parts.params));
    return via;
}

Result<void> check_via(std::string_view text) {
    TRY(const auto parts, parts_of_via(text));
    TRY_VOID(check_host_port(parts.sent_by, true));
    return check_header_params(parts.params);
}

std::string to_text(const Via& via) {
    std::string out;
    out.reserve(160);
    ((out += "SIP/2.0/") += via.transport) += ' ';
    append_host_port(out, via.host, via.port);
    append_header_params(out, via.params);
    return out;
}

Result<CSeq> cseq_from_text(std::string_view text) {
    text = trimmed(text);
    const auto end = end_before(text, " \t");
    const auto number = number_from_text(text.substr(0, end), 0x7fff'ffff);  // below 2^31 (§8.1.1.5)
    const auto method = trimmed(text.substr(end));
    if (!number) return fail(Errc::malformed, "Invalid CSeq number");
    if (!is_token(method)) return fail(Errc::malformed, "Invalid CSeq method");
    return CSeq{static_cast<std::uint32_t>(*number), std::string(method)};
}

namespace {

void append_line(std::string& out, std::string_view text) {
    const auto at = out.size();
    out += text;
    if (!EightChars::any_in<0x20, '\x7f', '\x7f'>(text)) return;
    for (std::size_t i = at; i < out.size(); ++i)
        if (out[i] == '\r' || out[i] == '\n') out[i] = ' ';
}

// True when the To has a tag; one too broken to parse is searched for the word.
bool has_tag(std::string_view value) {
    if (const auto tag = name_addr_param(value, "tag")) return tag->has_value();
    return lower(value).find(";tag=") != std::string::npos;
}

}  // namespace

std::string to_bytes(const Message& message) {
    const auto* request = std::get_if<RequestLine>(&message.start);
    const std::string uri = request == nullptr ? std::string() : to_text(request->uri);
    // Just about what it takes: it is kept, to be repeated.
    constexpr std::size_t kBesides = 96;  // the start line's words and Content-Length
    std::size_t size = kBesides + uri.size() + message.body.size();
    for (const auto& header : message.headers) size += header.name.size() + header.value.size() + 4;
    std::string out;
    out.reserve(size);
    if (request != nullptr) {
        append_line(out, request->method);
        append_line(out += ' ', uri);
        out += " SIP/2.0\r\n";
    } else {
        const auto& status = std::get<StatusLine>(message.start);
        append_number(out += "SIP/2.0 ", status.code);
        out += ' ';
        append_line(out, status.reason);
        out += "\r\n";
    }
    bool length_written = false;
    for (const auto& header : message.headers) {
        const bool is_length = same_name(header.name, "Content-Length");
        if (is_length && length_written) continue;
        append_line(out, header.name);
        out += ": ";
        if (is_length) {
            append_number(out, message.body.size());
            length_written = true;
        } else {
            append_line(out, header.value);
        }
        out += "\r\n";
    }
    if (!length_written) {
        append_number(out += "Content-Length: ", message.body.size());
        out += "\r\n";
    }
    out += "\r\n";
    out += message.body;
    return out;
}

Message response_to(const Message& request, int status, std::string_view to_tag, std::string_view reason) {
    constexpr std::size_t kMore = 8;  // what is added before it goes out
    Message out;
    out.headers.reserve(request.headers.size() + kMore);
    out.start = StatusLine{status, std::string(reason.empty() ? reason_for(status) : reason)};
    const auto copy = [&](std::string_view name) {
        for (const auto& header : request.headers) {
            if (same_name(header.name, name)) out.headers.push_back(header);
        }
    };
    copy("Via");
    // §12.1.1: what may set up a dialog carries the route back.
    if (status > 100 && status < 300) copy("Record-Route");
    copy("From");
    copy("To");
    copy("Call-ID");
    copy("CSeq");
    copy("Timestamp");
    if (status > 100 && !to_tag.empty()) {
        if (const auto* to = out.first("To"); to != nullptr && !has_tag(*to)) {
            auto value = *to + ";tag=";
            out.set("To", value += to_tag);
        }
    }
    return out;
}

std::string message_id(std::string_view call_id, std::uint32_t cseq, std::string_view method) {
    return printable(call_id, kMessageIdPartMax) + ';' + std::to_string(cseq) + ';' + std::string(method);
}

}  // namespace sheaf::sip
