// SPDX-License-Identifier: Apache-2.0
#include "edge/store/outbox_sqlite.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "edge/store/sqlite.h"

namespace sheaf::store {
namespace {

namespace fs = std::filesystem;
using link::Outbox;

struct Folder {
    Folder() : path(fs::temp_directory_path() / ("sheaf-outbox-" + std::to_string(::getpid()))) {
        fs::remove_all(path);
        fs::create_directories(path);
    }
    ~Folder() { fs::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::unique_ptr<Outbox> open(const std::string& owner = "switch") const {
        auto outbox = open_outbox(path / "outbox.db", "default", "london", "london-1", owner);
        REQUIRE(outbox);
        return std::move(*outbox);
    }
    fs::path path;
};

FactDraft draft(int number) {
    const Stamp stamp{Instant(std::chrono::milliseconds(number)), WallTime(std::chrono::milliseconds(1'000 + number))};
    return {stamp, "call.started", {{"calluuid", "u" + std::to_string(number)}, {"name", "Ada \"ü\""}}};
}

std::vector<std::uint64_t> seqs(const std::vector<Fact>& facts) {
    std::vector<std::uint64_t> out;
    for (const auto& fact : facts) out.push_back(fact.seq);
    return out;
}

std::vector<Fact> waiting(Outbox& outbox) {
    auto facts = outbox.pending(100, 1 << 20);
    REQUIRE(facts);
    return *std::move(facts);
}

TEST_CASE("facts are stamped in order from 1, and wait in order until they are delivered") {
    Folder folder;
    auto outbox = folder.open();
    CHECK(outbox->add({}) == 1);
    CHECK(outbox->add({draft(1), draft(2)}) == 1);
    CHECK(outbox->add({}) == 3);
    CHECK(outbox->add({draft(3)}) == 3);
    const auto facts = waiting(*outbox);
    CHECK(seqs(facts) == std::vector<std::uint64_t>{1, 2, 3});
    CHECK(facts[0].node == "london-1");
    CHECK(facts[1].mono == 2);
    CHECK(facts[0].id == fact_id(facts[0]));
    CHECK(outbox->first_pending() == 1);
    REQUIRE(outbox->delivered({facts[0].id, facts[0].id, "unknown"}));
    CHECK(outbox->counts()->facts_pending == 2);
    CHECK(outbox->first_pending() == 2);
    CHECK(seqs(*outbox->pending(10, 1 << 20)) == std::vector<std::uint64_t>{2, 3});
    CHECK(seqs(*outbox->pending(1, 1 << 20)) == std::vector<std::uint64_t>{2});
    CHECK(seqs(*outbox->pending(10, 1)) == std::vector<std::uint64_t>{2});  // one always, however large
}

TEST_CASE("a refused fact is kept apart and never sent again") {
    Folder folder;
    auto outbox = folder.open();
    REQUIRE(outbox->add({draft(1), draft(2)}));
    REQUIRE(outbox->refused(waiting(*outbox)[0].id, "too old"));
    REQUIRE(outbox->refused("unknown", "too old"));
    CHECK(seqs(*outbox->pending(10, 1 << 20)) == std::vector<std::uint64_t>{2});
    CHECK(outbox->counts()->facts_pending == 1);
    CHECK(outbox->counts()->facts_refused == 1);
}

TEST_CASE("a fact that is too large, or whose data cannot be hashed, is not taken, nor is its batch") {
    Folder folder;
    auto outbox = folder.open();
    auto large = draft(1);
    large.data["name"] = std::string(kFactBytesMax, 'x');
    CHECK(outbox->add({draft(1), large}).error().code == Errc::exhausted);
    auto broken = draft(2);
    broken.data["name"] = 0.5;
    CHECK(outbox->add({broken}).error().code == Errc::malformed);
    CHECK(outbox->counts()->facts_pending == 0);
    CHECK(outbox->add({draft(3)}) == 1);
}

TEST_CASE("a file waits until it is delivered or refused, and comes once however often it is added") {
    Folder folder;
    auto outbox = folder.open();
    for (int i = 0; i < 2; ++i) {
        REQUIRE(outbox->add_file({"s1", "/data/s1.wav", "ab", 7, "audio/wav"}));
        REQUIRE(outbox->add_file({"s2", "/data/s2.wav", "cd", 8, "audio/wav"}));
    }
    auto files = outbox->pending_files(10);
    REQUIRE(files->size() == 2);
    CHECK((*files)[0].segment == "s1");
    CHECK((*files)[0].path == "/data/s1.wav");
    CHECK((*files)[0].sha256 == "ab");
    CHECK((*files)[0].bytes == 7);
    CHECK((*files)[0].media_type == "audio/wav");
    CHECK(outbox->pending_files(1)->size() == 1);
    REQUIRE(outbox->file_delivered("s1", "ab"));
    REQUIRE(outbox->file_refused("s2", "cd", "another digest"));
    CHECK(outbox->pending_files(10)->empty());
    CHECK(outbox->counts()->files_refused == 1);
    CHECK(outbox->counts()->files_pending == 0);
    REQUIRE(outbox->add_file({"s2", "/data/s2.wav", "cd", 8, "audio/wav"}));  // a later start: perhaps it is taken now
    CHECK(outbox->pending_files(10)->size() == 1);
    CHECK(outbox->counts()->files_refused == 0);
}

TEST_CASE("a file with another digest takes the former one's place, whatever becomes of that") {
    Folder folder;
    auto outbox = folder.open();
    REQUIRE(outbox->add_file({"s1", "/data/s1.wav", "ab", 7, "audio/wav"}));
    REQUIRE(outbox->add_file({"s1", "/data/s1.flac", "ef", 9, "audio/flac"}));
    REQUIRE(outbox->file_delivered("s1", "ab"));
    REQUIRE(outbox->file_refused("s1", "ab", "gone"));
    const auto files = outbox->pending_files(10);
    REQUIRE(files->size() == 1);
    CHECK((*files)[0].path == "/data/s1.flac");
    CHECK((*files)[0].sha256 == "ef");
    CHECK((*files)[0].bytes == 9);
    REQUIRE(outbox->file_refused("s1", "ef", "why"));
    CHECK(outbox->pending_files(10)->empty());
    REQUIRE(outbox->add_file({"s1", "/data/s1.wav", "gh", 7, "audio/wav"}));
    CHECK(outbox->pending_files(10)->size() == 1);
}

TEST_CASE("the roles of a node share the seqs, and each delivers its own") {
    Folder folder;
    auto control = folder.open("switch");
    auto media = folder.open("media");
    CHECK(control->add({draft(1)}) == 1);
    CHECK(media->add({draft(2), draft(3)}) == 2);
    CHECK(control->add({draft(4)}) == 4);
    for (int i = 0; i < 2; ++i) {
        CHECK(seqs(waiting(*control)) == std::vector<std::uint64_t>{1, 4});
        CHECK(seqs(waiting(*media)) == std::vector<std::uint64_t>{2, 3});
    }
    CHECK(control->counts()->facts_pending == 2);
    CHECK(media->first_pending() == 2);
    for (const auto& fact : waiting(*media)) REQUIRE(media->delivered({fact.id}));
    CHECK(waiting(*media).empty());
    CHECK(media->first_pending() == 0);
    CHECK(media->add({draft(5)}) == 5);
    CHECK(seqs(waiting(*media)) == std::vector<std::uint64_t>{5});
    REQUIRE(media->add_file({"s", "/p", "ab", 1, "audio/wav"}));
    CHECK(control->pending_files(10)->empty());
    CHECK(media->pending_files(10)->size() == 1);
}

TEST_CASE("calls of which no end was said are known to the next run, and when the last one was heard of") {
    Folder folder;
    const auto about = [](const std::string& type, int at, const std::string& call) {
        FactDraft fact = draft(at);
        fact.type = type;
        fact.data = {{"calluuid", call}};
        return fact;
    };
    {
        auto outbox = folder.open();
        CHECK(outbox->unfinished()->calls.empty());
        REQUIRE(outbox->alive(draft(50).stamp));
        CHECK(outbox->unfinished()->last.wall == WallTime{});  // nothing is in progress
        REQUIRE(
            outbox->add({about("call.started", 1, "a"), about("call.started", 2, "b"), about("call.started", 3, "c")}));
        REQUIRE(outbox->add({about("call.ended", 4, "a")}));
        REQUIRE(outbox->add({about("call.merged", 5, "b"), about("party.left", 6, "b"), about("call.started", 6, "d"),
                             about("call.ended", 6, "d"), about("call.started", 6, "d"), about("call.ended", 6, "d")}));
    }
    {
        auto outbox = folder.open();
        const auto left = outbox->unfinished();
        REQUIRE(left);
        CHECK(left->calls == std::vector<CallUuid>{CallUuid("c")});
        CHECK(left->last.wall == draft(6).stamp.wall);
        CHECK(left->last.mono == draft(6).stamp.mono);
        REQUIRE(outbox->alive(draft(100).stamp));
        CHECK(outbox->unfinished()->last.wall == draft(100).stamp.wall);
        CHECK(folder.open("media")->unfinished()->calls.empty());
        // A batch that is not taken changes nothing.
        auto large = about("call.ended", 7, "c");
        large.data["name"] = std::string(kFactBytesMax, 'x');
        CHECK_FALSE(outbox->add({large}));
        CHECK(outbox->unfinished()->calls.size() == 1);
        REQUIRE(outbox->add({about("call.ended", 7, "c")}));
    }
    CHECK(folder.open()->unfinished()->calls.empty());
}

TEST_CASE("an outbox belongs to one node, and goes on after a restart where it was") {
    Folder folder;
    {
        auto outbox = folder.open();
        REQUIRE(outbox->add({draft(1), draft(2)}));
        const auto facts = waiting(*outbox);
        REQUIRE(outbox->delivered({facts[0].id, facts[1].id}));
    }
    CHECK(folder.open()->counts()->facts_pending == 0);
    CHECK(folder.open()->add({draft(3)}) == 3);
    CHECK(folder.open()->counts()->facts_pending == 1);
    const auto other = open_outbox(folder.path / "outbox.db", "default", "london", "london-2");
    REQUIRE_FALSE(other);
    CHECK(other.error().code == Errc::conflict);
    CHECK(open_outbox(folder.path / "missing" / "outbox.db", "default", "london", "london-1").error().code == Errc::io);
}

TEST_CASE("a fact that the disk has spoilt is kept apart and holds up nothing") {
    Folder folder;
    auto outbox = folder.open();
    REQUIRE(outbox->add({draft(1), draft(2)}));
    {
        auto database = Database::open(folder.path / "outbox.db", {"", "", "", ""});
        REQUIRE(database);
        REQUIRE(database->execute("UPDATE fact SET body = replace(body, 'u1', 'u9') WHERE seq = 1"));
    }
    CHECK(seqs(*outbox->pending(10, 1 << 20)) == std::vector<std::uint64_t>{2});
    CHECK(outbox->counts()->facts_refused == 1);
}

TEST_CASE(
    "a spoilt fact is not passed by for those of another role behind it, and many of those part no batch for long") {
    Folder folder;
    auto control = folder.open("switch");
    auto media = folder.open("media");
    REQUIRE(media->add({draft(1)}));
    REQUIRE(control->add({draft(2), draft(3)}));
    REQUIRE(media->add({draft(4)}));
    {
        auto database = Database::open(folder.path / "outbox.db", {"", "", "", ""});
        REQUIRE(database);
        REQUIRE(database->execute("UPDATE fact SET body = replace(body, 'u1', 'u9') WHERE seq = 1"));
    }
    CHECK(seqs(waiting(*media)) == std::vector<std::uint64_t>{4});
    CHECK(media->counts()->facts_refused == 1);
    REQUIRE(control->add(std::vector<FactDraft>(10'001, draft(5))));
    REQUIRE(media->add({draft(6)}));
    CHECK(seqs(waiting(*media)) == std::vector<std::uint64_t>{4});
    REQUIRE(media->delivered({waiting(*media)[0].id}));
    CHECK(seqs(waiting(*media)) == std::vector<std::uint64_t>{10'006});
}

TEST_CASE("an outbox of the former layout is converted with all that waits in it") {
    Folder folder;
    {
        auto outbox = folder.open();
        REQUIRE(outbox->add({draft(1), draft(2), draft(3)}));
        const auto facts = outbox->pending(10, 1 << 20);
        REQUIRE(facts);
        REQUIRE(outbox->refused((*facts)[1].id, "too old"));
    }
    {  // as version 2 had it
        auto database = Database::open(folder.path / "outbox.db", {"", "", "", ""});
        REQUIRE(database);
        REQUIRE(
            database->execute("ALTER TABLE fact RENAME TO later;"
                              "CREATE TABLE fact (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, owner TEXT NOT "
                              "NULL, body TEXT NOT NULL, refused TEXT);"
                              "INSERT INTO fact SELECT seq, 'id' || seq, owner, body, refused FROM later;"
                              "DROP TABLE later;"
                              "CREATE INDEX fact_waiting ON fact (owner, seq) WHERE refused IS NULL;"
                              "PRAGMA user_version=2"));
    }
    auto outbox = folder.open();
    const auto facts = outbox->pending(10, 1 << 20);
    REQUIRE(facts);
    CHECK(seqs(*facts) == std::vector<std::uint64_t>{1, 3});
    CHECK(outbox->counts()->facts_refused == 1);
    REQUIRE(outbox->delivered({(*facts)[0].id}));
    CHECK(seqs(*outbox->pending(10, 1 << 20)) == std::vector<std::uint64_t>{3});
    REQUIRE(outbox->add({draft(4)}));
    CHECK(seqs(*outbox->pending(10, 1 << 20)) == std::vector<std::uint64_t>{3, 4});
    outbox.reset();
    auto database = Database::open(folder.path / "outbox.db", {"", "", "", ""});
    REQUIRE(database);
    CHECK_FALSE(database->execute("DROP INDEX fact_waiting"));  // gone
}

// The child adds batches of three for as long as it lives and says each last seq through the pipe once `add` returned.
[[noreturn]] void add_for_ever(const Folder& folder, int pipe) {
    const auto outbox = open_outbox(folder.path / "outbox.db", "default", "london", "london-1", "switch");
    while (outbox) {
        const auto first = (*outbox)->add({draft(1), draft(2), draft(3)});
        if (!first) break;
        const std::uint64_t seq = *first + 2;
        if (::write(pipe, &seq, sizeof seq) != sizeof seq) break;
    }
    ::_exit(1);
}

TEST_CASE("what add has returned survives kill -9, whole batches only and without a gap") {
    Folder folder;
    std::uint64_t told = 0;
    for (int round = 1; round <= 5; ++round) {
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        const pid_t child = ::fork();
        if (child == 0) add_for_ever(folder, ends[1]);
        ::close(ends[1]);
        for (int batches = 0; batches < 3 * round; ++batches) {
            REQUIRE(::read(ends[0], &told, sizeof told) == sizeof told);
        }
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        for (std::uint64_t seq = 0; ::read(ends[0], &seq, sizeof seq) == sizeof seq;) told = seq;
        ::close(ends[0]);
        const auto facts = folder.open()->pending(100'000, 1 << 30);
        REQUIRE(facts);
        CHECK(facts->size() >= told);
        CHECK(facts->size() % 3 == 0);
        for (std::size_t i = 0; i < facts->size(); ++i) REQUIRE((*facts)[i].seq == i + 1);
    }
}

}  // namespace
}  // namespace sheaf::store
