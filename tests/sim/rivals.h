// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "base/id.h"
#include "sim/truth.h"

namespace sheaf::sim {

// The other ways by which recorders put the pieces of a conversation together, given all that a recorder at each site
// could know: the Call-ID of every dialog, both halves of every Session-ID (RFC 7989), the id of the first call that an
// INVITE between sites carries. Pieces are one recording when a chain of equal ids leads from one to the other.
class Rivals {
public:
    enum class Way { call_id, session_id, carried_id };
    static constexpr Way kWays[] = {Way::call_id, Way::session_id, Way::carried_id};

    // A call (`uuid`) has, or has had, that id.
    void saw(Way way, const std::string& uuid, const std::string& id);

    // The calls that the way puts together, by any name of the group; a call alone is a group.
    [[nodiscard]] std::string group_of(Way way, const std::string& uuid) const;

private:
    [[nodiscard]] const std::string& root_of(const std::string& name) const;
    std::map<std::string, std::string> above_;  // each name's way to its group's
};

[[nodiscard]] std::string_view name_of(Rivals::Way way);

// Of conversations with at least one call.
struct Grouped {
    std::size_t conversations = 0;
    std::size_t recordings = 0;   // of each conversation, summed
    std::size_t wrong_joins = 0;  // pairs of conversations that share a recording, one less than there are in it
    void add(const Grouped& other);
};

// What `group_of(calluuid)` makes of the conversations; a call that it has no group for is one of its own.
template <typename GroupOf>
[[nodiscard]] Grouped grouped(const std::deque<Conversation>& conversations, GroupOf&& group_of) {
    Grouped out;
    std::map<std::string, std::set<ConversationId>> members;
    for (const Conversation& conversation : conversations) {
        if (conversation.calls.empty()) continue;
        ++out.conversations;
        std::set<std::string> groups;
        for (const std::string& call : conversation.calls) {
            const std::string group = group_of(call);
            groups.insert(group);
            members[group].insert(conversation.id);
        }
        out.recordings += groups.size();
    }
    for (const auto& [group, conversations_in_it] : members) out.wrong_joins += conversations_in_it.size() - 1;
    return out;
}

}  // namespace sheaf::sim
