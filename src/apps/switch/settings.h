// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "apps/config/switch_settings.h"
#include "b2bua/settings.h"
#include "base/result.h"
#include "exchange/exchange.h"
#include "sip/admission.h"

// The configuration as the rooms want it.
namespace sheaf::apps {

[[nodiscard]] exchange::SiteSettings exchange_settings(const config::SwitchSettings& settings);
[[nodiscard]] sip::Shares shares_of(const config::LimitSettings& limits);
// The URIs of trunks, sites and media servers whose host is a name, as they stand in the configuration.
[[nodiscard]] std::set<std::string> named_uris(const config::SwitchSettings& settings);
// Where such a URI leads; empty: nowhere yet.
using WhereIs = std::function<std::vector<sip::Endpoint>(const std::string& uri)>;
// `host`: ours, as peers see it. Errc::malformed: a URI that can lead nowhere.
[[nodiscard]] Result<b2bua::Settings> b2bua_settings(const config::SwitchSettings& settings, const std::string& host,
                                                     const WhereIs& where_is);

}  // namespace sheaf::apps
