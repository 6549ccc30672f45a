// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <bitset>
#include <list>

#include "base/text.h"
#include "sip/grammar.h"
#include "sip/message.h"

// bytes → header section → lines (folds joined) → start line and headers → checks → Message.
namespace sheaf::sip {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kSectionEnd = "\r\n\r\n";

// RFC 3261 §7.3.3 and the IANA registry.
constexpr std::array<std::pair<char, std::string_view>, 20> kCompactForms = {{
    {'a', "Accept-Contact"},
    {'b', "Referred-By"},
    {'c', "Content-Type"},
    {'d', "Request-Disposition"},
    {'e', "Content-Encoding"},
    {'f', "From"},
    {'i', "Call-ID"},
    {'j', "Reject-Contact"},
    {'k', "Supported"},
    {'l', "Content-Length"},
    {'m', "Contact"},
    {'n', "Identity-Info"},
    {'o', "Event"},
    {'r', "Refer-To"},
    {'s', "Subject"},
    {'t', "To"},
    {'u', "Allow-Events"},
    {'v', "Via"},
    {'x', "Session-Expires"},
    {'y', "Identity"},
}};

// Headers of which a message has at most one, with a value that is no list.
constexpr std::string_view kSingle[] = {"From",
                                        "To",
                                        "Call-ID",
                                        "CSeq",
                                        "Max-Forwards",
                                        "Content-Length",
                                        "Content-Type",
                                        "Content-Disposition",
                                        "Expires",
                                        "Min-Expires",
                                        "Event",
                                        "Refer-To",
                                        "Referred-By",
                                        "Replaces",
                                        "Session-Expires",
                                        "Retry-After",
                                        "Subscription-State",
                                        "RAck",
                                        "RSeq"};

std::string expanded(std::string_view name) {
    if (name.size() == 1) {
        const char letter = lower(name.front());
        for (const auto& [compact, full] : kCompactForms) {
            if (compact == letter) return std::string(full);
        }
    }
    return std::string(name);
}

// A control character may stand only behind a backslash in a quoted string, and a line end never.
bool has_stray_control(std::string_view line) {
    if (!EightChars::any_in<0x20, '\x7f', '\x7f'>(line)) return false;
    bool in_quotes = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (in_quotes && c == '\\' && i + 1 < line.size() && line[i + 1] != '\r' && line[i + 1] != '\n') {
            ++i;
        } else if (is_control(c)) {
            return true;
        } else if (c == '"') {
            in_quotes = !in_quotes;
        }
    }
    return false;
}

// Lines of a message: those that are folded are joined, all others are where they were.
class Lines {
public:
    Lines() { lines_.reserve(kUsual); }
    void add(std::string_view line) { lines_.push_back(line); }
    void join(std::string_view more) {
        auto& last = lines_.back();
        if (joined_.empty() || joined_.back().data() != last.data()) joined_.emplace_back(last);
        auto& whole = joined_.back();
        whole.resize(whole.find_last_not_of(" \t") + 1);
        if (!more.empty()) (whole += ' ') += more;
        last = whole;
    }
    void drop_last() { lines_.pop_back(); }
    [[nodiscard]] std::size_t size() const { return lines_.size(); }
    [[nodiscard]] bool empty() const { return lines_.empty(); }
    [[nodiscard]] std::string_view operator[](std::size_t i) const { return lines_[i]; }

private:
    static constexpr std::size_t kUsual = 24;
    std::vector<std::string_view> lines_;
    std::list<std::string> joined_;
};

// The lines of a header section (without its closing empty line), folds joined by one space (§7.3.1). After an error
// `lines` holds those before it.
Result<void> unfold(std::string_view section, Lines& lines) {
    while (!section.empty()) {
        const auto end = std::min(section.find(kLineEnd), section.size());
        const auto line = section.substr(0, end);
        section.remove_prefix(std::min(end + kLineEnd.size(), section.size()));
        if (line.starts_with(' ') || line.starts_with('\t')) {
            if (lines.size() < 2) return fail(Errc::malformed, "White space before first header");
            lines.join(trimmed(line));
        } else {
            if (lines.size() > kHeadersMax) return fail(Errc::exhausted, "Too many headers");
            lines.add(line);
        }
        if (lines[lines.size() - 1].size() > kHeaderBytesMax) {
            lines.drop_last();
            return fail(Errc::exhausted, "Header too long");
        }
    }
    return {};
}

