// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace sheaf::config {

// [node]: who speaks. One process is one node; every role of the file belongs to it.
struct NodeSettings {
    std::string site;  // 1 to 64 of [A-Za-z0-9._-]
    std::string name;  // of this node; unique in its site
    std::string data;  // folder of everything the node keeps; absolute, made when missing
    std::string tenant = "default";
};

// A literal IPv4 or IPv6 address (no brackets) and a port; port 0: any.
struct HostPort {
    std::string address;
    std::uint16_t port = 0;
};

// Where facts and files go. `url` is empty when none is configured: then everything stays in the outbox.
struct ArchiveLink {
    std::string url;    // http://host:port
    std::string token;  // the secret itself, already read from its file or variable
};

}  // namespace sheaf::config
