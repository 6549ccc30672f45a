// SPDX-License-Identifier: Apache-2.0
#include "sip/sdp.h"

#include <algorithm>
#include <array>
#include <boost/container/small_vector.hpp>
#include <limits>

#include "sip/endpoint.h"
#include "sip/grammar.h"

// RFC 8866. What a call does not need (b=, t=, k=, …) is checked for its letter only and not kept.
namespace sheaf::sip {
namespace {

constexpr std::uint8_t kPayloadTypeMax = 127;
constexpr std::size_t kUsualAttributes = 4;  // of a section, besides its codecs'

struct StaticType {
    std::string_view name;
    std::uint32_t clock_hz;
    std::uint8_t number;
    std::uint8_t channels;
};
// RFC 3551 §6, tables 4 and 5.
constexpr StaticType kStaticTypes[] = {
    {"PCMU", 8000, 0, 1},   {"GSM", 8000, 3, 1},    {"G723", 8000, 4, 1},   {"DVI4", 8000, 5, 1},
    {"DVI4", 16000, 6, 1},  {"LPC", 8000, 7, 1},    {"PCMA", 8000, 8, 1},   {"G722", 8000, 9, 1},
    {"L16", 44100, 10, 2},  {"L16", 44100, 11, 1},  {"QCELP", 8000, 12, 1}, {"CN", 8000, 13, 1},
    {"MPA", 90000, 14, 1},  {"G728", 8000, 15, 1},  {"DVI4", 11025, 16, 1}, {"DVI4", 22050, 17, 1},
    {"G729", 8000, 18, 1},  {"CelB", 90000, 25, 1}, {"JPEG", 90000, 26, 1}, {"nv", 90000, 28, 1},
    {"H261", 90000, 31, 1}, {"MPV", 90000, 32, 1},  {"MP2T", 90000, 33, 1}, {"H263", 90000, 34, 1},
};

constexpr std::array<std::pair<Direction, std::string_view>, 4> kDirections = {{
    {Direction::sendrecv, "sendrecv"},
    {Direction::sendonly, "sendonly"},
    {Direction::recvonly, "recvonly"},
    {Direction::inactive, "inactive"},
}};

std::optional<Direction> direction_from(const SdpAttribute& attribute) {
    for (const auto& [direction, name] : kDirections) {
        if (!attribute.value && attribute.name == name) return direction;
    }
    return std::nullopt;
}

std::string_view name_of(Direction direction) {
    const auto* it = std::ranges::find(kDirections, direction, &std::pair<Direction, std::string_view>::first);
    return it->second;
}

using Words = boost::container::small_vector<std::string_view, 16>;

Words words(std::string_view text) {
    Words out;
    while (true) {
        text = trimmed(text);
        if (text.empty()) return out;
        const auto word = text.substr(0, end_before(text, " \t"));
        out.push_back(word);
        text.remove_prefix(word.size());
    }
}

// nettype addrtype address, of o= and c=.
Result<std::string> address_from(std::string_view net, std::string_view type, std::string_view address) {
    if (net != "IN" || (type != "IP4" && type != "IP6"))
        return fail(Errc::unsupported, "SDP network is not IN IP4/IP6");
    if (address.find('/') != std::string_view::npos) return fail(Errc::unsupported, "SDP multicast address");
    const bool literal6 = address.find(':') != std::string_view::npos;
    if (literal6 ? (type != "IP6" || !is_ip_literal(address)) : !host_from_text(address)) {
        return fail(Errc::malformed, "Invalid address in SDP");
    }
    return std::string(address);
}

std::string address_text(std::string_view address) {
    return (address.find(':') == std::string_view::npos ? "IN IP4 " : "IN IP6 ") + std::string(address);
}

Result<void> read_origin(SessionDescription& sdp, std::string_view value) {
    const auto parts = words(value);
    if (parts.size() != 6) return fail(Errc::malformed, "Invalid o= in SDP");
    const auto id = number_from_text(parts[1], std::numeric_limits<std::uint64_t>::max());
    const auto version = number_from_text(parts[2], std::numeric_limits<std::uint64_t>::max());
    if (!id || !version) return fail(Errc::malformed, "Invalid number in o= of SDP");
    sdp.origin_user = parts[0];
    sdp.session_id = *id;
    sdp.session_version = *version;
    TRY(sdp.origin_address, address_from(parts[3], parts[4], parts[5]));
    return {};
}

Result<Connection> connection_from(std::string_view value) {
    const auto parts = words(value);
    if (parts.size() != 3) return fail(Errc::malformed, "Invalid c= in SDP");
    TRY(auto address, address_from(parts[0], parts[1], parts[2]));
    return Connection{std::move(address)};
}

bool is_rtp(const MediaSection& media) {
    return media.protocol.find("RTP/") != std::string::npos;
}

Result<MediaSection> media_from(std::string_view value) {
    const auto parts = words(value);
    if (parts.size() < 3) return fail(Errc::malformed, "Invalid m= in SDP");
    MediaSection media;
    media.kind = parts[0];
    if (!is_token(media.kind)) return fail(Errc::malformed, "Invalid media kind in SDP");
    const auto slash = parts[1].find('/');
    const auto port = number_from_text(parts[1].substr(0, slash), 65'535);
    if (!port) return fail(Errc::malformed, "Invalid port in SDP");
    media.port = static_cast<std::uint16_t>(*port);
    if (slash != std::string_view::npos) {
        const auto count = number_from_text(parts[1].substr(slash + 1), 65'535);
        if (!count || *count == 0) return fail(Errc::malformed, "Invalid number of ports in SDP");
        media.port_count = static_cast<std::uint16_t>(*count);
    }
    media.protocol = parts[2];
    // Rejected sections come without a format from some peers.
    if (parts.size() == 3 && media.port != 0) return fail(Errc::malformed, "No format in m= of SDP");
    if (parts.size() - 3 > kSdpFormatsMax) return fail(Errc::exhausted, "Too many formats in SDP");
    media.formats.assign(parts.begin() + 3, parts.end());
    for (const auto& format : media.formats) {
        if (is_rtp(media) && !number_from_text(format, kPayloadTypeMax)) {
            return fail(Errc::malformed, "Invalid payload type in SDP");
        }
    }
    return media;
}

Result<SdpAttribute> attribute_from(std::string_view value) {
    const auto colon = value.find(':');
    SdpAttribute out{std::string(value.substr(0, colon)), std::nullopt};
    if (!is_token(out.name)) return fail(Errc::malformed, "Invalid attribute name in SDP");
    if (colon != std::string_view::npos) out.value = value.substr(colon + 1);
    return out;
}

// "<payload type> <rest>" of rtpmap and fmtp.
struct Mapped {
    std::uint8_t payload_type = 0;
    std::string_view rest;
};
std::optional<Mapped> mapped_from(const SdpAttribute& attribute, std::string_view name) {
    if (attribute.name != name || !attribute.value) return std::nullopt;
    const std::string_view value = *attribute.value;
    const auto space = value.find(' ');
    const auto number = number_from_text(value.substr(0, space), kPayloadTypeMax);
    if (!number || space == std::string_view::npos) return std::nullopt;
    const auto rest = trimmed(value.substr(space));
    if (rest.empty()) return std::nullopt;
    return Mapped{static_cast<std::uint8_t>(*number), rest};
}

// name "/" clock ["/" channels]
std::optional<Codec> codec_from(const Mapped& map) {
    const auto first = map.rest.find('/');
    if (first == std::string_view::npos || first == 0) return std::nullopt;
    const auto second = map.rest.find('/', first + 1);
    const auto clock = map.rest.substr(first + 1, second == std::string_view::npos ? second : second - first - 1);
    const auto clock_hz = number_from_text(clock, std::numeric_limits<std::uint32_t>::max());
    auto channels = std::optional<std::uint64_t>(1);
    if (second != std::string_view::npos) channels = number_from_text(map.rest.substr(second + 1), 255);
    const auto name = map.rest.substr(0, first);
    if (!is_token(name) || !clock_hz || *clock_hz == 0 || !channels || *channels == 0) return std::nullopt;
    return Codec{map.payload_type,
                 std::string(name),
                 static_cast<std::uint32_t>(*clock_hz),
                 static_cast<std::uint8_t>(*channels),
                 {}};
}

std::optional<Codec> static_codec(std::uint8_t payload_type) {
    const auto* it = std::ranges::find(kStaticTypes, payload_type, &StaticType::number);
    if (it == std::end(kStaticTypes)) return std::nullopt;
    return Codec{payload_type, std::string(it->name), it->clock_hz, it->channels, {}};
}

Codec* codec_of(MediaSection& media, std::uint8_t payload_type) {
    const auto it = std::ranges::find(media.codecs, payload_type, &Codec::payload_type);
    return it == media.codecs.end() ? nullptr : &*it;
}

// Moves rtpmap and fmtp out of the attributes into `codecs`, in the order of the m= line. What cannot be understood, a
// second one, or one for a format not listed stays an attribute.
void join_codecs(MediaSection& media) {
    if (!is_rtp(media)) return;
    std::vector<Codec> described;
    described.reserve(media.formats.size());
    media.codecs.reserve(media.formats.size());
    std::erase_if(media.attributes, [&](const SdpAttribute& attribute) {
        const auto map = mapped_from(attribute, "rtpmap");
        auto codec = map ? codec_from(*map) : std::nullopt;
        if (!codec || std::ranges::count(described, codec->payload_type, &Codec::payload_type) != 0) return false;
        const auto listed = [&](const std::string& format) {
            return number_from_text(format, kPayloadTypeMax) == codec->payload_type;
        };
        if (std::ranges::none_of(media.formats, listed)) return false;
        described.push_back(*std::move(codec));
        return true;
    });
    for (const auto& format : media.formats) {
        const auto number = static_cast<std::uint8_t>(number_from_text(format, kPayloadTypeMax).value_or(0));
        if (codec_of(media, number) != nullptr) continue;
        const auto it = std::ranges::find(described, number, &Codec::payload_type);
        auto codec = it != described.end() ? std::optional(std::move(*it)) : static_codec(number);
        if (codec) media.codecs.push_back(*std::move(codec));
    }
    std::erase_if(media.attributes, [&](const SdpAttribute& attribute) {
        const auto map = mapped_from(attribute, "fmtp");
        auto* codec = map ? codec_of(media, map->payload_type) : nullptr;
        if (codec == nullptr || !codec->fmtp.empty()) return false;
        codec->fmtp = map->rest;
        return true;
    });
}

// Moves ptime and rtcp out of the attributes; direction is the section's own, or `of_session`.
void take_fields(MediaSection& media, Direction of_session) {
    std::optional<Direction> own;
    std::erase_if(media.attributes, [&](const SdpAttribute& attribute) {
        if (const auto direction = direction_from(attribute)) {
            own = own.value_or(*direction);
            return true;
        }
        if (!attribute.value) return false;
        const std::string_view value = *attribute.value;
        const auto number = number_from_text(value.substr(0, value.find(' ')), 65'535).value_or(0);
        if (number == 0) return false;
        if (attribute.name == "ptime" && media.ptime_ms == 0 && value.find(' ') == std::string_view::npos) {
            media.ptime_ms = static_cast<std::uint32_t>(number);
            return true;
        }
        if (attribute.name == "rtcp" && media.rtcp_port == 0) {
            media.rtcp_port = static_cast<std::uint16_t>(number);
            return true;
        }
        return false;
    });
    media.direction = own.value_or(of_session);
}

// One line at a time into the description.
class Reader {
public:
    Result<void> line(std::string_view text) {
        if (text.size() < 2 || text[1] != '=') return fail(Errc::malformed, "Invalid line in SDP");
        if (text.find('\0') != std::string_view::npos || text.find('\r') != std::string_view::npos) {
            return fail(Errc::malformed, "Control character in SDP");
        }
        const auto value = text.substr(2);
        if (!version_seen_ && text != "v=0") return fail(Errc::malformed, "SDP does not begin with v=0");
        switch (text[0]) {
            case 'v': return version();
            case 'o': origin_seen_ = true; return read_origin(sdp_, value);
            case 's': sdp_.name = value.empty() ? "-" : value; return {};
            case 'c': return connection(value);
            case 'm': return media(value);
            case 'a': return attribute(value);
            case 'b':
            case 't':
            case 'r':
            case 'z':
            case 'k':
            case 'i':
            case 'u':
            case 'e':
            case 'p': return {};
            default: return fail(Errc::malformed, "Unknown type in SDP");  // RFC 8866 §5: the whole is refused
        }
    }

    Result<SessionDescription> finish() {
        if (!version_seen_) return fail(Errc::malformed, "SDP is empty");
        if (!origin_seen_) return fail(Errc::malformed, "No o= in SDP");
        auto direction = Direction::sendrecv;
        std::erase_if(sdp_.attributes, [&](const SdpAttribute& attribute) {
            const auto said = direction_from(attribute);
            direction = said.value_or(direction);
            return said.has_value();
        });
        for (auto& media : sdp_.media) {
            join_codecs(media);
            take_fields(media, direction);
        }
        return std::move(sdp_);
    }

private:
    Result<void> version() {
        if (version_seen_) return fail(Errc::malformed, "Second v= in SDP");
        version_seen_ = true;
        return {};
    }
    Result<void> connection(std::string_view value) {
        auto& place = sdp_.media.empty() ? sdp_.connection : sdp_.media.back().connection;
        TRY(auto connection, connection_from(value));
        if (!place) place = std::move(connection);
        return {};
    }
    Result<void> media(std::string_view value) {
        if (sdp_.media.size() == kSdpMediaMax) return fail(Errc::exhausted, "Too many media in SDP");
        TRY(auto section, media_from(value));
        section.attributes.reserve(2 * section.formats.size() + kUsualAttributes);
        sdp_.media.push_back(std::move(section));
        return {};
    }
    Result<void> attribute(std::string_view value) {
        TRY(auto attribute, attribute_from(value));
        (sdp_.media.empty() ? sdp_.attributes : sdp_.media.back().attributes).push_back(std::move(attribute));
        return {};
    }

    SessionDescription sdp_;
    bool version_seen_ = false;
    bool origin_seen_ = false;
};

void write_attributes(std::string& out, const std::vector<SdpAttribute>& attributes) {
    for (const auto& [name, value] : attributes) {
        out += "a=" + name;
        if (value) out += ":" + *value;
        out += "\r\n";
    }
}

void write_codec(std::string& out, const Codec& codec) {
    const auto number = std::to_string(codec.payload_type);
    out += "a=rtpmap:" + number + " " + codec.name + "/" + std::to_string(codec.clock_hz);
    if (codec.channels != 1) out += "/" + std::to_string(codec.channels);
    out += "\r\n";
    if (!codec.fmtp.empty()) out += "a=fmtp:" + number + " " + codec.fmtp + "\r\n";
}

void write_media(std::string& out, const MediaSection& media) {
    out += "m=" + media.kind + " " + std::to_string(media.port);
    if (media.port_count != 1) out += "/" + std::to_string(media.port_count);
    out += " " + media.protocol;
    for (const auto& format : media.formats) out += " " + format;
    if (media.formats.empty()) {
        for (const auto& codec : media.codecs) out += " " + std::to_string(codec.payload_type);
    }
    out += "\r\n";
    if (media.connection) out += "c=" + address_text(media.connection->address) + "\r\n";
    for (const auto& codec : media.codecs) write_codec(out, codec);
    if (media.ptime_ms != 0) out += "a=ptime:" + std::to_string(media.ptime_ms) + "\r\n";
    if (media.rtcp_port != 0) out += "a=rtcp:" + std::to_string(media.rtcp_port) + "\r\n";
    if (media.port != 0 || media.direction != Direction::sendrecv) {
        out += "a=" + std::string(name_of(media.direction)) + "\r\n";
    }
    write_attributes(out, media.attributes);
}

}  // namespace

bool same_codec(const Codec& a, const Codec& b) {
    return same_name(a.name, b.name) && a.clock_hz == b.clock_hz && a.channels == b.channels;
}

Result<SessionDescription> sdp_from_text(std::string_view text) {
    if (text.size() > kSdpBytesMax) return fail(Errc::exhausted, "SDP too large");
    Reader reader;
    while (!text.empty()) {
        auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);  // a bare LF ends a line too (RFC 8866 §5)
        if (line.empty()) continue;
        TRY_VOID(reader.line(line));
    }
    return reader.finish();
}

std::string to_text(const SessionDescription& sdp) {
    std::string out = "v=0\r\no=" + sdp.origin_user + " " + std::to_string(sdp.session_id) + " " +
                      std::to_string(sdp.session_version) + " " + address_text(sdp.origin_address) +
                      "\r\ns=" + sdp.name + "\r\n";
    if (sdp.connection) out += "c=" + address_text(sdp.connection->address) + "\r\n";
    out += "t=0 0\r\n";
    write_attributes(out, sdp.attributes);
    for (const auto& media : sdp.media) write_media(out, media);
    return out;
}

}  // namespace sheaf::sip
