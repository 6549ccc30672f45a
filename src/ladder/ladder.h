// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/id.h"
#include "ladder/message.h"

namespace sheaf::ladder {

struct Limits {
    std::size_t bytes_max = 32UZ << 20;          // of all messages
    std::size_t messages_of_dialog_max = 1'000;  // further ones are counted only; at most 20,000
};

// The SIP messages of a switch's calls, those in progress and as many of the last as there is room for: of each dialog
// by its Call-ID, of each leg by its dialogs, of each call by the legs that were ever part of it. REGISTER and OPTIONS
// are not kept: they would drive out everything else.
//
// When there is no room the dialogs go that belong to no call, the one silent for longest first, then those of calls
// that are over. Only when that does not help is a new message not kept, but counted. Pure; one owner.
class Ladder {
public:
    explicit Ladder(Limits limits = {});

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
    struct Call;
    struct NameHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
    };
    // Entries of the maps below stay where they are: calls, legs, dialogs and the lists name each other by address.
    using DialogEntry = std::pair<const std::string, Dialog>;
    using LegEntry = std::pair<const LegId, Leg>;
    using CallEntry = std::pair<const CallUuid, Call>;
    template <typename Entry>
    using Few = boost::container::small_vector<Entry*, 2>;  // mostly

    // Most that a switch writes down is here. What is said of a message besides its text is small, and the texts of a
    // dialog stand in one piece: they come and go without much memory being touched.
    struct Kept {
        std::uint64_t number;
        WallTime at;
        std::size_t end;  // of its text in the dialog's
        std::uint32_t cseq;
        std::uint16_t method;         // one that is known, or behind these one of the dialog's
        std::uint16_t local, remote;  // of the dialog's ends
        bool sent;
    };
    struct Dialog {
        Few<LegEntry> legs;  // more than one: a Call-ID that somebody used again; the oldest first
        std::string text;
        std::vector<Kept> messages;
        std::vector<sip::Endpoint> ends;
        std::vector<std::string> methods;
        std::size_t bytes = 0;
        std::uint64_t dropped = 0;
        Class rank = Class::stray;
        std::list<DialogEntry*>::iterator place;  // in order_[rank], unless it is live
    };
    struct Leg {
        Few<DialogEntry> dialogs;
        Few<CallEntry> calls;
        bool is_live = true;
    };
    struct Call {
        Few<LegEntry> legs;
    };

    DialogEntry& dialog_of(std::string_view call_id);
    void rank(DialogEntry& dialog);
    void tie(CallEntry& call, LegEntry& leg);
    [[nodiscard]] static std::uint16_t method_of(Dialog& dialog, std::string_view method);
    // Bytes that the dialog's text is to have room for; none: there is no room for it.
    [[nodiscard]] std::optional<std::size_t> room_for(const DialogEntry& dialog, std::size_t more, std::size_t besides);
    bool make_room(std::size_t bytes, const DialogEntry& of);  // by what may go before it
    void part(DialogEntry& dialog, LegEntry& leg);
    void forget_oldest(Class rank);
    void forget_leg(LegEntry& leg);
    static void append(Found& found, const DialogEntry& entry);

    Limits limits_;
    std::unordered_map<std::string, Dialog, NameHash, std::equal_to<>> dialogs_;  // by Call-ID
    std::unordered_map<LegId, Leg> legs_;
    std::unordered_map<CallUuid, Call> calls_;
    std::list<DialogEntry*> order_[2];  // stray dialogs, those that are over; the longest silent first
    std::size_t bytes_ = 0;
    std::size_t stray_bytes_ = 0;
    std::uint64_t dropped_ = 0;
    std::uint64_t number_ = 0;
};

}  // namespace sheaf::ladder
