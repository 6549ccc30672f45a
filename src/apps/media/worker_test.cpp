// SPDX-License-Identifier: Apache-2.0
#include "apps/media/worker.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>

#include <deque>
#include <map>
#include <utility>

#include "base/mutex.h"
#include "edge/net/udp_socket.h"
#include "rtp/packet.h"
#include "rtp/rtcp.h"

namespace sheaf::media_role {
namespace {

using media::Channel;

// What a journal would hold, readable once the worker has stopped or told of the end.
struct Journal : media::CaptureSink {
    struct Segment {
        std::vector<std::pair<Instant, std::vector<std::uint8_t>>> said;
        std::vector<std::pair<Instant, std::vector<std::uint8_t>>> heard;
    };
    std::map<media::SegmentSlot, Segment> segments;
    bool open(media::SegmentSlot slot, const media::SegmentHead&) override {
        segments[slot] = {};
        return true;
    }
    bool packet(media::SegmentSlot slot, Channel channel, Instant when, Bytes rtp) override {
        Segment& segment = segments[slot];
        (channel == Channel::said ? segment.said : segment.heard)
            .emplace_back(when, std::vector(rtp.begin(), rtp.end()));
        return true;
    }
    bool silence(media::SegmentSlot, const media::Silence&, Instant, Instant, std::uint64_t) override { return true; }
    bool reach_back(media::SegmentSlot, const media::Silence&, Instant, Instant, Instant, std::uint64_t) override {
        return true;
    }
    bool resume(media::SegmentSlot, const std::string&, Instant) override { return true; }
    void close(media::SegmentSlot, const media::SegmentTail&) override {}
};

class Inbox {
public:
    void put(std::vector<media::Notice> notices) {
        MutexLock lock(mutex_);
        for (auto& notice : notices) notices_.push_back(std::move(notice));
        changed_.notify_all();
    }
    // The next notice, which has ten seconds to come.
    media::Notice next() {
        MutexLock lock(mutex_);
        for (int i = 0; i < 100 && notices_.empty(); ++i) changed_.wait_for(mutex_, std::chrono::milliseconds{100});
        REQUIRE_FALSE(notices_.empty());
        media::Notice notice = std::move(notices_.front());
        notices_.pop_front();
        return notice;
    }
    template <typename T>
    T next_as() {
        media::Notice notice = next();
        REQUIRE(std::holds_alternative<T>(notice));
        return std::get<T>(std::move(notice));
    }

private:
    Mutex mutex_;
    CondVar changed_;
    std::deque<media::Notice> notices_ GUARDED_BY(mutex_);
};

struct Phone {
    net::UdpSocket socket;
    net::UdpBatch batch{16, 2'048};
    net::SocketAddress server;
    std::uint16_t sequence = 100;

    void say(std::uint8_t sample) {
        std::vector<std::uint8_t> packet(rtp::kHeaderBytes + 160, sample);
        rtp::write_header(
            packet.data(),
            {.marker = false, .payload_type = 0, .sequence = sequence, .timestamp = sequence * 160U, .ssrc = 77});
        ++sequence;
        const net::UdpToSend item{.to = server, .payload = packet};
        REQUIRE(socket.send({&item, 1}) == 1);
    }
    // The next packet, which has ten seconds to come.
    std::vector<std::uint8_t> hear() {
        if (waiting.empty()) {
            pollfd ready{.fd = socket.fd(), .events = POLLIN, .revents = 0};
            REQUIRE(poll(&ready, 1, 10'000) == 1);
            for (const auto& packet : socket.receive(batch))
                waiting.emplace_back(packet.payload.begin(), packet.payload.end());
        }
        REQUIRE_FALSE(waiting.empty());
        std::vector<std::uint8_t> packet = std::move(waiting.front());
        waiting.pop_front();
        return packet;
    }
    std::deque<std::vector<std::uint8_t>> waiting;
};

struct Lab {
    explicit Lab(const WorkerSettings& settings = {}, const std::string& ip = "127.0.0.1")
        : address(ip), ports(ip, 21'000, 21'998) {
        auto started = Worker::start(settings, journal, [this] { inbox.put(worker->take_notices()); });
        REQUIRE(started);
        worker = std::move(*started);
    }
    Phone phone(const std::string& leg, const std::string& room) {
        Phone phone;
        auto pair = ports.allocate();
        REQUIRE(pair);
        phone.server = pair->rtp.local();
        auto socket = net::UdpSocket::bind(net::SocketAddress::from_text(address, 0).value());
        REQUIRE(socket);
        phone.socket = std::move(*socket);
        media::LegMedia media{.remote_address = address,
                              .remote_port = phone.socket.local().port(),
                              .remote_rtcp_port = 0,
                              .receive = {{0, media::CodecKind::pcmu}},
                              .we_send = true,
                              .we_receive = true};
        REQUIRE(worker->command(
            media::AddLeg{.leg = LegId{leg}, .rtp_socket = pair->rtp.release(), .rtcp_socket = pair->rtcp.release()}));
        REQUIRE(worker->command(media::ConfigureLeg{.leg = LegId{leg}, .media = media}));
        REQUIRE(worker->command(media::JoinRoom{.leg = LegId{leg}, .room = RoomId{room}}));
        return phone;
    }
    void record(const std::string& leg) {
        REQUIRE(worker->command(media::StartRecording{
            .leg = LegId{leg}, .segment = SegmentId{"s-" + leg}, .calluuid = {}, .connection = {}}));
        inbox.next_as<media::RecordingOpened>();
    }
    std::string address;
    Journal journal;
    Inbox inbox;
    net::RtpPorts ports;
    std::unique_ptr<Worker> worker;
};

TEST_CASE("two phones on real sockets hear each other and are recorded to the last packet") {
    for (const std::string ip : {"127.0.0.1", "::1"}) {
        Lab lab({}, ip);
        Phone a = lab.phone("a", "room");
        Phone b = lab.phone("b", "room");
        lab.record("a");
        for (std::uint8_t i = 0; i < 50; ++i) {
            a.say(i);
            CHECK(b.hear().at(12) == i);
            b.say(static_cast<std::uint8_t>(i + 100));
            CHECK(a.hear().at(12) == i + 100);
        }
        // The end is asked for right behind the last packets, which the worker has not seen yet.
        for (std::uint8_t i = 0; i < 20; ++i) a.say(i);
        REQUIRE(lab.worker->command(media::StopRecording{.segment = SegmentId{"s-a"}, .cause = "normal"}));
        const auto sealed = lab.inbox.next_as<media::RecordingSealed>();
        CHECK(sealed.tail.said.received == 70);
        CHECK(sealed.tail.said.stored == 70);
        CHECK(sealed.tail.heard.stored == 50);
        lab.worker->stop("test");
        const auto& said = lab.journal.segments[0].said;
        REQUIRE(said.size() == 70);
        for (std::size_t i = 1; i < said.size(); ++i) CHECK(said[i].first >= said[i - 1].first);
        CHECK(said.front().first + Duration{std::chrono::seconds{5}} > sealed.head.opened.mono);
        CHECK(lab.worker->counters().rtp_received == 120);
        CHECK(lab.worker->counters().sent >= 120);
        CHECK(lab.worker->counters().legs == 0);
    }
}

TEST_CASE("a treatment reaches the phone at its pace and tells its end") {
    Lab lab;
    Phone a = lab.phone("a", "room");
    auto prompt = std::make_shared<media::Prompt>();
    prompt->samples.resize(1'600);
    const auto began = std::chrono::steady_clock::now();
    REQUIRE(lab.worker->command(media::Play{.leg = LegId{"a"}, .name = "welcome", .prompts = {prompt}}));
    for (int i = 0; i < 10; ++i) CHECK(a.hear().size() == 172);
    CHECK(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds{150});
    CHECK(lab.inbox.next_as<media::PlayEnded>().completed);
}

TEST_CASE("stopping seals what runs, tells it and closes the sockets") {
    Lab lab;
    Phone a = lab.phone("a", "room");
    lab.record("a");
    a.say(1);
    lab.worker->stop("shutdown");
    const auto sealed = lab.inbox.next_as<media::RecordingSealed>();
    CHECK(sealed.tail.cause == "shutdown");
    CHECK(sealed.tail.said.stored == 1);
    CHECK(lab.worker->command(media::LeaveRoom{.leg = LegId{"a"}}).error().code == Errc::conflict);
    CHECK(net::UdpSocket::bind(a.server));
}

TEST_CASE("a command that fails is told and gives its sockets back") {
    Lab lab;
    Phone a = lab.phone("a", "room");
    auto pair = lab.ports.allocate();
    REQUIRE(pair);
    const net::SocketAddress taken = pair->rtp.local();
    REQUIRE(lab.worker->command(
        media::AddLeg{.leg = LegId{"a"}, .rtp_socket = pair->rtp.release(), .rtcp_socket = pair->rtcp.release()}));
    CHECK(lab.inbox.next_as<media::CommandFailed>().error.code == Errc::conflict);
    CHECK(net::UdpSocket::bind(taken));
    REQUIRE(lab.worker->command(media::AddLeg{.leg = LegId{"none"}, .rtp_socket = -1, .rtcp_socket = -1}));
    CHECK(lab.inbox.next_as<media::CommandFailed>().error.code == Errc::io);
    REQUIRE(lab.worker->command(media::RemoveLeg{.leg = LegId{"a"}, .cause = "normal"}));
    REQUIRE(lab.worker->command(media::RemoveLeg{.leg = LegId{"a"}, .cause = "normal"}));
    CHECK(lab.inbox.next_as<media::CommandFailed>().command == "RemoveLeg");
    CHECK(net::UdpSocket::bind(a.server));
}

TEST_CASE("no more commands are taken than the queue holds, nor while notices are not taken") {
    Journal journal;
    auto worker = Worker::start({.commands_max = 0}, journal, {});
    REQUIRE(worker);
    CHECK((*worker)->command(media::JoinRoom{.leg = LegId{"a"}, .room = RoomId{"r"}}).error().code == Errc::exhausted);
    // What ends something is taken all the same: else its sockets would stay for ever.
    CHECK((*worker)->command(media::RemoveLeg{.leg = LegId{"a"}, .cause = "normal"}));
    worker = Worker::start({.notices_max = 3}, journal, {});
    REQUIRE(worker);
    int accepted = 0;
    while (accepted < 100'000 && (*worker)->command(media::JoinRoom{.leg = LegId{"a"}, .room = RoomId{"r"}}))
        ++accepted;
    CHECK(accepted >= 3);
    CHECK(accepted < 100'000);
    (*worker)->stop("test");
    CHECK((*worker)->take_notices().size() == static_cast<std::size_t>(accepted));
}

TEST_CASE("reports leave by the port above") {
    Lab lab;
    auto pair = lab.ports.allocate();
    REQUIRE(pair);
    auto rtcp = net::UdpSocket::bind(net::SocketAddress::from_text("127.0.0.1", 0).value());
    REQUIRE(rtcp);
    const net::SocketAddress from = pair->rtcp.local();
    REQUIRE(lab.worker->command(
        media::AddLeg{.leg = LegId{"a"}, .rtp_socket = pair->rtp.release(), .rtcp_socket = pair->rtcp.release()}));
    media::LegMedia media{.remote_address = "127.0.0.1", .remote_port = 9, .receive = {}, .we_send = true};
    media.remote_rtcp_port = rtcp->local().port();
    REQUIRE(lab.worker->command(media::ConfigureLeg{.leg = LegId{"a"}, .media = media}));
    pollfd ready{.fd = rtcp->fd(), .events = POLLIN, .revents = 0};
    REQUIRE(poll(&ready, 1, 10'000) == 1);
    net::UdpBatch batch(1, 2'048);
    const auto packets = rtcp->receive(batch);
    REQUIRE(packets.size() == 1);
    CHECK(packets[0].from == from);
    CHECK(rtp::parse_compound(packets[0].payload));
}

}  // namespace
}  // namespace sheaf::media_role
