// SPDX-License-Identifier: Apache-2.0
// Reads histories as JSON lines, {"cap": n, "facts": [["Call", t, c] | ["Seg", t, s, c] | ["Link", t, id, a, b, tier,
// auth] | ["Retract", t, id] | ["Veto", t, a, b, version, on], …]}, and writes for each a line: the list of views after
// every prefix, by fold and by Engine. grouping_differential.py compares them with model.py.
#include <boost/json.hpp>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "archive/grouping.h"

namespace {

namespace json = boost::json;
using namespace sheaf::archive::grouping;

std::string text(const json::array& fields, std::size_t i) {
    return std::string(fields.at(i).as_string());
}

Fact fact_from(const json::array& f) {
    const std::string kind = text(f, 0);
    if (kind == "Call") return Call{text(f, 1), text(f, 2)};
    if (kind == "Seg") return Seg{text(f, 1), text(f, 2), text(f, 3)};
    if (kind == "Retract") return Retract{text(f, 1), text(f, 2)};
    if (kind == "Veto") return Veto{text(f, 1), text(f, 2), text(f, 3), f.at(4).as_int64(), f.at(5).as_bool()};
    return Link{text(f, 1),       text(f, 2), text(f, 3), text(f, 4), static_cast<int>(f.at(5).as_int64()),
                f.at(6).as_bool()};
}

json::array to_json(const View& view) {
    json::array list;
    for (const auto& [id, group] : view) {
        json::array calls(group.calls.begin(), group.calls.end());
        json::array segments(group.segments.begin(), group.segments.end());
        list.push_back(json::array{id.first, id.second, std::move(calls), std::move(segments), group.needs_review});
    }
    return list;
}

}  // namespace

int main() {
    std::ios::sync_with_stdio(false);
    std::string line;
    while (std::getline(std::cin, line)) {
        const json::value history = json::parse(line);
        const auto cap = static_cast<std::size_t>(history.at("cap").as_int64());
        Engine engine(cap);
        std::vector<Fact> facts;
        json::array folds, engines;
        for (const json::value& value : history.at("facts").as_array()) {
            facts.push_back(fact_from(value.as_array()));
            engine.add(facts.back());
            folds.push_back(to_json(fold(facts, cap)));
            engines.push_back(to_json(engine.view()));
        }
        std::cout << json::serialize(json::object{{"fold", std::move(folds)}, {"engine", std::move(engines)}}) << '\n';
    }
    return EXIT_SUCCESS;
}
