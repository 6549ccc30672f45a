// SPDX-License-Identifier: Apache-2.0
#include "link/delivery.h"

#include <algorithm>
#include <utility>

namespace sheaf::link {
namespace {

constexpr int kDoublingsMax = 16;

// Half of it certain, half of it by chance, so that sites cut off together do not come back together.
Duration delay_after(int failures, std::uint32_t chance) {
    const auto doubled = kBackOffFirst * (std::int64_t{1} << std::min(failures, kDoublingsMax));
    const Duration half = std::min<Duration>(doubled, kBackOffMax) / 2;
    return half + half / 1'000 * (chance % 1'001);
}

}  // namespace

Outcome outcome_of_status(int status) {
    if (status >= 200 && status < 300) return Outcome::taken;
    switch (status) {
        case 401:
        case 403: return Outcome::denied;
        case 400:
        case 409:
        case 410:
        case 411:
        case 413:
        case 415:
        case 422: return Outcome::refused;
        default: return Outcome::failed;  // 404 too: a wrong URL or a proxy; what it keeps from the archive is not lost
    }
}

std::vector<DeliveryEffect> Delivery::step(const DeliveryInput& input, Instant now, std::uint32_t chance) {
    Context context{now, chance, {}};
    std::visit([&](const auto& one) { on(one, context); }, input);
    return std::move(context.effects);
}

void Delivery::on(const Added&, Context& context) {
    facts_wait_ = true;
    files_wait_ = true;
    go_on(context);
}

void Delivery::on(const Tick&, Context& context) {
    for (Lane* lane : {&facts_lane_, &files_lane_}) {
        if (lane->until && *lane->until <= context.now) lane->until.reset();
    }
    go_on(context);
    wake(context);
}

void Delivery::on(const FactsRead& read, Context& context) {
    if (!std::exchange(reading_facts_, false)) return;
    facts_wait_ = !read.facts.empty();
    if (read.facts.empty()) return;
    for (const auto& fact : read.facts) batch_.push_back(fact.id);
    context.effects.push_back(SendBatch{read.facts});
}

void Delivery::on(const FilesRead& read, Context& context) {
    if (!std::exchange(reading_files_, false)) return;
    for (const bool again : {false, true}) {  // those that failed lately only when nothing else is there
        for (const auto& file : read.files) {
            if (files_.size() >= kFilesMax || files_.contains(file.segment)) continue;
            if (skipped_.contains(file.segment) != again) continue;
            files_.insert(file.segment);
            skipped_.erase(file.segment);
            context.effects.push_back(PutFile{file});
        }
    }
    files_wait_ = false;
}

void Delivery::on(const StoreFailed& failed, Context& context) {
    context.effects.push_back(Say{Notice::outbox_failed, failed.reason});
    reading_facts_ = false;
    reading_files_ = false;
    facts_wait_ = true;
    files_wait_ = true;
    for (Lane* lane : {&facts_lane_, &files_lane_}) {
        lane->until = context.now + delay_after(lane->failures++, context.chance);
    }
    wake(context);
}

void Delivery::on(const BatchAnswered& answer, Context& context) {
    if (batch_.empty()) return;
    if (answer.outcome == Outcome::taken) {
        batch_taken(answer, context);
    } else if (answer.outcome == Outcome::refused) {
        batch_refused(answer, context);
    } else {
        back_off(facts_lane_, answer.outcome, answer.reason, context);
    }
    batch_.clear();
    go_on(context);
}

// Only what was in the batch counts: an answer cannot make us forget another fact.
void Delivery::batch_taken(const BatchAnswered& answer, Context& context) {
    const std::set<std::string> sent(batch_.begin(), batch_.end());
    MarkDelivered delivered;
    std::size_t refused = 0;
    for (const auto& id : answer.accepted) {
        if (sent.contains(id)) delivered.fact_ids.push_back(id);
    }
    const bool any = !delivered.fact_ids.empty();
    if (any) context.effects.push_back(std::move(delivered));
    for (const auto& fact : answer.rejected) {
        if (!sent.contains(fact.id)) continue;
        ++refused;
        context.effects.push_back(MarkRefused{fact});
        context.effects.push_back(Say{Notice::fact_refused, fact.reason});
    }
    if (!any && refused == 0) {
        back_off(facts_lane_, Outcome::failed, "the answer names none of the facts sent", context);
        return;
    }
    batch_limit_ = std::min(kBatchFactsMax, batch_limit_ * 2);
    reached(facts_lane_, context);
}

// One bad fact must not hold up the others: halve until it stands alone.
void Delivery::batch_refused(const BatchAnswered& answer, Context& context) {
    if (batch_.size() > 1) {
        batch_limit_ = batch_.size() / 2;
        return;
    }
    context.effects.push_back(MarkRefused{{batch_.front(), answer.reason}});
    context.effects.push_back(Say{Notice::fact_refused, answer.reason});
    batch_limit_ = 2;
    reached(facts_lane_, context);
}

void Delivery::on(const FileAnswered& answer, Context& context) {
    if (files_.erase(answer.segment) == 0) return;
    files_wait_ = true;
    if (answer.outcome == Outcome::taken) {
        context.effects.push_back(MarkFileDelivered{answer.segment});
        reached(files_lane_, context);
    } else if (answer.outcome == Outcome::refused) {
        context.effects.push_back(MarkFileRefused{answer.segment, answer.reason});
        context.effects.push_back(Say{Notice::file_refused, answer.reason});
        reached(files_lane_, context);
    } else {
        if (skipped_.size() >= kSkippedMax) skipped_.clear();
        skipped_.insert(answer.segment);
        back_off(files_lane_, answer.outcome, answer.reason, context);
    }
    go_on(context);
}

// Facts first, then files, each unless it waits, is being read or has enough under way.
void Delivery::go_on(Context& context) {
    if (facts_wait_ && !reading_facts_ && batch_.empty() && !facts_lane_.until) {
        reading_facts_ = true;
        context.effects.push_back(ReadFacts{batch_limit_, kBatchBytesMax});
    }
    if (files_wait_ && !reading_files_ && files_.size() < kFilesMax && !files_lane_.until) {
        reading_files_ = true;
        context.effects.push_back(ReadFiles{kFilesMax + skipped_.size()});
    }
}

void Delivery::back_off(Lane& lane, Outcome outcome, const std::string& reason, Context& context) {
    const bool denied = outcome == Outcome::denied;
    // Two files that fail together are one failure.
    if (!lane.until) {
        lane.until = context.now + delay_after(denied ? kDoublingsMax : lane.failures, context.chance);
        ++lane.failures;
    }
    auto& said = denied ? lane.is_denied : lane.is_away;
    const auto notice = denied ? Notice::credentials_refused : Notice::archive_away;
    if (!std::exchange(said, true)) context.effects.push_back(Say{notice, std::string(lane.what) + ": " + reason});
    wake(context);
}

void Delivery::reached(Lane& lane, Context& context) {
    lane.failures = 0;
    const bool was_away = std::exchange(lane.is_away, false);
    const bool was_denied = std::exchange(lane.is_denied, false);
    if (was_away || was_denied) context.effects.push_back(Say{Notice::archive_back, lane.what});
}

void Delivery::wake(Context& context) {
    const auto& a = facts_lane_.until;
    const auto& b = files_lane_.until;
    if (a || b) context.effects.push_back(WakeAt{a && b ? std::min(*a, *b) : a.value_or(b.value_or(context.now))});
}

}  // namespace sheaf::link
