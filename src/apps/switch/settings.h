// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/config/switch_settings.h"
#include "b2bua/settings.h"
#include "base/result.h"
#include "exchange/exchange.h"
#include "sip/admission.h"

// The configuration as the rooms want it.
namespace sheaf::apps {

[[nodiscard]] exchange::SiteSettings exchange_settings(const config::SwitchSettings& settings);
[[nodiscard]] sip::Shares shares_of(const config::LimitSettings& limits);
// Peers' and media servers' URIs with literal addresses: names are resolved here, once. `host`: ours, as peers see it.
// Errc::malformed or not_found: a URI that leads nowhere. Blocks while it asks for a name.
[[nodiscard]] Result<b2bua::Settings> b2bua_settings(const config::SwitchSettings& settings, const std::string& host);

}  // namespace sheaf::apps
