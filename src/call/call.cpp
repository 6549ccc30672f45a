// SPDX-License-Identifier: Apache-2.0
#include "call/call.h"

#include <algorithm>
#include <utility>

#include "base/planted.h"
#include "call/stepper.h"

namespace sheaf::call {
namespace {

template <typename T>
bool is(const Connection& connection) {
    return std::holds_alternative<T>(connection.state);
}

boost::json::value text_or_null(const std::string& text) {
    return text.empty() ? boost::json::value{} : boost::json::value(text);
}

}  // namespace

void Stepper::on(const Begun&) {
    auto data = object_in_one_piece({{"direction", name_of(call_.direction)},
                                     {"ani", call_.ani},
                                     {"dnis", call_.dnis},
                                     {"root", call_.root.text()},
                                     {"consult_of", text_or_null(call_.consult_of.text())},
                                     {"session_id", text_or_null(call_.session_id)}});
    if (!call_.diverted_from.empty()) data["diverted_from"] = call_.diverted_from;
    say("call.started", std::move(data));
}

void Stepper::on(const Arrived& event) {
    if (add(event.connection, event.leg, event.party, Offered{}, event.record)) tell("originated", event.party);
}

void Stepper::on(const Entered& event) {
    if (!add(event.connection, event.leg, event.party, Connected{}, event.record)) return;
    join(*at(event.leg));
    effects_.push_back(Join{event.leg});
    tell("originated", event.party);
}

void Stepper::on(const Accept& event) {
    Connection* connection = at(event.leg);
    if (!connection || !is<Offered>(*connection)) return;
    connection->state = Answering{};
    effects_.push_back(Answer{connection->leg});
}

void Stepper::on(const Called& event) {
    add(event.connection, event.leg, event.party, Initiated{}, event.record);
}

void Stepper::on(const Alerted& event) {
    Connection* alerting = at(event.leg);
    if (!alerting || !is<Initiated>(*alerting)) return;
    alerting->state = Alerting{};
    say("party.alerting", {{"connection", alerting->id.text()},
                           {"role", name_of(alerting->party.role)},
                           {"address", alerting->party.address}});
    tell("delivered", alerting->party);
    for (Connection& caller : call_.connections) {
        auto* offered = std::get_if<Offered>(&caller.state);
        if (!offered || offered->ringing) continue;
        offered->ringing = true;
        effects_.push_back(Ring{caller.leg});
    }
}

void Stepper::on(const Answered& event) {
    Connection* answered = at(event.leg);
    if (!answered || !is_rung(*answered)) return;
    for (Connection& waiting : call_.connections) {
        if (is<Queued>(waiting)) {
            leave_queue(waiting, event.by_overflow ? "overflow" : "routed");
            waiting.state = Connected{};
            tell("diverted", waiting.party);
        }
        if (waiting.treatment && !waiting.treatment->for_hold) stop_treatment(waiting, true);
        if (is<Offered>(waiting)) {
            waiting.state = Answering{};
            effects_.push_back(Answer{waiting.leg});
        }
    }
    answered->state = Connected{};
    join(*answered);
    start_recordings();
    tell("established", answered->party);
}

void Stepper::on(const Established& event) {
    Connection* connection = at(event.leg);
    const auto* answering = connection ? std::get_if<Answering>(&connection->state) : nullptr;
    if (!answering) return;
    const std::string routing_point = answering->routing_point;
    connection->state = Connected{};
    join(*connection);
    if (at(event.former) && event.former != event.leg) {
        take_over_consent(*at(event.former), *connection);
        depart(event.former, Cause::transferred, Leg::ours_to_end, Departure::hung_up);
        connection = at(event.leg);
    }
    start_recordings();
    if (routing_point.empty())
        tell("established", connection->party);
    else
        wait_at(*connection, routing_point);
}

void Stepper::on(const Refused& event) {
    Connection* refused = at(event.leg);
    if (!refused) return;
    if (!is_rung(*refused)) return on(Left{event.leg, event.cause});
    tell("failed", refused->party, name_of(event.cause));
    depart(event.leg, event.cause, Leg::ended, Departure::refused);
}

void Stepper::on(const Left& event) {
    const Connection* left = at(event.leg);
    if (!left) return;
    if (is_rung(*left)) return on(Refused{event.leg, event.cause});
    depart(event.leg, event.cause, Leg::ended, Departure::hung_up);
    end_if_alone(event.cause);
}

void Stepper::on(const Clear& event) {
    if (!at(event.leg)) return;
    depart(event.leg, event.cause, Leg::ours_to_end, Departure::hung_up);
    end_if_alone(event.cause);
}

void Stepper::on(const Withdraw& event) {
    if (at(event.leg)) depart(event.leg, event.cause, Leg::ours_to_end, Departure::refused);
}

void Stepper::on(const Enqueue& event) {
    Connection* connection = at(event.leg);
    if (!connection) return;
    if (is<Offered>(*connection)) {
        connection->treatment = Treatment{event.treatment};
        connection->state = Answering{event.routing_point};
        effects_.push_back(Answer{connection->leg});
    } else if (is_talking(*connection) || is<Queued>(*connection)) {
        if (is<Queued>(*connection)) leave_queue(*connection, "overflow");
        end_hold(*connection);
        stop_treatment(*connection, true);
        connection->treatment = Treatment{event.treatment};
        wait_at(*connection, event.routing_point);
    }
}

void Stepper::on(const Treat& event) {
    Connection* connection = at(event.leg);
    if (!connection || !is_talking(*connection)) return;
    begin_treatment(*connection, event.treatment, false, event.once);
}

void Stepper::on(const Untreat& event) {
    Connection* connection = at(event.leg);
    if (connection && is_talking(*connection) && connection->treatment && !connection->treatment->for_hold)
        stop_treatment(*connection, true);
}

void Stepper::on(const PlayEnded& event) {
    Connection* connection = at(event.leg);
    if (!connection || event.play.empty()) return;
    if (connection->notice && connection->notice->play == event.play) return notice_ended(*connection, event.failed);
    if (!connection->treatment || connection->treatment->play != event.play) return;
    Treatment& treatment = *connection->treatment;
    say_treatment("treatment.ended", *connection, event.failed);
    treatment.play.clear();
    treatment.is_said = false;
    if (treatment.at + 1 >= treatment.items.size()) {
        // What plays for ever ends only when it cannot be played: begun again at once, it would end again at once.
        treatment.is_over = treatment.once;
        return;
    }
    ++treatment.at;
    play_next(*connection);
}

void Stepper::on(const End& event) {
    end_all(event.cause, event.status, event.reason);
}

Connection* Stepper::at(const LegId& leg) {
    const auto found = std::ranges::find(call_.connections, leg, &Connection::leg);
    return found == call_.connections.end() ? nullptr : &*found;
}

bool Stepper::add(const ConnectionId& id, const LegId& leg, const Party& party, ConnectionState state,
                  const std::optional<ToRecord>& record) {
    if (at(leg)) return false;
    Connection connection;
    connection.id = id;
    connection.leg = leg;
    connection.party = party;
    connection.state = std::move(state);
    if (record) connection.recording = *record;
    call_.connections.push_back(std::move(connection));
    return true;
}

void Stepper::say(std::string type, boost::json::object data) {
    data["calluuid"] = call_.id.text();
    effects_.push_back(Say{std::move(type), std::move(data)});
}

void Stepper::tell(std::string type, const Party& about, std::string_view cause) {
    effects_.push_back(Tell{std::move(type), seen(about), std::string(cause), parties_of(call_)});
}

// What is told of one step shows how all stand after it, not between its parts.
void Stepper::look_again() {
    if (is_over_) return;
    for (Effect& effect : effects_)
        if (auto* told = std::get_if<Tell>(&effect)) told->parties = parties_of(call_);
}

void Stepper::join(const Connection& connection) {
    const Party& party = connection.party;
    say("party.joined", {{"connection", connection.id.text()},
                         {"role", name_of(party.role)},
                         {"address", party.address},
                         {"name", text_or_null(party.name)},
                         {"link", text_or_null(party.link.text())}});
}

void Stepper::wait_at(Connection& connection, const std::string& routing_point) {
    connection.state = Queued{routing_point};
    say("queue.entered", {{"connection", connection.id.text()}, {"routing_point", routing_point}});
    effects_.push_back(Waits{connection.leg, routing_point});
    tell("queued", connection.party);
    play_next(connection);
}

void Stepper::leave_queue(Connection& connection, std::string_view reason) {
    if (connection.notice && connection.notice->segment.empty()) stop_notice(connection, true);
    const std::string& routing_point = std::get<Queued>(connection.state).routing_point;
    say("queue.left", {{"connection", connection.id.text()}, {"routing_point", routing_point}, {"reason", reason}});
    effects_.push_back(WaitsNoMore{connection.leg, routing_point});
}

void Stepper::say_treatment(std::string type, const Connection& connection, bool failed) {
    boost::json::object data{{"connection", connection.id.text()},
                             {"treatment", connection.treatment->items[connection.treatment->at]}};
    if (failed) data["failed"] = true;
    say(std::move(type), std::move(data));
}

void Stepper::begin_treatment(Connection& connection, std::vector<std::string> items, bool for_hold, bool once) {
    stop_treatment(connection, true);
    connection.treatment = Treatment{std::move(items), 0, {}, for_hold, once};
    play_next(connection);
}

// A leg may play for two calls, one after the other: the names differ.
std::string Stepper::new_play() {
    const std::string prefix = call_.consult_of.empty() ? "t" : call_.id.text().substr(0, 8) + "-t";
    return prefix + std::to_string(++call_.plays);
}

void Stepper::play_next(Connection& connection) {
    if (!connection.treatment || connection.treatment->items.empty() || connection.notice) return;
    Treatment& treatment = *connection.treatment;
    if (treatment.is_said || treatment.is_over) return;
    const std::string& item = treatment.items[treatment.at];
    if (item != kDigits) {
        const bool is_last = treatment.at + 1 == treatment.items.size();
        treatment.play = new_play();
        effects_.push_back(StartPlay{connection.leg, treatment.play, item, is_last && !treatment.once});
    }
    treatment.is_said = true;
    say_treatment("treatment.started", connection);
}

void Stepper::interrupt_treatment(Connection& connection, bool leg_lives) {
    if (!connection.treatment || !connection.treatment->is_said) return;
    const std::string play = std::exchange(connection.treatment->play, {});
    if (leg_lives && !play.empty()) effects_.push_back(StopPlay{connection.leg, play});
    say_treatment("treatment.ended", connection);
    connection.treatment->is_said = false;
}

void Stepper::stop_treatment(Connection& connection, bool leg_lives) {
    interrupt_treatment(connection, leg_lives);
    connection.treatment.reset();
}

void Stepper::depart(const LegId& leg, Cause cause, Leg leg_is, Departure why, int status, const std::string& reason) {
    Connection& connection = *at(leg);
    const std::string play = connection.notice      ? connection.notice->play
                             : connection.treatment ? connection.treatment->play
                                                    : std::string();
    leave_hearers(connection);
    if (std::holds_alternative<ToRecord>(connection.recording)) end_consent(connection);
    stop_recording(connection, cause);
    stop_treatment(connection, false);
    if (is<Queued>(connection)) leave_queue(connection, "abandoned");
    const bool was_connected = is_talking(connection) || is<Queued>(connection);
    if (was_connected || is<Alerting>(connection))
        say("party.left", {{"connection", connection.id.text()}, {"cause", name_of(cause)}});
    Gone gone{leg,  connection.party,      was_connected, why == Departure::refused && !was_connected, cause, 0,
              play, connection.phone_holds};
    if (leg_is == Leg::ours_to_end) {
        if (is<Offered>(connection)) {
            gone.status = status == 0 ? 480 : status;
            effects_.push_back(Reject{leg, gone.status, reason});
        } else {
            effects_.push_back(Release{leg, status, cause});
        }
    }
    std::erase_if(call_.connections, [&](const Connection& other) { return other.leg == leg; });
    tell("connection-cleared", gone.party, name_of(cause));
    effects_.push_back(std::move(gone));
}

// A call goes on while two can talk; a party that is rung or asked for does not keep it.
void Stepper::end_if_alone(Cause cause) {
    if (std::ranges::count_if(call_.connections, is_talking) < 2) end_all(cause, 0, {});
}

void Stepper::end_all(Cause cause, int status, const std::string& reason) {
    if (is_planted("dialog_not_released") && status == 0 && !call_.connections.empty()) call_.connections.pop_back();
    is_over_ = true;
    while (!call_.connections.empty())
        depart(LegId{call_.connections.back().leg}, cause, Leg::ours_to_end, Departure::hung_up, status, reason);
    say("call.ended", {{"cause", name_of(cause)}});
    effects_.push_back(Over{});
}

Step step(Call call, const Event& event) {
    Stepper stepper(std::move(call));
    std::visit([&](const auto& what) { stepper.on(what); }, event);
    stepper.settle();
    stepper.look_again();
    return stepper.take();
}

}  // namespace sheaf::call
