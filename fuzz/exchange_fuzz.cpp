// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "exchange/promises.h"
#include "exchange/test_site.h"

// Each byte chooses: which event comes next, to which leg, with what. Whatever comes, the site keeps its promises.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sheaf::exchange;
    std::size_t at = 0;
    const std::function<std::size_t(std::size_t)> number = [&](std::size_t below) -> std::size_t {
        if (at >= size || below == 0) return 0;
        std::size_t value = data[at++];
        if (below > 256 && at < size) value = value << 8 | data[at++];
        return value % below;
    };
    SiteSettings settings = london_settings();
    settings.calls_max = 8;
    settings.queue_max = 3;
    settings.wrap_up_ms = number(2) == 0 ? 0 : 2000;
    if (const std::size_t policies = number(256); policies != 0) add_policies(settings, policies);
    Exchange site{settings};
    AnyEvents events{number, changes_of(settings)};
    const std::string broken = broken_by(site, events, number, size / 3 + 1);
    if (!broken.empty()) {
        std::fprintf(stderr, "%s\n", broken.c_str());
        std::abort();
    }
    return 0;
}
