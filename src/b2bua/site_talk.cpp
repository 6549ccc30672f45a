// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "b2bua/core.h"
#include "b2bua/sheaf_call.h"
#include "sip/grammar.h"

// INFO of package sheaf-call in a peer site's dialog (RFC 6086, docs/formats/sheaf-call.md): always the full state, so
// one is under way at a time and only the newest waits.
namespace sheaf::b2bua {

void B2bua::Core::tell(Stamp now, Leg& of, const exchange::TellLeg& order) {
    if (of.device.kind != exchange::DeviceKind::site) return;
    of.site.waits = Telling{order.state, now.mono, 0};
    tell_next(now, of);
}

void B2bua::Core::tell_next(Stamp now, Leg& of) {
    auto& site = of.site;
    const auto* talking = std::get_if<Talking>(&of.peer);
    if (talking == nullptr || talking->connect_at_ack || site.out || !site.waits) return;
    // RFC 6086 §4.2.1: only what the peer has said it takes.
    if (!site.takes) return site.waits.reset();
    site.out = std::exchange(site.waits, std::nullopt);
    auto state = site.out->state;
    state.seq = ++site.told;
    if (state.paused) state.paused->ago_ms += to_ms(now.mono - site.out->since);
    const std::vector<sip::Header> headers{{"Info-Package", std::string(kSheafCall)},
                                           {"Content-Disposition", "Info-Package"}};
    site.request =
        ua.request(now.mono, of.peer_dialog, "INFO", headers, std::string(kSheafCallType), to_sheaf_call(state));
    requests[site.request] = of.id;
}

void B2bua::Core::on_told(Stamp now, Leg& of, const sip::Responded& responded) {
    auto& site = of.site;
    site.request = 0;
    auto told = *std::exchange(site.out, std::nullopt);
    if (responded.response) learn_from_site(of, *responded.response);
    const int status = responded.status;
    if (status == 469) site.takes = false;
    if (status / 100 != 2) {
        warn("a site does not take the state of a call",
             {{"leg", of.id.text()}, {"site", of.device.name}, {"status", std::to_string(status)}});
    }
    // An INFO that was overtaken on the way is answered 500 (RFC 3261 §12.2.2): it goes out anew.
    const bool again = status / 100 == 5 && responded.response && ++told.tries < kTellTriesMax;
    if (again && !site.waits) site.waits = std::move(told);
    tell_next(now, of);
}

void B2bua::Core::on_peer_info(Stamp now, Leg& of, const sip::Requested& requested) {
    const auto& request = requested.request;
    const bool is_site = of.device.kind == exchange::DeviceKind::site;
    const auto answer = [&](int status, std::vector<sip::Header> headers = {}, std::string_view reason = {}) {
        if (is_site) {
            for (auto& header : response_headers(of)) headers.push_back(std::move(header));
        }
        ua.respond(now.mono, requested.id, status, headers, {}, {}, reason);
    };
    const auto* package = request.first("Info-Package");
    // §4.2.2: an INFO without package and body is a mere sign of life.
    if (package == nullptr) return answer(request.body.empty() ? 200 : 415);
    if (!is_site || !sip::same_name(sip::trimmed(*package), kSheafCall)) {
        return answer(469, {{"Recv-Info", is_site ? std::string(kSheafCall) : std::string()}}, "Bad Info Package");
    }
    auto state = sheaf_call_from_text(request.body);
    if (!state) {
        warn("state of a call that does not parse",
             {{"leg", of.id.text()}, {"site", of.device.name}, {"why", clean_name(state.error().what)}});
        return answer(400);
    }
    answer(200);
    if (state->seq <= of.site.heard) return;
    of.site.heard = state->seq;
    const auto* talking = std::get_if<Talking>(&of.peer);
    if (talking != nullptr && !talking->connect_at_ack) {
        events.emplace_back(exchange::LegTold{of.id, *std::move(state)});
    } else {
        of.site.early = *std::move(state);  // it overtook the answer
    }
}

}  // namespace sheaf::b2bua
