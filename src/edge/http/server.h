// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace boost::asio {
class io_context;
}

namespace sheaf::http {

// One request, whole. A HEAD arrives as a GET: the server leaves the body out. Names of headers are lower case; `path`
// is percent-decoded, `query` decoded and in order.
struct Request {
    std::string method;
    std::string target;  // as sent
    std::string path;
    std::vector<std::pair<std::string, std::string>> query;
    std::map<std::string, std::string> headers;
    std::string body;  // empty when it was spooled
    std::string
        body_file;  // a large upload: a file in the spool folder that the handler may rename; removed afterwards
    std::string remote_address;
    [[nodiscard]] std::string query_value(std::string_view name) const;  // first, or empty
    [[nodiscard]] std::string header(std::string_view name) const;       // lower-case name, or empty
    [[nodiscard]] std::string bearer() const;                            // token of "Authorization: Bearer …", or empty
    [[nodiscard]] std::string cookie(std::string_view name) const;       // or empty
};

struct Response {
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::string body = {};
    std::string file = {};  // instead of body: a file to send; Range (RFC 9110 §14) and HEAD are handled by the server
};

[[nodiscard]] Response json_response(int status, std::string body);
// RFC 9457. `detail` is for the caller's eyes.
[[nodiscard]] Response problem(int status, std::string_view title, std::string_view detail = {});

// Answers once, at any later time, from the server's io_context thread. Dropping it unanswered answers 500.
using Reply = std::function<void(Response)>;
using Handler = std::function<void(Request, Reply)>;

// An open text/event-stream or WebSocket towards one client. Sending never blocks; a client that falls more than
// kStreamBytesMax behind is disconnected; one larger text is taken all the same, one at a time.
class Stream {
public:
    virtual ~Stream() = default;
    virtual void send(std::string_view text) = 0;  // SSE: one event's data; WebSocket: one text message
    virtual void close() = 0;
    [[nodiscard]] virtual bool is_open() const = 0;
};
inline constexpr std::size_t kStreamBytesMax = 1 << 20;
// Asked for a WebSocket upgrade or an Accept: text/event-stream on a path: return nullopt to accept the client (then
// `opened` is called) or a response to refuse it.
struct StreamRoute {
    std::function<std::optional<Response>(const Request&)> admit;
    std::function<void(std::shared_ptr<Stream>)> opened;  // shared: the connection and the application both hold it
    // Instead of `opened`, for who must know whose stream it is: with the request that was admitted.
    std::function<void(const Request&, std::shared_ptr<Stream>)> opened_for;
};

struct ServerOptions {
    std::string address = "127.0.0.1";
    std::uint16_t port = 0;  // 0: any
    std::size_t connections_max = 1'000;
    std::size_t connections_of_one_max = 0;  // from one address; 0: as many as from all
    std::size_t header_bytes_max = 16 * 1024;
    std::size_t body_bytes_max = 1 << 20;  // kept in memory; beyond: 413
    std::size_t upload_bytes_max = 0;      // for `upload_path` prefixes; 0: none
    std::string upload_prefix;             // PUTs below it are spooled to a file
    std::string spool;                     // folder for them
    int idle_seconds = 60;                 // for a request's header, its body, and between two pieces of an upload
    int idle_ms = 0;                       // instead of idle_seconds, when not 0
    // Asked with the header of an upload before its body is read; a response refuses it. Empty: every upload is taken.
    std::function<std::optional<Response>(const Request&)> admit_upload;
    // Likewise of every other request with a body: what nobody may send takes no memory.
    std::function<std::optional<Response>(const Request&)> admit;
};

// HTTP/1.1 on Boost.Beast. Handlers run on the io_context's thread, one at a time.
class Server {
public:
    [[nodiscard]] static Result<std::unique_ptr<Server>> listen(boost::asio::io_context& io, ServerOptions options,
                                                                Handler handler);
    virtual ~Server() = default;
    virtual void add_stream(std::string path, StreamRoute route) = 0;
    [[nodiscard]] virtual std::uint16_t port() const = 0;
    virtual void close() = 0;  // stops accepting; open connections end
};

}  // namespace sheaf::http
