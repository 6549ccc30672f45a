// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/exchange.h"

// Every setting, input and effect, field by field, once: what writes them as JSON and what reads them both visit this.
// A visitor V says whether it takes things as const: V::Of<T> is T or const T.
namespace sheaf::exchange {

template <typename T>
inline constexpr std::string_view kTypeName{};

#define SHEAF_FIELDS(Type)                                     \
    template <>                                                \
    inline constexpr std::string_view kTypeName<Type> = #Type; \
    template <typename V>                                      \
    void fields(V& v, typename V::template Of<Type>& it)

SHEAF_FIELDS(Record) {
    v("policy", it.policy)("percent", it.percent);
}
SHEAF_FIELDS(ConsentSettings) {
    v("announcement", it.announcement)("to", it.to)("tone_ms", it.tone_ms)("required", it.required);
}
SHEAF_FIELDS(AgentSettings) {
    v("dn", it.dn)("name", it.name)("record", it.record)("auto_answer", it.auto_answer)("consent", it.consent);
}
SHEAF_FIELDS(TrunkSettings) {
    v("name", it.name)("refer", it.refer)("record", it.record)("consent", it.consent);
}
SHEAF_FIELDS(PeerSettings) {
    v("name", it.name)("prefix", it.prefix)("return_transfers", it.return_transfers);
    v("record_duplicate", it.record_duplicate);
}
SHEAF_FIELDS(MenuChoice) {
    v("digit", it.digit)("to", it.to);
}
SHEAF_FIELDS(MenuSettings) {
    v("announcement", it.announcement)("invalid", it.invalid)("choices", it.choices)("otherwise", it.otherwise);
    v("timeout_ms", it.timeout_ms)("repeats", it.repeats);
}
SHEAF_FIELDS(RoutingPointSettings) {
    v("dn", it.dn)("numbers", it.numbers)("treatment", it.treatment)("targets", it.targets)("record", it.record);
    v("consent", it.consent)("queue_max", it.queue_max)("overflow", it.overflow);
    v("overflow_after_ms", it.overflow_after_ms)("position_ms", it.position_ms)("menu", it.menu);
}
SHEAF_FIELDS(RouteSettings) {
    v("match", it.match)("to", it.to)("number", it.number);
}
SHEAF_FIELDS(FeatureCodes) {
    v("ready", it.ready)("not_ready", it.not_ready)("wrap_up_done", it.wrap_up_done);
}
SHEAF_FIELDS(SiteSettings) {
    v("site", it.site)("node", it.node)("record_consult", it.record_consult)("record_hold", it.record_hold);
    v("leave_conference", it.leave_conference)("ready_on_register", it.ready_on_register);
    v("wrap_up_ms", it.wrap_up_ms)("ring_timeout_ms", it.ring_timeout_ms)("agents", it.agents)("trunks", it.trunks);
    v("peers", it.peers)("routing_points", it.routing_points)("routes", it.routes)("calls_max", it.calls_max);
    v("queue_max", it.queue_max)("ready_after_no_answer", it.ready_after_no_answer)("codes", it.codes);
    v("direct_media", it.direct_media);
}
SHEAF_FIELDS(Device) {
    v("kind", it.kind)("name", it.name);
}
SHEAF_FIELDS(LinkHeader) {
    v("link", it.link)("call", it.call)("root", it.root)("kind", it.kind)("sender_records", it.sender_records);
}

SHEAF_FIELDS(SitePause) {
    v("by", it.by)("id", it.id)("at_ms", it.at_ms)("ago_ms", it.ago_ms);
}
SHEAF_FIELDS(SiteParty) {
    v("role", it.role)("address", it.address)("name", it.name);
}
SHEAF_FIELDS(SiteState) {
    v("seq", it.seq)("root", it.root)("parties", it.parties)("held", it.held)("paused", it.paused);
}
SHEAF_FIELDS(Replacing) {
    v("leg", it.leg)("by_pivot", it.by_pivot);
}
SHEAF_FIELDS(Silence) {
    v("label", it.label)("by", it.by);
}

SHEAF_FIELDS(AgentRegistered) {
    v("dn", it.dn)("contact", it.contact)("next_hop", it.next_hop)("expires_ms", it.expires_ms);
    v("takes_talk", it.takes_talk);
}
SHEAF_FIELDS(AgentUnregistered) {
    v("dn", it.dn);
}
SHEAF_FIELDS(Diversion) {
    v("number", it.number)("reason", it.reason);
}
SHEAF_FIELDS(Withheld) {
    v("number", it.number)("name", it.name);
}
SHEAF_FIELDS(LegOffered) {
    v("leg", it.leg)("from", it.from)("called", it.called)("calling", it.calling)("calling_name", it.calling_name);
    v("link", it.link)("session_id", it.session_id)("message", it.message)("replaces", it.replaces);
    v("withheld", it.withheld)("diversions", it.diversions);
}
SHEAF_FIELDS(LegConnected) {
    v("leg", it.leg)("message", it.message);
}
SHEAF_FIELDS(LegPlaced) {
    v("leg", it.leg)("message", it.message);
}
SHEAF_FIELDS(LegAlerting) {
    v("leg", it.leg)("peer_call", it.peer_call);
}
SHEAF_FIELDS(LegAnswered) {
    v("leg", it.leg)("peer_call", it.peer_call)("session_id", it.session_id)("message", it.message);
}
SHEAF_FIELDS(LegFailed) {
    v("leg", it.leg)("status", it.status)("peer_call", it.peer_call)("message", it.message);
    v("redirect", it.redirect);
}
SHEAF_FIELDS(LegEnded) {
    v("leg", it.leg)("cause", it.cause)("message", it.message);
}
SHEAF_FIELDS(LegHeld) {
    v("leg", it.leg);
}
SHEAF_FIELDS(LegRetrieved) {
    v("leg", it.leg);
}
SHEAF_FIELDS(TransferAsked) {
    v("leg", it.leg)("to", it.to)("message", it.message)("replaces", it.replaces);
}
SHEAF_FIELDS(LegReferred) {
    v("leg", it.leg)("status", it.status);
}
SHEAF_FIELDS(LegTold) {
    v("leg", it.leg)("state", it.state);
}
SHEAF_FIELDS(LegDigit) {
    v("leg", it.leg)("digit", it.digit);
}
SHEAF_FIELDS(PlayBegan) {
    v("leg", it.leg)("play", it.play);
}
SHEAF_FIELDS(PlayEnded) {
    v("leg", it.leg)("play", it.play)("failed", it.failed);
}
SHEAF_FIELDS(RecordingOpened) {
    v("leg", it.leg)("segment", it.segment);
}
SHEAF_FIELDS(RecordingFailed) {
    v("leg", it.leg)("segment", it.segment)("why", it.why);
}
SHEAF_FIELDS(RecordingSilenced) {
    v("leg", it.leg)("segment", it.segment)("label", it.label);
}
SHEAF_FIELDS(PauseTold) {
    v("site", it.site)("link", it.link)("on", it.on)("pause", it.pause);
}
SHEAF_FIELDS(PauseConfirmed) {
    v("site", it.site)("link", it.link)("pause", it.pause);
}
SHEAF_FIELDS(RemoteAgents::Agent) {
    v("dn", it.dn)("state", it.state)("for_ms", it.for_ms);
}
SHEAF_FIELDS(RemoteAgents) {
    v("site", it.site)("boot", it.boot)("seq", it.seq)("agents", it.agents);
}
SHEAF_FIELDS(CtiRequest) {
    v("request", it.request)("token", it.token)("devices", it.devices)("service", it.service);
    v("calluuid", it.calluuid)("device", it.device)("to", it.to)("state", it.state);
}
SHEAF_FIELDS(SettingsChanged) {
    v("settings", it.settings);
}
SHEAF_FIELDS(Shutdown) {
    static_cast<void>(v);
    static_cast<void>(it);
}
SHEAF_FIELDS(Tick) {
    static_cast<void>(v);
    static_cast<void>(it);
}

SHEAF_FIELDS(RingLeg) {
    v("leg", it.leg)("room", it.room)("calluuid", it.calluuid);
}
SHEAF_FIELDS(AnswerLeg) {
    v("leg", it.leg)("room", it.room)("calluuid", it.calluuid);
}
SHEAF_FIELDS(RejectLeg) {
    v("leg", it.leg)("status", it.status)("reason", it.reason)("calluuid", it.calluuid);
}
SHEAF_FIELDS(PlaceLeg) {
    v("leg", it.leg)("room", it.room)("to", it.to)("number", it.number)("contact", it.contact);
    v("next_hop", it.next_hop)("calling", it.calling)("calling_name", it.calling_name)("link", it.link);
    v("session_id", it.session_id)("auto_answer", it.auto_answer)("direct", it.direct);
    v("withheld", it.withheld)("diversions", it.diversions)("is_strangers_word", it.is_strangers_word);
}
SHEAF_FIELDS(EndLeg) {
    v("leg", it.leg)("status", it.status)("cause", it.cause);
}
SHEAF_FIELDS(BindRoom) {
    v("room", it.room)("near", it.near);
}
SHEAF_FIELDS(MeetLegs) {
    v("leg", it.leg)("other", it.other);
}
SHEAF_FIELDS(MoveLeg) {
    v("leg", it.leg)("room", it.room);
}
SHEAF_FIELDS(StartPlay) {
    v("leg", it.leg)("play", it.play)("items", it.items)("forever", it.forever)("tell", it.tell);
}
SHEAF_FIELDS(StopPlay) {
    v("leg", it.leg)("play", it.play);
}
SHEAF_FIELDS(StartRecording) {
    v("leg", it.leg)("segment", it.segment)("calluuid", it.calluuid)("connection", it.connection);
    v("silences", it.silences);
}
SHEAF_FIELDS(SilenceRecording) {
    v("leg", it.leg)("segment", it.segment)("silence", it.silence)("back_ms", it.back_ms)("is_over", it.is_over);
}
SHEAF_FIELDS(ResumeRecording) {
    v("leg", it.leg)("segment", it.segment)("label", it.label);
}
SHEAF_FIELDS(CollectDigits) {
    v("leg", it.leg)("on", it.on);
}
SHEAF_FIELDS(StopRecording) {
    v("leg", it.leg)("segment", it.segment)("cause", it.cause);
}
SHEAF_FIELDS(AcceptTransfer) {
    v("leg", it.leg);
}
SHEAF_FIELDS(RefuseTransfer) {
    v("leg", it.leg)("status", it.status)("reason", it.reason);
}
SHEAF_FIELDS(TransferResult) {
    v("leg", it.leg)("status", it.status);
}
SHEAF_FIELDS(ReferLeg) {
    v("leg", it.leg)("over", it.over)("number", it.number);
}
SHEAF_FIELDS(TellLeg) {
    v("leg", it.leg)("state", it.state);
}
SHEAF_FIELDS(ShowIdentity) {
    v("leg", it.leg)("number", it.number)("name", it.name)("is_strangers_word", it.is_strangers_word);
}
SHEAF_FIELDS(TellToAnswer) {
    v("leg", it.leg);
}
SHEAF_FIELDS(TellPause) {
    v("site", it.site)("link", it.link)("on", it.on)("pause", it.pause);
}
SHEAF_FIELDS(ConfirmPause) {
    v("site", it.site)("link", it.link)("pause", it.pause);
}
SHEAF_FIELDS(SayFact) {
    v("type", it.type)("data", it.data);
}
SHEAF_FIELDS(CtiReply) {
    v("request", it.request)("status", it.status)("body", it.body);
}
SHEAF_FIELDS(call::Seen) {
    v("device", it.device)("state", it.state)("is_agent", it.is_agent);
}
SHEAF_FIELDS(CtiEvent) {
    v("type", it.type)("call", it.call)("device", it.device)("parties", it.parties)("cause", it.cause);
}
SHEAF_FIELDS(TellReadiness) {
    static_cast<void>(v);
    static_cast<void>(it);
}
SHEAF_FIELDS(Log) {
    v("warning", it.warning)("text", it.text)("fields", it.fields);
}

#undef SHEAF_FIELDS

template <typename E>
struct EnumNames;
template <>
struct EnumNames<RecordPolicy> {
    static constexpr std::string_view kNames[] = {"never", "always", "on-demand", "percentage"};
};
template <>
struct EnumNames<ConsentTo> {
    static constexpr std::string_view kNames[] = {"customer", "agent", "both"};
};
template <>
struct EnumNames<DeviceKind> {
    static constexpr std::string_view kNames[] = {"agent", "trunk", "site", "media", "stranger"};
};
template <>
struct EnumNames<Cause> {
    static constexpr std::string_view kNames[] = {"normal",        "transferred",  "busy",    "no-answer",
                                                  "rejected",      "cancelled",    "failed",  "timed-out",
                                                  "media-timeout", "lost-control", "shutdown"};
};

}  // namespace sheaf::exchange
