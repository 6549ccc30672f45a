// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <utility>

#include "apps/archive/archive_role.h"
#include "apps/cli/started_role.h"
#include "apps/media/media_role.h"
#include "apps/switch/switch_role.h"

namespace sheaf::apps {
namespace {

boost::json::array list_of(const std::vector<std::string>& texts) {
    boost::json::array out;
    for (const auto& text : texts) out.emplace_back(text);
    return out;
}

}  // namespace

Result<StartedRole> start_switch(boost::asio::io_context& io, const config::Settings& settings) {
    TRY(auto started, SwitchRole::start(io, *settings.exchange));
    // shared: with the functions of the StartedRole, which are copyable.
    const std::shared_ptr<SwitchRole> role = std::move(started);
    StartedRole out;
    out.name = "switch";
    const auto bound = role->bound();
    out.bound = {{"sip", list_of(bound.sip)}, {"cti", bound.cti}};
    out.stop = [role](std::function<void()> done) { role->stop(std::move(done)); };
    out.reload = [role](const config::Settings& anew) -> Result<void> {
        if (!anew.exchange) return fail(Errc::conflict, "[switch] is gone from the file");
        return role->reload(*anew.exchange);
    };
    return out;
}

Result<StartedRole> start_media(boost::asio::io_context& io, const config::Settings& settings) {
    TRY(auto started, MediaRole::start(io, *settings.media));
    // shared: with the functions of the StartedRole, which are copyable.
    const std::shared_ptr<MediaRole> role = std::move(started);
    StartedRole out;
    out.name = "media";
    const auto bound = role->bound();
    out.bound = {{"sip", list_of(bound.sip)}, {"rtp", bound.rtp}};
    out.stop = [role](std::function<void()> done) { role->stop(std::move(done)); };
    return out;
}

Result<StartedRole> start_archive(boost::asio::io_context& io, const config::Settings& settings) {
    TRY(auto started, archive_role::ArchiveRole::start(io, *settings.archive));
    // shared: with the functions of the StartedRole, which are copyable.
    const std::shared_ptr<archive_role::ArchiveRole> role = std::move(started);
    const auto& address = settings.archive->address;
    const bool is_v6 = address.find(':') != std::string::npos;
    StartedRole out;
    out.name = "archive";
    out.bound = {{"http", (is_v6 ? "[" + address + "]" : address) + ":" + std::to_string(role->port())}};
    out.stop = [role, &io](std::function<void()> done) {
        role->stop();
        boost::asio::post(io, std::move(done));
    };
    return out;
}

}  // namespace sheaf::apps
