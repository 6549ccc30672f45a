// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "base/json.h"
#include "exchange/journal.h"

// Plays the transcripts of tests/scenarios: whole conversations over several sites in virtual time. A transcript holds
//   # a comment
//   SITE settings     then, indented, the site's settings as in a journal
//   SITE> Event {…}   then, indented, the effects it must have
//   wait 500          milliseconds; Ticks that fall due on the way, and their effects, follow indented
// Ids that a site mints are shown by kind in the order they appear: U1 a calluuid, L1 a link, F1 a segment, A1 a leg,
// P1 a connection, I1 a session id; an event may name them so. With SHEAF_REWRITE=1 in the environment the effects are
// written anew into the files: read the difference before you keep it.
using namespace sheaf;
using namespace sheaf::exchange;

namespace {

class Labels {
public:
    std::string shorten(const std::string& text) {
        static const std::regex id(
            R"re("([a-z_]+)"([:,])"((leg-|conn-)?([0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}))")re");
        std::string out;
        auto at = text.cbegin();
        for (std::sregex_iterator found(text.begin(), text.end(), id), end; found != end; ++found) {
            out.append(at, found->prefix().second);
            out += "\"" + (*found)[1].str() + "\"" + (*found)[2].str() + "\"" +
                   label_of((*found)[3].str(), (*found)[1].str()) + "\"";
            at = found->suffix().first;
        }
        out.append(at, text.cend());
        return out;
    }
    [[nodiscard]] std::string expand(const std::string& text) const {
        static const std::regex quoted(R"("([A-Z][0-9]+)\")");
        std::string out;
        auto at = text.cbegin();
        for (std::sregex_iterator found(text.begin(), text.end(), quoted), end; found != end; ++found) {
            out.append(at, found->prefix().second);
            const auto id = ids_.find((*found)[1].str());
            out += id == ids_.end() ? found->str() : "\"" + id->second + "\"";
            at = found->suffix().first;
        }
        out.append(at, text.cend());
        return out;
    }

private:
    std::string label_of(const std::string& id, const std::string& key) {
        if (const auto known = labels_.find(id); known != labels_.end()) return known->second;
        const std::string kind = id.starts_with("leg-")            ? "A"
                                 : id.starts_with("conn-")         ? "P"
                                 : key == "session_id"             ? "I"
                                 : key == "segment"                ? "F"
                                 : key == "link" || key == "value" ? "L"
                                                                   : "U";
        const std::string label = kind + std::to_string(++counts_[kind]);
        ids_[label] = id;
        return labels_[id] = label;
    }

    std::map<std::string, std::string> labels_, ids_;
    std::map<std::string, int> counts_;
};

class Player {
public:
    // The transcript with the effects as they are now.
    std::string play(const std::vector<std::string>& lines) {
        for (std::size_t i = 0; i < lines.size(); ++i) {
            const std::string& line = lines[i];
            if (line.starts_with("  ")) continue;  // an effect as expected; settings are taken below
            out_ += line + "\n";
            static const std::regex settings(R"((\w+) settings)"), event(R"((\w+)> (\w+)(?: (.*))?)"),
                wait(R"(wait (\d+))");
            std::smatch found;
            if (std::regex_match(line, found, settings)) {
                std::string text;
                while (i + 1 < lines.size() && lines[i + 1].starts_with("  ")) {
                    out_ += lines[++i] + "\n";
                    text += lines[i];
                }
                build(found[1].str(), text);
            } else if (std::regex_match(line, found, event)) {
                step(found[1].str(), found[2].str(), found[3].matched ? found[3].str() : "{}");
            } else if (std::regex_match(line, found, wait)) {
                pass(std::chrono::milliseconds{std::stol(found[1].str())});
            } else if (!line.empty() && !line.starts_with("#")) {
                FAIL_CHECK("not a line of a transcript: " << line);
            }
        }
        for (const auto& [name, site] : sites_) {
            const auto counts = site.counts();
            CHECK_MESSAGE(counts.calls + counts.legs + counts.queued + counts.recordings == 0, name << " is not idle");
        }
        return out_;
    }

private:
    void build(const std::string& name, const std::string& text) {
        const auto line = line_from_text(R"({"journal": 3, "settings": )" + text + "}");
        REQUIRE_MESSAGE(line, text);
        sites_.emplace(name, Exchange{std::get<SiteSettings>(*line)});
    }

    void step(const std::string& site, const std::string& name, const std::string& text) {
        const auto data = json_from_text(labels_.expand(text));
        REQUIRE_MESSAGE((data && data->is_object()), text);
        const auto event = event_from_text(name, data->get_object());
        REQUIRE_MESSAGE(event, name << " " << text);
        step(site, *event);
    }

    void step(const std::string& site, const Event& event) {
        Input input;
        input.now = {Instant{now_}, WallTime{std::chrono::milliseconds{1'767'605'400'000 + to_ms(now_)}}};
        ++steps_;
        input.seed[0] = static_cast<std::uint8_t>(steps_);
        input.seed[1] = static_cast<std::uint8_t>(steps_ >> 8);
        input.event = event;
        for (const Effect& effect : sites_.at(site).step(input)) out_ += "  " + labels_.shorten(to_text(effect)) + "\n";
    }

    void pass(Duration time) {
        const Duration until = now_ + time;
        while (true) {
            std::optional<Instant> due;
            std::string whose;
            for (const auto& [name, site] : sites_) {
                const auto its = site.next_deadline();
                if (!its || its->time_since_epoch() > until || (due && *due <= *its)) continue;
                due = its;
                whose = name;
            }
            if (!due) break;
            now_ = due->time_since_epoch();
            out_ += "  " + whose + " at " + std::to_string(to_ms(now_)) + " ms\n";
            step(whose, Tick{});
        }
        now_ = until;
    }

    std::map<std::string, Exchange> sites_;
    Labels labels_;
    Duration now_{};
    unsigned steps_ = 0;
    std::string out_;
};

}  // namespace

TEST_CASE("every scenario has the effects its transcript shows") {
    const bool rewrite = std::getenv("SHEAF_REWRITE") != nullptr;
    int played = 0;
    for (const auto& entry : std::filesystem::directory_iterator("tests/scenarios")) {
        if (entry.path().extension() != ".txt") continue;
        ++played;
        CAPTURE(entry.path().string());
        std::vector<std::string> lines;
        std::string expected;
        std::ifstream file(entry.path());
        for (std::string line; std::getline(file, line);) {
            lines.push_back(line);
            expected += line + "\n";
        }
        const std::string played_now = Player{}.play(lines);
        if (rewrite) {
            std::ofstream(entry.path()) << played_now;
            continue;
        }
        std::istringstream now(played_now), then(expected);
        std::string now_line, then_line;
        for (int number = 1; std::getline(now, now_line) || std::getline(then, then_line); ++number) {
            if (now) std::getline(then, then_line);
            CHECK_MESSAGE(now_line == then_line, "line " << number);
            if (now_line != then_line) break;
        }
    }
    CHECK(played >= 6);
}
