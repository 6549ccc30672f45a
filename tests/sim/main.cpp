// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <ctime>
#include <set>
#include <string>
#include <string_view>

#include "archive/api_model.h"
#include "sim/coverage.h"
#include "sim/judge.h"
#include "sim/rivals.h"
#include "sim/town.h"

// sheaf_sim [--seed N] [--seeds COUNT] [--hours H] [--profile calm|faults|both] [--trace] [--coverage]
//           [--about CONVERSATION|-1] [--lines N] [--findings N] [--grouping] [--json]
namespace sheaf::sim {
namespace {

constexpr int kEveryone = -1;

struct Wanted {
    Options options;
    std::uint64_t seeds = 1;
    bool both = false;
    bool coverage = false;
    bool json = false;  // one line of totals, for programs
    std::size_t lines = 60;
    std::size_t findings = 12;  // shown of a seed
    int about = 0;              // the conversation whose tale is told, or kEveryone; 0: the first finding's
};

struct Total {
    std::size_t conversations = 0, multi_site = 0, recordings = 0, segments = 0, slices = 0, gaps = 0, shaken = 0;
    std::size_t held = 0, paused = 0, apart = 0, tangled = 0, failed = 0;
    std::uint64_t datagrams = 0;
    Grouped ours;
    std::map<Rivals::Way, Grouped> theirs;
};

void print_trace(const Trace& trace, int conversation, std::size_t most) {
    std::deque<const Trace::Line*> lines;
    for (const auto& line : trace.lines()) {
        if (conversation != kEveryone && line.conversation != conversation) continue;
        lines.push_back(&line);
        if (lines.size() > most) lines.pop_front();
    }
    for (const auto* line : lines)
        fmt::print("  {:10.4f} {}\n", static_cast<double>((line->at - kBegin).count()) / 1e9, line->text);
}

void print_recordings(Town& town, int conversation) {
    if (conversation == kEveryone) return;
    std::set<std::string> shown;
    for (const auto& call : town.truth().conversations()[static_cast<std::size_t>(conversation - 1)].calls) {
        const auto now = to_unix_ms(Clock{}.wall(town.world().now() + std::chrono::hours{24}));
        const auto* view = town.archive().catalogue().recording(std::string(kTenant), call, now);
        if (view != nullptr && shown.insert(view->id.text()).second)
            fmt::print("recording {}\n", boost::json::serialize(archive::to_json(*view)));
    }
}

std::string again(const Options& options) {
    return fmt::format("sheaf_sim --seed {} --hours {} --profile {} --trace", options.seed, options.hours,
                       options.profile == Profile::calm ? "calm" : "faults");
}

// A seed that fails is run once more, with its tale.
void explain(const Options& options, const Judgement& judgement, const Wanted& wanted) {
    fmt::print("FAILED seed {}: {} findings. Again: {}\n", options.seed, judgement.findings.size(), again(options));
    std::size_t shown = 0;
    for (const auto& finding : judgement.findings) {
        if (++shown > wanted.findings) break;
        fmt::print("  conversation {}: {}\n", finding.conversation, finding.what);
    }
    if (!options.trace || wanted.lines == 0) return;
    Town town(options);
    town.live();
    const int conversation = wanted.about != 0 ? wanted.about : judgement.findings.front().conversation;
    fmt::print("the last {} lines of conversation {}:\n", wanted.lines, conversation);
    print_trace(town.trace(), conversation, wanted.lines);
    print_recordings(town, conversation);
}

void compare_grouping(Town& town, Total& total) {
    const auto& conversations = town.truth().conversations();
    const auto now = to_unix_ms(Clock{}.wall(town.world().now() + std::chrono::hours{24}));
    total.ours.add(grouped(conversations, [&](const std::string& call) {
        const auto* view = town.archive().catalogue().recording(std::string(kTenant), call, now);
        return view == nullptr ? call : view->id.text();
    }));
    for (const auto way : Rivals::kWays)
        total.theirs[way].add(
            grouped(conversations, [&](const std::string& call) { return town.rivals().group_of(way, call); }));
}

void run(Options options, const Wanted& wanted, Total& total) {
    const auto began = std::clock();
    Options quiet = options;
    quiet.trace = false;
    Town town(quiet);
    town.live();
    const Judgement judgement = judge(town);
    const double cpu = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
    total.conversations += judgement.conversations;
    total.multi_site += judgement.multi_site;
    total.recordings += judgement.recordings;
    total.segments += judgement.segments;
    total.slices += judgement.slices;
    total.held += judgement.held;
    total.paused += judgement.paused;
    total.apart += judgement.apart;
    total.gaps += judgement.gaps;
    total.shaken += judgement.shaken;
    total.tangled += judgement.tangled;
    total.datagrams += town.network().counts().datagrams;
    if (options.with_rivals) compare_grouping(town, total);
    if (wanted.seeds == 1 && !wanted.json) {
        fmt::print(
            "seed {} {}: {} conversations, {} at several sites, {} touched by faults, {} tangled; {} segments, {} "
            "slices, {} "
            "stretches compared; {} facts, {} datagrams, {} events; {:.2f} s of CPU\n",
            options.seed, options.profile == Profile::calm ? "calm" : "faults", judgement.conversations,
            judgement.multi_site, judgement.shaken, judgement.tangled, judgement.segments, judgement.slices,
            judgement.gaps, town.archive().facts(), town.network().counts().datagrams, town.world().happened(), cpu);
    }
    if (judgement.findings.empty()) return;
    ++total.failed;
    if (wanted.json) {  // on the other stream: what is read by a program is one line
        fmt::print(stderr, "FAILED seed {}: {} findings. Again: {}\n", options.seed, judgement.findings.size(),
                   again(options));
        return;
    }
    options.trace = wanted.options.trace || wanted.seeds == 1;
    explain(options, judgement, wanted);
}

bool read(int argc, char** argv, Wanted& wanted) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        const auto value = [&]() -> std::string_view { return i + 1 < argc ? argv[++i] : ""; };
        const auto number = [&](auto& to) {
            const auto text = value();
            return std::from_chars(text.data(), text.data() + text.size(), to).ec == std::errc{};
        };
        bool good = true;
        if (name == "--seed") {
            good = number(wanted.options.seed);
        } else if (name == "--seeds") {
            good = number(wanted.seeds);
        } else if (name == "--hours") {
            good = number(wanted.options.hours);
        } else if (name == "--lines") {
            good = number(wanted.lines);
        } else if (name == "--findings") {
            good = number(wanted.findings);
        } else if (name == "--about") {
            good = number(wanted.about);
        } else if (name == "--trace") {
            wanted.options.trace = true;
        } else if (name == "--coverage") {
            wanted.coverage = true;
        } else if (name == "--json") {
            wanted.json = true;
        } else if (name == "--grouping") {
            wanted.options.with_rivals = true;
        } else if (name == "--profile") {
            const auto profile = value();
            wanted.both = profile == "both";
            wanted.options.profile = profile == "faults" ? Profile::faults : Profile::calm;
            good = wanted.both || profile == "faults" || profile == "calm";
        } else {
            good = false;
        }
        if (good) continue;
        fmt::print(
            "usage: sheaf_sim [--seed N] [--seeds COUNT] [--hours H] [--profile calm|faults|both] [--trace] "
            "[--about CONVERSATION|-1] [--lines N] [--findings N] [--coverage] [--grouping] [--json]\n");
        return false;
    }
    return true;
}

