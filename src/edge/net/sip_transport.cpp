// SPDX-License-Identifier: Apache-2.0
#include "edge/net/sip_transport.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>
#include <map>
#include <unordered_set>
#include <utility>

#include "edge/net/sip_stream.h"
#include "edge/net/udp_socket.h"

namespace sheaf::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kDatagramsAtOnce = 32;
constexpr int kBatchesAtOnce = 4;  // before other sockets have their turn
constexpr int kSamePortTries = 16;
constexpr std::size_t kDatagramBytesMax = 65'535;
constexpr auto kAcceptAgain = std::chrono::milliseconds{100};  // after no file descriptor was left

struct UdpPort {
    UdpPort(asio::io_context& io, UdpSocket given, sip::Endpoint bound)
        : socket(std::move(given)), descriptor(io, socket.fd()), at(std::move(bound)) {}
    ~UdpPort() { close(); }
    UdpPort(const UdpPort&) = delete;
    UdpPort& operator=(const UdpPort&) = delete;
    void close() {
        if (descriptor.is_open()) descriptor.release();  // the file descriptor is the socket's
        socket = UdpSocket{};
    }

    UdpSocket socket;
    asio::posix::stream_descriptor descriptor;
    sip::Endpoint at;
    std::vector<sip::Send> unsent;
    bool waits_to_write = false;
};

struct TcpPort {
    TcpPort(tcp::acceptor given, asio::io_context& io, sip::Endpoint bound)
        : acceptor(std::move(given)), again(io), at(std::move(bound)) {}
    tcp::acceptor acceptor;
    asio::steady_timer again;
    sip::Endpoint at;
};

sip::Endpoint endpoint_of(sip::Transport transport, const SocketAddress& address) {
    return {transport, address.address(), address.port()};
}

Result<tcp::endpoint> tcp_endpoint(const std::string& address, std::uint16_t port) {
    error_code error;
    const auto parsed = asio::ip::make_address(address, error);
    if (error) return fail(Errc::malformed, "'" + address + "' is not an IP address");
    return tcp::endpoint(parsed, port);
}

bool same_family(const std::string& a, const std::string& b) {
    return (a.find(':') == std::string::npos) == (b.find(':') == std::string::npos);
}

// Lives until its last pending operation has seen that it is closed.
class Sockets : public SipStreamOwner, public std::enable_shared_from_this<Sockets> {
public:
    Sockets(asio::io_context& io, const SipTransportLimits& limits, SipTransportHandlers handlers)
        : io_(io), limits_(limits), handlers_(std::move(handlers)), batch_(kDatagramsAtOnce, kDatagramBytesMax) {}

    Result<void> bind(const std::vector<sip::Endpoint>& listen);
    void listen();
    void send(std::vector<sip::Send> sends);
    void close();
    [[nodiscard]] const std::vector<sip::Endpoint>& bound() const { return bound_; }
    [[nodiscard]] std::size_t connections() const { return streams_.size(); }

    void on_stream_message(SipStream& stream, const sip::Message& message) override {
        if (!handlers_.on_message(stream.source(), message)) return stream.give_up();
        const sip::Source& source = stream.source();
        if (strangers_.empty() || !strangers_.contains(source.flow)) return;
        if (handlers_.is_stranger(source.remote.address)) return;
        strangers_.erase(source.flow);
        stream.idle_max(limits_.idle_max, true);
    }
    void on_stream_broken(SipStream& stream, std::string_view bytes, const Error& error) override {
        if (!handlers_.on_broken(stream.source(), bytes, error)) stream.give_up();
    }
    void on_stream_batch() override {
        if (!closed_) handlers_.on_batch();
    }
    bool may_idle(const SipStream& stream) override {
        return handlers_.may_idle && handlers_.may_idle(stream.source().remote.address);
    }
    void on_stream_closed(SipStream& stream) override;

private:
    Result<void> bind_all(const std::vector<sip::Endpoint>& listen, bool same_ports);
    Result<sip::Endpoint> bind_udp(const sip::Endpoint& at);
    Result<sip::Endpoint> bind_tcp(const sip::Endpoint& at);
    void wait_udp(UdpPort& port);
    void read_udp(UdpPort& port);
    void flush_udp(UdpPort& port);
    UdpPort* udp_port(const sip::Send& send);
    void accept(TcpPort& port);
    void on_accepted(TcpPort& port, tcp::socket socket);
    void send_stream(sip::Send send);
    std::shared_ptr<SipStream> connect(const sip::Send& send);
    [[nodiscard]] bool has_room_for(const std::string& address) const;
    [[nodiscard]] bool has_room_for_stranger(const std::string& address) const;
    std::shared_ptr<SipStream> add(tcp::socket socket, const sip::Endpoint& remote, const sip::Endpoint& local);
    void fail_later(const std::string& branch, bool was_up = false);

