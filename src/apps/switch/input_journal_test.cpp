// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/input_journal.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "apps/switch/replay.h"
#include "exchange/journal.h"

using namespace sheaf;
using namespace sheaf::apps;
namespace fs = std::filesystem;

namespace {

struct Folder {
    fs::path path;
    Folder() {
        std::string name = (fs::temp_directory_path() / "sheaf-switch-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { fs::remove_all(path); }
    [[nodiscard]] std::string file(unsigned number, const std::string& run = "1") const {
        return (path / journal_file_name(run, number)).string();
    }
    [[nodiscard]] JournalOptions options() const {
        JournalOptions out;
        out.folder = path.string();
        out.run = "1";
        out.settings = "settings";
        return out;
    }
};

std::string text_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

exchange::SiteSettings site() {
    exchange::SiteSettings settings;
    settings.site = "london";
    settings.node = "london-1";
    settings.agents = {{"1001", "Ada", {}, false}};
    settings.routing_points = {{"8000", {}, {"music:default"}, {"agent:1001"}, {}}};
    return settings;
}

exchange::Input input(int at_ms, exchange::Event event) {
    exchange::Input out;
    out.now.mono = Instant{std::chrono::milliseconds{at_ms}};
    out.now.wall = WallTime{std::chrono::milliseconds{1'767'605'400'000 + at_ms}};
    out.seed[0] = static_cast<std::uint8_t>(at_ms);
    out.event = std::move(event);
    return out;
}

// The lines of a run in which a customer calls and an agent is rung.
std::vector<std::string> lines_of_a_run() {
    exchange::Exchange exchange(site());
    std::vector<std::string> lines;
    exchange::LegOffered offered;
    offered.leg = LegId("leg-c");
    offered.from = {exchange::DeviceKind::trunk, "carrier"};
    offered.called = "8000";
    offered.calling = "+4420";
    int at = 0;
    for (auto& event : std::vector<exchange::Event>{
             exchange::AgentRegistered{"1001", "sip:1001@127.0.0.1", "udp:127.0.0.1:40001", 60'000}, offered,
             exchange::LegConnected{LegId("leg-c"), "m"},
             exchange::LegEnded{LegId("leg-c"), exchange::Cause::normal, "m"}}) {
        const auto one = input(++at, std::move(event));
        auto line = exchange::input_line(one, exchange.step(one));
        while (line.back() == '\n') line.pop_back();
        lines.push_back(std::move(line));
    }
    return lines;
}

std::string settings_text() {
    auto line = exchange::settings_line(site());
    while (line.back() == '\n') line.pop_back();
    return line;
}

}  // namespace

TEST_CASE("lines are written behind the settings, in order") {
    const Folder folder;
    auto journal = InputJournal::open(folder.options());
    REQUIRE(journal);
    (*journal)->append("one");
    (*journal)->append("two");
    (*journal)->flush();
    CHECK(text_of(folder.file(1)) == "settings\none\ntwo\n");
    (*journal)->append("three");
    journal->reset();  // writes what is waiting
    CHECK(text_of(folder.file(1)) == "settings\none\ntwo\nthree\n");
}

TEST_CASE("a full file is followed by the next, which begins with the settings too; the oldest go") {
    const Folder folder;
    auto options = folder.options();
    options.file_bytes_max = 100;
    options.total_bytes_max = 350;
    {
        std::ofstream(folder.file(1, "0")) << std::string(200, 'x');  // of an earlier run
        std::ofstream(folder.path / "other.jsonl") << "not ours";
    }
    auto journal = InputJournal::open(options);
    REQUIRE(journal);
    for (int i = 0; i < 8; ++i) {
        (*journal)->append(std::string(60, static_cast<char>('a' + i)));
        (*journal)->flush();
    }
    CHECK(!fs::exists(folder.file(1, "0")));
    CHECK(fs::exists(folder.path / "other.jsonl"));
    CHECK(text_of(folder.file(8)) == "settings\n" + std::string(60, 'h') + "\n");
    CHECK(!fs::exists(folder.file(1)));
    CHECK((*journal)->path() == folder.file(8));
    CHECK((*journal)->failure().empty());
}

TEST_CASE("a folder that is not there, and a disk that does not follow, are told") {
    const Folder folder;
    auto options = folder.options();
    options.folder = (folder.path / "missing").string();
    CHECK(InputJournal::open(options).error().code == Errc::io);
    options = folder.options();
    options.waiting_bytes_max = 10;
    auto journal = InputJournal::open(options);
    REQUIRE(journal);
    (*journal)->append("12345678901");
    CHECK((*journal)->failure() == "the disk does not follow");
    (*journal)->append("1");
    (*journal)->flush();
    CHECK(text_of(folder.file(1)) == "settings\n");
}

TEST_CASE("a run is replayed to the same effects, over several files") {
    const Folder folder;
    auto options = folder.options();
    options.settings = settings_text();
    options.file_bytes_max = 1;  // every line a file
    const auto lines = lines_of_a_run();
    {
        auto journal = InputJournal::open(options);
        REQUIRE(journal);
        for (const auto& line : lines) {
            (*journal)->append(line);
            (*journal)->flush();
        }
    }
    const auto last = static_cast<unsigned>(lines.size());
    const auto report = replay_file(folder.file(last));
    REQUIRE(report);
    CHECK(report->inputs == lines.size());
    CHECK(report->files.size() == lines.size());
    CHECK(!report->difference);
    CHECK(!report->torn_tail);
    fs::remove(folder.file(1));
    CHECK(replay_file(folder.file(last)).error().code == Errc::not_found);
}

TEST_CASE("a replay says where it parts from the run") {
    const Folder folder;
    const auto path = (folder.path / "any-name.jsonl").string();
    const auto lines = lines_of_a_run();
    {
        auto settings = site();
        settings.routing_points[0].treatment = {"say:welcome"};  // as if the program had changed
        std::ofstream out(path);
        out << exchange::settings_line(settings).substr(0, exchange::settings_line(settings).find('\n')) << '\n';
        for (const auto& line : lines) out << line << '\n';
    }
    const auto report = replay_file(path);
    REQUIRE(report);
    REQUIRE(report->difference);
    CHECK(report->difference->line > 2);
    CHECK(report->difference->expected != report->difference->got);
    CHECK(report->difference->input == lines[report->difference->line - 2]);
    CHECK(!report->difference->effects.empty());
}

TEST_CASE("a journal cut off within its last line is replayed up to there; nonsense is named by line") {
    const Folder folder;
    const auto path = (folder.path / "a.jsonl").string();
    const auto lines = lines_of_a_run();
    std::ofstream(path) << settings_text() << '\n' << lines[0] << '\n' << lines[1].substr(0, 20);
    const auto report = replay_file(path);
    REQUIRE(report);
    CHECK(report->torn_tail);
    CHECK(report->inputs == 1);
    std::ofstream(path) << settings_text() << '\n' << "nonsense\n";
    CHECK(replay_file(path).error().what.starts_with(path + ":2: "));
    std::ofstream(path) << lines[0] << '\n';
    CHECK(!replay_file(path));
    CHECK(replay_file((folder.path / "none").string()).error().code == Errc::io);
}
