// SPDX-License-Identifier: Apache-2.0
#include "mediactl/media_control.h"

#include <doctest/doctest.h>

#include <functional>

using namespace sheaf;
using namespace sheaf::mediactl;
using namespace std::chrono_literals;

namespace {

struct Resources : MediaResources {
    Result<RtpPair> allocate_ports() override {
        if (left == 0) return fail(Errc::exhausted, "no free RTP port");
        --left;
        const auto port = static_cast<std::uint16_t>(20'000 + 2 * allocated++);
        return RtpPair{address, port, 10 + allocated, 100 + allocated};
    }
    std::shared_ptr<const media::Prompt> find_prompt(const std::string& uri) override {
        if (uri != "say:welcome") return nullptr;
        return std::make_shared<const media::Prompt>(media::Prompt{uri, {1, 2}});
    }
    bool knows_segment(const SegmentId& segment) const override { return segment.text() == "former"; }
    std::string address = "127.0.0.1";
    int left = 100;
    int allocated = 0;
};

const Stamp kNow{Instant(10s), WallTime(1'767'605'400'000ms)};

std::string sdp(const std::string& formats = "0 8 101", const std::string& direction = "sendrecv",
                const std::string& address = "IP4 127.0.0.1") {
    return "v=0\r\no=- 1 1 IN " + address + "\r\ns=-\r\nc=IN " + address + "\r\nt=0 0\r\nm=audio 4000 RTP/AVP " +
           formats + "\r\na=rtpmap:101 telephone-event/8000\r\na=" + direction + "\r\n";
}

sip::Message request(const std::string& method, const std::string& user, const std::string& type,
                     const std::string& body) {
    sip::Message m;
    sip::Uri uri;
    uri.user = user;
    uri.host = "127.0.0.1";
    m.start = sip::RequestLine{method, uri};
    if (!type.empty()) m.add("Content-Type", type);
    m.body = body;
    return m;
}

sip::Source source(const std::string& address = "127.0.0.1") {
    return {.remote = {sip::Transport::udp, address, 5060}, .local = {sip::Transport::udp, "127.0.0.1", 5070}};
}

// A media server without the world: what it would do is in `last`.
struct Server {
    explicit Server(std::size_t legs_max = 4)
        : control({.sdp_address = {}, .allow = {"192.0.2.1"}, .legs_max = legs_max}, resources) {}
    Resources resources;
    MediaControl control;
    std::vector<Effect> last;
    Stamp now = kNow;
    sip::ServerRequest requests = 0;

