// SPDX-License-Identifier: Apache-2.0
#include "sim/coverage.h"

#include <fmt/format.h>

#include <array>
#include <sstream>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/type_name.h"

namespace sheaf::sim {
namespace {

using call::ConnectionState;
using call::Event;

constexpr std::size_t kStates = std::variant_size_v<ConnectionState> + 1;  // the last: no connection
constexpr std::size_t kEvents = std::variant_size_v<Event>;
constexpr std::size_t kNone = kStates - 1;

std::array<std::array<std::uint64_t, kEvents>, kStates> seen{};

template <typename Variant, std::size_t... I>
std::vector<std::string> names_in(std::index_sequence<I...>) {
    return {type_name<std::variant_alternative_t<I, Variant>>()...};
}

std::vector<std::string> states() {
    auto names = names_in<ConnectionState>(std::make_index_sequence<kStates - 1>());
    names.emplace_back("none");
    return names;
}
std::vector<std::string> events() {
    return names_in<Event>(std::make_index_sequence<kEvents>());
}

}  // namespace

void Coverage::count(const call::Call& call, const Event& event) {
    std::visit(
        [&](const auto& e) {
            if constexpr (requires { e.leg; }) {
                const auto* connection = call::find(call, e.leg);
                ++seen[connection == nullptr ? kNone : connection->state.index()][event.index()];
            } else {
                if (call.connections.empty()) ++seen[kNone][event.index()];
                for (const auto& connection : call.connections) ++seen[connection.state.index()][event.index()];
            }
        },
        event);
}

Coverage::Sum Coverage::sum() {
    Sum sum{kStates * kEvents, 0};
    for (const auto& row : seen)
        for (const auto count : row) sum.hit += count != 0 ? 1 : 0;
    return sum;
}

std::string Coverage::table() {
    const auto state_names = states();
    const auto event_names = events();
    std::string out = fmt::format("{:<18}", "");
    for (const auto& state : state_names) out += fmt::format("{:>11}", state);
    out += '\n';
    std::string never;
    for (std::size_t e = 0; e < kEvents; ++e) {
        out += fmt::format("{:<18}", event_names[e]);
        for (std::size_t s = 0; s < kStates; ++s) {
            out += seen[s][e] == 0 ? fmt::format("{:>11}", "-") : fmt::format("{:>11}", seen[s][e]);
            if (seen[s][e] == 0) never += " " + state_names[s] + "/" + event_names[e];
        }
        out += '\n';
    }
    const auto total = sum();
    return out + fmt::format("{} of {} pairs of state and event; not:{}\n", total.hit, total.pairs,
                             never.empty() ? " none" : never);
}

std::string Coverage::counts() {
    std::string out;
    for (const auto& row : seen)
        for (const auto count : row) out += std::to_string(count) + " ";
    return out;
}

void Coverage::merge(const std::string& counts) {
    std::istringstream in(counts);
    for (auto& row : seen)
        for (auto& count : row) {
            std::uint64_t more = 0;
            in >> more;
            count += more;
        }
}

}  // namespace sheaf::sim
