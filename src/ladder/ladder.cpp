// SPDX-License-Identifier: Apache-2.0
#include "ladder/ladder.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/assert.h"
#include "ladder/masking.h"
#include "sip/grammar.h"
#include "sip/message.h"

namespace sheaf::ladder {
namespace {

// What is taken besides texts, about: of a message, of each end it is from or to, of a dialog with its leg and call.
constexpr std::size_t kMessageOverhead = 128;
constexpr std::size_t kEndOverhead = 2 * sizeof(sip::Endpoint);
constexpr std::size_t kDialogOverhead = 640;
constexpr std::size_t kStrayShare = 8;                // of the room, at most one in so many bytes is strangers'
constexpr std::size_t kDialogTextMax = 1UZ << 20;     // more of a dialog is counted only
constexpr std::size_t kLegsOfDialogMax = 16;          // of one Call-ID; the oldest goes
constexpr std::size_t kMessagesOfDialogMax = 20'000;  // what a Limits may say

// What a dialog of a call comes to, in texts of the size of its first: further room is seldom asked for.
constexpr std::size_t kTextsOfDialog = 5;
constexpr std::size_t kMessagesOfDialog = 8;

constexpr std::array<std::string_view, 8> kMethods{"INVITE", "ACK",  "BYE",    "CANCEL",
                                                   "PRACK",  "INFO", "UPDATE", "REFER"};

// A dialog's: the Call-ID's visible characters, so many of them. `cleaned` holds them where those are not all.
std::string_view name_of(std::string_view call_id, std::string& cleaned) {
    const bool is_clean = call_id.size() <= sip::kMessageIdPartMax &&
                          std::ranges::all_of(call_id, [](char c) { return c > ' ' && c < 0x7f; });
    return is_clean ? call_id : std::string_view(cleaned = sip::printable(call_id, sip::kMessageIdPartMax));
}

bool knows(const auto& all, const auto& one) {
    return std::ranges::find(all, one) != all.end();
}
void forget(auto& all, const auto& one) {
    all.erase(std::remove(all.begin(), all.end(), one), all.end());
}

// Where it stands, at the end if it is new.
template <typename T>
std::uint16_t index_in(std::vector<T>& all, const auto& one) {
    const auto known = std::ranges::find(all, one);
    const auto index = static_cast<std::uint16_t>(known - all.begin());
    if (known == all.end()) all.emplace_back(one);
    return index;
}

}  // namespace

Ladder::Ladder(Limits limits) : limits_(limits) {
    ASSERT(limits.messages_of_dialog_max <= kMessagesOfDialogMax);
}

void Ladder::add(WallTime at, bool sent, const sip::Endpoint& local, const sip::Endpoint& remote,
                 std::string_view bytes) {
    ++number_;
    Reading reading(bytes);
    const auto names = reading.names();
    if (!names || names->method == "REGISTER" || names->method == "OPTIONS") return;
    bytes = bytes.substr(0, kTextBytesMax);
    auto& entry = dialog_of(names->call_id);
    rank(entry);  // it has just been heard of: it goes last
    Dialog& dialog = entry.second;
    const bool is_odd = !knows(kMethods, names->method) && !knows(dialog.methods, names->method);
    std::size_t besides = kMessageOverhead + (dialog.messages.empty() ? kDialogOverhead : 0);
    for (const auto* end : {&local, &remote}) besides += knows(dialog.ends, *end) ? 0 : kEndOverhead;
    if (is_odd) besides += sizeof(std::string) + names->method.size();
    const auto room = room_for(entry, bytes.size(), besides);
    if (!room) {
        ++dialog.dropped;
        ++dropped_;
        return;
    }
    const std::size_t size = *room - dialog.text.capacity() + besides;
    if (*room > dialog.text.capacity()) {
        std::string grown;  // a new one takes what is asked for
        grown.reserve(*room);
        dialog.text.swap(grown += dialog.text);
    }
    const std::size_t from = dialog.text.size();
    dialog.text += bytes;
    reading.mask(std::span(dialog.text).subspan(from));
    if (dialog.messages.empty()) dialog.messages.reserve(kMessagesOfDialog);
    dialog.messages.push_back({number_, at, dialog.text.size(), names->cseq, method_of(dialog, names->method),
                               index_in(dialog.ends, local), index_in(dialog.ends, remote), sent});
    dialog.bytes += size;
    bytes_ += size;
    if (dialog.rank == Class::stray) stray_bytes_ += size;
    while (stray_bytes_ > limits_.bytes_max / kStrayShare && order_[0].size() > 1) forget_oldest(Class::stray);
}

std::uint16_t Ladder::method_of(Dialog& dialog, std::string_view method) {
    const auto known = std::ranges::find(kMethods, method);
    if (known != kMethods.end()) return static_cast<std::uint16_t>(known - kMethods.begin());
    return static_cast<std::uint16_t>(kMethods.size() + index_in(dialog.methods, method));
}

// A call's text gets room for all that is to come, other texts grow to double the size, so that they seldom move; to
// what it needs, where that is too much.
std::optional<std::size_t> Ladder::room_for(const DialogEntry& entry, std::size_t more, std::size_t besides) {
    const Dialog& dialog = entry.second;
    const std::size_t has = dialog.text.capacity();
    const std::size_t needs = dialog.text.size() + more;
    if (dialog.messages.size() >= limits_.messages_of_dialog_max || needs > kDialogTextMax) return std::nullopt;
    const bool is_begin = dialog.messages.size() <= 1 && !dialog.legs.empty();
    const std::size_t wanted = is_begin ? kTextsOfDialog * std::max(has, needs - has) : 2 * has;
    for (const std::size_t room : {needs <= has ? has : std::max(needs, wanted), std::max(needs, has)}) {
        const std::size_t size = room - has + besides;
        // One stranger does not drive out calls.
        const bool is_stray = dialog.rank == Class::stray && !dialog.messages.empty();
        if (is_stray && dialog.bytes + size > limits_.bytes_max / kStrayShare) continue;
        if (make_room(size, entry)) return room;
    }
    return std::nullopt;
}

Ladder::DialogEntry& Ladder::dialog_of(std::string_view call_id) {
    std::string cleaned;
    const auto name = name_of(call_id, cleaned);
    if (const auto known = dialogs_.find(name); known != dialogs_.end()) return *known;
    auto& entry = *dialogs_.try_emplace(std::string(name)).first;
    entry.second.place = order_[0].insert(order_[0].end(), &entry);
    return entry;
}

// Puts it last in the list it belongs to now.
void Ladder::rank(DialogEntry& entry) {
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

bool Ladder::make_room(std::size_t bytes, const DialogEntry& of) {
    for (const Class rank : {Class::stray, Class::over}) {
        const auto& list = order_[static_cast<std::size_t>(rank)];
        while (bytes_ + bytes > limits_.bytes_max && !list.empty() && list.front() != &of) forget_oldest(rank);
    }
    return bytes_ + bytes <= limits_.bytes_max;
}

void Ladder::forget_oldest(Class rank) {
    auto& list = order_[static_cast<std::size_t>(rank)];
    auto* entry = list.front();
    list.pop_front();
    bytes_ -= entry->second.bytes;
    if (rank == Class::stray) stray_bytes_ -= entry->second.bytes;
    while (!entry->second.legs.empty()) part(*entry, *entry->second.legs.front());
    dialogs_.erase(dialogs_.find(entry->first));
}

void Ladder::forget_leg(LegEntry& leg) {
    for (CallEntry* call : leg.second.calls) {
        forget(call->second.legs, &leg);
        if (call->second.legs.empty()) calls_.erase(calls_.find(call->first));
    }
    legs_.erase(legs_.find(leg.first));
}

void Ladder::begin(const LegId& id, std::string_view call_id) {
    auto& leg = *legs_.try_emplace(id).first;
    auto& dialog = dialog_of(call_id);
    if (!knows(leg.second.dialogs, &dialog)) {
        if (dialog.second.legs.size() >= kLegsOfDialogMax) part(dialog, *dialog.second.legs.front());
        leg.second.dialogs.push_back(&dialog);
        dialog.second.legs.push_back(&leg);
    }
    rank(dialog);
}

void Ladder::part(DialogEntry& dialog, LegEntry& leg) {
    forget(dialog.second.legs, &leg);
    forget(leg.second.dialogs, &dialog);
    if (leg.second.dialogs.empty() && !leg.second.is_live) forget_leg(leg);
}

void Ladder::end(const LegId& id) {
    const auto leg = legs_.find(id);
    if (leg == legs_.end()) return;
    leg->second.is_live = false;
    if (leg->second.dialogs.empty()) return forget_leg(*leg);
    for (auto* dialog : leg->second.dialogs) rank(*dialog);
}

void Ladder::tie(const CallUuid& call, const LegId& id) {
    const auto leg = legs_.find(id);
    if (leg != legs_.end()) tie(*calls_.try_emplace(call).first, *leg);
}

void Ladder::tie(CallEntry& call, LegEntry& leg) {
    if (knows(leg.second.calls, &call)) return;
    leg.second.calls.push_back(&call);
    call.second.legs.push_back(&leg);
    for (auto* dialog : leg.second.dialogs) rank(*dialog);
}

void Ladder::merge(const CallUuid& from, const CallUuid& into) {
    const auto at = calls_.find(from);
    if (at == calls_.end()) return;
    const Call& former = at->second;  // stays where it is
    auto& call = *calls_.try_emplace(into).first;
    for (LegEntry* leg : former.legs) tie(call, *leg);
}

void Ladder::append(Found& found, const DialogEntry& entry) {
    const auto& [call_id, dialog] = entry;
    std::size_t from = 0;
    for (const Kept& kept : dialog.messages) {
        const auto text = std::string_view(dialog.text).substr(from, kept.end - from);
        from = kept.end;
        const std::string_view method = kept.method < kMethods.size()
                                            ? kMethods[kept.method]
                                            : std::string_view(dialog.methods[kept.method - kMethods.size()]);
        found.messages.push_back({kept.number, kept.at, kept.sent, dialog.ends[kept.local], dialog.ends[kept.remote],
                                  sip::message_id(call_id, kept.cseq, method), std::string(text)});
    }
    found.dropped += dialog.dropped;
}

std::optional<Ladder::Found> Ladder::of(const CallUuid& call) const {
    const auto at = calls_.find(call);
    if (at == calls_.end()) return std::nullopt;
    Found found;
    std::set<const DialogEntry*> seen;  // two legs may have one
    for (const LegEntry* leg : at->second.legs) {
        for (const auto* dialog : leg->second.dialogs) {
            if (seen.insert(dialog).second) append(found, *dialog);
        }
    }
    std::ranges::sort(found.messages, {}, &Message::number);
    return found;
}

}  // namespace sheaf::ladder
