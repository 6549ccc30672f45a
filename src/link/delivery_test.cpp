// SPDX-License-Identifier: Apache-2.0
#include "link/delivery.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>

#include "base/entropy.h"
#include "base/match.h"

namespace sheaf::link {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Fact fact(std::uint64_t seq) {
    Fact one;
    one.id = "f" + std::to_string(seq);
    one.seq = seq;
    return one;
}

// A node's outbox and an archive in virtual time: effects are carried out as the real ones are.
struct World {
    void input(const DeliveryInput& first) {
        std::deque<DeliveryInput> inputs{first};
        while (!inputs.empty()) {
            const auto effects = delivery.step(inputs.front(), now, entropy.number());
            inputs.pop_front();
            for (const auto& effect : effects) carry_out(effect, inputs);
        }
    }
    void add(int count) {
        for (int i = 0; i < count; ++i) facts.push_back(fact(++seq));
        input(Added{});
    }
    void add_file(const std::string& segment) {
        files.push_back({segment, "/" + segment, "", 1, "audio/wav"});
        input(Added{});
    }
    void carry_out(const DeliveryEffect& effect, std::deque<DeliveryInput>& inputs) {
        std::visit(
            Match{[&](const ReadFacts& read) {
                      const auto count = std::min(read.count, facts.size());
                      FactsRead answer;
                      answer.facts.assign(facts.begin(), facts.begin() + static_cast<std::ptrdiff_t>(count));
                      inputs.push_back(answer);
                  },
                  [&](const ReadFiles& read) {
                      const auto count = std::min(read.count, files.size());
                      FilesRead answer;
                      answer.files.assign(files.begin(), files.begin() + static_cast<std::ptrdiff_t>(count));
                      inputs.push_back(answer);
                  },
                  [&](const SendBatch& send) {
                      REQUIRE(batch.empty());
                      batch = send.facts;
                      batches.push_back(batch.size());
                  },
                  [&](const PutFile& put) { under_way.push_back(put.file.segment); },
                  [&](const MarkDelivered& mark) {
                      for (const auto& id : mark.fact_ids) forget(id);
                      if (broken_store) inputs.push_back(StoreFailed{"disk full"});
                  },
                  [&](const MarkRefused& mark) {
                      forget(mark.fact.id);
                      refused.push_back(mark.fact.id);
                  },
                  [&](const MarkFileDelivered& mark) { forget_file(mark.segment); },
                  [&](const MarkFileRefused& mark) {
                      forget_file(mark.segment);
                      refused.push_back(mark.segment);
                  },
                  [&](const WakeAt& wake) { wake_at = wake.at; }, [&](const Say& say) { said.push_back(say.notice); }},
            effect);
    }
    void forget(const std::string& id) {
        if (broken_store) return;
        std::erase_if(facts, [&](const Fact& one) { return one.id == id; });
        delivered.push_back(id);
    }
    void forget_file(const std::string& segment) {
        std::erase_if(files, [&](const OutboxFile& file) { return file.segment == segment; });
    }
    // The archive's answer to the batch under way.
    void accept() {
        BatchAnswered answer{Outcome::taken, "", {}, {}};
        for (const auto& one : batch) answer.accepted.push_back(one.id);
        batch.clear();
        input(answer);
    }
    void answer(Outcome outcome) {
        batch.clear();
        input(BatchAnswered{outcome, "in words", {}, {}});
    }
    void answer_file(std::string segment, Outcome outcome) {
        std::erase(under_way, segment);
        input(FileAnswered{std::move(segment), outcome, "in words"});
    }
    // Time passes to the next wake-up.
    Duration sleep() {
        REQUIRE(wake_at);
        const Duration slept = *wake_at - now;
        now = *wake_at;
        wake_at.reset();
        input(Tick{});
        return slept;
    }
    [[nodiscard]] std::size_t count(Notice notice) const {
        return static_cast<std::size_t>(std::count(said.begin(), said.end(), notice));
    }

