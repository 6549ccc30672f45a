// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sip/grammar.h"
#include "sip/sdp.h"

// Offer and answer (RFC 3264): what two descriptions make of each other.
namespace sheaf::sip {
namespace {

Direction direction_of(bool send, bool receive) {
    if (send) return receive ? Direction::sendrecv : Direction::sendonly;
    return receive ? Direction::recvonly : Direction::inactive;
}

bool is_unspecified(std::string_view address) {
    return address == "0.0.0.0" || address == "::";
}

// The old spelling of hold says: nothing is received there (RFC 3264 §8.4).
bool receives_there(const SessionDescription& sdp, const MediaSection& media) {
    return receives(media.direction) && !is_unspecified(address_of(sdp, media));
}

bool is_dtmf(const Codec& codec) {
    return same_name(codec.name, "telephone-event");
}

// Comfort noise and digits accompany speech; alone they make no call.
bool carries_speech(const Codec& codec) {
    return !is_dtmf(codec) && !same_name(codec.name, "CN");
}

const Codec* find_same(const std::vector<Codec>& codecs, const Codec& wanted) {
    const auto it = std::ranges::find_if(codecs, [&](const Codec& codec) { return same_codec(codec, wanted); });
    return it == codecs.end() ? nullptr : &*it;
}

// The offerer's numbers and order, our parameters.
std::vector<Codec> shared_codecs(const MediaSection& offered, const std::vector<Codec>& ours) {
    std::vector<Codec> out;
    for (const auto& codec : offered.codecs) {
        if (const auto* own = find_same(ours, codec)) {
            out.push_back(codec);
            out.back().fmtp = own->fmtp;
        }
    }
    return out;
}

bool is_usable_audio(const MediaSection& media) {
    return media.kind == "audio" && media.port != 0 && (media.protocol == "RTP/AVP" || media.protocol == "RTP/AVPF");
}

void set_codecs(MediaSection& media, std::vector<Codec> codecs) {
    media.formats.clear();
    for (const auto& codec : codecs) media.formats.push_back(std::to_string(codec.payload_type));
    media.codecs = std::move(codecs);
}

SessionDescription described(const LocalMedia& local, std::uint64_t session_id, std::uint64_t version) {
    SessionDescription out;
    out.session_id = session_id;
    out.session_version = version;
    out.origin_address = local.address;
    out.connection = Connection{local.address};
    return out;
}

MediaSection rejected(const MediaSection& offered) {
    MediaSection out;
    out.kind = offered.kind;
    out.protocol = offered.protocol;
    out.formats = offered.formats;
    if (out.formats.empty()) out.formats = {"0"};
    return out;
}

}  // namespace

Direction reversed(Direction d) {
    return direction_of(receives(d), sends(d));
}

bool sends(Direction d) {
    return d == Direction::sendrecv || d == Direction::sendonly;
}

bool receives(Direction d) {
    return d == Direction::sendrecv || d == Direction::recvonly;
}

const MediaSection* audio_of(const SessionDescription& sdp) {
    const auto it =
        std::ranges::find_if(sdp.media, [](const MediaSection& m) { return m.kind == "audio" && m.port != 0; });
    return it == sdp.media.end() ? nullptr : &*it;
}

std::string address_of(const SessionDescription& sdp, const MediaSection& media) {
    if (media.connection) return media.connection->address;
    return sdp.connection ? sdp.connection->address : std::string();
}

bool is_hold(const SessionDescription& sdp) {
    const auto* audio = audio_of(sdp);
    return audio != nullptr && !receives_there(sdp, *audio);
}

SessionDescription make_offer(const LocalMedia& local, std::uint64_t session_id, std::uint64_t version) {
    auto out = described(local, session_id, version);
    MediaSection audio;
    audio.port = local.port;
    audio.direction = local.direction;
    audio.ptime_ms = local.ptime_ms;
    set_codecs(audio, local.codecs);
    out.media.push_back(std::move(audio));
    return out;
}

Result<SessionDescription> make_answer(const SessionDescription& offer, const LocalMedia& local,
                                       std::uint64_t session_id, std::uint64_t version) {
    auto out = described(local, session_id, version);
    bool taken = false;
    bool audio_seen = false;
    for (const auto& offered : offer.media) {
        auto section = rejected(offered);
        if (!taken && is_usable_audio(offered)) {
            audio_seen = true;
            auto codecs = shared_codecs(offered, local.codecs);
            if (std::ranges::any_of(codecs, carries_speech) && !address_of(offer, offered).empty()) {
                taken = true;
                section.port = local.port;
                section.ptime_ms = local.ptime_ms;
                section.direction = direction_of(sends(local.direction) && receives_there(offer, offered),
                                                 receives(local.direction) && sends(offered.direction));
                set_codecs(section, std::move(codecs));
            }
        }
        out.media.push_back(std::move(section));
    }
    if (taken) return out;
    return fail(Errc::unsupported, audio_seen ? "no codec in common" : "no audio offered");
}

Result<Negotiated> negotiated(const SessionDescription& ours, const SessionDescription& theirs) {
    const auto count = std::min(ours.media.size(), theirs.media.size());
    std::size_t i = 0;
    const auto agreed = [&] {
        const auto& a = ours.media[i];
        const auto& b = theirs.media[i];
        return a.kind == "audio" && b.kind == "audio" && a.port != 0 && b.port != 0;
    };
    while (i < count && !agreed()) ++i;
    if (i == count) return fail(Errc::unsupported, "no audio agreed");
    const auto& own = ours.media[i];
    const auto& peer = theirs.media[i];

    Negotiated out;
    out.remote_address = address_of(theirs, peer);
    if (out.remote_address.empty()) return fail(Errc::malformed, "No c= for the audio in SDP");
    out.remote_port = peer.port;
    out.remote_rtcp_port = peer.rtcp_port != 0 ? peer.rtcp_port : static_cast<std::uint16_t>(peer.port + 1);
    for (const auto& codec : peer.codecs) {
        if (find_same(own.codecs, codec) == nullptr) continue;
        if (carries_speech(codec)) out.send.push_back(codec);
    }
    if (out.send.empty()) return fail(Errc::unsupported, "no codec in common");
    for (const auto& codec : peer.codecs) {
        if (!is_dtmf(codec) || find_same(own.codecs, codec) == nullptr) continue;
        // Digits run on the clock of the speech they stand in for (RFC 4733 §2.1); another clock only if there is none.
        const bool better = !out.dtmf || (codec.clock_hz == out.send.front().clock_hz &&
                                          out.dtmf->clock_hz != out.send.front().clock_hz);
        if (better) out.dtmf = codec;
    }
    for (const auto& codec : own.codecs) {
        if (find_same(peer.codecs, codec) != nullptr) out.receive.push_back(codec);
    }
    out.direction = direction_of(sends(own.direction) && receives_there(theirs, peer),
                                 receives_there(ours, own) && sends(peer.direction));
    const auto ptime_ms = peer.ptime_ms != 0 ? peer.ptime_ms : own.ptime_ms;
    if (ptime_ms != 0) out.ptime_ms = ptime_ms;
    return out;
}

}  // namespace sheaf::sip