boost::json::object to_json(std::string_view way, const Grouped& grouped) {
    const auto conversations = static_cast<double>(std::max<std::size_t>(1, grouped.conversations));
    return {{"way", way},
            {"conversations", grouped.conversations},
            {"recordings", grouped.recordings},
            {"recordings_per_conversation", static_cast<double>(grouped.recordings) / conversations},
            {"wrong_joins", grouped.wrong_joins}};
}

void print_json(const Wanted& wanted, const Total& total, double cpu) {
    boost::json::object out{{"hours", wanted.seeds},
                            {"failed", total.failed},
                            {"conversations", total.conversations},
                            {"at_several_sites", total.multi_site},
                            {"touched_by_faults", total.shaken},
                            {"tangled", total.tangled},
                            {"recordings", total.recordings},
                            {"segments", total.segments},
                            {"slices", total.slices},
                            {"held", total.held},
                            {"paused", total.paused},
                            {"apart", total.apart},
                            {"stretches", total.gaps},
                            {"datagrams", total.datagrams},
                            {"cpu_s", cpu}};
    if (wanted.options.with_rivals) {
        boost::json::array ways{to_json("signed links", total.ours)};
        for (const auto& [way, grouped] : total.theirs) ways.push_back(to_json(name_of(way), grouped));
        out["ways"] = std::move(ways);
    }
    if (wanted.coverage) out["coverage"] = Coverage::counts();
    fmt::print("{}\n", boost::json::serialize(out));
}

int run_all(const Wanted& wanted) {
    Total total;
    const auto began = std::clock();
    for (std::uint64_t i = 0; i < wanted.seeds; ++i) {
        Options options = wanted.options;
        options.seed += i;
        if (wanted.both) options.profile = options.seed % 2 == 0 ? Profile::faults : Profile::calm;
        run(options, wanted, total);
    }
    const double cpu = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
    if (wanted.json) {
        print_json(wanted, total, cpu);
        return total.failed == 0 ? 0 : 1;
    }
    fmt::print(
        "{} seeds of {} h: {} failed; {} conversations, {:.0f} % at several sites, {} touched by faults, {} "
        "recordings; {} segments, {} slices, {} stretches compared; {} datagrams; {:.1f} s of CPU\n",
        wanted.seeds, wanted.options.hours, total.failed, total.conversations,
        100.0 * static_cast<double>(total.multi_site) /
            static_cast<double>(std::max<std::size_t>(1, total.conversations)),
        total.shaken, total.recordings, total.segments, total.slices, total.gaps, total.datagrams, cpu);
    if (wanted.coverage) fmt::print("{}", Coverage::table());
    return total.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace sheaf::sim

int main(int argc, char** argv) {
    sheaf::sim::Wanted wanted;
    if (!sheaf::sim::read(argc, argv, wanted)) return 2;
    return sheaf::sim::run_all(wanted);
}
