// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/id.h"
#include "ladder/message.h"

namespace sheaf::ladder {

struct Limits {
    std::size_t bytes_max = 32UZ << 20;          // of all messages
    std::size_t messages_of_dialog_max = 1'000;  // further ones are counted only
};

// The SIP messages of a switch's calls, those in progress and as many of the last as there is room for: of each dialog
// by its Call-ID, of each leg by its dialogs, of each call by the legs that were ever part of it. REGISTER and OPTIONS
// are not kept: they would drive out everything else.
//
// When there is no room the dialogs go that belong to no call, the one silent for longest first, then those of calls
// that are over. Only when that does not help is a new message not kept, but counted. Pure; one owner.
class Ladder {
public:
    explicit Ladder(Limits limits = {}) : limits_(limits) {}

    void add(WallTime at, bool sent, const sip::Endpoint& local, const sip::Endpoint& remote, std::string_view bytes);
    void begin(const LegId& leg, std::string_view call_id);  // one of its dialogs; it lives until `end`
    void end(const LegId& leg);
    void tie(const CallUuid& call, const LegId& leg);  // a leg not begun, or gone: nothing
    void merge(const CallUuid& from, const CallUuid& into);

    struct Found {
        std::vector<Message> messages;  // in order
        std::uint64_t dropped = 0;      // that were not kept
    };
    [[nodiscard]] std::optional<Found> of(const CallUuid& call) const;  // nullopt: nothing is known of it (any more)

    struct Counts {
        std::size_t dialogs = 0;
        std::size_t legs = 0;
        std::size_t calls = 0;
        std::size_t bytes = 0;
        std::uint64_t dropped = 0;
    };
    [[nodiscard]] Counts counts() const { return {dialogs_.size(), legs_.size(), calls_.size(), bytes_, dropped_}; }

private:
    enum class Class : std::uint8_t { stray, over, live };  // in the order in which they go
    struct Leg;
    struct Dialog;
    struct NameHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
    };
    // Entries stay where they are: legs, dialogs and the lists name each other by address.
    using Dialogs = std::unordered_map<std::string, Dialog, NameHash, std::equal_to<>>;
    using Legs = std::unordered_map<LegId, Leg>;

    // Most that a switch writes down is here. What is said of a message besides its text is small, and the texts of a
    // dialog stand in one piece: they come and go without much memory being touched.
    struct Kept {
        std::uint64_t number;
        WallTime at;
        std::size_t end;              // of its text in the dialog's
        std::uint16_t local, remote;  // of the dialog's ends
        bool sent;
    };
    struct Dialog {
        std::vector<Legs::value_type*> legs;  // more than one: a Call-ID that somebody used again
        std::string text;
        std::vector<Kept> messages;
        std::vector<sip::Endpoint> ends;
        std::size_t bytes = 0;
        std::uint64_t dropped = 0;
        Class rank = Class::stray;
        std::list<Dialogs::value_type*>::iterator place;  // in order_[rank], unless it is live

        [[nodiscard]] std::uint16_t end_of(const sip::Endpoint& endpoint);
    };
    struct Leg {
        std::vector<Dialogs::value_type*> dialogs;
        std::set<CallUuid> calls;
        bool is_live = true;
    };

    Dialogs::value_type& dialog_of(std::string_view call_id);
    void rank(Dialogs::value_type& dialog);
    bool make_room(std::size_t bytes, const Dialogs::value_type& but);  // by whatever else may go
    void forget_oldest(Class rank);
    void forget_leg(const LegId& leg);
    static void append(Found& found, const Dialogs::value_type& entry);

    Limits limits_;
    Dialogs dialogs_;  // by Call-ID
    Legs legs_;
    std::unordered_map<CallUuid, std::set<LegId>> calls_;
    std::list<Dialogs::value_type*> order_[2];  // stray dialogs, those that are over; the longest silent first
    std::size_t bytes_ = 0;
    std::size_t stray_bytes_ = 0;
    std::uint64_t dropped_ = 0;
    std::uint64_t number_ = 0;
};

}  // namespace sheaf::ladder
