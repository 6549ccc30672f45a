// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace boost::asio {
class io_context;
}

namespace sheaf::http {

struct ClientRequest {
    std::string method = "GET";
    std::string url = {};  // http://host:port/path?query
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::string body = {};
    std::string body_file = {};  // instead of body: streamed from disk
    int timeout_seconds = 30;    // for the whole exchange once it has begun; with body_file anew after each piece sent
    int timeout_ms = 0;          // instead of timeout_seconds, when not 0
};
struct ClientResponse {
    int status = 0;
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::string body = {};  // at most kClientBodyMax; beyond: an error
};
inline constexpr std::size_t kClientBodyMax = 16 << 20;

// Keep-alive HTTP/1.1 client. The callback runs on the io_context's thread, exactly once. Errc::io: no connection or it
// broke; Errc::timeout; Errc::exhausted: the answer is too large; Errc::malformed and Errc::unsupported: the request.
// Once the client is gone no callback runs any more. An idempotent request (RFC 9110 §9.2.2) that finds its kept
// connection closed is sent once more over a new one. At most `connections_max` requests to one host are under way;
// others wait in order.
class Client {
public:
    [[nodiscard]] static std::unique_ptr<Client> create(boost::asio::io_context& io, std::size_t connections_max = 4);
    virtual ~Client() = default;
    virtual void send(ClientRequest request, std::function<void(Result<ClientResponse>)> done) = 0;
};

}  // namespace sheaf::http
