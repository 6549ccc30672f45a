// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "base/bytes.h"
#include "sip/locate.h"

namespace {

using namespace sheaf::sip;

// What a DNS that means ill might say, out of the bytes as long as there are some.
struct Stranger {
    sheaf::Bytes bytes;

    std::uint8_t next() {
        if (bytes.empty()) return 0;
        const auto byte = bytes.front();
        bytes = bytes.subspan(1);
        return byte;
    }
    std::uint16_t number() { return static_cast<std::uint16_t>(next() << 8 | next()); }
    std::string text(const std::string& name) {
        switch (next() % 8) {
            case 0: return name;
            case 1: return ".";
            case 2: return "_sip._udp." + name;
            case 3: return "192.0.2." + std::to_string(next());
            case 4: return "2001:db8::" + std::to_string(next() % 10);
            case 5: return std::string(1, static_cast<char>('a' + next() % 26)) + "." + name;
            default: break;
        }
        const auto size = std::min<std::size_t>(next(), bytes.size());
        const auto taken = bytes.first(size);
        bytes = bytes.subspan(size);
        return {taken.begin(), taken.end()};
    }
    sheaf::Result<DnsAnswer> answer(const Question& question) {
        constexpr const char* kServices[] = {"SIP+D2U", "SIP+D2T", "SIPS+D2T", "sip+d2u", "E2U+sip"};
        if (next() % 16 == 15) return sheaf::fail(sheaf::Errc::timeout, "no answer");
        DnsAnswer out;
        out.ttl_s = static_cast<std::uint32_t>(number()) << 16U | number();
        for (int left = next() % 40; left > 0 && !bytes.empty(); --left) {
            out.naptr.push_back({number(), number(), next() % 4 == 3 ? text("s") : "s", kServices[next() % 5],
                                 next() % 8 == 7 ? "!x!y!" : "", text(question.name)});
            out.srv.push_back({number(), number(), number(), text(question.name)});
            out.addresses.push_back(text(question.name));
        }
        return out;
    }
};

void check(const Located& located, const Reach& reach) {
    ASSERT(!located.endpoints.empty() && located.endpoints.size() <= kAddressesMax);
    ASSERT(located.ttl >= kTtlMin && located.ttl <= kTtlMax);
    for (const auto& endpoint : located.endpoints) {
        const bool is_ipv6 = endpoint.address.find(':') != std::string::npos;
        ASSERT(is_ip_literal(endpoint.address) && endpoint.port != 0);
        ASSERT(is_ipv6 ? reach.ipv6 : reach.ipv4);
        ASSERT(endpoint.transport == Transport::udp ? reach.udp : reach.tcp);
        ASSERT(std::ranges::count(located.endpoints, endpoint) == 1);
    }
}

}  // namespace

// Whatever DNS says, it is asked a bounded number of well-formed questions, each once, and what is found can be sent
// to.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr const char* kUris[] = {"sip:example.com", "sip:example.com;transport=tcp", "sip:example.com:5070",
                                     "sip:bob@x;transport=udp", "sip:x;maddr=y"};
    Stranger dns{{data, size}};
    const auto uri = *uri_from_text(kUris[dns.next() % 5]);
    const auto flags = dns.next();
    const Reach reach{(flags & 1) != 0, (flags & 2) != 0, (flags & 4) != 0, (flags & 8) != 0};
    const sheaf::Entropy::Seed seed{dns.next()};
    DnsAnswers answers;
    for (;;) {
        const auto step = locate(uri, answers, reach, seed);
        if (const auto* located = std::get_if<Located>(&step)) check(*located, reach);
        const auto* ask = std::get_if<Ask>(&step);
        if (ask == nullptr) return 0;
        ASSERT(!ask->questions.empty());
        for (const auto& question : ask->questions) {
            ASSERT(!question.name.empty() && question.name.size() <= kDnsNameBytesMax);
            ASSERT(question.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") == std::string::npos);
            ASSERT(answers.emplace(question, dns.answer(question)).second);
        }
        ASSERT(answers.size() <= 1 + kNaptrMax + 2 + 2 * kServersMax);
    }
}
