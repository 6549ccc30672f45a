// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sheaf::sip {

inline constexpr std::size_t kSdpBytesMax = 16'384;
inline constexpr std::size_t kSdpMediaMax = 16;
inline constexpr std::size_t kSdpFormatsMax = 64;

enum class Direction { sendrecv, sendonly, recvonly, inactive };

[[nodiscard]] Direction reversed(Direction d);  // what the answerer sees of it
[[nodiscard]] bool sends(Direction d);
[[nodiscard]] bool receives(Direction d);

struct SdpAttribute {
    std::string name;
    std::optional<std::string> value;
    friend bool operator==(const SdpAttribute&, const SdpAttribute&) = default;
};

// a=rtpmap, joined with its a=fmtp. Static payload types (RFC 3551 §6) are filled in when the rtpmap is absent.
struct Codec {
    std::uint8_t payload_type = 0;
    std::string name;  // as written; compares without case
    std::uint32_t clock_hz = 8000;
    std::uint8_t channels = 1;
    std::string fmtp;  // parameters, or empty
    friend bool operator==(const Codec&, const Codec&) = default;
};
[[nodiscard]] bool same_codec(const Codec& a, const Codec& b);  // name, clock, channels; not the number

struct Connection {       // c=
    std::string address;  // IPv4, IPv6 or a name
    friend bool operator==(const Connection&, const Connection&) = default;
};

struct MediaSection {
    std::string kind = "audio";  // audio, video, …
    std::uint16_t port = 0;      // 0: rejected or unused
    std::uint16_t port_count = 1;
    std::string protocol = "RTP/AVP";
    std::vector<std::string> formats;  // as on the m= line
    std::vector<Codec> codecs;         // of RTP profiles, in the order of the m= line
    std::optional<Connection> connection;
    Direction direction = Direction::sendrecv;  // its own attribute, or the session's
    std::uint32_t ptime_ms = 0;                 // 0: not said
    std::uint16_t rtcp_port = 0;                // a=rtcp; 0: port + 1
    std::vector<SdpAttribute> attributes;       // all others, in order
    friend bool operator==(const MediaSection&, const MediaSection&) = default;
};

struct SessionDescription {
    std::string origin_user = "-";
    std::uint64_t session_id = 0;
    std::uint64_t session_version = 0;
    std::string origin_address = "127.0.0.1";
    std::string name = "-";
    std::optional<Connection> connection;
    std::vector<SdpAttribute> attributes;
    std::vector<MediaSection> media;
    friend bool operator==(const SessionDescription&, const SessionDescription&) = default;
};

// Lines end with CRLF or LF. An unknown type letter refuses the whole (RFC 8866 §5); b=, t=, r=, z=, k=, i=, u=, e= and
// p= are not kept. An rtpmap, fmtp, ptime or rtcp that is not understood, or a second one, stays an attribute.
// Errc::exhausted over a limit, Errc::unsupported for a network other than IN or a multicast address.
[[nodiscard]] Result<SessionDescription> sdp_from_text(std::string_view text);
[[nodiscard]] std::string to_text(const SessionDescription& sdp);

// The first audio section in use (port not 0), or null. The address is the section's, else the session's.
[[nodiscard]] const MediaSection* audio_of(const SessionDescription& sdp);
[[nodiscard]] std::string address_of(const SessionDescription& sdp, const MediaSection& media);
// Held in any of its spellings: sendonly, inactive, or c=0.0.0.0 (RFC 3264 §8.4).
[[nodiscard]] bool is_hold(const SessionDescription& sdp);

// One end of our media: where it listens and what it can do, in order of preference.
struct LocalMedia {
    std::string address;
    std::uint16_t port = 0;
    std::vector<Codec> codecs;
    Direction direction = Direction::sendrecv;
    std::uint32_t ptime_ms = 20;
};

// An offer of one audio stream (RFC 3264 §5). `session_id` stays for a dialog; `version` grows by one with each change.
[[nodiscard]] SessionDescription make_offer(const LocalMedia& local, std::uint64_t session_id, std::uint64_t version);
// The answer (RFC 3264 §6): same number and order of m-lines, the others rejected with port 0; every offered codec that
// we can do stays, with the offerer's numbers and in the offerer's order; direction is the meet of both.
// Errc::unsupported when no codec is shared or there is no audio: the caller answers 488. Of several audio sections the
// first that fits is taken. telephone-event and CN stay too, but make no call alone.
[[nodiscard]] Result<SessionDescription> make_answer(const SessionDescription& offer, const LocalMedia& local,
                                                     std::uint64_t session_id, std::uint64_t version);

// What an offer and its answer agreed on, seen from one end.
struct Negotiated {
    std::string remote_address;
    std::uint16_t remote_port = 0;
    std::uint16_t remote_rtcp_port = 0;         // 0: none (the port is 65535)
    std::vector<Codec> send;                    // what we may send, the peer's numbers; first is preferred
    std::vector<Codec> receive;                 // what may come, our numbers; telephone-event and CN too
    std::optional<Codec> dtmf;                  // telephone-event to send, if agreed (never in `send`)
    Direction direction = Direction::sendrecv;  // ours
    std::uint32_t ptime_ms = 20;
    friend bool operator==(const Negotiated&, const Negotiated&) = default;
};
// Errc::unsupported when no audio section is in use on both sides with a codec in common.
// `ours` and `theirs` are the latest descriptions of both ends of one completed exchange.
[[nodiscard]] Result<Negotiated> negotiated(const SessionDescription& ours, const SessionDescription& theirs);

}  // namespace sheaf::sip
