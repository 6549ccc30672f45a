// SPDX-License-Identifier: Apache-2.0
#include "exchange/transfer.h"

#include <algorithm>

namespace sheaf::exchange {

void on(Turn& turn, const TransferAsked& event) {
    LiveCall* live = call_of(turn, event.leg);
    std::optional<Refusal> refusal;
    if (!live) {
        refusal = Refusal{481, "no such call"};
    } else {
        const std::string asker = "REFER from " + turn.state.legs.at(event.leg).device.name;
        refusal = transfer(turn, *live, {event.leg, event.to, asker, event.message, true});
    }
    if (!refusal) return;
    turn.log(true, "transfer refused",
             {{"leg", event.leg.text()},
              {"to", shown(event.to)},
              {"status", std::to_string(refusal->status)},
              {"why", refusal->why}});
    if (live) turn.add(RefuseTransfer{event.leg, refusal->status, refusal->why});
}

std::optional<Refusal> transfer(Turn& turn, LiveCall& live, const TransferWish& wish) {
    const Leg& leg = turn.state.legs.at(wish.leg);
    if (leg.device.kind != DeviceKind::agent) return Refusal{403, "only an agent may transfer"};
    const auto& connections = live.call.connections;
    if (connections.size() != 2 || !std::ranges::all_of(connections, call::is_talking))
        return Refusal{491, "nobody is connected to be transferred"};
    const auto to = turn.state.numbers.destination_of(wish.to);
    if (!to) return Refusal{404, "unknown number"};
    if (!may_call(leg.device, *to)) return Refusal{403, "not allowed to call this number"};
    if (auto refusal = refusal_now(turn.state, *to)) return refusal;

    live.moved = Evidence{"own-transfer", wish.asker, shown(wish.to), wish.message};
    if (wish.by_refer) {
        turn.add(AcceptTransfer{wish.leg});
        turn.add(TransferResult{wish.leg, 200});
    }
    const std::string device = leg.device.name;
    apply(turn, live, call::Withdraw{wish.leg, call::Cause::transferred});
    turn.add(CtiEvent{{{"type", "transferred"},
                       {"at", to_rfc3339(turn.now.wall)},
                       {"calluuid", live.call.id.text()},
                       {"device", device},
                       {"parties", call::parties_of(live.call)},
                       {"cause", nullptr}}});
    send_to(turn, live, *to);
    return std::nullopt;
}

}  // namespace sheaf::exchange
