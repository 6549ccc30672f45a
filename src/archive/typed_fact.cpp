// SPDX-License-Identifier: Apache-2.0
#include "archive/typed_fact.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstdlib>
#include <map>
#include <utility>

namespace sheaf::archive {
namespace {

namespace json = boost::json;

constexpr std::int64_t kNumberMax = 1'000'000'000'000'000;  // sums of some of them are numbers, too

constexpr std::array<std::pair<std::string_view, Role>, 5> kRoles = {{{"customer", Role::customer},
                                                                      {"agent", Role::agent},
                                                                      {"ivr", Role::ivr},
                                                                      {"site", Role::site},
                                                                      {"unknown", Role::unknown}}};
constexpr std::array<std::pair<std::string_view, LinkKind>, 7> kKinds = {{{"route", LinkKind::route},
                                                                          {"transfer", LinkKind::transfer},
                                                                          {"consult", LinkKind::consult},
                                                                          {"conference", LinkKind::conference},
                                                                          {"siprec", LinkKind::siprec},
                                                                          {"cti", LinkKind::cti},
                                                                          {"manual", LinkKind::manual}}};
constexpr std::array<std::pair<std::string_view, Half>, 3> kHalves = {
    {{"from", Half::from}, {"to", Half::to}, {"both", Half::both}}};

// Reads the fields of one fact's data; the first broken rule is kept, what follows it does not matter.
class Fields {
public:
    explicit Fields(const json::object& data) : data_(data) {}

    template <typename I>
    I id(std::string_view name) {
        I value = optional_id<I>(name);
        if (value.empty()) refuse(name, "is missing");
        return value;
    }
    template <typename I>
    I optional_id(std::string_view name) {
        std::string value = text(name);
        if (value.empty()) return I();
        if (!is_id(value)) refuse(name, "is not an id of 1 to 128 printable ASCII characters without space");
        return I(std::move(value));
    }
    std::string text(std::string_view name) {
        auto value = optional_string_field(data_, name);
        if (!value) {
            refuse_with(value.error());
            return {};
        }
        if (value->size() > kTextBytesMax) refuse(name, "is too long");
        return std::move(*value);
    }
    std::optional<std::int64_t> optional_number(std::string_view name) {
        const json::value* value = data_.if_contains(name);
        if (value == nullptr || value->is_null()) return std::nullopt;
        auto number = integer_field(data_, name);
        if (number && std::abs(*number) <= kNumberMax) return *number;
        number ? refuse(name, "is out of range") : refuse_with(number.error());
        return std::nullopt;
    }
    std::int64_t count(std::string_view name, std::int64_t otherwise = 0) {
        auto value = optional_number(name).value_or(otherwise);
        if (value < 0) refuse(name, "is negative");
        return value;
    }
    std::int64_t required_count(std::string_view name) {
        auto value = optional_number(name);
        if (!value) refuse(name, "is missing");
        if (value && *value < 0) refuse(name, "is negative");
        return value.value_or(0);
    }
    bool boolean(std::string_view name, bool otherwise) {
        const json::value* value = data_.if_contains(name);
        if (value == nullptr || value->is_null()) return otherwise;
        if (!value->is_bool()) {
            refuse(name, "is not a boolean");
            return otherwise;
        }
        return value->get_bool();
    }
    std::optional<WallTime> moment(std::string_view name) {
        std::string value = text(name);
        if (value.empty()) return std::nullopt;
        auto at = wall_from_rfc3339(value);
        if (at) return *at;
        refuse(name, "is not an RFC 3339 time");
        return std::nullopt;
    }
    template <typename E, std::size_t N>
    E one_of(std::string_view name, const std::array<std::pair<std::string_view, E>, N>& names) {
        std::string value = text(name);
        for (const auto& [word, meaning] : names)
            if (word == value) return meaning;
        refuse(name, "is not one of the known words");
        return names.back().second;
    }
    std::vector<Evidence> evidence();
    PacketCounts packets(std::string_view name);

