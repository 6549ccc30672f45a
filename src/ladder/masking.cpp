// SPDX-License-Identifier: Apache-2.0
#include "ladder/masking.h"

#include <algorithm>

#include "sip/grammar.h"

namespace sheaf::ladder {
namespace {

constexpr char kMask = '*';
constexpr std::string_view kPivot = "px-";

class Masking {
public:
    explicit Masking(std::span<char> message) : bytes_(message), text_(message.data(), message.size()) {}

    void whole() {
        const std::size_t body = head();
        mask_pivots();
        mask_body(body);
    }

private:
    void mask(std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < std::min(to, text_.size()); ++i) {
            if (text_[i] != '\r' && text_[i] != '\n') bytes_[i] = kMask;
        }
    }
    // The headers; where the body begins.
    std::size_t head() {
        std::size_t at = text_.find('\n');
        while (at != std::string_view::npos && at + 1 < text_.size()) {
            const std::size_t begin = at + 1;
            at = text_.find('\n', begin);
            // A line that begins with white space goes on with the one before it (RFC 3261 §7.3.1).
            while (at != std::string_view::npos && at + 1 < text_.size() &&
                   (text_[at + 1] == ' ' || text_[at + 1] == '\t')) {
                at = text_.find('\n', at + 1);
            }
            const std::size_t end = at == std::string_view::npos ? text_.size() : at;
            const auto line = text_.substr(begin, end - begin);
            if (line.empty() || line == "\r") return end + 1;
            mask_header(begin, end);
        }
        return text_.size();
    }
    void mask_header(std::size_t begin, std::size_t end) {
        // Most lines are told by their first character.
        if (std::string_view("aApPxXcC \t").find(text_[begin]) == std::string_view::npos) return;
        const auto line = text_.substr(begin, end - begin);
        const auto colon = line.find(':');
        if (colon == std::string_view::npos) return;
        const auto is = [name = sip::trimmed(line.substr(0, colon))](std::string_view other) {
            return sip::same_name(name, other);
        };
        const std::size_t value = begin + colon + 1;
        if (is("Authorization") || is("Proxy-Authorization")) return mask_credentials(value, end);
        if (is("Authentication-Info")) return mask_parameter(value, end, "rspauth=");
        if (is("X-Sheaf-Link")) return mask_parameter(value, end, "mac=");
        if (is("Content-Type") || is("c")) type_ = sip::lower(line.substr(colon + 1));
    }
    void mask_credentials(std::size_t from, std::size_t to) {
        while (from < to && (text_[from] == ' ' || text_[from] == '\t')) ++from;
        constexpr std::string_view kDigest = "digest";
        if (sip::lower(text_.substr(from, kDigest.size())) == kDigest) {
            return mask_parameter(from, to, "response=");
        }
        while (from < to && text_[from] != ' ') ++from;  // the scheme stays
        mask(from, to);
    }
    // The value of every parameter of that name (with its "="), up to where it ends.
    void mask_parameter(std::size_t from, std::size_t to, std::string_view name) {
        const std::string lower = sip::lower(text_.substr(from, to - from));
        for (std::size_t at = lower.find(name); at != std::string_view::npos;) {
            std::size_t value = from + at + name.size();
            while (value < to && (text_[value] == ' ' || text_[value] == '\t')) ++value;
            std::size_t end = value;
            if (value < to && text_[value] == '"') {
                end = ++value;
                while (end < to && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
            } else {
                while (end < to && text_[end] != ',' && text_[end] != ';' && text_[end] != ' ') ++end;
            }
            mask(value, std::min(end, to));
            at = lower.find(name, std::min(end, to) - from);  // not within what is a value
        }
    }
    // sip:px-TOKEN@…, wherever it stands. An x is rarer than a p.
    void mask_pivots() {
        for (std::size_t x = text_.find('x'); x != std::string_view::npos; x = text_.find('x', x + 1)) {
            if (x == 0 || !text_.substr(x - 1).starts_with(kPivot)) continue;
            const std::size_t from = x - 1 + kPivot.size();
            std::size_t end = from;
            while (end < text_.size() && sip::is_alphanumeric(text_[end])) ++end;
            if (end < text_.size() && (text_[end] == '@' || text_[end] == '%')) mask(from, end);
        }
    }
    void mask_body(std::size_t from) {
        if (from >= text_.size()) return;
        for (const std::string_view digits : {"dtmf", "kpml"}) {
            if (type_.find(digits) != std::string_view::npos) return mask(from, text_.size());
        }
        mask_behind(from, "<name>digit</name><value>", "<");
        mask_behind(from, "inline:", "|\r\n ");
        mask_behind(from, "a=ice-pwd:", "\r\n");
    }
    void mask_behind(std::size_t from, std::string_view start, std::string_view ends) {
        for (std::size_t at = text_.find(start, from); at != std::string_view::npos; at = text_.find(start, at + 1)) {
            mask(at + start.size(), std::min(text_.find_first_of(ends, at + start.size()), text_.size()));
        }
    }

    std::span<char> bytes_;
    std::string_view text_;  // the same
    std::string type_;
};

}  // namespace

void mask(std::span<char> message) {
    Masking(message).whole();
}

std::string masked(std::string_view message) {
    std::string out(message);
    mask(out);
    return out;
}

}  // namespace sheaf::ladder
