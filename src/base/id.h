// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace sheaf {

// A name that cannot be passed where another kind of name is meant. Empty means "none". Copies share its text: a call's
// ids stand in many places. Any thread may hold a copy.
template <typename Tag>
class Id {
public:
    Id() = default;
    explicit Id(std::string text)
        : text_(text.empty() ? nullptr : std::make_shared<const std::string>(std::move(text))) {}

    [[nodiscard]] const std::string& text() const {
        if (text_) return *text_;
        static const std::string none;
        return none;
    }
    [[nodiscard]] bool empty() const { return text_ == nullptr; }
    friend bool operator==(const Id& a, const Id& b) { return a.text_ == b.text_ || a.text() == b.text(); }
    friend std::strong_ordering operator<=>(const Id& a, const Id& b) {
        return a.text_ == b.text_ ? std::strong_ordering::equal : a.text() <=> b.text();
    }

private:
    std::shared_ptr<const std::string> text_;  // null: empty
};

using CallUuid = Id<struct CallUuidTag>;            // one call at one switch
using ConnectionId = Id<struct ConnectionTag>;      // a party in one call (CSTA's connection)
using LegId = Id<struct LegTag>;                    // a signalling dialog with a phone, trunk or site, and its media
using LinkId = Id<struct LinkTag>;                  // two calls that belong together
using SegmentId = Id<struct SegmentTag>;            // one media file
using RecordingId = Id<struct RecordingTag>;        // the group: the root call's calluuid
using SiteId = Id<struct SiteTag>;
using NodeId = Id<struct NodeTag>;
using TenantId = Id<struct TenantTag>;
using RoomId = Id<struct RoomTag>;                  // a room at the media server (MSML conference)
using Dn = Id<struct DnTag>;                        // directory number of an agent or a routing point

}  // namespace sheaf

template <typename Tag>
struct std::hash<sheaf::Id<Tag>> {
    std::size_t operator()(const sheaf::Id<Tag>& id) const noexcept { return std::hash<std::string>{}(id.text()); }
};
