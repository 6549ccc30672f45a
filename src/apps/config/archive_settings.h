// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sheaf::config {

// What a token lets its bearer do at the archive. `admin` may do all that `read` may, and operators' acts.
enum class TokenScope { site, read, admin };

// [[archive.token]]
struct ArchiveToken {
    std::string name;
    std::string secret;  // the bearer token itself, 1 to 256 characters
    TokenScope scope = TokenScope::read;
    std::string tenant = "default";
    std::string site;                // scope site: facts must name it
    std::vector<std::string> nodes;  // scope site: facts must come from one of these
};

// [archive] and what it needs of [node]; checked by who makes it. Plain values.
struct ArchiveSettings {
    std::string tenant = "default";  // [node] tenant: whose view an unauthenticated (auth = none) reader gets
    std::string site = "archive";    // [node] site and name: sender of the archive's own facts
    std::string node = "archive-1";
    std::string data;  // folder for media/ and spool/, made when absent; the catalogue lies beside it, as <data>.db

    std::string address = "127.0.0.1";  // IPv4 or IPv6 literal, without brackets
    std::uint16_t port = 8080;          // 0: any
    bool auth_none = false;             // auth = "none": everyone may all; only on a loopback address
    std::vector<ArchiveToken> tokens;

    std::int64_t settle_ms = 3'600'000;  // a recording not yet complete stays open this long after its last call's end
};

}  // namespace sheaf::config
