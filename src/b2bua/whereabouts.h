// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "exchange/exchange.h"
#include "sip/locate.h"

// Where the peers are that are configured by name, as far as that is known, and when it is to be looked for again. A
// name that leads nowhere any more stays where it was. A value without I/O; one owner.
namespace sheaf::b2bua {

inline constexpr Duration kLookAgain = std::chrono::seconds{30};  // after a name that was not found

class Whereabouts {
public:
    // The URIs of interest, as configured. All of them are due now, also those that are known.
    void want(Instant now, const std::set<std::string>& uris);
    // To be looked for; each is not due again until it has been `found`.
    [[nodiscard]] std::vector<std::string> take_due(Instant now);
    // What came of it. True: `of` says something else from now on.
    bool found(Instant now, const std::string& uri, const Result<sip::Located>& result);
    // In the order in which they are tried; empty: it was never found.
    [[nodiscard]] std::vector<sip::Endpoint> of(const std::string& uri) const;
    [[nodiscard]] std::optional<Instant> next_deadline() const;
    [[nodiscard]] bool is_looking() const;  // some have been taken and not been found
    // A line for all that is somewhere else, and one for all that was not found; of each name only when that is new.
    [[nodiscard]] std::vector<exchange::Log> take_logs();

private:
    struct Place {
        std::vector<sip::Endpoint> endpoints;
        std::optional<Instant> due;  // nullopt: it is being looked for
        bool is_missed = false;      // said in the log
    };
    std::map<std::string, Place> places_;
    std::string said_found_;
    std::string said_missed_;
};

}  // namespace sheaf::b2bua
