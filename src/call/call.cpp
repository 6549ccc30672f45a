// SPDX-License-Identifier: Apache-2.0
#include "call/call.h"

#include <algorithm>
#include <utility>

#include "base/match.h"

namespace sheaf::call {
namespace {

template <typename T>
bool is(const Connection& connection) {
    return std::holds_alternative<T>(connection.state);
}

boost::json::value text_or_null(const std::string& text) {
    return text.empty() ? boost::json::value{} : boost::json::value(text);
}

// One step under way: the call as it becomes and what is said and done meanwhile.
class Stepper {
public:
    explicit Stepper(Call call) : call_(std::move(call)) {}

    void on(const Begun&) {
        say("call.started", {{"direction", name_of(call_.direction)},
                             {"ani", call_.ani},
                             {"dnis", call_.dnis},
                             {"root", call_.root.text()},
                             {"consult_of", nullptr},
                             {"session_id", text_or_null(call_.session_id)}});
    }

    void on(const Arrived& event) {
        if (add(event.connection, event.leg, event.party, Offered{}, event.record))
            tell("originated", event.party.address);
    }

    void on(const Called& event) { add(event.connection, event.leg, event.party, Initiated{}, event.record); }

    void on(const Alerted& event) {
        Connection* alerting = at(event.leg);
        if (!alerting || !is<Initiated>(*alerting)) return;
        alerting->state = Alerting{};
        say("party.alerting", {{"connection", alerting->id.text()},
                               {"role", name_of(alerting->party.role)},
                               {"address", alerting->party.address}});
        tell("delivered", alerting->party.address);
        for (Connection& caller : call_.connections) {
            auto* offered = std::get_if<Offered>(&caller.state);
            if (!offered || offered->ringing) continue;
            offered->ringing = true;
            effects_.push_back(Ring{caller.leg});
        }
    }

    void on(const Answered& event) {
        Connection* answered = at(event.leg);
        if (!answered || !(is<Initiated>(*answered) || is<Alerting>(*answered))) return;
        for (Connection& waiting : call_.connections) {
            if (is<Queued>(waiting)) {
                leave_queue(waiting, "routed");
                waiting.state = Connected{};
                tell("diverted", waiting.party.address);
            }
            stop_treatment(waiting, true);
            if (is<Offered>(waiting)) {
                waiting.state = Answering{};
                effects_.push_back(Answer{waiting.leg});
            }
        }
        answered->state = Connected{};
        join(*answered);
        tell("established", answered->party.address);
    }

    void on(const Established& event) {
        Connection* connection = at(event.leg);
        const auto* answering = connection ? std::get_if<Answering>(&connection->state) : nullptr;
        if (!answering) return;
        const std::string routing_point = answering->routing_point;
        connection->state = Connected{};
        join(*connection);
        if (routing_point.empty())
            tell("established", connection->party.address);
        else
            wait_at(*connection, routing_point);
    }

    void on(const Refused& event) {
        Connection* refused = at(event.leg);
        if (!refused) return;
        if (!is<Initiated>(*refused) && !is<Alerting>(*refused)) return on(Left{event.leg, event.cause});
        tell("failed", refused->party.address, name_of(event.cause));
        depart(event.leg, event.cause, Leg::ended, Departure::refused);
    }

    void on(const Left& event) {
        const Connection* left = at(event.leg);
        if (!left) return;
        if (is<Initiated>(*left) || is<Alerting>(*left)) return on(Refused{event.leg, event.cause});
        depart(event.leg, event.cause, Leg::ended, Departure::hung_up);
        end_if_alone(event.cause);
    }

    void on(const Clear& event) {
        if (!at(event.leg)) return;
        depart(event.leg, event.cause, Leg::ours_to_end, Departure::hung_up);
        end_if_alone(event.cause);
    }

    void on(const Withdraw& event) {
        if (at(event.leg)) depart(event.leg, event.cause, Leg::ours_to_end, Departure::refused);
    }

    void on(const Enqueue& event) {
        Connection* connection = at(event.leg);
        if (!connection) return;
        if (is<Offered>(*connection)) {
            connection->treatment = Treatment{event.treatment, 0, {}};
            connection->state = Answering{event.routing_point};
            effects_.push_back(Answer{connection->leg});
        } else if (is_talking(*connection)) {
            stop_treatment(*connection, true);
            connection->treatment = Treatment{event.treatment, 0, {}};
            wait_at(*connection, event.routing_point);
        }
    }