    [[nodiscard]] const std::optional<Error>& error() const { return error_; }
    void refuse(std::string_view name, std::string_view why) {
        refuse_with(Error{Errc::malformed, std::string(name) + " " + std::string(why)});
    }

private:
    void refuse_with(Error error) {
        if (!error_) error_ = std::move(error);
    }
    const json::object& data_;
    std::optional<Error> error_;
};

std::vector<Evidence> Fields::evidence() {
    const json::value* value = data_.if_contains("evidence");
    if (value == nullptr || value->is_null()) return {};
    if (!value->is_array() || value->get_array().size() > kEvidenceMax) {
        refuse("evidence", "is not a list of at most 32 items");
        return {};
    }
    std::vector<Evidence> list;
    for (const json::value& item : value->get_array()) {
        if (!item.is_object()) {
            refuse("evidence", "holds something that is not an object");
            return {};
        }
        Fields fields(item.get_object());
        Evidence evidence{fields.text("rule"), fields.text("source"), fields.text("value"), {}};
        const json::value* messages = item.get_object().if_contains("messages");
        if (messages != nullptr && !messages->is_null()) {
            if (!messages->is_array() || messages->get_array().size() > kEvidenceMax) {
                fields.refuse("evidence.messages", "is not a list of at most 32 items");
            } else {
                for (const json::value& message : messages->get_array()) {
                    if (message.is_string() && message.get_string().size() <= kTextBytesMax)
                        evidence.messages.emplace_back(message.get_string());
                    else
                        fields.refuse("evidence.messages", "holds something that is not a short text");
                }
            }
        }
        if (fields.error()) refuse_with(*fields.error());
        list.push_back(std::move(evidence));
    }
    return list;
}

PacketCounts Fields::packets(std::string_view name) {
    const json::value* value = data_.if_contains(name);
    if (value == nullptr || value->is_null()) return {};
    if (!value->is_object()) {
        refuse(name, "is not an object");
        return {};
    }
    Fields fields(value->get_object());
    PacketCounts counts{fields.count("received"), fields.count("stored"),   fields.count("duplicate"),
                        fields.count("late"),     fields.count("excluded"), fields.count("lost")};
    if (fields.error()) refuse_with(*fields.error());
    return counts;
}

FactBody link_opened(Fields& f) {
    LinkOpened opened;
    opened.link = f.id<LinkId>("link");
    opened.half = f.one_of("half", kHalves);
    opened.from = f.id<CallUuid>("from");
    opened.to = opened.half == Half::from ? f.optional_id<CallUuid>("to") : f.id<CallUuid>("to");
    opened.root = f.optional_id<CallUuid>("root");
    opened.kind = f.one_of("kind", kKinds);
    auto tier = f.required_count("tier");
    if (tier > 2) f.refuse("tier", "is not 0, 1 or 2");
    opened.tier = static_cast<int>(std::min<std::int64_t>(tier, 2));
    opened.connection = f.optional_id<ConnectionId>("connection");
    opened.header = f.boolean("header", false);
    opened.moved_from = f.optional_id<LinkId>("moved_from");
    opened.invite_at = f.moment("invite_at");
    opened.invite_mono = f.optional_number("invite_mono");
    opened.evidence = f.evidence();
    return opened;
}

FactBody link_answered(Fields& f) {
    return LinkAnswered{f.id<LinkId>("link"), f.one_of("half", kHalves), f.optional_id<CallUuid>("peer_calluuid"),
                        f.count("status"),    f.moment("answer_at"),     f.optional_number("answer_mono")};
}

FactBody segment_lost(Fields& f) {
    SegmentLost lost{
        f.id<SegmentId>("segment"),   f.id<CallUuid>("calluuid"), f.optional_id<ConnectionId>("connection"),
        f.optional_number("from_ms"), f.optional_number("to_ms"), f.text("cause")};
    if (lost.from_ms.has_value() != lost.to_ms.has_value()) f.refuse("to_ms", "and from_ms are there or null together");
    if (lost.from_ms && (*lost.from_ms < 0 || *lost.to_ms < *lost.from_ms)) f.refuse("to_ms", "is before from_ms");
    return lost;
}

FactBody segment_stored(Fields& f) {
    SegmentStored stored{f.id<SegmentId>("segment"), f.text("sha256"), f.required_count("bytes"), f.text("media_type")};
    const bool hex =
        stored.sha256.size() == 64 && stored.sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!hex) f.refuse("sha256", "is not 64 hex digits");
    return stored;
}

CallUuid call(Fields& f) {
    return f.id<CallUuid>("calluuid");
}
ConnectionId connection(Fields& f) {
    return f.id<ConnectionId>("connection");
}

using Parser = FactBody (*)(Fields&);

using Parsers = std::map<std::string_view, Parser>;

Parsers of_calls() {
    return {
        {"call.started",
         [](Fields& f) -> FactBody {
             return CallStarted{call(f),
                                f.text("direction"),
                                f.text("ani"),
                                f.text("dnis"),
                                f.optional_id<CallUuid>("root"),
                                f.optional_id<CallUuid>("consult_of"),
                                f.text("session_id")};
         }},
        {"call.ended", [](Fields& f) -> FactBody { return CallEnded{call(f), f.text("cause")}; }},
        {"call.merged", [](Fields& f) -> FactBody { return CallMerged{call(f), f.id<CallUuid>("into")}; }},
    };
}

Parsers of_parties() {
    return {
        {"party.joined",
         [](Fields& f) -> FactBody {
             return PartyJoined{call(f),           connection(f),  f.one_of("role", kRoles),
                                f.text("address"), f.text("name"), f.optional_id<LinkId>("link")};
         }},
        {"party.alerting",
         [](Fields& f) -> FactBody {
             return PartyAlerting{call(f), connection(f), f.one_of("role", kRoles), f.text("address")};
         }},
        {"party.left", [](Fields& f) -> FactBody { return PartyLeft{call(f), connection(f), f.text("cause")}; }},
        {"party.held",
         [](Fields& f) -> FactBody { return PartyHeld{call(f), connection(f), f.optional_id<ConnectionId>("by")}; }},
        {"party.retrieved",
         [](Fields& f) -> FactBody {
             return PartyRetrieved{call(f), connection(f), f.optional_id<ConnectionId>("by")};
         }},
        {"treatment.started",
         [](Fields& f) -> FactBody { return TreatmentStarted{call(f), connection(f), f.text("treatment")}; }},
        {"treatment.ended",
         [](Fields& f) -> FactBody {
             return TreatmentEnded{call(f), connection(f), f.text("treatment"), f.boolean("failed", false)};
         }},
        {"consent.announced",
         [](Fields& f) -> FactBody {
             return ConsentAnnounced{call(f), connection(f), f.id<ConnectionId>("of"), f.text("announcement")};
         }},
        {"consent.failed",
         [](Fields& f) -> FactBody {
             return ConsentFailed{call(f), connection(f), f.id<ConnectionId>("of"), f.text("announcement"),
                                  f.boolean("recorded", true)};
         }},
        {"tone.started",
         [](Fields& f) -> FactBody { return ToneStarted{call(f), connection(f), f.id<ConnectionId>("of")}; }},
        {"tone.stopped",
         [](Fields& f) -> FactBody { return ToneStopped{call(f), connection(f), f.id<ConnectionId>("of")}; }},
        {"queue.entered",
         [](Fields& f) -> FactBody { return QueueEntered{call(f), connection(f), f.text("routing_point")}; }},
        {"queue.left",
         [](Fields& f) -> FactBody {
             return QueueLeft{call(f), connection(f), f.text("routing_point"), f.text("reason")};
         }},
        {"agent.state",
         [](Fields& f) -> FactBody { return AgentState{f.text("dn"), f.text("state"), f.text("reason")}; }},
    };
}

Parsers of_links() {
    return {
        {"link.opened", link_opened},
        {"link.answered", link_answered},
        {"link.ended",
         [](Fields& f) -> FactBody { return LinkEnded{f.id<LinkId>("link"), f.one_of("half", kHalves)}; }},
        {"link.retracted", [](Fields& f) -> FactBody { return LinkRetracted{f.id<LinkId>("link"), f.text("reason")}; }},
    };
}

Parsers of_segments() {
    return {
        {"segment.expected",
         [](Fields& f) -> FactBody {
             return SegmentExpected{f.id<SegmentId>("segment"), call(f), connection(f), f.text("rule")};
         }},
        {"segment.opened",
         [](Fields& f) -> FactBody { return SegmentOpened{f.id<SegmentId>("segment"), call(f), connection(f)}; }},
        {"segment.sealed",
         [](Fields& f) -> FactBody {
             return SegmentSealed{f.id<SegmentId>("segment"),
                                  call(f),
                                  connection(f),
                                  f.required_count("duration_ms"),
                                  f.text("cause"),
                                  f.packets("said"),
                                  f.packets("heard")};
         }},
        {"segment.lost", segment_lost},
        {"segment.stored", segment_stored},
        {"recording.paused",
         [](Fields& f) -> FactBody {
             return RecordingPaused{call(f), f.text("by"), f.text("pause"), f.optional_id<ConnectionId>("connection")};
         }},
        {"recording.resumed",
         [](Fields& f) -> FactBody {
             return RecordingResumed{call(f), f.text("by"), f.text("pause"), f.optional_id<ConnectionId>("connection")};
         }},
        {"pause.told", [](Fields& f) -> FactBody { return PauseTold{call(f), f.text("by"), f.text("pause")}; }},
        {"pause.told-over",
         [](Fields& f) -> FactBody { return PauseToldOver{call(f), f.text("by"), f.text("pause")}; }},
        {"pause.unconfirmed",
         [](Fields& f) -> FactBody { return PauseUnconfirmed{call(f), f.text("pause"), f.text("by_site")}; }},
        {"pause.confirmed",
         [](Fields& f) -> FactBody { return PauseConfirmed{call(f), f.text("pause"), f.text("by_site")}; }},
        {"segment.erased",
         [](Fields& f) -> FactBody {
             return SegmentErased{
                 f.id<SegmentId>("segment"), call(f),         connection(f), f.required_count("from_ms"),
                 f.required_count("to_ms"),  f.text("label"), f.text("by"),  f.text("sha256")};
         }},
    };
}

Parsers of_operators() {
    return {
        {"operator.veto",
         [](Fields& f) -> FactBody {
             return OperatorVeto{f.id<CallUuid>("a"), f.id<CallUuid>("b"), f.required_count("version"),
                                 f.boolean("on", false), f.text("by")};
         }},
        {"operator.link",
         [](Fields& f) -> FactBody {
             return OperatorLink{f.id<LinkId>("link"), f.id<CallUuid>("from"), f.id<CallUuid>("to"), f.text("by")};
         }},
        {"operator.accept",
         [](Fields& f) -> FactBody {
             return OperatorAccept{f.id<LinkId>("link"), f.required_count("version"), f.boolean("on", false),
                                   f.text("by")};
         }},
        {"operator.hold",
         [](Fields& f) -> FactBody {
             return OperatorHold{f.id<CallUuid>("recording"), f.text("by"), f.text("reason")};
         }},
        {"operator.erase",
         [](Fields& f) -> FactBody {
             return OperatorErase{f.id<CallUuid>("recording"), f.text("by"), f.text("reason")};
         }},
    };
}

const Parsers& parsers() {
    static const Parsers all = [] {
        Parsers table;
        for (Parsers some : {of_calls(), of_parties(), of_links(), of_segments(), of_operators()}) table.merge(some);
        return table;
    }();
    return all;
}

template <typename E, std::size_t N>
std::string_view word_for(E meaning, const std::array<std::pair<std::string_view, E>, N>& names) {
    for (const auto& [word, value] : names)
        if (value == meaning) return word;
    return {};
}

}  // namespace

