// SPDX-License-Identifier: Apache-2.0
#include "ladder/ladder.h"

#include <algorithm>
#include <utility>

#include "ladder/masking.h"
#include "sip/grammar.h"
#include "sip/message.h"

namespace sheaf::ladder {
namespace {

// What is taken besides texts, about: of a message, and of a dialog with its share of leg and call.
constexpr std::size_t kMessageOverhead = 96;
constexpr std::size_t kDialogOverhead = 512;
constexpr std::size_t kStrayShare = 8;  // of the room, at most one in so many bytes is strangers'

// A dialog's: the Call-ID's visible characters, so many of them. `cleaned` holds them where those are not all.
std::string_view name_of(std::string_view call_id, std::string& cleaned) {
    const bool is_clean = call_id.size() <= sip::kMessageIdPartMax &&
                          std::ranges::all_of(call_id, [](char c) { return c > ' ' && c < 0x7f; });
    return is_clean ? call_id : std::string_view(cleaned = sip::printable(call_id, sip::kMessageIdPartMax));
}

// How much a text has room for once `more` is added: it grows to double the size, so that it seldom moves.
std::size_t room_for(const std::string& text, std::size_t more) {
    const std::size_t size = text.size() + more;
    return size <= text.capacity() ? text.capacity() : std::max(size, text.capacity() * 2);
}

}  // namespace

void Ladder::add(WallTime at, bool sent, const sip::Endpoint& local, const sip::Endpoint& remote,
                 std::string_view bytes) {
    ++number_;
    const auto names = names_of(bytes);
    if (!names || names->method == "REGISTER" || names->method == "OPTIONS") return;
    bytes = bytes.substr(0, kTextBytesMax);
    auto& entry = dialog_of(names->call_id);
    rank(entry);  // it has just been heard of: it goes last
    Dialog& dialog = entry.second;
    const std::size_t room = room_for(dialog.text, bytes.size());
    const std::size_t size =
        room - dialog.text.capacity() + kMessageOverhead + (dialog.messages.empty() ? kDialogOverhead : 0);
    const bool has_room = make_room(size, entry);
    if (!has_room || dialog.messages.size() >= limits_.messages_of_dialog_max) {
        ++dialog.dropped;
        ++dropped_;
        return;
    }
    dialog.text.reserve(room);
    const std::size_t from = dialog.text.size();
    dialog.text += bytes;
    mask(std::span(dialog.text).subspan(from));
    dialog.messages.push_back({number_, at, dialog.text.size(), dialog.end_of(local), dialog.end_of(remote), sent});
    dialog.bytes += size;
    bytes_ += size;
    if (dialog.rank == Class::stray) stray_bytes_ += size;
    while (stray_bytes_ > limits_.bytes_max / kStrayShare && order_[0].size() > 1) forget_oldest(Class::stray);
}

std::uint16_t Ladder::Dialog::end_of(const sip::Endpoint& endpoint) {
    const auto known = std::ranges::find(ends, endpoint);
    const auto index = static_cast<std::uint16_t>(known - ends.begin());
    if (known == ends.end()) ends.push_back(endpoint);
    return index;
}

Ladder::Dialogs::value_type& Ladder::dialog_of(std::string_view call_id) {
    std::string cleaned;
    const auto name = name_of(call_id, cleaned);
    if (const auto known = dialogs_.find(name); known != dialogs_.end()) return *known;
    auto& entry = *dialogs_.try_emplace(std::string(name)).first;
    entry.second.place = order_[0].insert(order_[0].end(), &entry);
    return entry;
}

// Puts it last in the list it belongs to now.
void Ladder::rank(Dialogs::value_type& entry) {
    Dialog& dialog = entry.second;
    const bool is_live = std::ranges::any_of(dialog.legs, [](const auto* leg) { return leg->second.is_live; });
    const bool is_stray = std::ranges::all_of(dialog.legs, [](const auto* leg) { return leg->second.calls.empty(); });
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
        dialog.place = list.insert(list.end(), &entry);
    } else {
        list.splice(list.end(), order_[static_cast<std::size_t>(before)], dialog.place);
    }
}