    void on(const Treat& event) {
        Connection* connection = at(event.leg);
        if (!connection || !is_talking(*connection)) return;
        stop_treatment(*connection, true);
        connection->treatment = Treatment{event.treatment, 0, {}};
        play_next(*connection);
    }

    void on(const PutOnHold& event) {
        const Connection* holder = at(event.leg);
        if (!holder || !is_talking(*holder)) return;
        bool any = false;
        for (Connection& other : call_.connections) {
            if (other.leg == event.leg || !is<Connected>(other)) continue;
            other.state = Held{holder->id};
            say("party.held", {{"connection", other.id.text()}, {"by", holder->id.text()}});
            any = true;
        }
        if (any) tell("held", holder->party.address);
    }

    void on(const Retrieved& event) {
        const Connection* holder = at(event.leg);
        if (holder && retrieve_all_of(holder->id)) tell("retrieved", holder->party.address);
    }

    void on(const PlayEnded& event) {
        Connection* connection = at(event.leg);
        if (!connection || !connection->treatment || connection->treatment->play.empty() ||
            connection->treatment->play != event.play)
            return;
        Treatment& treatment = *connection->treatment;
        say_treatment("treatment.ended", *connection);
        treatment.play.clear();
        // The last item ends only when it cannot be played: begun again at once, it would end again at once.
        if (treatment.at + 1 >= treatment.items.size()) return;
        ++treatment.at;
        play_next(*connection);
    }

    void on(const RecordingOpened& event) {
        for (Connection& connection : call_.connections)
            if (auto* recording = std::get_if<Recording>(&connection.recording);
                recording && recording->segment == event.segment && !recording->opened)
                recording->opened = event.at;
    }

    void on(const RecordingFailed& event) {
        for (Connection& connection : call_.connections) {
            const auto* recording = std::get_if<Recording>(&connection.recording);
            if (!recording || recording->segment != event.segment) continue;
            boost::json::value from;
            if (recording->opened) from = to_ms(event.at - *recording->opened);
            say("segment.lost", {{"segment", recording->segment.text()},
                                 {"connection", connection.id.text()},
                                 {"from_ms", from},
                                 {"to_ms", nullptr},
                                 {"cause", name_of(Cause::failed)}});
            tell("recording-stopped", connection.party.address, name_of(Cause::failed));
            connection.recording = NotRecorded{};
        }
    }

    void on(const End& event) { end_all(event.cause, event.status, event.reason); }

    Step take() { return {std::move(call_), std::move(effects_)}; }

private:
    enum class Leg { ended, ours_to_end };
    enum class Departure { hung_up, refused };  // with the call, or from a call that goes on

    Connection* at(const LegId& leg) {
        const auto found = std::ranges::find(call_.connections, leg, &Connection::leg);
        return found == call_.connections.end() ? nullptr : &*found;
    }

    bool add(const ConnectionId& id, const LegId& leg, const Party& party, ConnectionState state,
             const std::optional<ToRecord>& record) {
        if (at(leg)) return false;
        Connection connection{id, leg, party, std::move(state), NotRecorded{}, std::nullopt};
        if (record) connection.recording = *record;
        call_.connections.push_back(std::move(connection));
        return true;
    }

    void say(std::string type, boost::json::object data) {
        data["calluuid"] = call_.id.text();
        effects_.push_back(Say{std::move(type), std::move(data)});
    }

    void tell(std::string type, const std::string& device, std::string_view cause = {}) {
        effects_.push_back(Tell{std::move(type), device, std::string(cause), parties_of(call_)});
    }

    void join(Connection& connection) {
        const Party& party = connection.party;
        say("party.joined", {{"connection", connection.id.text()},
                             {"role", name_of(party.role)},
                             {"address", party.address},
                             {"name", text_or_null(party.name)},
                             {"link", text_or_null(party.link.text())}});
        const auto* wanted = std::get_if<ToRecord>(&connection.recording);
        if (!wanted) return;
        const ToRecord record = *wanted;
        say("segment.expected",
            {{"segment", record.segment.text()}, {"connection", connection.id.text()}, {"rule", record.rule}});
        effects_.push_back(StartRecording{connection.leg, record.segment, connection.id});
        connection.recording = Recording{record.segment, std::nullopt};
        tell("recording-started", party.address);
    }

