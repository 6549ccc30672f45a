// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstdio>

#include "apps/cli/commands.h"
#include "apps/config/settings.h"

namespace sheaf::apps {

int check_config(const CheckCommand& command) {
    const auto settings = config::settings_from_file(command.config);
    if (!settings) {
        fmt::print(stderr, "{}\n", settings.error().what);
        return 1;
    }
    std::string roles;
    if (settings->exchange) roles += " switch";
    if (settings->media) roles += " media";
    if (settings->archive) roles += " archive";
    fmt::print("{}: good; node {} of site {} plays{}\n", command.config, settings->node.name, settings->node.site,
               roles);
    return 0;
}

}  // namespace sheaf::apps
