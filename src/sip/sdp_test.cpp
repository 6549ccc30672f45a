// SPDX-License-Identifier: Apache-2.0
#include "sip/sdp.h"

#include <doctest/doctest.h>

namespace sheaf::sip {
namespace {

const std::string kHead = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

SessionDescription sdp(const std::string& media, const std::string& head = kHead) {
    auto parsed = sdp_from_text(head + media);
    REQUIRE_MESSAGE(parsed, (parsed ? std::string() : to_string(parsed.error())));
    return *std::move(parsed);
}
Errc refused(const std::string& text) {
    const auto parsed = sdp_from_text(text);
    REQUIRE_FALSE(parsed);
    return parsed.error().code;
}

const Codec kPcmu{0, "PCMU", 8000, 1, {}};
const Codec kPcma{8, "PCMA", 8000, 1, {}};
const Codec kDtmf{101, "telephone-event", 8000, 1, "0-16"};

LocalMedia local(std::vector<Codec> codecs = {kPcma, kPcmu, kDtmf}, Direction direction = Direction::sendrecv) {
    return {"127.0.0.1", 40'000, std::move(codecs), direction, 20};
}

TEST_CASE("a description is read whole") {
    const auto s =
        sdp("a=tool:x y\r\na=recvonly\r\n"
            "m=audio 49170/2 RTP/AVP 96 0 101 97\r\nc=IN IP6 2001:db8::5\r\nb=AS:64\r\n"
            "a=fmtp:101 0-15\r\na=rtpmap:101 telephone-event/8000\r\na=rtpmap:96 opus/48000/2\r\na=ptime:30\r\n"
            "a=rtcp:53020 IN IP4 192.0.2.9\r\na=sendonly\r\na=x\r\na=y:\r\na=rtpmap:98 unlisted/8000\r\n"
            "m=video 0 RTP/AVP 31\r\n");
    CHECK(s.session_id == 1);
    CHECK(s.session_version == 2);
    CHECK(s.attributes == std::vector<SdpAttribute>{{"tool", "x y"}});
    REQUIRE(s.media.size() == 2);
    const auto& audio = s.media[0];
    CHECK(audio.port == 49'170);
    CHECK(audio.port_count == 2);
    CHECK(audio.codecs ==
          std::vector<Codec>{{96, "opus", 48'000, 2, {}}, kPcmu, {101, "telephone-event", 8000, 1, "0-15"}});
    CHECK(audio.formats == std::vector<std::string>{"96", "0", "101", "97"});
    CHECK(audio.ptime_ms == 30);
    CHECK(audio.rtcp_port == 53'020);
    CHECK(audio.direction == Direction::sendonly);
    CHECK(audio.attributes ==
          std::vector<SdpAttribute>{{"x", std::nullopt}, {"y", ""}, {"rtpmap", "98 unlisted/8000"}});
    CHECK(address_of(s, audio) == "2001:db8::5");
    CHECK(s.media[1].direction == Direction::recvonly);
    CHECK(address_of(s, s.media[1]) == "192.0.2.1");
    CHECK(audio_of(s) == &s.media[0]);
    CHECK(sdp_from_text(to_text(s)).value() == s);
}

TEST_CASE("static payload types need no rtpmap, and an rtpmap wins over the table") {
    const auto s = sdp("m=audio 5 RTP/AVP 0 3 8 9 18 10 77\r\na=rtpmap:8 odd/16000\r\na=rtpmap:9 G722/8000/1\r\n");
    CHECK(s.media[0].codecs == std::vector<Codec>{kPcmu,
                                                  {3, "GSM", 8000, 1, {}},
                                                  {8, "odd", 16'000, 1, {}},
                                                  {9, "G722", 8000, 1, {}},
                                                  {18, "G729", 8000, 1, {}},
                                                  {10, "L16", 44'100, 2, {}}});
    CHECK(same_codec(kPcmu, {99, "pcmu", 8000, 1, "x"}));
    CHECK_FALSE(same_codec(kPcmu, {0, "PCMU", 16'000, 1, {}}));
    CHECK_FALSE(same_codec(kPcmu, {0, "PCMU", 8000, 2, {}}));
}

TEST_CASE("bare line feeds, odd order and what is not understood do not stop a description") {
    const auto s = sdp("m=audio 5 RTP/AVP 0\na=rtpmap:x y\na=ptime:soon\na=fmtp:0\na=rtpmap:0 /8000\n\n",
                       "v=0\no=- 0 0 IN IP4 h.example.com\nt=0 0\nc=IN IP4 1.2.3.4\n");
    CHECK(s.origin_address == "h.example.com");
    CHECK(s.name == "-");
    CHECK(s.media[0].codecs == std::vector<Codec>{kPcmu});
    CHECK(s.media[0].attributes.size() == 4);
    CHECK(sdp_from_text(to_text(s)).value() == s);
    CHECK(sdp("m=image 9 udptl t38\r\na=fmtp:0 x\r\n").media[0].formats == std::vector<std::string>{"t38"});
    CHECK(sdp("m=video 0 RTP/AVP\r\n").media[0].formats.empty());
    const auto twice = sdp("m=audio 5 RTP/AVP 0\r\nc=IN IP4 192.0.2.2\r\nc=IN IP4 192.0.2.3\r\n");
    CHECK(address_of(twice, twice.media[0]) == "192.0.2.2");
}

TEST_CASE("broken descriptions are refused") {
    const std::string o = "o=- 1 2 IN IP4 1.2.3.4\r\n";
    for (const std::string& text : std::vector<std::string>{"",
                                                            "v=1\r\n" + o,
                                                            o,
                                                            "v=0\r\n",
                                                            "v=0\r\nv=0\r\n" + o,
                                                            "v=0\r\n" + o + "x=1\r\n",
                                                            "v=0\r\n" + o + "m =a\r\n",
                                                            "v=0\r\no=- -1 2 IN IP4 1.2.3.4\r\n",
                                                            "v=0\r\no=- 1 18446744073709551616 IN IP4 1.2.3.4\r\n",
                                                            "v=0\r\no=- 1 2 IN IP4\r\n",
                                                            "v=0\r\n" + o + "c=IN IP4 ::1\r\n",
                                                            "v=0\r\n" + o + "c=IN IP6 :1\r\n",
                                                            "v=0\r\n" + o + "c=IN IP4\r\n",
                                                            "v=0\r\n" + o + "a=\r\n",
                                                            "v=0\r\n" + o + "a=b:c\rd\r\n",
                                                            "v=0\r\n" + o + std::string("s=a\0b\r\n", 7),
                                                            "v=0\r\n" + o + "m=audio x RTP/AVP 0\r\n",
                                                            "v=0\r\n" + o + "m=audio 65536 RTP/AVP 0\r\n",
                                                            "v=0\r\n" + o + "m=audio -1 RTP/AVP 0\r\n",
                                                            "v=0\r\n" + o + "m=audio 5/0 RTP/AVP 0\r\n",
                                                            "v=0\r\n" + o + "m=audio 5 RTP/AVP 128\r\n",
                                                            "v=0\r\n" + o + "m=audio 5 RTP/AVP\r\n",
                                                            "v=0\r\n" + o + "m=audio 5\r\n",
                                                            "v=0\r\n" + o + "hello\r\n"}) {
        CHECK_MESSAGE(refused(text) == Errc::malformed, text);
    }
    CHECK(refused("v=0\r\no=- 1 2 ATM NSAP 47\r\n") == Errc::unsupported);
    CHECK(refused("v=0\r\n" + o + "c=IN IP4 224.2.1.1/127\r\n") == Errc::unsupported);
}

TEST_CASE("each limit of a description is reached") {
    CHECK(sdp(std::string(kSdpBytesMax - kHead.size() - 4, 'x').insert(0, "i=") + "\r\n").media.empty());
    CHECK(refused(kHead + std::string(kSdpBytesMax - kHead.size() - 3, 'x').insert(0, "i=") + "\r\n") ==
          Errc::exhausted);
    std::string media;
    for (std::size_t i = 0; i < kSdpMediaMax; ++i) media += "m=audio 0 RTP/AVP 0\r\n";
    CHECK(sdp(media).media.size() == kSdpMediaMax);
    CHECK(refused(kHead + media + "m=audio 0 RTP/AVP 0\r\n") == Errc::exhausted);
    std::string line = "m=audio 5 RTP/AVP";
    for (std::size_t i = 0; i < kSdpFormatsMax; ++i) line += " " + std::to_string(i);
    CHECK(sdp(line + "\r\n").media[0].formats.size() == kSdpFormatsMax);
    CHECK(refused(kHead + line + " 99\r\n") == Errc::exhausted);
}

TEST_CASE("an offer names our codecs and reads back the same") {
    const auto offer = make_offer(local(), 7, 3);
    CHECK(to_text(offer) ==
          "v=0\r\no=- 7 3 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
          "m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
          "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n");
    CHECK(sdp_from_text(to_text(offer)).value() == offer);
    auto six = local();
    six.address = "::1";
    const auto text = to_text(make_offer(six, 1, 1));
    CHECK(text.find("o=- 1 1 IN IP6 ::1\r\n") != std::string::npos);
    CHECK(text.find("c=IN IP6 ::1\r\n") != std::string::npos);
}

TEST_CASE("an answer keeps the offerer's order and numbers and rejects the other sections") {
    const auto offer =
        sdp("m=video 50000 RTP/AVP 31\r\n"
            "m=audio 50002 RTP/AVP 18 0 96 8\r\na=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\n"
            "m=audio 50004 RTP/AVP 0\r\n"
            "m=application 9 TCP/TLS/MRCPv2 1\r\n");
    const auto answer = make_answer(offer, local(), 5, 1).value();
    REQUIRE(answer.media.size() == 4);
    CHECK(answer.media[0].port == 0);
    CHECK(answer.media[0].kind == "video");
    CHECK(answer.media[0].formats == std::vector<std::string>{"31"});
    CHECK(answer.media[1].port == 40'000);
    CHECK(answer.media[1].codecs == std::vector<Codec>{kPcmu, {96, "telephone-event", 8000, 1, "0-16"}, kPcma});
    CHECK(answer.media[1].formats == std::vector<std::string>{"0", "96", "8"});
    CHECK(answer.media[2].port == 0);
    CHECK(answer.media[3].port == 0);
    CHECK(answer.media[3].protocol == "TCP/TLS/MRCPv2");
    const auto again = sdp_from_text(to_text(answer)).value();
    CHECK(again.media.size() == 4);
    CHECK(again.media[1] == answer.media[1]);
}

TEST_CASE("an offer we cannot answer is unsupported") {
    const auto code = [](const std::string& media) {
        const auto answer = make_answer(sdp(media), local(), 1, 1);
        return answer ? Errc::io : answer.error().code;
    };
    CHECK(code("") == Errc::unsupported);
    CHECK(code("m=video 5 RTP/AVP 31\r\n") == Errc::unsupported);
    CHECK(code("m=audio 0 RTP/AVP 0\r\n") == Errc::unsupported);
    CHECK(code("m=audio 5 RTP/SAVP 0\r\n") == Errc::unsupported);
    CHECK(code("m=audio 5 RTP/AVP 18\r\n") == Errc::unsupported);
    CHECK(code("m=audio 5 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n") == Errc::unsupported);
    // The second audio section is as good when the first is encrypted or shares nothing.
    CHECK(make_answer(sdp("m=audio 5 RTP/SAVP 0\r\nm=audio 7 RTP/AVP 0\r\n"), local(), 1, 1).value().media[1].port !=
          0);
    CHECK(make_answer(sdp("m=audio 5 RTP/AVP 18\r\nm=audio 7 RTP/AVP 0\r\n"), local(), 1, 1).value().media[1].port !=
          0);
}

TEST_CASE("the answer's direction is the meet of both") {
    using enum Direction;
    const auto met = [](const std::string& offered, Direction ours) {
        return make_answer(sdp("m=audio 5 RTP/AVP 0\r\n" + offered), local({kPcmu}, ours), 1, 1)
            .value()
            .media[0]
            .direction;
    };
    CHECK(met("", sendrecv) == sendrecv);
    CHECK(met("a=sendonly\r\n", sendrecv) == recvonly);
    CHECK(met("a=recvonly\r\n", sendrecv) == sendonly);
    CHECK(met("a=inactive\r\n", sendrecv) == inactive);
    CHECK(met("a=sendrecv\r\n", recvonly) == recvonly);
    CHECK(met("a=sendonly\r\n", sendonly) == inactive);
    CHECK(met("a=recvonly\r\n", recvonly) == inactive);
    CHECK(met("c=IN IP4 0.0.0.0\r\n", sendrecv) == recvonly);
    CHECK(met("c=IN IP4 0.0.0.0\r\na=inactive\r\n", sendrecv) == inactive);
    for (const auto d : {sendrecv, sendonly, recvonly, inactive}) {
        CHECK(reversed(reversed(d)) == d);
        CHECK(sends(d) == receives(reversed(d)));
    }
}

TEST_CASE("hold is seen in all its spellings") {
    CHECK_FALSE(is_hold(sdp("m=audio 5 RTP/AVP 0\r\n")));
    CHECK_FALSE(is_hold(sdp("m=audio 5 RTP/AVP 0\r\na=recvonly\r\n")));
    CHECK(is_hold(sdp("m=audio 5 RTP/AVP 0\r\na=sendonly\r\n")));
    CHECK(is_hold(sdp("m=audio 5 RTP/AVP 0\r\na=inactive\r\n")));
    CHECK(is_hold(sdp("a=sendonly\r\nm=audio 5 RTP/AVP 0\r\n")));
    CHECK_FALSE(is_hold(sdp("a=sendonly\r\nm=audio 5 RTP/AVP 0\r\na=sendrecv\r\n")));
    CHECK(is_hold(sdp("m=audio 5 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n")));
    CHECK(is_hold(sdp("m=audio 5 RTP/AVP 0\r\nc=IN IP6 ::\r\n")));
    CHECK_FALSE(is_hold(sdp("m=video 5 RTP/AVP 31\r\na=sendonly\r\n")));
}

TEST_CASE("both ends of an exchange agree on what was negotiated") {
    const auto offer = make_offer(local(), 1, 1);
    LocalMedia far{"2001:db8::9", 5000, {kPcmu, {8, "pcma", 8000, 1, {}}, kDtmf}, Direction::sendrecv, 30};
    const auto answer = make_answer(offer, far, 2, 1).value();
    const auto ours = negotiated(offer, answer).value();
    CHECK(ours.remote_address == "2001:db8::9");
    CHECK(ours.remote_port == 5000);
    CHECK(ours.remote_rtcp_port == 5001);
    CHECK(ours.send == std::vector<Codec>{kPcma, kPcmu});
    CHECK(ours.receive == std::vector<Codec>{kPcma, kPcmu, kDtmf});
    CHECK(ours.dtmf == kDtmf);
    CHECK(ours.ptime_ms == 30);
    CHECK(ours.direction == Direction::sendrecv);
    const auto theirs = negotiated(answer, offer).value();
    CHECK(theirs.remote_port == 40'000);
    CHECK(theirs.send == ours.send);
    CHECK(theirs.ptime_ms == 20);
}

TEST_CASE("what we send carries the peer's numbers, what we receive ours") {
    const auto ours =
        sdp("m=audio 4000 RTP/AVP 96 100\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:100 telephone-event/48000\r\n");
    const auto theirs =
        sdp("m=audio 65535 RTP/AVP 111 101 102\r\na=rtpmap:111 OPUS/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n"
            "a=rtpmap:102 telephone-event/48000\r\na=recvonly\r\n");
    const auto got = negotiated(ours, theirs).value();
    CHECK(got.send.front().payload_type == 111);
    CHECK(got.receive.front().payload_type == 96);
    REQUIRE(got.dtmf);
    CHECK(got.dtmf->payload_type == 102);
    CHECK(got.direction == Direction::sendonly);
    CHECK(got.remote_rtcp_port == 0);
    CHECK(got.ptime_ms == 20);
    const auto held = sdp("m=audio 5 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9\r\n");
    CHECK(negotiated(ours, held).value().direction == Direction::recvonly);
    CHECK(negotiated(ours, held).value().remote_rtcp_port == 9);
    CHECK_FALSE(negotiated(ours, held).value().dtmf);
}

TEST_CASE("an exchange without common audio is unsupported") {
    const auto ours = sdp("m=audio 4000 RTP/AVP 0\r\n");
    CHECK(negotiated(ours, sdp("m=audio 0 RTP/AVP 0\r\n")).error().code == Errc::unsupported);
    CHECK(negotiated(ours, sdp("m=audio 5 RTP/AVP 8\r\n")).error().code == Errc::unsupported);
    CHECK(negotiated(ours, sdp("")).error().code == Errc::unsupported);
    CHECK(negotiated(ours, sdp("m=audio 5 RTP/AVP 0\r\n", "v=0\r\no=- 1 2 IN IP4 h\r\n")).error().code ==
          Errc::malformed);
    const auto two = sdp("m=video 8 RTP/AVP 31\r\nm=audio 5 RTP/AVP 0\r\n");
    CHECK(negotiated(two, sdp("m=video 0 RTP/AVP 31\r\nm=audio 6 RTP/AVP 0\r\n")).value().remote_port == 6);
}

}  // namespace
}  // namespace sheaf::sip
