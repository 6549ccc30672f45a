// SPDX-License-Identifier: Apache-2.0
#include "exchange/links.h"

namespace sheaf::exchange {
namespace {

boost::json::array to_json(const Evidence& evidence, const std::string& further_message) {
    boost::json::array messages;
    for (const std::string& message : {evidence.message, further_message})
        if (!message.empty()) messages.emplace_back(shown(message, 256));
    return {boost::json::object{{"rule", evidence.rule},
                                {"source", evidence.source},
                                {"value", evidence.value},
                                {"messages", std::move(messages)}}};
}

std::string_view half_name(const LinkHalf& link) {
    return link.sending ? "from" : "to";
}

std::string source_of(const LiveCall& live) {
    if (!live.routing_point.empty()) return "routing point " + live.routing_point;
    switch (live.origin.kind) {
        case DeviceKind::agent: return "agent " + live.origin.name;
        case DeviceKind::trunk: return "trunk " + live.origin.name;
        case DeviceKind::site: return "site " + live.origin.name;
        case DeviceKind::media:
        case DeviceKind::stranger: break;
    }
    return "stranger";
}

void say_opened(Turn& turn, const LinkHalf& link, const std::string& from, const boost::json::value& to,
                const std::string& root, const ConnectionId& connection, int tier, boost::json::array evidence) {
    turn.say("link.opened", {{"link", link.link.text()},
                             {"from", from},
                             {"to", to},
                             {"root", root},
                             {"kind", link.kind},
                             {"tier", tier},
                             {"half", half_name(link)},
                             {"connection", connection.text()},
                             {"header", true},
                             {"moved_from", nullptr},
                             {"invite_at", to_rfc3339(turn.now.wall)},
                             {"invite_mono", to_ms(turn.now.mono)},
                             {"evidence", std::move(evidence)}});
}

}  // namespace

LinkHalf new_half(Turn& turn, const LiveCall& live, const std::string& called) {
    LinkHalf link;
    link.link = LinkId{turn.entropy.uuid()};
    link.sending = true;
    link.kind = live.moved ? "transfer" : "route";
    link.evidence = live.moved ? *live.moved : Evidence{"own-route", source_of(live), called, live.message};
    return link;
}

void link_sent(Turn& turn, const LegId& id, const std::string& message) {
    Leg& leg = turn.state.legs.at(id);
    if (!leg.link || !leg.link->sending || leg.link->opened) return;
    leg.link->opened = true;
    const call::Call& call = turn.state.calls.at(leg.call).call;
    say_opened(turn, *leg.link, call.id.text(), nullptr, call.root.text(), leg.connection, 0,
               to_json(leg.link->evidence, message));
}

void link_received(Turn& turn, const LegId& id, const LinkHeader& header, const std::string& message) {
    Leg& leg = turn.state.legs.at(id);
    LinkHalf link;
    link.link = header.link;
    link.kind = header.kind;
    link.opened = true;
    link.evidence = {"signed-header", "site " + leg.device.name, header.link.text(), message};
    say_opened(turn, link, header.call.text(), boost::json::value(leg.call.text()), header.root.text(), leg.connection,
               1, to_json(link.evidence, {}));
    leg.link = std::move(link);
}

void link_answered(Turn& turn, const LegId& id, int status, const CallUuid& peer_call) {
    Leg& leg = turn.state.legs.at(id);
    if (!leg.link || !leg.link->opened || leg.link->answered) return;
    leg.link->answered = true;
    boost::json::value peer;
    if (leg.link->sending && is_id(peer_call.text())) peer = peer_call.text();
    turn.say("link.answered", {{"link", leg.link->link.text()},
                               {"half", half_name(*leg.link)},
                               {"peer_calluuid", peer},
                               {"status", status},
                               {"answer_at", to_rfc3339(turn.now.wall)},
                               {"answer_mono", to_ms(turn.now.mono)}});
}

void link_ended(Turn& turn, const Leg& leg) {
    if (leg.link && leg.link->opened)
        turn.say("link.ended", {{"link", leg.link->link.text()}, {"half", half_name(*leg.link)}});
}

}  // namespace sheaf::exchange
