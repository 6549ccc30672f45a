// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "exchange/agents.h"
#include "exchange/conference.h"
#include "exchange/consult.h"
#include "exchange/cti_answer.h"
#include "exchange/pause.h"
#include "exchange/transfer.h"

// The CTI services on a call.
namespace sheaf::exchange {
namespace {

// A service on one device's connection in one call.
struct Addressed {
    LiveCall* live = nullptr;
    const call::Connection* connection = nullptr;
};

std::optional<Answer> address(Turn& turn, const CtiRequest& request, Addressed& found) {
    const auto live = turn.state.calls.find(CallUuid{request.calluuid});
    if (live == turn.state.calls.end()) return problem(404, "Unknown", "no such call");
    if (request.device.empty()) return missing("device");
    if (!has(request.devices, request.device)) return not_yours();
    found.live = &live->second;
    for (const call::Connection& connection : found.live->call.connections) {
        const Device& device = turn.state.legs.at(connection.leg).device;
        if (device.kind == DeviceKind::agent && device.name == request.device) found.connection = &connection;
    }
    if (!found.connection) return problem(404, "Unknown", "the device is not in this call");
    return std::nullopt;
}

Answer answer(Turn& turn, const CtiRequest& request) {
    Addressed at;
    if (auto refused = address(turn, request, at)) return *std::move(refused);
    if (!call::is_rung(*at.connection)) return conflict("the device does not ring in this call");
    const auto agent = turn.state.agents.find(request.device);
    if (agent == turn.state.agents.end() || !agent->second.takes_talk)
        return conflict("the phone cannot be told to answer");
    turn.add(TellToAnswer{at.connection->leg});
    return continues(at.live->call.id);
}

Answer clear(Turn& turn, const CtiRequest& request) {
    Addressed at;
    if (auto refused = address(turn, request, at)) return *std::move(refused);
    const LegId leg = at.connection->leg;
    const CallUuid id = at.live->call.id;
    if (call::is_rung(*at.connection)) {  // declines: the call goes on to somebody else
        apply(turn, *at.live, call::Withdraw{leg, call::Cause::rejected});
        not_taken(turn, *at.live, call::Cause::rejected, {603, "declined"});
    } else {
        apply(turn, *at.live, call::Clear{leg, call::Cause::normal});
    }
    return continues(id);
}

Answer single_step_transfer(Turn& turn, const CtiRequest& request) {
    Addressed at;
    if (auto refused = address(turn, request, at)) return *std::move(refused);
    if (request.to.empty()) return missing("to");
    const CallUuid id = at.live->call.id;
    if (const auto refusal =
            transfer(turn, *at.live, {at.connection->leg, request.to, "CTI " + request.token, {}, false}))
        return from_refusal(*refusal);
    return continues(id);
}

Answer hold(Turn& turn, const CtiRequest& request) {
    Addressed at;
    if (auto refused = address(turn, request, at)) return *std::move(refused);
    if (!call::is_talking(*at.connection)) return conflict("the device is not in talk in this call");
    if (at.connection->holds()) return conflict("the device holds this call already");
    const CallUuid id = at.live->call.id;
    apply(turn, *at.live, call::PutOnHold{at.connection->leg, call::HoldWay::desktop});
    return continues(id);
}

Answer retrieve(Turn& turn, const CtiRequest& request) {
    Addressed at;
    if (auto refused = address(turn, request, at)) return *std::move(refused);
    if (at.connection->is_away) return conflict("the device is in another call: alternate or reconnect");
    if (!at.connection->desktop_holds) {
        return conflict(at.connection->phone_holds ? "the phone holds the call by itself"
                                                   : "the device does not hold this call");
    }
    const CallUuid id = at.live->call.id;
    apply(turn, *at.live, call::Retrieved{at.connection->leg, call::HoldWay::desktop});
    return continues(id);
}

Answer consultation(Turn& turn, const CtiRequest& request) {
    Addressed at;
    if (auto refused = address(turn, request, at)) return *std::move(refused);
    if (request.to.empty()) return missing("to");
    const CallUuid id = at.live->call.id;
    const auto begun = consult(turn, *at.live, {at.connection->leg, request.to, "CTI " + request.token});
    return begun.refusal ? from_refusal(*begun.refusal) : continues(id, begun.consult);
}

// A service on both of a device's calls.
std::optional<Answer> address_pair(Turn& turn, const CtiRequest& request, Pair& pair) {
    Addressed at;
    if (auto refused = address(turn, request, at)) return refused;
    auto found = pair_of(turn, *at.live, request.device);
    if (!found) return conflict("the device does not consult");
    pair = *std::move(found);
    return std::nullopt;
}

Answer alternate(Turn& turn, const CtiRequest& request) {
    Pair pair;
    if (auto refused = address_pair(turn, request, pair)) return *std::move(refused);
    const CallUuid consult = pair.consult->call.id;
    if (const auto refusal = alternate(turn, pair)) return from_refusal(*refusal);
    return continues(turn.state.legs.at(pair.main_leg).call, consult);
}

Answer reconnect(Turn& turn, const CtiRequest& request) {
    Pair pair;
    if (auto refused = address_pair(turn, request, pair)) return *std::move(refused);
    const CallUuid main = pair.main->call.id;
    if (const auto refusal = reconnect(turn, pair)) return from_refusal(*refusal);
    return continues(main);
}

Answer complete(Turn& turn, const CtiRequest& request, bool as_conference) {
    Pair pair;
    if (auto refused = address_pair(turn, request, pair)) return *std::move(refused);
    const CallUuid main = pair.main->call.id;
    if (!as_conference && complete_by_passing_back(turn, pair)) return continues(main);
    const CompletionWish wish{as_conference, "CTI " + request.token, pair.consult->call.id.text(), {}};
    if (const auto refusal = complete(turn, pair, wish)) return from_refusal(*refusal);
    return continues(main);
}

Answer single_step_conference(Turn& turn, const CtiRequest& request) {
    Addressed at;
    if (auto refused = address(turn, request, at)) return *std::move(refused);
    if (request.to.empty()) return missing("to");
    const CallUuid id = at.live->call.id;
    if (const auto refusal = add_party(turn, *at.live, {at.connection->leg, request.to, "CTI " + request.token}))
        return from_refusal(*refusal);
    return continues(id);
}

Answer start_recording(Turn& turn, const CtiRequest& request) {
    Addressed at;
    if (auto refused = address(turn, request, at)) return *std::move(refused);
    if (!call::is_talking(*at.connection)) return conflict("the device is not in talk in this call");
    if (!std::holds_alternative<call::NotRecorded>(at.connection->recording))
        return conflict("the device is recorded already");
    const CallUuid id = at.live->call.id;
    const SegmentId segment{turn.entropy.uuid()};
    const auto& agent = turn.state.agents.find(request.device);
    call::Consent consent;
    if (agent != turn.state.agents.end()) consent = consent_of(agent->second.settings.consent, false);
    apply(turn, *at.live,
          call::Record{at.connection->leg, {segment, "on demand (CTI " + request.token + ")", false, consent}});
    return continues(id);
}

Answer stop_recording(Turn& turn, const CtiRequest& request) {
    Addressed at;
    if (auto refused = address(turn, request, at)) return *std::move(refused);
    if (std::holds_alternative<call::NotRecorded>(at.connection->recording))
        return conflict("the device is not recorded");
    const CallUuid id = at.live->call.id;
    apply(turn, *at.live, call::StopRecord{at.connection->leg});
    return continues(id);
}

Answer pause_or_resume(Turn& turn, const CtiRequest& request, bool on) {
    Addressed at;
    if (auto refused = address(turn, request, at)) return *std::move(refused);
    const CallUuid id = at.live->call.id;
    const std::string by = "CTI " + request.token + " for " + request.device;
    const ConnectionId asker = at.connection->id;
    const auto refusal = on ? pause(turn, *at.live, by, asker) : resume(turn, *at.live, by, asker);
    if (refusal) return from_refusal(*refusal);
    return continues(id);
}

}  // namespace

std::optional<Answer> serve_call(Turn& turn, const CtiRequest& request) {
    using Service = Answer (*)(Turn&, const CtiRequest&);
    static const std::map<std::string_view, Service> services{
        {"answer", answer},
        {"clear", clear},
        {"hold", hold},
        {"retrieve", retrieve},
        {"single-step-transfer", single_step_transfer},
        {"single-step-conference", single_step_conference},
        {"consultation", consultation},
        {"alternate", alternate},
        {"reconnect", reconnect},
        {"transfer", [](Turn& t, const CtiRequest& r) { return complete(t, r, false); }},
        {"conference", [](Turn& t, const CtiRequest& r) { return complete(t, r, true); }},
        {"recording/start", start_recording},
        {"recording/stop", stop_recording},
        {"recording/pause", [](Turn& t, const CtiRequest& r) { return pause_or_resume(t, r, true); }},
        {"recording/resume", [](Turn& t, const CtiRequest& r) { return pause_or_resume(t, r, false); }},
    };
    const auto service = services.find(request.service);
    if (service == services.end()) return std::nullopt;
    return service->second(turn, request);
}

}  // namespace sheaf::exchange