    void invite(sip::DialogId dialog, const std::string& user, const std::string& body,
                const std::string& from = "127.0.0.1", const std::string& type = "application/sdp") {
        last = control.handle(
            now, sip::Invited{dialog, request("INVITE", user, body.empty() ? "" : type, body), source(from)},
            "tag" + std::to_string(dialog));
    }
    std::string msml(sip::DialogId dialog, const std::string& elements) {
        last = control.handle(now,
                              sip::Requested{++requests, dialog,
                                             request("INFO", "sheaf", "application/msml+xml",
                                                     "<msml version=\"1.1\">" + elements + "</msml>"),
                                             source()},
                              {});
        const auto answers = all<RespondTo>();
        return answers.empty() ? std::string() : answers.front().body;  // none: it waits for the worker
    }
    void pass(Duration time) {
        now.mono += time;
        last = control.tick(now);
    }
    void ask(sip::DialogId dialog, const std::string& from = "127.0.0.1") {  // alive?
        last =
            control.handle(now, sip::Requested{++requests, dialog, request("OPTIONS", "x", "", ""), source(from)}, {});
    }
    template <typename T>
    std::vector<T> all() const {
        std::vector<T> out;
        for (const Effect& e : last) {
            if (const auto* found = std::get_if<T>(&e)) out.push_back(*found);
        }
        return out;
    }
    template <typename T>
    T first() const {
        const auto found = all<T>();
        REQUIRE_FALSE(found.empty());
        return found.front();
    }
    template <typename T>
    std::vector<T> orders() const {
        std::vector<T> out;
        for (const Order& order : all<Order>()) {
            if (const auto* found = std::get_if<T>(&order.command)) out.push_back(*found);
        }
        return out;
    }
};

std::string record(const std::string& segment, const std::string& leg) {
    return "<record xmlns=\"urn:sheaf:msml:1\" action=\"start\" target=\"conn:" + leg + "\" segment=\"" + segment +
           "\" calluuid=\"u\" connection=\"c\"/>";
}

}  // namespace

TEST_CASE("an INVITE with an offer makes a leg, joins it to its room and is answered") {
    Server s;
    s.invite(1, "msml=room-1", sdp());
    const auto answer = sip::sdp_from_text(s.first<AnswerInvite>().sdp);
    REQUIRE(answer);
    REQUIRE(sip::audio_of(*answer) != nullptr);
    CHECK(sip::audio_of(*answer)->port == 20'000);
    REQUIRE(s.orders<media::AddLeg>().size() == 1);
    CHECK(s.orders<media::AddLeg>()[0].leg.text() == "tag1");
    CHECK(s.orders<media::AddLeg>()[0].rtp_socket == 11);
    REQUIRE(s.orders<media::ConfigureLeg>().size() == 1);
    const auto media = s.orders<media::ConfigureLeg>()[0].media;
    CHECK(media.remote_address == "127.0.0.1");
    CHECK(media.remote_port == 4'000);
    CHECK(media.remote_rtcp_port == 4'001);
    CHECK(media.send_payload_type == 0);
    CHECK(media.receive.size() == 2);
    CHECK(media.dtmf_payload_type == 101);
    CHECK((media.we_send && media.we_receive));
    REQUIRE(s.orders<media::JoinRoom>().size() == 1);
    CHECK(s.orders<media::JoinRoom>()[0].room.text() == "room-1");
}

TEST_CASE("an INVITE without an offer is answered with one, and its ACK brings the media") {
    Server s;
    s.invite(1, "msml=r", "");
    const auto offer = sip::sdp_from_text(s.first<AnswerInvite>().sdp);
    REQUIRE(offer);
    CHECK(sip::audio_of(*offer)->codecs.size() == 3);
    CHECK(s.orders<media::ConfigureLeg>().empty());
    s.last = s.control.handle(kNow, sip::Acknowledged{1, request("ACK", "sheaf", "application/sdp", sdp("8"))}, {});
    REQUIRE(s.orders<media::ConfigureLeg>().size() == 1);
    CHECK(s.orders<media::ConfigureLeg>()[0].media.send_payload_type == 8);
    CHECK(s.orders<media::ConfigureLeg>()[0].media.dtmf_payload_type == 0xFF);
}

TEST_CASE("an ACK that brings no usable answer ends the leg") {
    for (const std::string& body : {std::string(), std::string("nonsense"), sdp("18")}) {
        Server s;
        s.invite(1, "msml=r", "");
        s.last = s.control.handle(kNow, sip::Acknowledged{1, request("ACK", "sheaf", "application/sdp", body)}, {});
        CHECK(s.all<SendBye>().size() == 1);
        CHECK(s.orders<media::RemoveLeg>().size() == 1);
        CHECK(s.control.counts().legs == 0);
        CHECK(s.control.counts().rooms == 0);
    }
}

TEST_CASE("a re-INVITE changes direction and codec but not the port") {
    Server s;
    s.invite(1, "msml=r", sdp());
    const auto before = sip::sdp_from_text(s.first<AnswerInvite>().sdp);
    s.last = s.control.handle(
        kNow, sip::Reinvited{1, request("INVITE", "sheaf", "application/sdp", sdp("8", "sendonly"))}, {});
    const auto after = sip::sdp_from_text(s.first<AnswerInvite>().sdp);
    REQUIRE((before && after));
    CHECK(sip::audio_of(*after)->port == sip::audio_of(*before)->port);
    CHECK(after->session_id == before->session_id);
    CHECK(after->session_version == before->session_version + 1);
    CHECK(sip::audio_of(*after)->direction == sip::Direction::recvonly);
    CHECK(s.orders<media::AddLeg>().empty());
    CHECK_FALSE(s.orders<media::ConfigureLeg>()[0].media.we_send);

    s.last = s.control.handle(kNow, sip::Reinvited{1, request("INVITE", "sheaf", "", "")}, {});
    CHECK(s.first<AnswerInvite>().sdp.find("m=audio 20000") != std::string::npos);
    s.last = s.control.handle(kNow, sip::Acknowledged{1, request("ACK", "sheaf", "application/sdp", sdp("0"))}, {});
    CHECK(s.orders<media::ConfigureLeg>().size() == 1);

    s.last = s.control.handle(kNow, sip::Reinvited{1, request("INVITE", "sheaf", "application/sdp", sdp("18"))}, {});
    CHECK(s.first<RejectInvite>().status == 488);
    CHECK(s.control.counts().legs == 1);  // the leg stays as it was
}

TEST_CASE("what cannot be served gets its proper answer and costs no port") {
    Server s;
    const auto status = [&] {
        CHECK(s.all<Complain>().size() == 1);
        CHECK(s.orders<media::AddLeg>().empty());
        return s.first<RejectInvite>().status;
    };
    s.invite(1, "msml=r", sdp(), "198.51.100.7");
    CHECK(status() == 403);
    s.invite(1, "alice", sdp());
    CHECK(status() == 404);
    s.invite(1, "msml=a/b", sdp());
    CHECK(status() == 404);
    s.invite(1, "msml=r", sdp("18"));
    CHECK(status() == 488);
    s.invite(1, "msml=r", "v=0\r\nnonsense");
    CHECK(status() == 400);
    s.invite(1, "msml=r", "hello", "127.0.0.1", "text/plain");
    CHECK(status() == 415);
    CHECK(s.resources.left == 100);
    s.resources.left = 0;
    s.invite(1, "msml=r", sdp());
    CHECK(status() == 503);
    CHECK(s.first<RejectInvite>().headers[0].name == "Retry-After");
    s.resources.left = 10;
    for (sip::DialogId d = 10; d < 14; ++d) s.invite(d, "msml", sdp());
    s.invite(20, "msml", sdp());
    CHECK(status() == 503);  // legs_max
    CHECK(s.control.counts().legs == 4);
    Server other;
    other.invite(1, "msml=r", sdp(), "192.0.2.1");  // listed
    CHECK(other.all<AnswerInvite>().size() == 1);
}

TEST_CASE("G.711 under a dynamic payload type is not taken, beside a static one it is left out") {
    Server s;
    const std::string dynamic = "\r\na=rtpmap:97 PCMU/8000";
    s.invite(1, "msml=r", sdp("97" + dynamic));
    CHECK(s.first<RejectInvite>().status == 488);
    s.invite(1, "msml=r", sdp("97 8" + dynamic));
    CHECK(s.first<AnswerInvite>().sdp.find("RTP/AVP 8\r\n") != std::string::npos);
}

TEST_CASE("a leg over IPv6 is answered over IPv6, the other version is refused") {
    Server s;
    s.resources.address = "::1";
    s.invite(1, "msml=r", sdp("0", "sendrecv", "IP6 ::1"));
    CHECK(s.first<AnswerInvite>().sdp.find("c=IN IP6 ::1") != std::string::npos);
    s.invite(2, "msml=r", sdp());
    CHECK(s.first<RejectInvite>().status == 488);
    REQUIRE(s.orders<media::AddLeg>().size() == 1);
    CHECK(s.orders<media::RemoveLeg>().size() == 1);  // the worker closes the port again
    CHECK(s.control.counts().legs == 1);
}

TEST_CASE("a room takes thirty-two active legs; one more is refused, an inactive one is not") {
    Server s(100);
    for (sip::DialogId d = 101; d <= 100 + media::kActiveLegsInRoomMax - 1; ++d) s.invite(d, "msml=r", sdp());
    s.invite(1, "msml=r", sdp());
    CHECK(s.all<AnswerInvite>().size() == 1);
    s.invite(3, "msml=r", sdp());
    CHECK(s.first<RejectInvite>().status == 503);
    s.invite(3, "msml=r", sdp("0", "inactive"));
    CHECK(s.all<AnswerInvite>().size() == 1);
    s.last = s.control.handle(kNow, sip::Reinvited{3, request("INVITE", "sheaf", "application/sdp", sdp())}, {});
    CHECK(s.first<RejectInvite>().status == 503);
    s.last = s.control.handle(kNow, sip::Ended{1, sip::EndCause::bye, {}}, {});
    CHECK(s.orders<media::RemoveLeg>()[0].cause == "normal");
    s.last = s.control.handle(kNow, sip::Reinvited{3, request("INVITE", "sheaf", "application/sdp", sdp())}, {});
    CHECK(s.all<AnswerInvite>().size() == 1);
}

TEST_CASE("legs move between rooms by join and unjoin, and a room goes with its last leg") {
    Server s;
    s.invite(1, "msml=a", sdp());
    CHECK(s.msml(1, "<join id1=\"conn:tag1\" id2=\"conf:b\"/>").find("\"200\"") != std::string::npos);
    CHECK(s.orders<media::LeaveRoom>().size() == 1);
    CHECK(s.orders<media::JoinRoom>()[0].room.text() == "b");
    CHECK(s.control.counts().rooms == 1);
    CHECK(s.msml(1, "<unjoin id1=\"conn:tag1\" id2=\"conf:a\"/>").find("\"400\"") != std::string::npos);
    s.msml(1, "<unjoin id1=\"conn:tag1\" id2=\"conf:b\"/>");
    CHECK(s.control.counts().rooms == 0);
    s.msml(1, "<createconference name=\"c\"/><join id1=\"conn:tag1\" id2=\"conf:c\"/>");
    s.msml(1, "<unjoin id1=\"conn:tag1\" id2=\"conf:c\"/>");
    CHECK(s.control.counts().rooms == 1);  // made to last
    s.msml(1, "<join id1=\"conn:tag1\" id2=\"conf:c\"/><destroyconference id=\"conf:c\"/>");
    CHECK(s.orders<media::LeaveRoom>().size() == 1);
    CHECK(s.control.counts().rooms == 0);
    CHECK(s.msml(1, "<join id1=\"conn:nobody\" id2=\"conf:c\"/>").find("\"404\"") != std::string::npos);
}

TEST_CASE("the first element that fails ends the list, those before it stay done") {
    Server s;
    s.invite(1, "msml", sdp());
    const std::string body =
        s.msml(1, "<join id1=\"conn:tag1\" id2=\"conf:a\"/><collect/><createconference name=\"b\"/>");
    CHECK(body.find("\"501\"") != std::string::npos);
    CHECK(s.orders<media::JoinRoom>().size() == 1);
    CHECK(s.control.counts().rooms == 1);
}

TEST_CASE("treatments are played and ended, and their end is told in the leg's dialog") {
    Server s;
    s.invite(1, "msml=r", sdp());
    const std::string start =
        "<dialogstart target=\"conn:tag1\" type=\"application/moml+xml\" name=\"t\"><play repeat=\"forever\">"
        "<audio uri=\"say:welcome\"/></play></dialogstart>";
    CHECK(s.msml(1, start).find("\"200\"") != std::string::npos);
    REQUIRE(s.orders<media::Play>().size() == 1);
    CHECK(s.orders<media::Play>()[0].forever);
    CHECK(s.orders<media::Play>()[0].prompts.size() == 1);
    s.msml(1, "<dialogend id=\"conn:tag1/dialog:t\"/>");
    CHECK(s.orders<media::StopPlay>()[0].name == "t");
    s.last = s.control.notice(kNow, media::PlayEnded{LegId("tag1"), "t", true});
    CHECK(s.first<SendInfo>().body.find("conn:tag1/dialog:t") != std::string::npos);
    CHECK(s.first<SendInfo>().body.find("<value>completed</value>") != std::string::npos);
    CHECK(s.msml(1,
                 "<dialogstart target=\"conn:tag1\" type=\"application/moml+xml\" name=\"t\"><play>"
                 "<audio uri=\"say:nothing\"/></play></dialogstart>")
              .find("\"404\"") != std::string::npos);
}

TEST_CASE("a recording is started, told as a fact with its first moment, and ends with its leg") {
    Server s;
    s.invite(1, "msml=r", sdp());
    CHECK(s.msml(1, record("seg", "tag1")).find("\"200\"") != std::string::npos);
    REQUIRE(s.orders<media::StartRecording>().size() == 1);
    const Stamp opened{Instant(11s), WallTime(1'767'605'401'000ms)};
    const media::SegmentHead head{SegmentId("seg"), CallUuid("u"), ConnectionId("c"), opened};
    s.last = s.control.notice(kNow, media::RecordingOpened{LegId("tag1"), head});
    CHECK(s.first<FactDraft>().type == "segment.opened");
    CHECK(s.first<FactDraft>().stamp == opened);
    CHECK(s.first<SendInfo>().body.find("sheaf.record.opened") != std::string::npos);
    CHECK(s.msml(1, record("seg", "tag1")).find("\"400\"") != std::string::npos);
    s.msml(1, "<record xmlns=\"urn:sheaf:msml:1\" action=\"stop\" segment=\"seg\" cause=\"transferred\"/>");
    CHECK(s.orders<media::StopRecording>()[0].cause == "transferred");
    s.last = s.control.notice(kNow, media::RecordingSealed{LegId("tag1"), head, {}});
    CHECK(s.first<SendInfo>().body.find("sheaf.record.sealed") != std::string::npos);
    CHECK(s.control.counts().recordings == 0);
    CHECK(s.msml(1, "<record xmlns=\"urn:sheaf:msml:1\" action=\"stop\" segment=\"seg\"/>").find("\"404\"") !=
          std::string::npos);

    s.msml(1, record("seg2", "tag1"));
    s.last = s.control.handle(kNow, sip::Ended{1, sip::EndCause::gone, {}}, {});
    CHECK(s.orders<media::RemoveLeg>()[0].cause == "lost-control");
    s.last = s.control.notice(kNow, media::RecordingSealed{LegId("tag1"), {SegmentId("seg2"), {}, {}, {}}, {}});
    CHECK(s.last.empty());  // nobody is left to be told
    CHECK(s.control.counts().recordings == 0);
}

TEST_CASE("a segment id that was used before is refused: what it named must not be lost under it") {
    Server s;
    s.invite(1, "msml", sdp());
    CHECK(s.msml(1, record("former", "tag1")).find("400") != std::string::npos);
    CHECK(s.control.counts().recordings == 0);
    CHECK(s.msml(1, record("fresh", "tag1")).find("200") != std::string::npos);
}

TEST_CASE("a recording that cannot begin is a lost segment, never a silence") {
    Server s;
    s.invite(1, "msml=r", sdp());
    std::string many;
    for (std::size_t i = 0; i < media::kRecordingsOfLegMax; ++i) many += record("s" + std::to_string(i), "tag1");
    CHECK(s.msml(1, many).find("\"200\"") != std::string::npos);
    CHECK(s.msml(1, record("more", "tag1")).find("\"503\"") != std::string::npos);
    s.last = s.control.notice(kNow, media::RecordingFailed{LegId("tag1"), SegmentId("s0"), "no journal"});
    CHECK(s.first<FactDraft>().type == "segment.lost");
    CHECK(s.first<FactDraft>().data.at("from_ms").is_null());
    CHECK(s.first<SendInfo>().body.find("sheaf.record.failed") != std::string::npos);
}

std::string on_record(const std::string& attributes) {
    return "<record xmlns=\"urn:sheaf:msml:1\" segment=\"seg\" " + attributes + "/>";
}

TEST_CASE("a silence is answered once the worker has stopped storing, or with what was wrong") {
    Server s;
    s.invite(1, "msml=r", sdp());
    CHECK(s.msml(1, on_record("action=\"silence\" label=\"paused\"")).find("\"404\"") != std::string::npos);
    s.msml(1,
           "<record xmlns=\"urn:sheaf:msml:1\" action=\"start\" target=\"conn:tag1\" segment=\"seg\" calluuid=\"u\" "
           "connection=\"c\"><silence label=\"hold\" by=\"x\"/></record>");
    REQUIRE(s.orders<media::StartRecording>().size() == 1);
    CHECK(s.orders<media::StartRecording>()[0].silences == std::vector<media::Silence>{{"hold", "x"}});

    const std::string both = on_record("action=\"silence\" label=\"paused\" by=\"1001\" back=\"2000\"") +
                             on_record("action=\"resume\" label=\"hold\"");
    CHECK(s.msml(1, both).empty());
    const sip::ServerRequest asked = s.requests;
    REQUIRE(s.orders<media::SilenceRecording>().size() == 1);
    const auto silence = s.orders<media::SilenceRecording>()[0];
    CHECK(silence.silence == media::Silence{"paused", "1001"});
    CHECK(silence.back == 2s);
    const auto resume = s.orders<media::ResumeRecording>()[0];
    CHECK(resume.ticket == silence.ticket);
    s.last = s.control.notice(kNow, media::CommandDone{silence.ticket});
    CHECK(s.last.empty());
    s.last = s.control.notice(kNow, media::CommandDone{silence.ticket});
    CHECK(s.first<RespondTo>().request == asked);
    CHECK(s.first<RespondTo>().body.find("\"200\"") != std::string::npos);

    for (const auto& [code, answer] : {std::pair(Errc::exhausted, "\"503\""), std::pair(Errc::not_found, "\"404\"")}) {
        CHECK(s.msml(1, on_record("action=\"silence\" label=\"paused\"")).empty());
        const std::uint64_t ticket = s.orders<media::SilenceRecording>()[0].ticket;
        s.last = s.control.notice(
            kNow, media::CommandFailed{{}, SegmentId("seg"), "SilenceRecording", {code, "why"}, ticket});
        CHECK(s.first<RespondTo>().body.find(answer) != std::string::npos);
        CHECK(s.control.counts().legs == 1);
    }
    // A later element that fails is answered at once; the silence is done all the same.
    CHECK(s.msml(1, on_record("action=\"silence\" label=\"paused\"") + "<other/>").find("\"501\"") !=
          std::string::npos);
    REQUIRE(s.orders<media::SilenceRecording>().size() == 1);
    s.last = s.control.notice(kNow, media::CommandDone{s.orders<media::SilenceRecording>()[0].ticket});
    CHECK(s.last.empty());
    // The asker's dialog may be gone by then; its request is answered nevertheless.
    s.invite(2, "msml", sdp());
    CHECK(s.msml(2, on_record("action=\"silence\" label=\"paused\"")).empty());
    const std::uint64_t ticket = s.orders<media::SilenceRecording>()[0].ticket;
    s.last = s.control.handle(kNow, sip::Ended{2, sip::EndCause::bye, {}}, {});
    s.last = s.control.notice(kNow, media::CommandDone{ticket});
    CHECK(s.all<RespondTo>().size() == 1);
}

TEST_CASE("what has ended is erased when a message outside of any dialog says so") {
    Server s;
    s.invite(1, "msml=r", sdp());
    const auto message = [&](const std::string& elements) {
        const auto body = "<msml version=\"1.1\">" + elements + "</msml>";
        s.last = s.control.handle(
            kNow, sip::Requested{++s.requests, 0, request("MESSAGE", "msml", "application/msml+xml", body), source()},
            {});
        return s.all<RespondTo>().empty() ? 0 : s.first<RespondTo>().status;
    };
    CHECK(message(on_record("action=\"silence\" label=\"paused\" by=\"1001\" back=\"2000\"")) == 0);
    REQUIRE(s.all<EraseEnded>().size() == 1);
    const auto order = s.first<EraseEnded>();
    CHECK(order.segment == SegmentId("seg"));
    CHECK(order.silence == media::Silence{"paused", "1001"});
    CHECK(order.back == 2s);
    s.last = s.control.notice(kNow, media::CommandDone{order.ticket});
    CHECK(s.first<RespondTo>().status == 200);
    CHECK(s.first<RespondTo>().body.empty());
    CHECK(message(on_record("action=\"silence\" label=\"paused\"")) == 0);
    s.last = s.control.notice(
        kNow, media::CommandFailed{{}, {}, "EraseEnded", {Errc::not_found, "none"}, s.first<EraseEnded>().ticket});
    CHECK(s.first<RespondTo>().status == 404);
    s.msml(1,
           "<record xmlns=\"urn:sheaf:msml:1\" action=\"start\" target=\"conn:tag1\" segment=\"seg\" calluuid=\"u\" "
           "connection=\"c\"/>");
    CHECK(message(on_record("action=\"silence\" label=\"paused\"")) == 503);  // it has not ended
    CHECK(message(on_record("action=\"resume\" label=\"paused\"")) == 501);
    CHECK(message("") == 400);
    CHECK(message("<unknown/>") == 501);
}

TEST_CASE("a leg from which no media comes is told in its dialog") {
    Server s;
    s.invite(1, "msml=u1", sdp());
    s.last = s.control.notice(kNow, media::LegSilent{LegId("tag1"), 60s});
    CHECK(s.first<SendInfo>().dialog == 1);
    CHECK(s.first<SendInfo>().body.find("<event name=\"sheaf.leg.silent\" id=\"conn:tag1\"><name>ms</name>"
                                        "<value>60000</value>") != std::string::npos);
    s.last = s.control.notice(kNow, media::LegSilent{LegId("nobody"), 60s});
    CHECK(s.last.empty());
}

TEST_CASE("digits are collected when asked for, and each is told in its leg's dialog") {
    Server s;
    s.invite(1, "msml=r", sdp());
    const std::string collect = "<collect xmlns=\"urn:sheaf:msml:1\" target=\"conn:";
    CHECK(s.msml(1, collect + "tag1\" action=\"start\"/>").empty());  // not before it is true
    CHECK(s.orders<media::CollectDigits>()[0].on);
    s.last = s.control.notice(kNow, media::CommandDone{s.orders<media::CollectDigits>()[0].ticket});
    CHECK(s.first<RespondTo>().body.find("\"200\"") != std::string::npos);
    s.last = s.control.notice(kNow, media::DigitReceived{LegId("tag1"), '#'});
    CHECK(s.first<SendInfo>().dialog == 1);
    CHECK(s.first<SendInfo>().body.find(
              "<event name=\"sheaf.digit\" id=\"conn:tag1\"><name>digit</name><value>#</value>") != std::string::npos);
    CHECK(s.all<Complain>().empty());
    s.msml(1, collect + "tag1\" action=\"stop\"/>");
    CHECK_FALSE(s.orders<media::CollectDigits>()[0].on);
    CHECK(s.msml(1, collect + "nobody\" action=\"start\"/>").find("\"404\"") != std::string::npos);
    s.last = s.control.notice(kNow, media::DigitReceived{LegId("nobody"), '1'});
    CHECK(s.last.empty());
}

TEST_CASE("requests that are no MSML get their proper answer") {
    Server s;
    s.invite(1, "msml=r", sdp());
    const auto ask = [&](sip::DialogId dialog, const std::string& method, const std::string& type,
                         const std::string& from = "127.0.0.1") {
        s.last = s.control.handle(kNow, sip::Requested{9, dialog, request(method, "x", type, "?"), source(from)}, {});
        return s.first<RespondTo>().status;
    };
    CHECK(ask(0, "OPTIONS", "") == 200);
    CHECK(ask(0, "OPTIONS", "", "198.51.100.7") == 403);
    CHECK(ask(1, "REFER", "") == 405);
    CHECK(ask(1, "INFO", "application/dtmf-relay") == 415);
    CHECK(ask(77, "INFO", "application/msml+xml") == 481);
    CHECK(ask(1, "INFO", "application/msml+xml") == 200);
    CHECK(s.first<RespondTo>().body.find("\"400\"") != std::string::npos);
    s.last = s.control.handle(kNow, sip::Reinvited{77, request("INVITE", "x", "", "")}, {});
    CHECK(s.first<RejectInvite>().status == 481);
}

TEST_CASE("a leg whose media the worker refuses is ended, and a shutdown ends them all") {
    Server s;
    s.invite(1, "msml=r", sdp());
    s.last = s.control.notice(kNow, media::CommandFailed{LegId("tag1"), {}, "StopPlay", {Errc::not_found, "no play"}});
    CHECK(s.control.counts().legs == 1);
    s.last = s.control.notice(kNow, media::CommandFailed{LegId("tag1"), {}, "ConfigureLeg", {Errc::malformed, "bad"}});
    CHECK(s.all<SendBye>().size() == 1);
    CHECK(s.control.counts().legs == 0);
    s.invite(2, "msml=r", sdp());
    s.invite(3, "msml", sdp());
    s.last = s.control.shut_down("shutdown");
    CHECK(s.all<SendBye>().size() == 2);
    CHECK(s.orders<media::RemoveLeg>()[0].cause == "shutdown");
    CHECK(s.control.counts().rooms == 0);
}

TEST_CASE("a leg whose switch is silent for a minute is let go of, with its recording, its room and its port") {
    Server s;
    CHECK_FALSE(s.control.next_deadline());
    s.invite(1, "msml=r", sdp());
    s.msml(1, record("seg", "tag1"));
    s.last = s.control.notice(
        kNow, media::RecordingOpened{LegId("tag1"), {SegmentId("seg"), CallUuid("u"), ConnectionId("c"), kNow}});
    CHECK(s.control.next_deadline() == kNow.mono + kSwitchSilenceMax);
    s.pass(kSwitchSilenceMax - 1ms);
    CHECK(s.last.empty());
    s.pass(1ms);
    CHECK(s.first<SendBye>().dialog == 1);
    REQUIRE(s.orders<media::RemoveLeg>().size() == 1);  // closes its port
    CHECK(s.orders<media::RemoveLeg>()[0].leg == LegId("tag1"));
    CHECK(s.orders<media::RemoveLeg>()[0].cause == "lost-control");
    REQUIRE(s.all<Complain>().size() == 1);
    CHECK(s.first<Complain>().leg == "tag1");
    CHECK(s.control.counts().legs == 0);
    CHECK(s.control.counts().rooms == 0);
    s.last = s.control.notice(s.now, media::RecordingSealed{LegId("tag1"), {SegmentId("seg"), {}, {}, {}}, {}});
    CHECK(s.last.empty());
    CHECK(s.control.counts().recordings == 0);
    CHECK_FALSE(s.control.next_deadline());
}

TEST_CASE("whatever a switch asks in a leg's dialog is heard, and of that leg only") {
    Server s;
    using Say = std::function<void()>;
    const std::vector<Say> all = {
        [&] { s.ask(1); }, [&] { s.msml(1, "<createconference name=\"c\"/>"); },
        [&] { s.last = s.control.handle(s.now, sip::Reinvited{1, request("INVITE", "x", "", "")}, {}); },
        [&] {
            s.last = s.control.handle(s.now, sip::Acknowledged{1, request("ACK", "x", "application/sdp", sdp())}, {});
        }};
    s.invite(1, "msml=r", sdp());
    for (const Say& say : all) {
        s.pass(50s);
        say();
    }
    CHECK(s.control.counts().legs == 1);
    s.invite(2, "msml=r", sdp(), "192.0.2.1");  // another switch's
    s.pass(50s);
    s.ask(2, "192.0.2.1");
    s.ask(1, "198.51.100.7");  // nobody's switch
    CHECK(s.first<RespondTo>().status == 403);
    s.ask(0);  // in no dialog
    s.pass(10s);
    REQUIRE(s.all<SendBye>().size() == 1);
    CHECK(s.first<SendBye>().dialog == 1);
    CHECK(s.control.counts().legs == 1);
    s.pass(50s);
    CHECK(s.first<SendBye>().dialog == 2);
}

TEST_CASE("an INVITE that is never acknowledged is silence as well, and a leg that has ended is not waited for") {
    Server s;
    s.invite(1, "msml=r", "");  // its ACK was to bring the answer
    s.pass(kSwitchSilenceMax);
    CHECK(s.first<SendBye>().dialog == 1);
    CHECK(s.control.counts().legs == 0);
    s.invite(2, "msml=r", sdp());
    s.last = s.control.handle(s.now, sip::Ended{2, sip::EndCause::bye, {}}, {});
    CHECK_FALSE(s.control.next_deadline());
    s.pass(kSwitchSilenceMax);
    CHECK(s.last.empty());
}

TEST_CASE("a switch that leaves very many legs is let go of in portions") {
    constexpr std::size_t kMore = 10;
    Server s(kLegsMax);
    s.resources.left = static_cast<int>(kLegsMax);
    for (sip::DialogId d = 1; d <= kSilentEndedAtOnceMax + kMore; ++d) s.invite(d, "msml", sdp());
    s.pass(kSwitchSilenceMax);
    CHECK(s.all<SendBye>().size() == kSilentEndedAtOnceMax);
    CHECK(s.control.next_deadline() <= s.now.mono);  // at once again
    s.pass(0s);
    CHECK(s.all<SendBye>().size() == kMore);
    CHECK(s.control.counts().legs == 0);
}

TEST_CASE("a switch that has started anew has what its former run left ended, and nothing else") {
    Server s(8);
    const auto invite = [&](sip::DialogId dialog, const std::string& value) {
        auto message = request("INVITE", "msml=u" + std::to_string(dialog), "application/sdp", sdp());
        if (!value.empty()) message.add("X-Sheaf-Switch", value);
        s.last = s.control.handle(s.now, sip::Invited{dialog, message, source()}, "tag" + std::to_string(dialog));
    };
    const auto release = [&](const std::string& attributes, const std::string& from = "127.0.0.1") {
        s.last = s.control.handle(s.now,
                                  sip::Requested{++s.requests, 0,
                                                 request("MESSAGE", "msml", "application/msml+xml",
                                                         "<msml version=\"1.1\"><release " + attributes + "/></msml>"),
                                                 source(from)},
                                  {});
        return s.first<RespondTo>().status;
    };
    const std::string ours = "xmlns=\"urn:sheaf:msml:1\"";
    invite(1, "london/london-1;boot=old");
    invite(2, "london/london-1;boot=new");
    invite(3, "london/london-2;boot=old");
    invite(4, "");
    static_cast<void>(s.msml(1,
                             "<record xmlns=\"urn:sheaf:msml:1\" action=\"start\" target=\"conn:tag1\" "
                             "segment=\"s1\" calluuid=\"u\" connection=\"c\"/>"));
    CHECK(release(ours + " switch=\"london/london-1\" boot=\"new\"", "192.0.2.1") == 200);  // not its own address
    s.pass(1s);
    CHECK(s.last.empty());
    CHECK(release(ours + " switch=\"london/london-1\" boot=\"new\"") == 200);
    s.pass(1s);
    const auto byes = s.all<SendBye>();
    REQUIRE(byes.size() == 1);
    CHECK(byes[0].dialog == 1);
    CHECK(s.orders<media::RemoveLeg>()[0].cause == "lost-control");
    CHECK(s.first<Complain>().detail == "london/london-1 has started anew");
    CHECK(s.control.counts().legs == 3);
    CHECK(release(ours + " switch=\"london/london-1\" boot=\"new\"") == 200);
    s.pass(1s);
    CHECK(s.last.empty());
    CHECK(release(ours + " switch=\"london/london-1\"") == 400);
    CHECK(release(ours + " boot=\"new\"") == 400);
    CHECK(release("switch=\"london/london-1\" boot=\"x\"") == 501);
    CHECK(s.msml(2, "<release " + ours + " switch=\"london/london-1\" boot=\"x\"/>").find("501") != std::string::npos);
    CHECK(s.control.counts().legs == 3);
}
