// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace sheaf::call {

// A party as desktops are told of it.
struct Seen {
    std::string device;     // its address: of an agent its number here, else whatever the party's network said
    std::string state;      // of its connection; empty where the event is about the party
    bool is_agent = false;  // of this site: no other's address is a device that a token may name
};

}  // namespace sheaf::call