    asio::io_context& io_;
    SipTransportLimits limits_;
    SipTransportHandlers handlers_;
    UdpBatch batch_;
    std::vector<sip::Endpoint> bound_;
    std::vector<std::unique_ptr<UdpPort>> udp_;
    std::vector<std::unique_ptr<TcpPort>> tcp_;
    std::map<std::uint64_t, std::shared_ptr<SipStream>> streams_;
    std::map<sip::Endpoint, std::uint64_t> by_remote_;
    std::map<std::string, std::size_t> by_peer_;   // by sip::network_of
    std::unordered_set<std::uint64_t> strangers_;  // flows
    std::vector<std::pair<std::string, bool>> failed_;
    std::uint64_t last_flow_ = 0;
    bool closed_ = false;
};

Result<void> Sockets::bind(const std::vector<sip::Endpoint>& listen) {
    for (int i = 0; i < kSamePortTries; ++i) {
        const auto bound = bind_all(listen, true);
        if (bound) return {};
        udp_.clear();
        tcp_.clear();
        bound_.clear();
        const bool may_differ = std::ranges::any_of(listen, [](const sip::Endpoint& at) { return at.port == 0; });
        if (bound.error().code != Errc::conflict || !may_differ) return bound;
    }
    return bind_all(listen, false);
}

Result<void> Sockets::bind_all(const std::vector<sip::Endpoint>& listen, bool same_ports) {
    std::map<std::string, std::uint16_t> chosen;
    for (sip::Endpoint at : listen) {
        const bool is_any = at.port == 0;
        if (is_any && same_ports && chosen.contains(at.address)) at.port = chosen[at.address];
        TRY(const auto bound, at.transport == sip::Transport::udp ? bind_udp(at) : bind_tcp(at));
        if (is_any) chosen[at.address] = bound.port;
        bound_.push_back(bound);
    }
    return {};
}

Result<sip::Endpoint> Sockets::bind_udp(const sip::Endpoint& at) {
    TRY(const auto address, SocketAddress::from_text(at.address, at.port));
    TRY(auto socket, UdpSocket::bind(address, {.receive_buffer_bytes = 4 * 1024 * 1024, .timestamps = false}));
    sip::Endpoint bound = endpoint_of(sip::Transport::udp, socket.local());
    udp_.push_back(std::make_unique<UdpPort>(io_, std::move(socket), bound));
    return bound;
}

Result<sip::Endpoint> Sockets::bind_tcp(const sip::Endpoint& at) {
    TRY(const auto endpoint, tcp_endpoint(at.address, at.port));
    tcp::acceptor acceptor(io_);
    error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && endpoint.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
    if (error) {
        const Errc code = error == boost::system::errc::address_in_use ? Errc::conflict : Errc::io;
        return fail(code, "cannot listen on " + sip::to_text(at) + ": " + error.message());
    }
    sip::Endpoint bound{sip::Transport::tcp, at.address, acceptor.local_endpoint(error).port()};
    tcp_.push_back(std::make_unique<TcpPort>(std::move(acceptor), io_, bound));
    return bound;
}

void Sockets::listen() {
    for (const auto& port : udp_) wait_udp(*port);
    for (const auto& port : tcp_) accept(*port);
}

void Sockets::wait_udp(UdpPort& port) {
    port.descriptor.async_wait(asio::posix::descriptor_base::wait_read,
                               [self = shared_from_this(), &port](error_code error) {
                                   if (self->closed_ || error) return;
                                   self->read_udp(port);
                               });
}

void Sockets::read_udp(UdpPort& port) {
    for (int i = 0; i < kBatchesAtOnce; ++i) {
        const auto received = port.socket.receive(batch_);
        for (const UdpReceived& datagram : received) {
            const sip::Source source{endpoint_of(sip::Transport::udp, datagram.from), port.at, 0};
            handlers_.on_bytes(source, as_text(datagram.payload));
            if (closed_) return;
        }
        if (!received.empty()) handlers_.on_batch();
        if (closed_) return;
        if (received.size() < kDatagramsAtOnce) break;
    }
    wait_udp(port);
}

