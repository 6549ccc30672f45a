// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <list>
#include <map>
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
    enum class Class { stray, over, live };  // in the order in which they go
    struct Dialog {
        LegId leg;
        std::vector<Message> messages;
        std::size_t bytes = 0;
        std::uint64_t dropped = 0;
        Class rank = Class::stray;
        std::list<std::string>::iterator place;  // in order_[rank], unless it is live
    };
    struct Leg {
        std::vector<std::string> dialogs;
        std::set<CallUuid> calls;
        bool is_live = true;
    };

    using Legs = std::unordered_map<LegId, Leg>;

    Dialog& dialog_of(const std::string& call_id);
    void rank(const std::string& call_id, Dialog& dialog);
    bool make_room(std::size_t bytes);
    void forget_oldest(Class rank);
    void forget_leg(Legs::iterator leg);

    Limits limits_;
    std::unordered_map<std::string, Dialog> dialogs_;
    Legs legs_;
    std::unordered_map<CallUuid, std::set<LegId>> calls_;
    std::list<std::string> order_[2];  // Call-IDs of stray dialogs, of those that are over; the longest silent first
    std::size_t bytes_ = 0;
    std::size_t stray_bytes_ = 0;
    std::uint64_t dropped_ = 0;
    std::uint64_t number_ = 0;
};

}  // namespace sheaf::ladder
