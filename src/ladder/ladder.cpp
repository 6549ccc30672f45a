// SPDX-License-Identifier: Apache-2.0
#include "ladder/ladder.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "ladder/masking.h"

namespace sheaf::ladder {
namespace {

constexpr std::size_t kOverhead = sizeof(Message) + 96;  // what a message takes besides its text: about
constexpr std::size_t kStrayShare = 8;                   // of the room, at most one in so many bytes is strangers'

}  // namespace

void Ladder::add(WallTime at, bool sent, const sip::Endpoint& local, const sip::Endpoint& remote,
                 std::string_view bytes) {
    ++number_;
    const auto names = names_of(bytes);
    if (!names || names->method == "REGISTER" || names->method == "OPTIONS") return;
    const std::size_t size = std::min(bytes.size(), kTextBytesMax) + names->id.size() + kOverhead;
    const bool has_room = make_room(size);
    Dialog& dialog = dialog_of(names->call_id);
    rank(names->call_id, dialog);  // it has just been heard of
    if (!has_room || dialog.messages.size() >= limits_.messages_of_dialog_max) {
        ++dialog.dropped;
        ++dropped_;
        return;
    }
    dialog.messages.push_back({number_, at, sent, local, remote, names->id, masked(bytes.substr(0, kTextBytesMax))});
    dialog.bytes += size;
    bytes_ += size;
    if (dialog.rank == Class::stray) stray_bytes_ += size;
    while (stray_bytes_ > limits_.bytes_max / kStrayShare && order_[0].size() > 1) forget_oldest(Class::stray);
}

Ladder::Dialog& Ladder::dialog_of(const std::string& call_id) {
    const auto [at, is_new] = dialogs_.try_emplace(call_id);
    if (is_new) at->second.place = order_[0].insert(order_[0].end(), call_id);
    return at->second;
}

// Puts it last in the list it belongs to now.
void Ladder::rank(const std::string& call_id, Dialog& dialog) {
    const auto leg = legs_.find(dialog.leg);
    const bool is_live = leg != legs_.end() && leg->second.is_live;
    const bool is_stray = leg == legs_.end() || leg->second.calls.empty();
    const Class now = is_live ? Class::live : is_stray ? Class::stray : Class::over;
    if (dialog.rank == Class::live && now == Class::live) return;
    if (dialog.rank == Class::stray && now != Class::stray) stray_bytes_ -= dialog.bytes;
    if (dialog.rank != Class::stray && now == Class::stray) stray_bytes_ += dialog.bytes;
    const Class before = std::exchange(dialog.rank, now);
    if (now == Class::live) {
        order_[static_cast<std::size_t>(before)].erase(dialog.place);
        return;
    }
    auto& list = order_[static_cast<std::size_t>(now)];
    if (before == Class::live) {
        dialog.place = list.insert(list.end(), call_id);
    } else {
        list.splice(list.end(), order_[static_cast<std::size_t>(before)], dialog.place);
    }
}

bool Ladder::make_room(std::size_t bytes) {
    for (const Class rank : {Class::stray, Class::over}) {
        while (bytes_ + bytes > limits_.bytes_max && !order_[static_cast<std::size_t>(rank)].empty()) {
            forget_oldest(rank);
        }
    }
    return bytes_ + bytes <= limits_.bytes_max;
}

void Ladder::forget_oldest(Class rank) {
    auto& list = order_[static_cast<std::size_t>(rank)];
    const auto found = dialogs_.find(list.front());
    list.pop_front();
    const Dialog& dialog = found->second;
    bytes_ -= dialog.bytes;
    if (rank == Class::stray) stray_bytes_ -= dialog.bytes;
    if (const auto leg = legs_.find(dialog.leg); leg != legs_.end()) {
        std::erase(leg->second.dialogs, found->first);
        if (leg->second.dialogs.empty() && !leg->second.is_live) forget_leg(leg);
    }
    dialogs_.erase(found);
}

void Ladder::forget_leg(Legs::iterator leg) {
    for (const CallUuid& call : leg->second.calls) {
        const auto of = calls_.find(call);
        of->second.erase(leg->first);
        if (of->second.empty()) calls_.erase(of);
    }
    legs_.erase(leg);
}

void Ladder::begin(const LegId& leg, std::string_view call_id) {
    const std::string name(call_id);
    auto& dialogs = legs_[leg].dialogs;
    if (std::ranges::find(dialogs, name) == dialogs.end()) dialogs.push_back(name);
    Dialog& dialog = dialog_of(name);
    dialog.leg = leg;
    rank(name, dialog);
}

void Ladder::end(const LegId& leg) {
    const auto at = legs_.find(leg);
    if (at == legs_.end()) return;
    at->second.is_live = false;
    if (at->second.dialogs.empty()) return forget_leg(at);
    for (const auto& name : at->second.dialogs) rank(name, dialogs_.at(name));
}

void Ladder::tie(const CallUuid& call, const LegId& leg) {
    const auto at = legs_.find(leg);
    if (at == legs_.end() || !at->second.calls.insert(call).second) return;
    calls_[call].insert(leg);
    for (const auto& name : at->second.dialogs) rank(name, dialogs_.at(name));
}

void Ladder::merge(const CallUuid& from, const CallUuid& into) {
    const auto at = calls_.find(from);
    if (at == calls_.end()) return;
    const auto legs = at->second;
    for (const LegId& leg : legs) tie(into, leg);
}

std::optional<Ladder::Found> Ladder::of(const CallUuid& call) const {
    const auto at = calls_.find(call);
    if (at == calls_.end()) return std::nullopt;
    Found found;
    for (const LegId& leg : at->second) {
        for (const auto& name : legs_.at(leg).dialogs) {
            const Dialog& dialog = dialogs_.at(name);
            std::ranges::copy(dialog.messages, std::back_inserter(found.messages));
            found.dropped += dialog.dropped;
        }
    }
    std::ranges::sort(found.messages, {}, &Message::number);
    return found;
}

}  // namespace sheaf::ladder
