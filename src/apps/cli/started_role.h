// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <string>

#include "apps/config/settings.h"
#include "base/result.h"

namespace boost::asio {
class io_context;
}

namespace sheaf::apps {

// A role as the program sees it; the functions own it. They are called on the role's io_context's thread.
struct StartedRole {
    std::string name;
    boost::json::object bound;                                    // for the ready line
    std::function<void(std::function<void()> done)> stop;         // gracefully; `done` once, at any later time
    std::function<Result<void>(const config::Settings&)> reload;  // empty: nothing of it can change
};

// Each is called before its io_context runs, and only when the settings have the role.
[[nodiscard]] Result<StartedRole> start_switch(boost::asio::io_context& io, const config::Settings& settings);
[[nodiscard]] Result<StartedRole> start_media(boost::asio::io_context& io, const config::Settings& settings);
[[nodiscard]] Result<StartedRole> start_archive(boost::asio::io_context& io, const config::Settings& settings);

}  // namespace sheaf::apps
