// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "sip/uri.h"

namespace sheaf::sip {

// Limits of one message. Reaching one is Errc::exhausted; the transaction layer answers 513 or 400 where it can.
inline constexpr std::size_t kMessageBytesMax = 65'535;
inline constexpr std::size_t kHeadersMax = 256;
inline constexpr std::size_t kHeaderBytesMax = 16'384;  // of one header line, folds joined
inline constexpr std::size_t kBodyBytesMax = 49'152;
inline constexpr std::size_t kUsualHeaders = 20;  // of a request of ours: room for them at once

struct Header {
    std::string name;   // as received; compact forms are expanded when parsed ("v" becomes "Via")
    std::string value;  // folds joined by one space, outer white space removed
    friend bool operator==(const Header&, const Header&) = default;
};

struct RequestLine {
    std::string method;  // case-sensitive token
    Uri uri;
    friend bool operator==(const RequestLine&, const RequestLine&) = default;
};
struct StatusLine {
    int code = 0;  // 100 to 699
    std::string reason;
    friend bool operator==(const StatusLine&, const StatusLine&) = default;
};

// A SIP message as a value: start line, headers in the order they came (unknown ones too), body.
// Header names compare without case. Values that hold a comma-separated list (Via, Route, Record-Route, Contact,
// Allow, …) are kept as received; `list` splits them.
struct Message {
    std::variant<RequestLine, StatusLine> start;
    std::vector<Header> headers;
    std::string body;

    [[nodiscard]] bool is_request() const { return std::holds_alternative<RequestLine>(start); }
    [[nodiscard]] const std::string& method() const;  // of a request; for a response, the CSeq's method
    [[nodiscard]] const Uri& uri() const { return std::get<RequestLine>(start).uri; }
    [[nodiscard]] int status() const { return std::get<StatusLine>(start).code; }

    [[nodiscard]] const std::string* first(std::string_view name) const;  // value of the first such header, or null
    [[nodiscard]] std::vector<std::string> all(std::string_view name) const;
    [[nodiscard]] std::vector<std::string> list(std::string_view name) const;  // every item of every such header
    [[nodiscard]] bool has_token(std::string_view name, std::string_view token) const;  // Supported, Require, Allow
    void add(std::string name, std::string value);                                      // at the end
    void add_first(std::string name, std::string value);  // at the top (Via, Record-Route)
    void set(std::string name, std::string value);        // replaces all of that name
    void remove(std::string_view name);
    void remove_first_item(std::string_view name);  // takes the topmost item off a list header (Via, Route)
    void replace_first_item(std::string_view name, std::string_view item);  // puts another in its place
    friend bool operator==(const Message& a, const Message& b) {
        return a.start == b.start && a.headers == b.headers && a.body == b.body;
    }

    mutable std::string cseq_method_;  // what method() returns for a response
};

// What every well-formed message has, parsed once (RFC 3261 §8.1.1).
struct Via {
    std::string transport;  // upper case: UDP, TCP, TLS, …
    std::string host;
    std::uint16_t port = 0;
    Params params;
    friend bool operator==(const Via&, const Via&) = default;
};
struct CSeq {
    std::uint32_t number = 0;
    std::string method;
    friend bool operator==(const CSeq&, const CSeq&) = default;
};

[[nodiscard]] Result<Via> via_from_text(std::string_view text);
[[nodiscard]] Result<void> check_via(std::string_view text);  // it is one
[[nodiscard]] std::string to_text(const Via& via);
[[nodiscard]] Result<CSeq> cseq_from_text(std::string_view text);

// One datagram: the whole message; bytes past Content-Length are cut off, a body shorter than it is malformed (§18.3).
// Content-Length stays among the headers as received; `body` is what counts.
// Checks grammar, limits, and that Via, From, To, Call-ID and CSeq (and Max-Forwards if there) are present, single
// where they must be, and parse. A request that breaks a rule comes back as Errc::malformed with words fit for a 400's
// reason; another SIP version than 2.0 as Errc::unsupported, for a 505.
[[nodiscard]] Result<Message> message_from_datagram(std::string_view bytes);
// The lines of a header section without the empty one that ends it: a message's behind its start line, or a body part's.
[[nodiscard]] Result<std::vector<Header>> headers_from_section(std::string_view section);
// As much of a broken request as an answer needs: Via, From, To, Call-ID, CSeq as found. Errc::not_found when there is
// not enough to answer (§8.2.6).
[[nodiscard]] Result<Message> salvage_request(std::string_view bytes);

// Cuts a TCP stream into messages by Content-Length (§18.3). One a connection; one owner.
class StreamParser {
public:
    // Feeds bytes; complete messages are taken with `next` until it returns nullopt. After an error the next message may
    // follow, unless it is not known where that begins: then `is_lost`, and the stream must be closed. A double CRLF
    // keep-alive (RFC 5626 §3.5.1) is skipped and counted in `pings`.
    void feed(std::string_view bytes);
    [[nodiscard]] std::optional<Result<Message>> next();
    [[nodiscard]] std::size_t buffered() const { return buffer_.size(); }
    [[nodiscard]] std::size_t take_pings();  // double CRLFs seen since asked last; each is owed one CRLF
    [[nodiscard]] bool is_lost() const { return failed_; }
    // After an error: the bytes it was about, for salvage_request and a 400.
    [[nodiscard]] const std::string& broken() const { return broken_; }

private:
    void skip_line_ends();
    Result<void> measure();  // sets need_ once the header section is complete; what is in it is checked later
    Error give_up(Error error);

    std::string buffer_;
    std::size_t need_ = 0;      // bytes of the message under way; 0: its header section is not complete yet
    std::size_t searched_ = 0;  // bytes known not to hold the end of the header section
    bool failed_ = false;
    std::string broken_;
    std::size_t pings_ = 0;
};

// Content-Length is written from the body, whatever the headers say: where one stands, or at the end. Line ends within
// a value become spaces, so that no value can smuggle in a header.
[[nodiscard]] std::string to_bytes(const Message& message);

[[nodiscard]] std::string_view reason_for(int status);  // RFC 3261 §21 and the RFCs that add codes; "" unknown
// A response to a request: Via, From, To, Call-ID, CSeq copied (and Record-Route, Timestamp per §8.2.6). `to_tag` is
// added to To when it has none and status is above 100.
[[nodiscard]] Message response_to(const Message& request, int status, std::string_view to_tag = {},
                                  std::string_view reason = {});

// What a message, or an answer to it, is called in evidence and ladders: `<Call-ID>;<CSeq number>;<method>`, of the
// Call-ID's visible characters the first 128.
inline constexpr std::size_t kMessageIdPartMax = 128;
[[nodiscard]] std::string message_id(std::string_view call_id, std::uint32_t cseq, std::string_view method);

}  // namespace sheaf::sip
