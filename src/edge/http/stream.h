// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "edge/http/server.h"

namespace sheaf::http {

// What a connection hands over when it becomes a stream. Internal to this room.
struct StreamStart {
    boost::beast::tcp_stream socket;
    boost::beast::flat_buffer received;  // what came after the header
    boost::beast::http::request<boost::beast::http::empty_body> request;
    std::chrono::milliseconds idle;
    std::function<void(std::shared_ptr<Stream>)> opened;
    std::function<void()> ended;  // once, when the socket is closed
};

// Lives as long as its socket is open. The application gets a handle that may live longer.
class OpenStream : public Stream {
public:
    virtual void abort() = 0;  // at once, without a word
};
[[nodiscard]] std::shared_ptr<OpenStream> start_websocket(StreamStart start);
[[nodiscard]] std::shared_ptr<OpenStream> start_event_stream(StreamStart start);

}  // namespace sheaf::http