Result<Header> header_from_line(std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return fail(Errc::malformed, "Header without a colon");
    const auto name = trimmed(line.substr(0, colon));
    if (!is_token(name)) return fail(Errc::malformed, "Invalid header name");
    if (has_stray_control(line)) return fail(Errc::malformed, "Control character in header");
    return Header{expanded(name), std::string(trimmed(line.substr(colon + 1)))};
}

bool is_version(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos || !same_name(text.substr(0, slash), "SIP")) return false;
    const auto number = text.substr(slash + 1);
    const auto dot = number.find('.');
    const auto digits = [](std::string_view part) { return !part.empty() && std::ranges::all_of(part, is_digit); };
    return dot != std::string_view::npos && digits(number.substr(0, dot)) && digits(number.substr(dot + 1));
}

Result<void> check_version(std::string_view text) {
    if (!is_version(text)) return fail(Errc::malformed, "Invalid start line");
    if (!text.ends_with("/2.0")) return fail(Errc::unsupported, "SIP version not supported");
    return {};
}

Result<StatusLine> status_line(std::string_view line) {
    const auto space = std::min(line.find(' '), line.size());
    TRY_VOID(check_version(line.substr(0, space)));
    const auto rest = line.substr(std::min(space + 1, line.size()));
    const auto end = std::min(rest.find(' '), rest.size());
    const auto code = number_from_text(rest.substr(0, end), 699);
    if (end != 3 || !code || *code < 100) return fail(Errc::malformed, "Invalid status code");
    const auto reason = rest.substr(std::min(end + 1, rest.size()));
    if (std::ranges::any_of(reason, is_control)) return fail(Errc::malformed, "Control character in reason");
    return StatusLine{static_cast<int>(*code), std::string(reason)};
}

Result<RequestLine> request_line(std::string_view line) {
    // One space between the parts, none elsewhere (§7.1). What is repaired here would be read otherwise elsewhere.
    const auto first = line.find(' ');
    const auto last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) return fail(Errc::malformed, "Invalid request line");
    const auto method = line.substr(0, first);
    const auto target = line.substr(first + 1, last - first - 1);
    if (!is_token(method)) return fail(Errc::malformed, "Invalid method");
    TRY_VOID(check_version(line.substr(last + 1)));
    TRY(auto uri, uri_from_text(target));
    if (!uri.headers.empty()) return fail(Errc::malformed, "Headers in Request-URI");  // §19.1.1
    return RequestLine{std::string(method), std::move(uri)};
}

bool is_status_line(std::string_view line) {
    return line.size() > 4 && same_name(line.substr(0, 4), "SIP/");
}