bool Ladder::make_room(std::size_t bytes, const Dialogs::value_type& but) {
    for (const Class rank : {Class::stray, Class::over}) {
        const auto& list = order_[static_cast<std::size_t>(rank)];
        while (bytes_ + bytes > limits_.bytes_max && !list.empty() && list.front() != &but) forget_oldest(rank);
    }
    return bytes_ + bytes <= limits_.bytes_max;
}

void Ladder::forget_oldest(Class rank) {
    auto& list = order_[static_cast<std::size_t>(rank)];
    auto* entry = list.front();
    list.pop_front();
    const Dialog& dialog = entry->second;
    bytes_ -= dialog.bytes;
    if (rank == Class::stray) stray_bytes_ -= dialog.bytes;
    for (auto* leg : dialog.legs) {
        std::erase(leg->second.dialogs, entry);
        if (leg->second.dialogs.empty() && !leg->second.is_live) forget_leg(leg->first);
    }
    dialogs_.erase(dialogs_.find(entry->first));
}

void Ladder::forget_leg(const LegId& id) {
    const auto leg = legs_.find(id);
    for (const CallUuid& call : leg->second.calls) {
        const auto of = calls_.find(call);
        of->second.erase(id);
        if (of->second.empty()) calls_.erase(of);
    }
    legs_.erase(leg);
}

void Ladder::begin(const LegId& id, std::string_view call_id) {
    auto& leg = *legs_.try_emplace(id).first;
    auto& dialog = dialog_of(call_id);
    if (std::ranges::find(leg.second.dialogs, &dialog) == leg.second.dialogs.end()) {
        leg.second.dialogs.push_back(&dialog);
        dialog.second.legs.push_back(&leg);
    }
    rank(dialog);
}

void Ladder::end(const LegId& id) {
    const auto leg = legs_.find(id);
    if (leg == legs_.end()) return;
    leg->second.is_live = false;
    if (leg->second.dialogs.empty()) return forget_leg(id);
    for (auto* dialog : leg->second.dialogs) rank(*dialog);
}

void Ladder::tie(const CallUuid& call, const LegId& id) {
    const auto leg = legs_.find(id);
    if (leg == legs_.end() || !leg->second.calls.insert(call).second) return;
    calls_[call].insert(id);
    for (auto* dialog : leg->second.dialogs) rank(*dialog);
}

void Ladder::merge(const CallUuid& from, const CallUuid& into) {
    const auto at = calls_.find(from);
    if (at == calls_.end()) return;
    const auto legs = at->second;
    for (const LegId& leg : legs) tie(into, leg);
}

void Ladder::append(Found& found, const Dialogs::value_type& entry) {
    const auto& [call_id, dialog] = entry;
    std::size_t from = 0;
    for (const Kept& kept : dialog.messages) {
        const auto text = std::string_view(dialog.text).substr(from, kept.end - from);
        from = kept.end;
        const auto names = names_of(text).value_or(Names{});  // there were some: masking takes none away
        found.messages.push_back({kept.number, kept.at, kept.sent, dialog.ends[kept.local], dialog.ends[kept.remote],
                                  sip::message_id(call_id, names.cseq, names.method), std::string(text)});
    }
    found.dropped += dialog.dropped;
}

std::optional<Ladder::Found> Ladder::of(const CallUuid& call) const {
    const auto at = calls_.find(call);
    if (at == calls_.end()) return std::nullopt;
    Found found;
    std::set<const Dialogs::value_type*> seen;  // two legs may have one
    for (const LegId& leg : at->second) {
        for (const auto* dialog : legs_.at(leg).dialogs) {
            if (seen.insert(dialog).second) append(found, *dialog);
        }
    }
    std::ranges::sort(found.messages, {}, &Message::number);
    return found;
}

}  // namespace sheaf::ladder
