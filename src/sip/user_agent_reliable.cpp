// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "sip/grammar.h"
#include "sip/user_agent_state.h"

// Reliable provisional responses and their PRACK (RFC 3262), both sides.
namespace sheaf::sip {
namespace {

constexpr std::string_view kTag = "100rel";
constexpr std::uint32_t kFirstMax = 0x7FFF'FFFF;  // §3
constexpr std::uint64_t kNumberMax = 0xFFFF'FFFF;

struct RAck {
    std::uint64_t rseq = 0;
    std::uint64_t cseq = 0;
    std::string_view method;
};

// response-num LWS CSeq-num LWS Method
std::optional<RAck> rack_from_text(std::string_view text) {
    const auto take = [&text] {
        text = trimmed(text);
        const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
        const std::string_view word = text.substr(0, end);
        text.remove_prefix(end);
        return word;
    };
    const auto rseq = number_from_text(take(), kNumberMax);
    const auto cseq = number_from_text(take(), kNumberMax);
    const std::string_view method = take();
    if (!rseq || !cseq || method.empty() || !trimmed(text).empty()) return std::nullopt;
    return RAck{*rseq, *cseq, method};
}

}  // namespace

// ---- Ours ------------------------------------------------------------------------------------------------------

// Whoever requires it gets all of them so; whoever supports it what carries a description.
bool UserAgent::State::goes_reliably(const Call& call, const Message& invite, bool has_sdp) const {
    if (call.confirmed || !supports(kTag)) return false;
    return invite.has_token("Require", kTag) || (has_sdp && invite.has_token("Supported", kTag));
}

void UserAgent::State::provisional(Instant now, Call& call, const Provisional& wanted) {
    const ServerRecord* record = server(call.server_invite);
    if (record == nullptr) return;
    const bool is_reliable = goes_reliably(call, *record->request, !wanted.sdp.empty());
    // RFC 3262 §5: without an offer of theirs the first of ours would have to bring one.
    if (is_reliable && record->request->body.empty() && wanted.sdp.empty() && call.rseq == 0) return;
    if (is_reliable && call.unpracked) {
        if (call.provisionals.size() < kProvisionalsMax) call.provisionals.push_back(wanted);
        return;
    }
    Message response = response_to(*record->request, wanted.status, call.dialog.local_tag);
    const Endpoint* local = listening(record->source.remote, record->source.local);
    if (local != nullptr) response.add("Contact", contact(*local));
    for (const Header& header : wanted.headers) response.add(header.name, header.value);
    if (is_reliable) {
        call.rseq = call.rseq == 0 ? 1 + entropy.number() % kFirstMax : call.rseq + 1;
        response.add("Require", std::string(kTag));
        response.add("RSeq", std::to_string(call.rseq));
        add_identity(response, "INVITE");  // RFC 3311 §4: says whether we take UPDATE
    }
    if (!wanted.sdp.empty()) {
        response.add("Content-Type", "application/sdp");
        response.body = wanted.sdp;
    }
    const std::uint32_t cseq = cseq_of(*record->request).number;
    reply(now, call.server_invite, std::move(response));
    if (!call.confirmed) call.provisional_at = now + kProvisionalRepeat;
    if (!is_reliable) return;
    call.unpracked = Unpracked{.rseq = call.rseq,
                               .cseq = cseq,
                               .sdp = wanted.sdp,
                               .send = server(call.server_invite)->last,
                               .interval = times.t1,
                               .repeat_at = now + times.t1,
                               .end_at = now + times.whole()};
}

void UserAgent::State::on_prack(Instant now, Call& call, TransactionId id) {
    ServerRecord* record = server(id);
    const std::string* text = record->request->first("RAck");
    const auto rack = text == nullptr ? std::nullopt : rack_from_text(*text);
    if (!rack) return reply(now, id, 400);
    const bool matches = call.unpracked && rack->rseq == call.unpracked->rseq && rack->cseq == call.unpracked->cseq &&
                         rack->method == "INVITE";
    if (!matches) return reply(now, id, 481);
    if (!call.unpracked->sdp.empty()) call.answered_reliably = std::move(call.unpracked->sdp);
    call.unpracked.reset();
    record->dialog = call.id;
    const bool has_body = !record->request->body.empty();
    if (has_body)
        events.emplace_back(Requested{id, call.id, *record->request, record->source});
    else
        reply(now, id, 200);
    if (const auto held = std::exchange(call.held_answer, std::nullopt)) return answer(now, call, *held);
    if (call.provisionals.empty()) return;
    const Provisional next = std::move(call.provisionals.front());
    call.provisionals.erase(call.provisionals.begin());
    provisional(now, call, next);
}

// May end the call.
void UserAgent::State::on_reliable_timer(Instant now, Call& call) {
    Unpracked& sent = *call.unpracked;
    if (!sent.repeat_at) return;
    if (sent.end_at <= now) {
        reply(now, std::exchange(call.server_invite, 0), 504);
        events.emplace_back(Ended{call.id, EndCause::no_ack, std::nullopt});
        return end_call(now, call.id);
    }
    if (*sent.repeat_at > now) return;
    sends.push_back(sent.send);
    sent.interval *= 2;  // without T2's cap (§3)
    sent.repeat_at = now + sent.interval;
}

// ---- Theirs ----------------------------------------------------------------------------------------------------

// False: it has come before, or another before it has not; it is as if it had not come.
bool UserAgent::State::takes_reliable(Instant now, TransactionId id, Call& call, const Message& response) {
    if (!supports(kTag) || !response.has_token("Require", kTag)) return true;
    const std::string* text = response.first("RSeq");
    const auto rseq = text == nullptr ? std::nullopt : number_from_text(*text, kNumberMax);
    if (!rseq) return true;
    auto& heard = client(id)->rseqs;
    const std::string tag = tag_of(response, "To");
    if (heard.size() >= kForksMax && !heard.contains(tag)) return false;
    const auto [known, is_first] = heard.try_emplace(tag, *rseq);
    if (!is_first && *rseq != known->second + 1) return false;
    known->second = *rseq;
    Message prack = dialog_request(call.dialog, "PRACK");
    prack.add("RAck", *text + ' ' + std::to_string(cseq_of(response).number) + " INVITE");
    send_within(now, call, Purpose::prack, std::move(prack));
    return true;
}

void UserAgent::provisional(Instant now, DialogId dialog, int status, const std::vector<Header>& headers,
                            const std::string& sdp) {
    ASSERT(status > 100 && status < 200);
    Call* call = state_->live_call(dialog);
    if (call == nullptr) return;
    state_->provisional(now, *call, {status, headers, sdp});
    state_->settle_call(dialog);
}

}  // namespace sheaf::sip