    Delivery delivery;
    Entropy entropy{Entropy::Seed{7}};
    Instant now{seconds(100)};
    std::uint64_t seq = 0;
    std::vector<Fact> facts;
    std::vector<OutboxFile> files;
    std::vector<Fact> batch;
    std::vector<std::size_t> batches;
    std::vector<std::string> under_way;
    std::vector<std::string> delivered;
    std::vector<std::string> refused;
    std::vector<Notice> said;
    std::optional<Instant> wake_at;
    bool broken_store = false;
};

TEST_CASE("facts go in order, one batch at a time, and what comes meanwhile goes in the next") {
    World world;
    world.input(Added{});
    CHECK(world.batch.empty());
    world.add(1);
    CHECK(world.batch.size() == 1);
    world.add(1'200);
    CHECK(world.batches.size() == 1);
    world.accept();
    CHECK(world.batch.size() == kBatchFactsMax);
    CHECK(world.batch.front().seq == 2);
    world.accept();
    CHECK(world.batch.size() == 200);
    world.accept();
    CHECK(world.facts.empty());
    CHECK(world.batches.size() == 3);
    CHECK_FALSE(world.wake_at);
    CHECK(world.said.empty());
}

TEST_CASE("an archive that is away for a day is asked ever more rarely, and then gets everything in order") {
    World world;
    world.add(3);
    world.answer(Outcome::failed);
    CHECK(world.count(Notice::archive_away) == 1);
    const Duration first = world.sleep();
    CHECK(first >= milliseconds(100));
    CHECK(first <= milliseconds(200));
    const Instant start = world.now;
    int attempts = 0;
    while (world.now - start < std::chrono::hours(24)) {
        if (attempts % 100 == 0) world.add(1);  // no new fact makes it ask sooner
        CHECK(world.batch.empty() == world.wake_at.has_value());
        world.answer(Outcome::failed);
        const Duration slept = world.sleep();
        REQUIRE(slept <= kBackOffMax);
        if (attempts > 10) REQUIRE(slept >= kBackOffMax / 2);
        ++attempts;
    }
    CHECK(attempts < 24 * 60 * 4 + 20);
    CHECK(world.count(Notice::archive_away) == 1);
    const auto waiting = world.facts.size();
    world.accept();
    CHECK(world.count(Notice::archive_back) == 1);
    while (!world.batch.empty()) world.accept();
    CHECK(world.delivered.size() == waiting);
    CHECK(world.delivered.front() == "f1");
    CHECK(world.facts.empty());
    // It starts again from the shortest wait.
    world.add(1);
    world.answer(Outcome::failed);
    CHECK(world.sleep() <= milliseconds(200));
}

TEST_CASE("facts of the answer's list of refusals are put aside with their reason, the others go") {
    World world;
    world.add(3);
    BatchAnswered answer{Outcome::taken, "", {"f1", "f3", "f999"}, {{"f2", "bad data"}, {"f998", "not ours"}}};
    world.batch.clear();
    world.input(answer);
    CHECK(world.delivered == std::vector<std::string>{"f1", "f3", "f2"});
    CHECK(world.refused == std::vector<std::string>{"f2"});
    CHECK(world.count(Notice::fact_refused) == 1);
    CHECK(world.facts.empty());
}

TEST_CASE("an answer that names none of the facts is a failure and is waited for") {
    World world;
    world.add(2);
    world.batch.clear();
    world.input(BatchAnswered{Outcome::taken, "", {"f77"}, {}});
    CHECK(world.batch.empty());
    CHECK(world.facts.size() == 2);
    world.sleep();
    CHECK(world.batch.size() == 2);
}

TEST_CASE("credentials that are not good keep everything, are tried slowly and said once") {
    World world;
    world.add(2);
    for (int i = 0; i < 5; ++i) {
        world.answer(Outcome::denied);
        CHECK(world.sleep() >= kBackOffMax / 2);
    }
    CHECK(world.count(Notice::credentials_refused) == 1);
    CHECK(world.count(Notice::archive_away) == 0);
    world.accept();
    CHECK(world.facts.empty());
    CHECK(world.count(Notice::archive_back) == 1);
}

TEST_CASE("one fact that makes the archive refuse whole batches is found and put aside") {
    World world;
    world.add(1'000);
    int requests = 0;
    for (; !world.batch.empty() && requests < 100; ++requests) {
        const bool bad =
            std::any_of(world.batch.begin(), world.batch.end(), [](const Fact& f) { return f.seq == 700; });
        bad ? world.answer(Outcome::refused) : world.accept();
    }
    CHECK(world.refused == std::vector<std::string>{"f700"});
    CHECK(world.facts.empty());
    CHECK(requests < 60);
}

TEST_CASE("at most two files are under way, beside the facts") {
    World world;
    for (const char* segment : {"a", "b", "c", "d"}) world.add_file(segment);
    CHECK(world.under_way == std::vector<std::string>{"a", "b"});
    world.add(1);
    CHECK(world.batch.size() == 1);
    world.answer_file("b", Outcome::taken);
    CHECK(world.under_way == std::vector<std::string>{"a", "c"});
    world.answer_file("a", Outcome::refused);
    world.answer_file("c", Outcome::taken);
    world.answer_file("d", Outcome::taken);
    CHECK(world.files.empty());
    CHECK(world.refused == std::vector<std::string>{"a"});
    CHECK(world.count(Notice::file_refused) == 1);
    CHECK_FALSE(world.wake_at);
    world.input(FileAnswered{"a", Outcome::taken, ""});  // said twice
    CHECK(world.under_way.empty());
}

TEST_CASE("a file that fails again and again does not stand before the others, nor before the facts") {
    World world;
    for (const char* segment : {"bad", "worse", "c", "d"}) world.add_file(segment);
    int failures = 0;
    while (world.files.size() > 2) {
        const auto segments = world.under_way;
        for (const auto& segment : segments) {
            const bool fails = segment == "bad" || segment == "worse";
            failures += fails ? 1 : 0;
            world.answer_file(segment, fails ? Outcome::failed : Outcome::taken);
        }
        world.add(1);
        CHECK(world.batch.size() == 1);
        world.accept();
        if (world.under_way.empty()) world.sleep();
    }
    CHECK(failures == 2);
    CHECK(world.files[0].segment == "bad");
    // Alone, they are tried again at the pace of the back-off.
    for (int i = 0; i < 20; ++i) {
        const auto segments = world.under_way;
        for (const auto& segment : segments) world.answer_file(segment, Outcome::failed);
        world.sleep();
    }
    CHECK(world.under_way.size() == 2);
    world.answer_file("bad", Outcome::failed);
    CHECK(world.sleep() >= kBackOffMax / 2);
}

TEST_CASE("more failing files than are remembered are only tried again sooner") {
    World world;
    for (std::size_t i = 0; i < kSkippedMax + 10; ++i) world.add_file("s" + std::to_string(i));
    for (int round = 0; round < 100; ++round) {
        const auto segments = world.under_way;
        REQUIRE(segments.size() <= kFilesMax);
        for (const auto& segment : segments) world.answer_file(segment, Outcome::failed);
        world.sleep();
    }
    for (int i = 0; i < 1'000 && !world.files.empty(); ++i) {
        if (world.under_way.empty()) world.sleep();
        world.answer_file(world.under_way.front(), Outcome::taken);
    }
    CHECK(world.files.empty());
}

TEST_CASE("a disk that fails makes delivery wait, not spin, and nothing is forgotten") {
    World world;
    world.broken_store = true;
    world.add(2);
    world.accept();
    CHECK(world.batch.empty());
    CHECK(world.count(Notice::outbox_failed) == 1);
    world.sleep();
    CHECK(world.batch.size() == 2);
    world.broken_store = false;
    world.accept();
    CHECK(world.facts.empty());
}

TEST_CASE("what an answer's status means") {
    for (const int status : {200, 201, 204}) CHECK(outcome_of_status(status) == Outcome::taken);
    for (const int status : {401, 403}) CHECK(outcome_of_status(status) == Outcome::denied);
    for (const int status : {400, 409, 413, 415, 422}) CHECK(outcome_of_status(status) == Outcome::refused);
    for (const int status : {0, 302, 404, 408, 429, 500, 502, 503, 507}) {
        CHECK(outcome_of_status(status) == Outcome::failed);
    }
}

}  // namespace
}  // namespace sheaf::link
