// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <utility>

namespace sheaf {

// A name that cannot be passed where another kind of name is meant. Empty means "none".
template <typename Tag>
class Id {
public:
    Id() = default;
    explicit Id(std::string text) : text_(std::move(text)) {}

    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] bool empty() const { return text_.empty(); }
    friend auto operator<=>(const Id&, const Id&) = default;

private:
    std::string text_;
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
