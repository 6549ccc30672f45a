// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/entropy.h"
#include "base/result.h"
#include "sip/locate.h"

namespace boost::asio {
class io_context;
}

namespace sheaf::dns {

inline constexpr std::size_t kDnsServersMax = 4;  // that are asked, one after the other
inline constexpr std::size_t kSearchesMax = 16;   // at once; further ones wait

struct ResolverOptions {
    std::vector<std::string> servers;  // "127.0.0.1", "127.0.0.1:5353", "[::1]:5353"; empty: the system's
    sip::Reach reach;
    std::chrono::milliseconds timeout{1'500};  // of the first try at a server, twice that of the second
    int tries = 2;                             // at each server
};

// Asks DNS what sip::locate wants to know. Names are looked up as they stand, addresses in /etc/hosts, too. Everything
// runs on the io_context's thread, and nothing blocks.
class Resolver {
public:
    using Done = std::function<void(Result<sip::Located>)>;
    // Errc::malformed: a server that is no address. Errc::io: the system's settings cannot be read.
    [[nodiscard]] static Result<std::unique_ptr<Resolver>> create(boost::asio::io_context& io, ResolverOptions options);
    virtual ~Resolver() = default;  // what is under way is never done

    // `done` once, from the io_context, unless the resolver goes before; it may end the resolver.
    virtual void locate(const sip::Uri& uri, const Entropy::Seed& seed, Done done) = 0;
};

}  // namespace sheaf::dns