UdpPort* Sockets::udp_port(const sip::Send& send) {
    UdpPort* found = nullptr;
    for (const auto& port : udp_) {
        if (port->at == send.local) return port.get();
        if (found == nullptr && same_family(port->at.address, send.to.address)) found = port.get();
    }
    return found;
}

void Sockets::send(std::vector<sip::Send> sends) {
    if (closed_) return;
    for (sip::Send& send : sends) {
        if (send.to.transport == sip::Transport::tcp) {
            send_stream(std::move(send));
        } else if (UdpPort* port = udp_port(send); port == nullptr) {
            fail_later(send.branch);
        } else if (port->unsent.size() < limits_.unsent_datagrams_max) {
            port->unsent.push_back(std::move(send));
        }
    }
    for (const auto& port : udp_) {
        if (!port->waits_to_write) flush_udp(*port);
    }
}

void Sockets::flush_udp(UdpPort& port) {
    std::vector<UdpToSend> packets;
    std::vector<std::size_t> failed;
    packets.reserve(port.unsent.size());
    for (const sip::Send& send : port.unsent) {
        // An address that is none goes to no family and is refused by the kernel like any other it cannot reach.
        const auto to = SocketAddress::from_text(send.to.address, send.to.port).value_or(SocketAddress{});
        packets.push_back({to, as_bytes(send.bytes)});
    }
    const std::size_t taken = port.socket.send(packets, &failed);
    for (const std::size_t index : failed) fail_later(port.unsent[index].branch);
    port.unsent.erase(port.unsent.begin(), port.unsent.begin() + static_cast<std::ptrdiff_t>(taken));
    if (port.unsent.empty()) return;
    port.waits_to_write = true;
    port.descriptor.async_wait(asio::posix::descriptor_base::wait_write,
                               [self = shared_from_this(), &port](error_code error) {
                                   if (self->closed_ || error) return;
                                   port.waits_to_write = false;
                                   self->flush_udp(port);
                               });
}

void Sockets::accept(TcpPort& port) {
    port.acceptor.async_accept([self = shared_from_this(), &port](error_code error, tcp::socket socket) {
        if (self->closed_) return;
        if (!error) {
            self->on_accepted(port, std::move(socket));
            return self->accept(port);
        }
        port.again.expires_after(kAcceptAgain);
        port.again.async_wait([self, &port](error_code cancelled) {
            if (!self->closed_ && !cancelled) self->accept(port);
        });
    });
}

void Sockets::on_accepted(TcpPort& port, tcp::socket socket) {
    error_code error;
    const auto peer = socket.remote_endpoint(error);
    if (error) return;
    const sip::Endpoint remote{sip::Transport::tcp, peer.address().to_string(), peer.port()};
    const bool is_stranger = handlers_.is_stranger && handlers_.is_stranger(remote.address);
    if (!has_room_for(remote.address) || (is_stranger && !has_room_for_stranger(remote.address))) return;  // closes it
    const auto stream = add(std::move(socket), remote, port.at);
    if (is_stranger) {
        strangers_.insert(stream->source().flow);
        stream->idle_max(limits_.stranger_idle_max, false);
    }
    stream->accepted();
}

bool Sockets::has_room_for(const std::string& address) const {
    if (streams_.size() >= limits_.connections_max) return false;
    const auto known = by_peer_.find(sip::network_of(address));
    return known == by_peer_.end() || known->second < limits_.connections_per_peer_max;
}

bool Sockets::has_room_for_stranger(const std::string& address) const {
    if (strangers_.size() >= limits_.strangers_connections_max) return false;
    const auto known = by_peer_.find(sip::network_of(address));
    return known == by_peer_.end() || known->second < limits_.stranger_connections_max;
}

std::shared_ptr<SipStream> Sockets::add(tcp::socket socket, const sip::Endpoint& remote, const sip::Endpoint& local) {
    const std::uint64_t flow = ++last_flow_;
    auto stream = std::make_shared<SipStream>(std::move(socket), sip::Source{remote, local, flow}, limits_, *this);
    streams_[flow] = stream;
    by_remote_[remote] = flow;
    ++by_peer_[sip::network_of(remote.address)];
    return stream;
}

