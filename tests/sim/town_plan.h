// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sim/site.h"

// Who is where in the town: names, numbers, addresses.
namespace sheaf::sim {

inline const std::vector<std::string> kSites{"london", "paris", "hub"};
inline constexpr int kAgentsOfSite = 7;  // at london and at paris

[[nodiscard]] std::string switch_address(int site);
[[nodiscard]] std::string media_address(int site);
[[nodiscard]] std::string phone_address(int site, int nth);
[[nodiscard]] std::string dn_of(int site, int nth);
[[nodiscard]] bool is_recorded(int nth);
[[nodiscard]] bool is_auto_answer(int nth);
[[nodiscard]] bool records_consults(int site);
inline const std::vector<std::string> kFeatureCodes{"*11", "*12", "*13"};  // ready, not ready, wrap-up done
inline const std::string kMenuNumber = "+201801";                          // where callers are asked something
inline const std::string kCarrierAddress = "10.9.0.1";
inline const std::string kTollAddress = "10.9.0.2";  // paris' own trunk, whose customers are always recorded

[[nodiscard]] Switch::Settings settings_of(int site);

}  // namespace sheaf::sim