std::string_view name_of(Role role) {
    return word_for(role, kRoles);
}
std::string_view name_of(LinkKind kind) {
    return word_for(kind, kKinds);
}

bool is_id(std::string_view text) {
    return !text.empty() && text.size() <= kIdBytesMax &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

Result<TypedFact> typed_fact(const Fact& fact) {
    TypedFact typed{fact.id, fact.tenant, fact.site, fact.node, fact.seq, fact.at, fact.mono, UnknownType{}};
    const std::pair<std::string_view, std::string_view> senders[] = {
        {"tenant", fact.tenant}, {"site", fact.site}, {"node", fact.node}};
    for (const auto& [name, value] : senders)
        if (!is_id(value)) return fail(Errc::malformed, std::string(name) + " is not an id");
    if (std::abs(fact.mono) > kNumberMax) return fail(Errc::malformed, "mono is out of range");
    if (fact.type.empty() || fact.type.size() > kIdBytesMax) return fail(Errc::malformed, "type is empty or too long");
    const auto parser = parsers().find(fact.type);
    if (parser == parsers().end()) return typed;
    Fields fields(fact.data);
    typed.body = parser->second(fields);
    if (fields.error()) return fail(fields.error()->code, fact.type + ": " + fields.error()->what);
    return typed;
}

CallUuid call_of(const FactBody& body) {
    return std::visit(
        [](const auto& value) {
            if constexpr (requires { value.call; })
                return value.call;
            else
                return CallUuid();
        },
        body);
}

LinkId link_of(const FactBody& body) {
    return std::visit(
        [](const auto& value) {
            using T = std::decay_t<decltype(value)>;
            if constexpr (std::is_same_v<T, PartyJoined>)
                return LinkId();  // it names a link but is the call's fact
            else if constexpr (requires { value.link; })
                return value.link;
            else
                return LinkId();
        },
        body);
}

SegmentId segment_of(const FactBody& body) {
    return std::visit(
        [](const auto& value) {
            if constexpr (requires { value.segment; })
                return value.segment;
            else
                return SegmentId();
        },
        body);
}

}  // namespace sheaf::archive