void Sockets::on_stream_closed(SipStream& stream) {
    const sip::Source& source = stream.source();
    const auto held = streams_.extract(source.flow);
    strangers_.erase(source.flow);
    const auto remote = by_remote_.find(source.remote);
    if (remote != by_remote_.end() && remote->second == source.flow) by_remote_.erase(remote);
    const auto peer = by_peer_.find(sip::network_of(source.remote.address));
    if (peer != by_peer_.end() && --peer->second == 0) by_peer_.erase(peer);
    for (const std::string& branch : stream.branches()) fail_later(branch, stream.was_up());
}

void Sockets::send_stream(sip::Send send) {
    auto known = streams_.find(send.flow);
    if (known == streams_.end()) {
        const auto remote = by_remote_.find(send.to);
        if (remote != by_remote_.end()) known = streams_.find(remote->second);
    }
    const auto stream = known != streams_.end() ? known->second : connect(send);
    if (!stream) return fail_later(send.branch);
    stream->write(std::move(send.bytes), send.branch);
}

// A new connection, from the address that its listener has, so that the peer knows us by it. Null: no way, no room.
std::shared_ptr<SipStream> Sockets::connect(const sip::Send& send) {
    const auto to = tcp_endpoint(send.to.address, send.to.port);
    if (!to || send.to.port == 0 || !has_room_for(send.to.address)) return nullptr;
    const TcpPort* from = nullptr;
    for (const auto& port : tcp_) {
        if (!same_family(port->at.address, send.to.address)) continue;
        if (from == nullptr || port->at == send.local) from = port.get();
    }
    tcp::socket socket(io_);
    error_code error;
    socket.open(to->protocol(), error);
    if (!error && from != nullptr) {
        if (const auto local = tcp_endpoint(from->at.address, 0)) socket.bind(*local, error);
    }
    if (error) return nullptr;
    auto stream = add(std::move(socket), send.to, from == nullptr ? sip::Endpoint{} : from->at);
    stream->connect(*to);
    return stream;
}

void Sockets::fail_later(const std::string& branch, bool was_up) {
    if (branch.empty() || closed_) return;
    failed_.emplace_back(branch, was_up);
    if (failed_.size() > 1) return;  // already posted
    asio::post(io_, [self = shared_from_this()] {
        const auto failed = std::exchange(self->failed_, {});
        for (const auto& [one, had_been_up] : failed) {
            if (!self->closed_) self->handlers_.on_failed(one, had_been_up);
        }
        if (!self->closed_) self->handlers_.on_batch();
    });
}

void Sockets::close() {
    if (closed_) return;
    closed_ = true;
    for (const auto& [flow, stream] : streams_) stream->close();
    streams_.clear();
    by_remote_.clear();
    by_peer_.clear();
    strangers_.clear();
    error_code ignored;
    for (const auto& port : tcp_) {
        port->again.cancel();
        port->acceptor.close(ignored);
    }
    for (const auto& port : udp_) port->close();
}

class Facade : public SipTransport {
public:
    explicit Facade(std::shared_ptr<Sockets> sockets) : sockets_(std::move(sockets)) {}
    ~Facade() override { sockets_->close(); }
    Facade(const Facade&) = delete;
    Facade& operator=(const Facade&) = delete;

    [[nodiscard]] const std::vector<sip::Endpoint>& bound() const override { return sockets_->bound(); }
    void send(std::vector<sip::Send> sends) override { sockets_->send(std::move(sends)); }
    [[nodiscard]] std::size_t connections() const override { return sockets_->connections(); }
    void close() override { sockets_->close(); }

private:
    std::shared_ptr<Sockets> sockets_;  // shared with the operations still pending
};

}  // namespace

Result<std::unique_ptr<SipTransport>> SipTransport::start(asio::io_context& io,
                                                          const std::vector<sip::Endpoint>& listen,
                                                          const SipTransportLimits& limits,
                                                          SipTransportHandlers handlers) {
    try {
        auto sockets = std::make_shared<Sockets>(io, limits, std::move(handlers));
        TRY_VOID(sockets->bind(listen));
        sockets->listen();
        return std::make_unique<Facade>(std::move(sockets));
    } catch (const boost::system::system_error& error) {
        return fail(Errc::io, std::string("cannot open SIP sockets: ") + error.what());
    }
}

}  // namespace sheaf::net