Result<std::optional<std::size_t>> content_length(const std::vector<Header>& headers) {
    std::optional<std::size_t> length;
    for (const auto& header : headers) {
        if (!same_name(header.name, "Content-Length")) continue;
        if (length) return fail(Errc::malformed, "More than one Content-Length");
        const auto number = number_from_text(header.value, 0xffff'ffff);
        if (!number) return fail(Errc::malformed, "Invalid Content-Length");
        length = static_cast<std::size_t>(*number);
    }
    return length;
}

Result<void> check_number(const Message& message, std::string_view name, std::uint64_t max) {
    const auto* value = message.first(name);
    if (value == nullptr) return {};
    // Retry-After may add a comment or parameters.
    const auto end = end_before(*value, " \t;(");
    if (number_from_text(std::string_view(*value).substr(0, end), max)) return {};
    return fail(Errc::malformed, "Invalid " + std::string(name));
}

Result<void> check_addresses(const Message& message, std::string_view name) {
    for (const auto& header : message.headers) {
        if (!same_name(header.name, name)) continue;
        for (const auto item : list_items(header.value)) {
            if (item == "*" && same_name(name, "Contact")) continue;
            if (!check_name_addr(item)) return fail(Errc::malformed, "Invalid " + std::string(name));
        }
    }
    return {};
}

Result<void> check_singles(const Message& message) {
    std::bitset<std::size(kSingle)> seen;
    for (const auto& header : message.headers) {
        const auto* name = std::ranges::find_if(kSingle, [&](auto one) { return same_name(header.name, one); });
        if (name == std::end(kSingle)) continue;
        const auto index = static_cast<std::size_t>(name - std::begin(kSingle));
        if (seen.test(index)) return fail(Errc::malformed, "More than one " + std::string(*name));
        seen.set(index);
    }
    for (const std::string_view name : {"Via", "From", "To", "Call-ID", "CSeq"}) {
        if (message.first(name) == nullptr) return fail(Errc::malformed, "Missing " + std::string(name));
    }
    return {};
}

// What §8.1.1 asks of every message, and the scalars of §20.
Result<void> check(const Message& message) {
    TRY_VOID(check_singles(message));
    bool has_via = false;
    for (const auto& header : message.headers) {
        if (!same_name(header.name, "Via")) continue;
        for (const auto via : list_items(header.value)) {
            if (!check_via(via)) return fail(Errc::malformed, "Invalid Via");
            has_via = true;
        }
    }
    if (!has_via) return fail(Errc::malformed, "Missing Via");
    for (const std::string_view name : {"From", "To"}) {
        if (!check_name_addr(*message.first(name))) return fail(Errc::malformed, "Invalid " + std::string(name));
    }
    const auto& call_id = *message.first("Call-ID");
    if (call_id.empty() || end_before(call_id, " \t") != call_id.size()) {
        return fail(Errc::malformed, "Invalid Call-ID");
    }
    TRY(auto cseq, cseq_from_text(*message.first("CSeq")));
    // A response with an odd Contact, or a date where a number of seconds should be (RFC 2543), is still an answer.
    if (!message.is_request()) return {};
    TRY_VOID(check_number(message, "Max-Forwards", 255));
    TRY_VOID(check_number(message, "Expires", 0xffff'ffff));
    TRY_VOID(check_number(message, "Min-Expires", 0xffff'ffff));
    TRY_VOID(check_number(message, "Retry-After", 0xffff'ffff));
    if (cseq.method != message.method()) return fail(Errc::malformed, "CSeq method is not the request's");
    TRY_VOID(check_addresses(message, "Contact"));
    TRY_VOID(check_addresses(message, "Route"));
    return check_addresses(message, "Record-Route");
}

// All but the start line.
Result<std::vector<Header>> headers_of(const Lines& lines) {
    constexpr std::size_t kMore = 2;
    std::vector<Header> headers;
    headers.reserve(lines.size() - 1 + kMore);
    for (std::size_t i = 1; i < lines.size(); ++i) {
        TRY(auto header, header_from_line(lines[i]));
        headers.push_back(std::move(header));
    }
    return headers;
}

Result<void> read_section(std::string_view section, Message& message) {
    Lines lines;
    TRY_VOID(unfold(section, lines));
    if (lines.empty() || lines[0].empty()) return fail(Errc::malformed, "No start line");
    if (is_status_line(lines[0])) {
        TRY(message.start, status_line(lines[0]));
    } else {
        TRY(message.start, request_line(lines[0]));
    }
    TRY(message.headers, headers_of(lines));
    return {};
}

// Empty lines before a start line are passed over (§7.5).
std::string_view without_leading_line_ends(std::string_view bytes) {
    while (bytes.starts_with(kLineEnd)) bytes.remove_prefix(kLineEnd.size());
    return bytes;
}

}  // namespace

Result<Message> message_from_datagram(std::string_view bytes) {
    if (bytes.size() > kMessageBytesMax) return fail(Errc::exhausted, "Message too large");
    bytes = without_leading_line_ends(bytes);
    const auto end = bytes.find(kSectionEnd);
    if (end == std::string_view::npos) return fail(Errc::malformed, "Header section has no end");
    Result<Message> out;
    Message& message = *out;
    TRY_VOID(read_section(bytes.substr(0, end), message));
    TRY(const auto length, content_length(message.headers));
    auto body = bytes.substr(end + kSectionEnd.size());
    if (length) {
        if (*length > body.size()) return fail(Errc::malformed, "Body shorter than Content-Length");
        body = body.substr(0, *length);
    }
    if (body.size() > kBodyBytesMax) return fail(Errc::exhausted, "Body too large");
    TRY_VOID(check(message));
    message.body = body;
    return out;
}

Result<std::vector<Header>> headers_from_section(std::string_view section) {
    Lines lines;
    lines.add({});  // where a message has its start line
    TRY_VOID(unfold(section, lines));
    return headers_of(lines);
}

Result<Message> salvage_request(std::string_view bytes) {
    bytes = without_leading_line_ends(bytes.substr(0, kMessageBytesMax));
    const auto end = std::min(bytes.find(kSectionEnd), bytes.rfind(kLineEnd));
    Lines lines;
    [[maybe_unused]] const auto whole = unfold(bytes.substr(0, end), lines);  // the lines before an error will do
    if (lines.empty()) return fail(Errc::not_found, "no start line");
    const auto start = lines[0];
    const auto method = start.substr(0, start.find(' '));
    if (is_status_line(start) || !is_token(method)) return fail(Errc::not_found, "not a request");

    Message message;
    auto line = request_line(start);
    message.start = line ? *std::move(line) : RequestLine{std::string(method), {}};
    for (std::size_t i = 1; i < lines.size(); ++i) {
        auto header = header_from_line(lines[i]);
        if (!header) continue;
        const auto is = [&](std::string_view name) { return same_name(header->name, name); };
        const bool wanted = is("From") || is("To") || is("Call-ID") || is("CSeq") || is("Timestamp");
        if (is("Via") || (wanted && message.first(header->name) == nullptr)) {
            message.headers.push_back(*std::move(header));
        }
    }
    for (const std::string_view name : {"Via", "From", "To", "Call-ID", "CSeq"}) {
        if (message.first(name) == nullptr) return fail(Errc::not_found, "no " + std::string(name) + " to answer with");
    }
    // The top Via says where the answer goes.
    const auto vias = message.list("Via");
    if (vias.empty() || !via_from_text(vias.front())) return fail(Errc::not_found, "no Via to answer to");
    return message;
}

// Where a message ends must be beyond doubt: one Content-Length, on one line. Whatever else is wrong with it concerns
// that message only.
static Result<std::size_t> framed_length(std::string_view section) {
    std::optional<std::string_view> found;
    bool may_go_on = false;
    while (!section.empty()) {
        const auto end = std::min(section.find(kLineEnd), section.size());
        const auto line = section.substr(0, end);
        section.remove_prefix(std::min(end + kLineEnd.size(), section.size()));
        const bool goes_on = line.starts_with(' ') || line.starts_with('\t');
        if (goes_on && may_go_on) return fail(Errc::malformed, "Folded Content-Length");
        if (goes_on) continue;
        const auto colon = std::min(line.find(':'), line.size());
        const auto name = trimmed(line.substr(0, colon));
        may_go_on = same_name(name, "Content-Length") || same_name(name, "l");
        if (!may_go_on) continue;
        if (found) return fail(Errc::malformed, "More than one Content-Length");
        found = trimmed(line.substr(std::min(colon + 1, line.size())));
    }
    if (!found) return fail(Errc::malformed, "Missing Content-Length");  // §18.3
    const auto length = number_from_text(*found, 0xffff'ffff);
    if (!length) return fail(Errc::malformed, "Invalid Content-Length");
    return *length;
}

void StreamParser::feed(std::string_view bytes) {
    if (!failed_) buffer_ += bytes;
}

std::size_t StreamParser::take_pings() {
    return std::exchange(pings_, 0);
}

void StreamParser::skip_line_ends() {
    std::string_view rest = buffer_;
    while (rest.starts_with(kLineEnd)) {
        if (rest.starts_with(kSectionEnd)) {
            ++pings_;
            rest.remove_prefix(kSectionEnd.size());
        } else if (rest.size() > 3 || (rest.size() == 3 && rest[2] != '\r')) {
            rest.remove_prefix(kLineEnd.size());  // one alone: a pong, or what follows some bodies
        } else {
            break;  // may become a ping
        }
    }
    buffer_.erase(0, buffer_.size() - rest.size());
}

Result<void> StreamParser::measure() {
    const auto from = searched_ < kSectionEnd.size() ? 0 : searched_ - kSectionEnd.size();
    const auto end = buffer_.find(kSectionEnd, from);
    searched_ = buffer_.size();
    if (end == std::string::npos) {
        if (buffer_.size() > kMessageBytesMax) return fail(Errc::exhausted, "Message too large");
        return {};
    }
    TRY(const auto length, framed_length(std::string_view(buffer_).substr(0, end)));
    const auto head = end + kSectionEnd.size();
    if (length > kBodyBytesMax) return fail(Errc::exhausted, "Body too large");
    if (head + length > kMessageBytesMax) return fail(Errc::exhausted, "Message too large");
    need_ = head + length;
    return {};
}

Error StreamParser::give_up(Error error) {
    failed_ = true;
    broken_ = std::exchange(buffer_, {});
    broken_.resize(std::min(broken_.size(), kMessageBytesMax));
    return error;
}

std::optional<Result<Message>> StreamParser::next() {
    if (failed_) return std::nullopt;
    if (need_ == 0) {
        skip_line_ends();
        if (auto measured = measure(); !measured) return std::unexpected(give_up(std::move(measured).error()));
    }
    if (need_ == 0 || buffer_.size() < need_) return std::nullopt;
    auto message = message_from_datagram(std::string_view(buffer_).substr(0, need_));
    if (!message) broken_ = buffer_.substr(0, need_);
    buffer_.erase(0, need_);
    need_ = 0;
    searched_ = 0;
    return message;
}

}  // namespace sheaf::sip
