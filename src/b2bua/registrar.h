// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "b2bua/settings.h"
#include "exchange/exchange.h"
#include "sip/digest_auth.h"
#include "sip/user_agent.h"

// Who the site's phones are: digest authentication (RFC 3261 §22, RFC 8760) and their registrations (§10.3). It keeps
// one binding an agent, the newest. Pure; one owner.
namespace sheaf::b2bua {

inline constexpr std::uint32_t kExpiresMin = 60;  // seconds; less: 423
inline constexpr std::uint32_t kExpiresMax = 3'600;

// What a request is answered with.
struct Answer {
    int status = 200;
    std::vector<sip::Header> headers;
    std::string reason;  // empty: the code's own
};

inline constexpr std::size_t kPathMax = 8;  // proxies

struct Binding {
    std::string contact;     // URI text
    sip::Endpoint next_hop;  // where the registration came from
    sip::Endpoint local;     // where it came to
    std::string call_id;
    std::uint32_t cseq = 0;
    Instant expires{};
    bool behind_nat = false;  // its Contact is not where it came from
    std::vector<std::string> path =
        {};  // RFC 3327: the proxies before it, the nearest to us first; its requests' Route
};

class Registrar {
public:
    Registrar(const std::string& realm, std::string key) : authenticator_(realm, std::move(key)), realm_(realm) {}

    // The digest of a request in the name of `agent`; null: there is no such agent (it is answered as for a wrong
    // password). Nullopt: it holds. `why` says in an operator's words what was wrong, or nothing for a first challenge.
    struct Refusal {
        Answer answer;
        std::string why;
    };
    [[nodiscard]] std::optional<Refusal> authenticate(const sip::Message& request, const AgentAccount* agent, Stamp now,
                                                      const std::string& salt);

    // A REGISTER whose sender has been authenticated as `dn`.
    struct Outcome {
        Answer answer;
        std::optional<exchange::Event> event;
    };
    [[nodiscard]] Outcome register_agent(const sip::Message& request, const sip::Source& source, const std::string& dn,
                                         Instant now);
    [[nodiscard]] const Binding* binding_of(const std::string& dn, Instant now) const;
    // Bindings that came from there, those that have run out and were not renewed elsewhere too.
    [[nodiscard]] std::size_t bindings_at(const std::string& address) const;

private:
    void bind(const std::string& dn, Binding binding);
    void unbind(const std::string& dn);
    [[nodiscard]] Answer current(const std::string& dn, Instant now) const;

    sip::Authenticator authenticator_;
    std::string realm_;
    std::map<std::string, Binding> bindings_;          // by dn: never more than there are agents
    std::unordered_map<std::string, std::size_t> at_;  // of them, by the address they came from
};

}  // namespace sheaf::b2bua