    void wait_at(Connection& connection, const std::string& routing_point) {
        connection.state = Queued{routing_point};
        say("queue.entered", {{"connection", connection.id.text()}, {"routing_point", routing_point}});
        effects_.push_back(Waits{connection.leg, routing_point});
        tell("queued", connection.party.address);
        play_next(connection);
    }

    void leave_queue(const Connection& connection, std::string_view reason) {
        const std::string& routing_point = std::get<Queued>(connection.state).routing_point;
        say("queue.left", {{"connection", connection.id.text()}, {"routing_point", routing_point}, {"reason", reason}});
        effects_.push_back(WaitsNoMore{connection.leg, routing_point});
    }

    void say_treatment(std::string type, const Connection& connection) {
        say(std::move(type), {{"connection", connection.id.text()},
                              {"treatment", connection.treatment->items[connection.treatment->at]}});
    }

    void play_next(Connection& connection) {
        if (!connection.treatment || connection.treatment->items.empty()) return;
        Treatment& treatment = *connection.treatment;
        treatment.play = "t" + std::to_string(++call_.plays);
        effects_.push_back(StartPlay{connection.leg, treatment.play, treatment.items[treatment.at],
                                     treatment.at + 1 == treatment.items.size()});
        say_treatment("treatment.started", connection);
    }

    void stop_treatment(Connection& connection, bool leg_lives) {
        if (connection.treatment && !connection.treatment->play.empty()) {
            if (leg_lives) effects_.push_back(StopPlay{connection.leg, connection.treatment->play});
            say_treatment("treatment.ended", connection);
        }
        connection.treatment.reset();
    }

    bool retrieve_all_of(const ConnectionId& holder) {
        bool any = false;
        for (Connection& other : call_.connections) {
            const auto* held = std::get_if<Held>(&other.state);
            if (!held || held->by != holder) continue;
            other.state = Connected{};
            say("party.retrieved", {{"connection", other.id.text()}, {"by", holder.text()}});
            any = true;
        }
        return any;
    }

    void stop_recording(Connection& connection, Cause cause) {
        const auto* recording = std::get_if<Recording>(&connection.recording);
        if (!recording) return;
        effects_.push_back(StopRecording{connection.leg, recording->segment, cause});
        connection.recording = NotRecorded{};
        tell("recording-stopped", connection.party.address, name_of(cause));
    }

    void depart(const LegId& leg, Cause cause, Leg leg_is, Departure why, int status = 0,
                const std::string& reason = {}) {
        Connection& connection = *at(leg);
        stop_recording(connection, cause);
        stop_treatment(connection, false);
        if (is<Queued>(connection)) leave_queue(connection, "abandoned");
        retrieve_all_of(connection.id);
        const bool was_connected = is_talking(connection) || is<Queued>(connection);
        if (was_connected || is<Alerting>(connection))
            say("party.left", {{"connection", connection.id.text()}, {"cause", name_of(cause)}});
        Gone gone{leg, connection.party, was_connected, why == Departure::refused && !was_connected, cause, 0};
        if (leg_is == Leg::ours_to_end) {
            if (is<Offered>(connection)) {
                gone.status = status == 0 ? 480 : status;
                effects_.push_back(Reject{leg, gone.status, reason});
            } else {
                effects_.push_back(Release{leg, status, cause});
            }
        }
        std::erase_if(call_.connections, [&](const Connection& other) { return other.leg == leg; });
        tell("connection-cleared", gone.party.address, name_of(cause));
        effects_.push_back(std::move(gone));
    }

    // A call goes on while two can talk; a party that is rung or asked for does not keep it.
    void end_if_alone(Cause cause) {
        if (std::ranges::count_if(call_.connections, is_talking) < 2) end_all(cause, 0, {});
    }

    void end_all(Cause cause, int status, const std::string& reason) {
#ifdef SHEAF_PLANT_dialog_not_released
        if (status == 0 && !call_.connections.empty()) call_.connections.pop_back();
#endif
        while (!call_.connections.empty())
            depart(LegId{call_.connections.back().leg}, cause, Leg::ours_to_end, Departure::hung_up, status, reason);
        say("call.ended", {{"cause", name_of(cause)}});
        effects_.push_back(Over{});
    }

    Call call_;
    std::vector<Effect> effects_;
};

}  // namespace

Step step(Call call, const Event& event) {
    Stepper stepper(std::move(call));
    std::visit([&](const auto& what) { stepper.on(what); }, event);
    return stepper.take();
}

}  // namespace sheaf::call
