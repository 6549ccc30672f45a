// SPDX-License-Identifier: Apache-2.0
#include "sip/transaction.h"

#include <algorithm>

#include "sip/grammar.h"

namespace sheaf::sip {
namespace {

std::optional<Instant> earliest(std::optional<Instant> a, std::optional<Instant> b) {
    if (!a) return b;
    if (!b) return a;
    return std::min(*a, *b);
}

}  // namespace

ClientTransaction::ClientTransaction(bool is_invite, bool is_reliable, const TransactionTimes& times, Instant now)
    : is_invite_(is_invite), is_reliable_(is_reliable), times_(times), interval_(times.t1) {
    if (!is_reliable_) repeat_at_ = now + interval_;
    end_at_ = now + times_.whole();
}

std::optional<Instant> ClientTransaction::deadline() const {
    return earliest(repeat_at_, end_at_);
}

void ClientTransaction::finish(Phase phase, Instant now, Duration linger) {
    repeat_at_.reset();
    if (linger == Duration::zero()) {
        phase_ = Phase::terminated;
        end_at_.reset();
        return;
    }
    phase_ = phase;
    end_at_ = now + linger;
}

TransactionStep ClientTransaction::on_response(Instant now, int status) {
    const bool is_final = status >= 200;
    const bool is_success = is_final && status < 300;
    switch (phase_) {
        case Phase::calling:
        case Phase::proceeding:
            if (!is_final) {
                if (is_invite_) {
                    // Timer A stops, and so does B: a phone may ring as long as its user likes (§17.1.1.2).
                    repeat_at_.reset();
                    if (phase_ == Phase::calling) end_at_.reset();
                } else if (!is_reliable_) {
                    interval_ = times_.t2;
                    if (phase_ == Phase::calling) repeat_at_ = now + interval_;
                }
                phase_ = Phase::proceeding;
                return {.deliver = true};
            }
            if (!is_invite_) {
                finish(Phase::completed, now, is_reliable_ ? Duration::zero() : times_.t4);
                return {.deliver = true};
            }
            if (is_success) {
                finish(Phase::accepted, now, times_.whole());
                return {.deliver = true};
            }
            finish(Phase::completed, now, is_reliable_ ? Duration::zero() : times_.whole());
            return {.acknowledge = true, .deliver = true};
        case Phase::completed: return {.acknowledge = is_invite_ && is_final && !is_success};
        case Phase::accepted: return {.deliver = is_success};
        case Phase::terminated: break;
    }
    return {};
}

TransactionStep ClientTransaction::on_timer(Instant now) {
    if (end_at_ && *end_at_ <= now) {
        const bool was_pending = is_pending();
        finish(Phase::terminated, now, Duration::zero());
        return {.timed_out = was_pending};
    }
    if (!repeat_at_ || *repeat_at_ > now) return {};
    interval_ = is_invite_ ? interval_ * 2 : std::min(interval_ * 2, times_.t2);
    repeat_at_ = now + interval_;
    return {.repeat = true};
}

void ClientTransaction::on_transport_error() {
    finish(Phase::terminated, {}, Duration::zero());
}

void ClientTransaction::give_up_after(Instant now) {
    if (!is_pending()) return;
    const Instant at = now + times_.whole();
    if (!end_at_ || *end_at_ > at) end_at_ = at;
}

ServerTransaction::ServerTransaction(bool is_invite, bool is_reliable, const TransactionTimes& times, Instant now)
    : is_invite_(is_invite), is_reliable_(is_reliable), times_(times) {
    if (!is_invite_) end_at_ = now + times_.whole();
}

std::optional<Instant> ServerTransaction::deadline() const {
    return earliest(repeat_at_, end_at_);
}

TransactionStep ServerTransaction::on_request_again(Instant /*now*/) {
    // Accepted absorbs it: the 2xx is repeated by the dialog, end to end (RFC 6026 §7.1).
    return {.repeat = has_sent_ && (phase_ == Phase::proceeding || phase_ == Phase::completed)};
}

TransactionStep ServerTransaction::on_ack(Instant now) {
    if (!is_invite_) return {};
    if (phase_ == Phase::accepted) return {.deliver = true};
    if (phase_ != Phase::completed) return {};
    repeat_at_.reset();
    if (is_reliable_) {
        phase_ = Phase::terminated;
        end_at_.reset();
    } else {
        phase_ = Phase::confirmed;
        end_at_ = now + times_.t4;  // timer I
    }
    return {};
}

bool ServerTransaction::on_response(Instant now, int status) {
    if (phase_ != Phase::proceeding) return false;
    has_sent_ = true;
    if (status < 200) return true;
    if (!is_invite_) {
        phase_ = is_reliable_ ? Phase::terminated : Phase::completed;
        end_at_ = is_reliable_ ? std::nullopt : std::optional{now + times_.whole()};  // timer J
    } else if (status < 300) {
        phase_ = Phase::accepted;
        end_at_ = now + times_.whole();  // timer L
    } else {
        phase_ = Phase::completed;
        end_at_ = now + times_.whole();  // timer H
        interval_ = times_.t1;
        if (!is_reliable_) repeat_at_ = now + interval_;
    }
    return true;
}

TransactionStep ServerTransaction::on_timer(Instant now) {
    if (end_at_ && *end_at_ <= now) {
        const bool unacknowledged = is_invite_ && phase_ == Phase::completed;
        phase_ = Phase::terminated;
        repeat_at_.reset();
        end_at_.reset();
        return {.timed_out = unacknowledged};
    }
    if (!repeat_at_ || *repeat_at_ > now) return {};
    interval_ = std::min(interval_ * 2, times_.t2);
    repeat_at_ = now + interval_;
    return {.repeat = true};
}

std::string client_key(std::string_view branch, std::string_view method) {
    std::string key(branch);
    if (method == "CANCEL") (key += '\n') += method;
    return key;
}

std::string server_key(const Message& request, const Via& via, std::string_view method) {
    const std::string sent_by = via.host + ':' + std::to_string(via.port);
    std::string branch = via.params.value("branch").value_or("");
    if (branch.starts_with(kBranchCookie) && branch.size() > kBranchCookie.size()) {
        branch.reserve(branch.size() + sent_by.size() + method.size() + 2);
        return std::move((((branch += '\n') += sent_by) += '\n') += method);
    }
    const std::string* call_id = request.first("Call-ID");
    return "2543\n" + to_text(request.uri()) + '\n' + tag_of(request, "From") + '\n' +
           (call_id == nullptr ? std::string{} : *call_id) + '\n' + std::to_string(cseq_of(request).number) + '\n' +
           sent_by + '\n' + branch + '\n' + std::string(method);
}

std::string merge_key(const Message& request) {
    const std::string* call_id = request.first("Call-ID");
    const CSeq cseq = cseq_of(request);
    return tag_of(request, "From") + '\n' + (call_id == nullptr ? std::string{} : *call_id) + '\n' +
           std::to_string(cseq.number) + '\n' + cseq.method;
}

std::string tag_of(const Message& message, std::string_view header) {
    const std::string* text = message.first(header);
    if (text == nullptr) return {};
    auto tag = name_addr_param(*text, "tag");
    return tag ? std::move(*tag).value_or("") : std::string{};
}

Result<Via> top_via(const Message& message) {
    for (const auto& header : message.headers) {
        if (!same_name(header.name, "Via")) continue;
        if (const auto item = first_item(header.value); !item.empty()) return via_from_text(item);
    }
    return fail(Errc::malformed, "no Via");
}

CSeq cseq_of(const Message& message) {
    const std::string* text = message.first("CSeq");
    if (text == nullptr) return {};
    return cseq_from_text(*text).value_or(CSeq{});
}

}  // namespace sheaf::sip
