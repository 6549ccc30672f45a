// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Who may do what: judged for each request.
namespace sheaf::archive {

enum class Scope { site, read, admin };

// A token and what it stands for.
struct Credential {
    std::string secret;
    Scope scope = Scope::read;
    std::string tenant;
    std::string site;                // scope site: the sender it speaks for
    std::vector<std::string> nodes;  // scope site: and its nodes
};

// Somebody who has shown a token, or everyone where none is asked for.
struct Caller {
    Scope scope = Scope::read;
    std::string tenant;
    bool is_any_sender = false;  // may say facts of every site and node of the tenant
    std::string site;
    std::vector<std::string> nodes;
    [[nodiscard]] bool may_read() const { return scope != Scope::site || is_any_sender; }
    [[nodiscard]] bool may_send() const { return scope == Scope::site || is_any_sender; }
    [[nodiscard]] bool may_operate() const { return scope == Scope::admin; }
};

class Access {
public:
    // `open_tenant`: no token is asked for, and everyone is an admin of that tenant.
    Access(std::vector<Credential> credentials, std::optional<std::string> open_tenant);

    // Takes the same time for every wrong token. Empty: nobody we know.
    [[nodiscard]] std::optional<Caller> by_token(std::string_view token) const;
    // What /login hands to a browser instead of the token, and the way back.
    [[nodiscard]] std::string cookie_for(std::string_view token) const;
    [[nodiscard]] std::optional<Caller> by_cookie(std::string_view cookie) const;
    [[nodiscard]] std::optional<Caller> everyone() const;  // empty: tokens are asked for

private:
    struct Known {
        Credential credential;
        std::string digest, cookie;
    };
    std::vector<Known> known_;
    std::optional<std::string> open_tenant_;
};

}  // namespace sheaf::archive
