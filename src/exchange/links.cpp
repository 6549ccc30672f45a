// SPDX-License-Identifier: Apache-2.0
#include "exchange/links.h"

#include "base/planted.h"

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
    if (link.is_whole) return "both";
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

// A link that `leg`'s INVITE carries; `message`: the INVITE where its evidence names another.
void say_opened(Turn& turn, const Leg& leg, const LinkHalf& link, const CallUuid& root, const std::string& message) {
    const auto to = link.sending ? boost::json::value{} : boost::json::value(leg.call.text());
    turn.say("link.opened", {{"link", link.link.text()},
                             {"from", link.from.text()},
                             {"to", to},
                             {"root", root.text()},
                             {"kind", link.kind},
                             {"tier", link.sending ? 0 : 1},
                             {"half", half_name(link)},
                             {"connection", leg.connection.text()},
                             {"header", true},
                             {"moved_from", nullptr},
                             {"invite_at", to_rfc3339(turn.now.wall)},
                             {"invite_mono", to_ms(turn.now.mono)},
                             {"evidence", to_json(link.evidence, message)}});
}

// A link that no INVITE carries: this switch has seen both of its calls, or has moved it to another.
void say_seen(Turn& turn, const LinkHalf& link, const CallUuid& to, const CallUuid& root,
              const ConnectionId& connection, const LinkId& moved_from) {
    const auto or_null = [](const std::string& text) {
        return text.empty() ? boost::json::value{} : boost::json::value(text);
    };
    turn.say("link.opened", {{"link", link.link.text()},
                             {"from", link.from.text()},
                             {"to", or_null(to.text())},
                             {"root", root.text()},
                             {"kind", link.kind},
                             {"tier", 0},
                             {"half", half_name(link)},
                             {"connection", or_null(connection.text())},
                             {"header", false},
                             {"moved_from", or_null(moved_from.text())},
                             {"invite_at", nullptr},
                             {"invite_mono", nullptr},
                             {"evidence", to_json(link.evidence, {})}});
}

void say_answered(Turn& turn, const LinkHalf& link, int status, const CallUuid& peer_call) {
    boost::json::value peer;
    if (link.sending && is_id(peer_call.text())) peer = peer_call.text();
    turn.say("link.answered", {{"link", link.link.text()},
                               {"half", half_name(link)},
                               {"peer_calluuid", peer},
                               {"status", status},
                               {"answer_at", to_rfc3339(turn.now.wall)},
                               {"answer_mono", to_ms(turn.now.mono)}});
}

}  // namespace

Evidence evidence_of(std::string_view rule, std::string_view asker, std::string_view value, std::string_view message) {
    return {std::string(rule), shown(asker), shown(value), std::string(message)};
}

LinkHalf new_half(Turn& turn, const LiveCall& live, const std::string& called) {
    LinkHalf link;
    link.link = LinkId{turn.entropy.uuid()};
    link.from = live.call.id;
    link.sending = true;
    if (live.adding) {
        link.kind = "conference";
        link.evidence = evidence_of("own-conference", live.adding->asker, called, live.adding->message);
    } else {
        link.kind = live.moved ? "transfer" : "route";
        link.evidence = live.moved ? *live.moved : Evidence{"own-route", source_of(live), called, live.message};
    }
    return link;
}

void link_sent(Turn& turn, const LegId& id, const std::string& message) {
    Leg& leg = turn.state.legs.at(id);
    if (!leg.link || !leg.link->sending || leg.link->opened) return;
    leg.link->opened = true;
    const LiveCall& live = turn.state.calls.at(leg.call);
    say_opened(turn, leg, *leg.link, live.call.root, message);
    // Its call has merged into another while the INVITE was on its way out.
    if (leg.link->from != leg.call && live.moved) link_moved(turn, id, "transfer", *live.moved);
}

void link_received(Turn& turn, const LegId& id, const LinkHeader& header, const std::string& message) {
    Leg& leg = turn.state.legs.at(id);
    LinkHalf link;
    link.link = header.link;
    link.from = header.call;
    link.kind = header.kind;
    link.opened = true;
    link.evidence = {"signed-header", "site " + leg.device.name, header.link.text(), message};
    say_opened(turn, leg, link, header.root, {});
    leg.header_link = link.link;
    leg.link = std::move(link);
}

void link_answered(Turn& turn, const LegId& id, int status, const CallUuid& peer_call) {
    Leg& leg = turn.state.legs.at(id);
    if (!leg.link || !leg.link->opened || leg.link->answered) return;
    leg.link->answered = true;
    // The moments of the INVITE are those of the link that it carried.
    if (leg.moved_link) say_answered(turn, *std::exchange(leg.moved_link, std::nullopt), status, peer_call);
    say_answered(turn, *leg.link, status, peer_call);
}

void link_ended(Turn& turn, const Leg& leg) {
    if (leg.link && leg.link->opened)
        turn.say("link.ended", {{"link", leg.link->link.text()}, {"half", half_name(*leg.link)}});
}

void consult_opened(Turn& turn, const LiveCall& main, LiveCall& consult, const ConnectionId& connection,
                    const Evidence& evidence) {
    if (is_planted("consult_link_omitted")) return;
    LinkHalf link;
    link.link = consult.consult_link = LinkId{turn.entropy.uuid()};
    link.from = main.call.id;
    link.kind = "consult";
    link.is_whole = true;
    link.evidence = evidence;
    say_seen(turn, link, consult.call.id, main.call.root, connection, {});
}

void consult_ended(Turn& turn, LiveCall& consult) {
    if (consult.consult_link.empty()) return;
    turn.say("link.ended", {{"link", std::exchange(consult.consult_link, {}).text()}, {"half", "both"}});
}

void link_moved(Turn& turn, const LegId& id, std::string_view kind, const Evidence& evidence) {
    Leg& leg = turn.state.legs.at(id);
    if (!leg.link || !leg.link->sending || !leg.link->opened) return;
    const LiveCall& live = turn.state.calls.at(leg.call);
    link_ended(turn, leg);
    if (is_planted("link_dropped_when_moved")) return leg.link.reset();
    LinkHalf moved;
    moved.link = LinkId{turn.entropy.uuid()};
    moved.from = live.call.id;
    moved.sending = true;
    moved.kind = kind;
    moved.evidence = evidence;
    moved.opened = true;
    moved.answered = leg.link->answered;
    moved.is_whole = !leg.peer_call.empty();
    say_seen(turn, moved, leg.peer_call, live.call.root, leg.connection, leg.link->link);
    if (!leg.link->answered) leg.moved_link = std::move(leg.link);
    leg.link = std::move(moved);
}

void joined_here(Turn& turn, const LiveCall& from, const LiveCall& to, std::string_view kind,
                 const Evidence& evidence) {
    LinkHalf link;
    link.link = LinkId{turn.entropy.uuid()};
    link.from = from.call.id;
    link.kind = kind;
    link.is_whole = true;
    link.evidence = evidence;
    say_seen(turn, link, to.call.id, from.call.root, {}, {});
}

}  // namespace sheaf::exchange
