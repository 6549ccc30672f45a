// SPDX-License-Identifier: Apache-2.0
#include "sip/locate.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace sheaf;
using namespace sheaf::sip;
using namespace std::chrono_literals;

namespace {

constexpr Reach kBoth{true, true, true, true};

// A DNS whose records the test writes down; what it has no record of does not exist.
struct Dns {
    std::map<Question, DnsAnswer> records;
    std::set<std::string> broken;  // names whose questions cannot be answered
    std::vector<Question> asked;
    int rounds = 0;

    void naptr(const std::string& name, std::vector<NaptrRecord> given, std::uint32_t ttl = 600) {
        records[{name, RecordType::naptr}] = {std::move(given), {}, {}, ttl};
    }
    void srv(const std::string& name, std::vector<SrvRecord> given, std::uint32_t ttl = 600) {
        records[{name, RecordType::srv}] = {{}, std::move(given), {}, ttl};
    }
    void a(const std::string& name, std::vector<std::string> given, std::uint32_t ttl = 600) {
        records[{name, RecordType::a}] = {{}, {}, std::move(given), ttl};
    }
    void aaaa(const std::string& name, std::vector<std::string> given, std::uint32_t ttl = 600) {
        records[{name, RecordType::aaaa}] = {{}, {}, std::move(given), ttl};
    }
    Result<Located> find(const std::string& uri, const Reach& reach = {}, std::uint8_t seed = 1) {
        DnsAnswers answers;
        asked.clear();
        for (rounds = 0; rounds < 100; ++rounds) {
            auto step = locate(*uri_from_text(uri), answers, reach, Entropy::Seed{seed});
            if (auto* located = std::get_if<Located>(&step)) return *located;
            if (auto* error = std::get_if<Error>(&step)) return std::unexpected(*error);
            const auto& questions = std::get<Ask>(step).questions;
            REQUIRE(!questions.empty());
            for (const auto& question : questions) {
                REQUIRE(!answers.contains(question));
                asked.push_back(question);
                answers[question] = broken.contains(question.name) ? fail(Errc::timeout, "no answer")
                                                                   : Result<DnsAnswer>(records[question]);
            }
        }
        FAIL("it does not end");
        return fail(Errc::exhausted, "");
    }
    std::string text(const std::string& uri, const Reach& reach = {}, std::uint8_t seed = 1) {
        const auto found = find(uri, reach, seed);
        if (!found) return "none: " + std::string(name_of(found.error().code));
        std::string out;
        for (const auto& endpoint : found->endpoints) out += (out.empty() ? "" : " ") + to_text(endpoint);
        return out;
    }
    [[nodiscard]] bool has_asked(const std::string& name, RecordType type) const {
        return std::ranges::find(asked, Question{name, type}) != asked.end();
    }
};

NaptrRecord way(std::uint16_t order, std::uint16_t preference, const std::string& service, const std::string& to,
                const std::string& flags = "s", const std::string& regexp = "") {
    return {order, preference, flags, service, regexp, to};
}

// The RFC's own example (§4.1), with the addresses of its servers.
Dns example() {
    Dns dns;
    dns.naptr("example.com",
              {way(50, 50, "SIPS+D2T", "_sips._tcp.example.com"), way(90, 50, "SIP+D2T", "_sip._tcp.example.com"),
               way(100, 50, "SIP+D2U", "_sip._udp.example.com")});
    dns.srv("_sip._tcp.example.com", {{0, 1, 5060, "server1.example.com"}, {1, 2, 5080, "server2.example.com"}});
    dns.srv("_sip._udp.example.com", {{0, 1, 5060, "server3.example.com"}});
    dns.a("server1.example.com", {"192.0.2.1"});
    dns.a("server2.example.com", {"192.0.2.2"});
    dns.a("server3.example.com", {"192.0.2.3"});
    dns.a("example.com", {"192.0.2.80"});
    return dns;
}

}  // namespace

TEST_CASE("NAPTR says which transport is preferred, of those we speak; SRV where its servers are") {
    auto dns = example();
    CHECK(dns.text("sip:example.com") == "tcp:192.0.2.1:5060 tcp:192.0.2.2:5080");
    CHECK(dns.text("sip:bob@EXAMPLE.com.") == "tcp:192.0.2.1:5060 tcp:192.0.2.2:5080");
    CHECK(dns.rounds == 3);
    CHECK(!dns.has_asked("_sip._udp.example.com", RecordType::srv));
    CHECK(dns.text("sip:example.com", {true, false, true, false}) == "udp:192.0.2.3:5060");
}

TEST_CASE("a transport in the URI is the one, by its SRV records; NAPTR is not asked for") {
    auto dns = example();
    CHECK(dns.text("sip:example.com;transport=udp") == "udp:192.0.2.3:5060");
    CHECK(dns.text("sip:example.com;transport=TCP") == "tcp:192.0.2.1:5060 tcp:192.0.2.2:5080");
    CHECK(!dns.has_asked("example.com", RecordType::naptr));
    CHECK(dns.text("sip:example.com;transport=sctp") == "none: unsupported");
    CHECK(dns.text("sip:example.com;transport=tcp", {true, false, true, false}) == "none: unsupported");
    CHECK(dns.text("sip:example.com", {false, false, true, true}) == "none: unsupported");
}

TEST_CASE("a port in the URI leaves addresses only, by UDP unless the URI says otherwise") {
    auto dns = example();
    CHECK(dns.text("sip:example.com:5060") == "udp:192.0.2.80:5060");
    CHECK(dns.asked.size() == 1);
    CHECK(dns.text("sip:example.com:5070;transport=tcp") == "tcp:192.0.2.80:5070");
    CHECK(dns.text("sip:example.com:5060", {false, true, true, false}) == "none: unsupported");
}

TEST_CASE("a number is where it says, and nothing is asked") {
    Dns dns;
    CHECK(dns.text("sip:192.0.2.9") == "udp:192.0.2.9:5060");
    CHECK(dns.text("sip:192.0.2.9:5070;transport=tcp") == "tcp:192.0.2.9:5070");
    CHECK(dns.text("sip:[2001:db8::9]", kBoth) == "udp:[2001:db8::9]:5060");
    CHECK(dns.text("sip:[2001:db8::9]") == "none: unsupported");
    CHECK(dns.text("sip:somebody.else;maddr=192.0.2.9") == "udp:192.0.2.9:5060");
    CHECK(dns.text("sips:192.0.2.9") == "none: unsupported");
    CHECK(dns.text("sip:192.0.2.9", {false, true, true, false}) == "none: unsupported");
    CHECK(dns.asked.empty());
}

TEST_CASE("without NAPTR the SRV records of both transports are asked for, and UDP is taken where it is there") {
    auto dns = example();
    dns.naptr("example.com", {});
    CHECK(dns.text("sip:example.com") == "udp:192.0.2.3:5060");
    CHECK(dns.rounds == 3);
    dns.srv("_sip._udp.example.com", {});
    CHECK(dns.text("sip:example.com") == "tcp:192.0.2.1:5060 tcp:192.0.2.2:5080");
}

TEST_CASE("without SRV a name's own addresses are taken, at 5060") {
    auto dns = example();
    dns.naptr("example.com", {});
    dns.srv("_sip._udp.example.com", {});
    dns.srv("_sip._tcp.example.com", {});
    CHECK(dns.text("sip:example.com") == "udp:192.0.2.80:5060");
    CHECK(dns.text("sip:example.com", {false, true, true, false}) == "tcp:192.0.2.80:5060");
    CHECK(dns.text("sip:example.com;transport=tcp") == "tcp:192.0.2.80:5060");
    dns.naptr("example.com", {way(1, 1, "SIP+D2T", "_sip._tcp.example.com")});
    CHECK(dns.text("sip:example.com") == "tcp:192.0.2.80:5060");  // the transport is NAPTR's
    CHECK(dns.text("sip:nobody.example.com") == "none: not found");
}

TEST_CASE("NAPTR records of services and forms that are not ours are passed over") {
    auto dns = example();
    const auto only = [&](NaptrRecord record) {
        dns.naptr("example.com", {std::move(record)});
        return dns.text("sip:example.com");
    };
    CHECK(only(way(1, 1, "sip+d2t", "_sip._tcp.example.com", "S")) == "tcp:192.0.2.1:5060 tcp:192.0.2.2:5080");
    const std::string without = "udp:192.0.2.3:5060";
    for (const auto* service : {"SIPS+D2T", "SIP+D2S", "SIP+D2W", "SIPS+D2W", "E2U+sip", "SIP", "", "SIP+D2TX"})
        CHECK(only(way(1, 1, service, "_sip._tcp.example.com")) == without);
    for (const auto* flags : {"", "a", "u", "p", "ss"})
        CHECK(only(way(1, 1, "SIP+D2T", "_sip._tcp.example.com", flags)) == without);
    CHECK(only(way(1, 1, "SIP+D2T", "_sip._tcp.example.com", "s", "!^.*$!sip:x@y!")) == without);
    for (const std::string& to : {std::string(), std::string("."), std::string("a b"), std::string("x\r\ny"),
                                  std::string("192.0.2.1"), std::string(64, 'x'), "a." + std::string(252, 'b')})
        CHECK(only(way(1, 1, "SIP+D2T", to)) == without);
}

TEST_CASE("NAPTR's order comes before its preference, and the next is taken where the first leads nowhere") {
    auto dns = example();
    dns.naptr("example.com",
              {way(2, 1, "SIP+D2T", "tcp2"), way(1, 9, "SIP+D2U", "udp1"), way(1, 3, "SIP+D2T", "tcp1")});
    dns.a("a", {"192.0.2.5"});
    for (const auto* name : {"tcp1", "udp1", "tcp2"}) dns.srv(name, {{0, 0, 5060, "a"}});
    CHECK(dns.text("sip:example.com") == "tcp:192.0.2.5:5060");
    CHECK(!dns.has_asked("udp1", RecordType::srv));
    dns.srv("tcp1", {});
    CHECK(dns.text("sip:example.com") == "udp:192.0.2.5:5060");
    dns.srv("udp1", {{0, 0, 5060, "."}});
    CHECK(dns.text("sip:example.com") == "tcp:192.0.2.5:5060");
    CHECK(dns.has_asked("tcp2", RecordType::srv));
}

TEST_CASE("a NAPTR record that leads to itself leads nowhere, and ends") {
    auto dns = example();
    dns.naptr("example.com", {way(1, 1, "SIP+D2U", "example.com"), way(2, 1, "SIP+D2U", "EXAMPLE.com.")});
    CHECK(dns.text("sip:example.com") == "udp:192.0.2.80:5060");
    CHECK(dns.asked.size() == 3);
    dns.naptr("example.com", {way(1, 1, "SIP+D2U", "example.com", "")});
    CHECK(dns.text("sip:example.com") == "udp:192.0.2.3:5060");
}

TEST_CASE("a target of a dot says that there is no such service, and no other address is guessed") {
    auto dns = example();
    dns.naptr("example.com", {});
    dns.srv("_sip._udp.example.com", {{0, 0, 0, "."}});
    CHECK(dns.text("sip:example.com;transport=udp") == "none: not found");
    CHECK(dns.text("sip:example.com") == "tcp:192.0.2.1:5060 tcp:192.0.2.2:5080");
    dns.srv("_sip._tcp.example.com", {});
    CHECK(dns.text("sip:example.com") == "none: not found");
    CHECK(!dns.has_asked("example.com", RecordType::a));
    dns.srv("_sip._udp.example.com", {});
    dns.srv("_sip._tcp.example.com", {{0, 0, 0, "."}});
    CHECK(dns.text("sip:example.com") == "udp:192.0.2.80:5060");  // nothing is said of UDP
    dns.naptr("example.com", {way(1, 1, "SIP+D2T", "_sip._tcp.example.com")});
    CHECK(dns.text("sip:example.com") == "none: not found");
}

TEST_CASE("SRV records that cannot be right are passed over") {
    auto dns = example();
    dns.srv("_sip._udp.example.com", {{0, 0, 0, "server1.example.com"},
                                      {1, 0, 5060, "192.0.2.66"},
                                      {1, 0, 5060, "2001:db8::66"},
                                      {2, 0, 5060, std::string("x\0y", 3)},
                                      {2, 0, 5060, "x\ny"},
                                      {2, 0, 5060, "-..x"},
                                      {2, 0, 5060, std::string(254, 'x')},
                                      {3, 0, 5061, "server3.example.com"},
                                      {4, 0, 5061, "SERVER3.example.com."}});
    CHECK(dns.text("sip:example.com;transport=udp") == "udp:192.0.2.3:5061");
    dns.srv("_sip._udp.example.com", {{0, 0, 0, "server1.example.com"}});
    CHECK(dns.text("sip:example.com;transport=udp") == "none: not found");
}

TEST_CASE("servers come by priority, those of one priority by chance of their weights") {
    Dns dns;
    dns.srv("_sip._udp.x", {{2, 9, 5060, "last"}, {1, 0, 5060, "none"}, {1, 10, 5060, "one"}, {1, 30, 5060, "three"}});
    dns.a("last", {"192.0.2.9"});
    dns.a("none", {"192.0.2.1"});
    dns.a("one", {"192.0.2.2"});
    dns.a("three", {"192.0.2.3"});
    std::map<std::string, int> first, second;
    for (int seed = 0; seed < 250; ++seed) {
        const auto found = dns.find("sip:x;transport=udp", {}, static_cast<std::uint8_t>(seed));
        REQUIRE(found);
        REQUIRE(found->endpoints.size() == 4);
        CHECK(found->endpoints[3].address == "192.0.2.9");
        ++first[found->endpoints[0].address];
        ++second[found->endpoints[1].address];
        CHECK(dns.find("sip:x;transport=udp", {}, static_cast<std::uint8_t>(seed)) == found);
    }
    // Of 41 numbers 1 is for the first, 10 and 30 for the others.
    CHECK(first["192.0.2.1"] < 25);
    CHECK(first["192.0.2.2"] > 35);
    CHECK(first["192.0.2.2"] < 90);
    CHECK(first["192.0.2.3"] > 150);
    CHECK(first["192.0.2.3"] < 215);
    CHECK(second["192.0.2.2"] > 120);
}

TEST_CASE("of one server the IPv4 addresses come first, then the IPv6 ones, in their order, where we listen") {
    Dns dns;
    dns.srv("_sip._udp.x", {{1, 0, 5060, "first"}, {2, 0, 5062, "second"}});
    dns.a("first", {"192.0.2.2", "192.0.2.1"});
    dns.aaaa("first", {"2001:db8::2", "2001:db8::1"});
    dns.aaaa("second", {"2001:db8::3"});
    CHECK(dns.text("sip:x", kBoth) ==
          "udp:192.0.2.2:5060 udp:192.0.2.1:5060 udp:[2001:db8::2]:5060 udp:[2001:db8::1]:5060 udp:[2001:db8::3]:5062");
    CHECK(dns.text("sip:x") == "udp:192.0.2.2:5060 udp:192.0.2.1:5060");
    CHECK(!dns.has_asked("first", RecordType::aaaa));
    CHECK(dns.text("sip:x", {true, true, false, true}) ==
          "udp:[2001:db8::2]:5060 udp:[2001:db8::1]:5060 udp:[2001:db8::3]:5062");
    CHECK(!dns.has_asked("first", RecordType::a));
}

TEST_CASE("addresses that are nobody's are passed over, and each is there once") {
    Dns dns;
    dns.a("x",
          {"0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "192.0.2.1", "192.0.2.1", "x", "", "2001:db8::1"});
    dns.aaaa("x", {"::", "ff02::1", "::ffff:192.0.2.7", "192.0.2.8", "2001:db8::2"});
    CHECK(dns.text("sip:x:5060", kBoth) == "udp:192.0.2.1:5060 udp:[2001:db8::2]:5060");
    dns.a("x", {"0.0.0.0"});
    CHECK(dns.text("sip:x:5060") == "none: not found");
}

TEST_CASE("where we can send is where we listen") {
    const auto reach = reach_of({*endpoint_from_text("udp:127.0.0.1:5060"), *endpoint_from_text("tcp:[::1]:5060")});
    CHECK((reach.udp && reach.tcp && reach.ipv4 && reach.ipv6));
    const auto less = reach_of({*endpoint_from_text("tcp:127.0.0.1:5060")});
    CHECK((!less.udp && less.tcp && less.ipv4 && !less.ipv6));
}

TEST_CASE("what was found holds for the least of the times that its records hold, within bounds") {
    auto dns = example();
    const auto ttl = [&] { return dns.find("sip:example.com")->ttl; };
    CHECK(ttl() == 600s);
    dns.a("server2.example.com", {"192.0.2.2"}, 500);
    CHECK(ttl() == 500s);
    dns.srv("_sip._tcp.example.com", dns.records[{"_sip._tcp.example.com", RecordType::srv}].srv, 400);
    CHECK(ttl() == 400s);
    dns.naptr("example.com", dns.records[{"example.com", RecordType::naptr}].naptr, 300);
    CHECK(ttl() == 300s);
    dns.a("server2.example.com", {"192.0.2.2"}, 3);
    CHECK(ttl() == kTtlMin);
    for (auto& [question, answer] : dns.records) answer.ttl_s = 1'000'000;
    CHECK(ttl() == kTtlMax);
    for (auto& [question, answer] : dns.records) answer.ttl_s = 0xffff'ffffU;  // RFC 2181 §8: as 0
    CHECK(ttl() == kTtlMin);
}

TEST_CASE("what cannot be found out is no absence: no other address is guessed") {
    auto dns = example();
    for (const auto* name : {"example.com", "_sip._tcp.example.com"}) {
        dns.broken = {name};
        CHECK(dns.text("sip:example.com") == "none: timeout");
    }
    dns.naptr("example.com", {});
    dns.broken = {"_sip._udp.example.com"};
    CHECK(dns.text("sip:example.com") == "none: timeout");
    dns.srv("_sip._udp.example.com", {});
    dns.broken = {"_sip._tcp.example.com"};
    CHECK(dns.text("sip:example.com") == "none: timeout");
}

TEST_CASE("a server whose address cannot be found out is left out, and asked for again soon") {
    auto dns = example();
    dns.broken = {"server1.example.com"};
    CHECK(dns.text("sip:example.com") == "tcp:192.0.2.2:5080");
    CHECK(dns.find("sip:example.com")->ttl == kTtlMin);
    dns.broken = {"server1.example.com", "server2.example.com"};
    CHECK(dns.text("sip:example.com") == "none: timeout");
}

TEST_CASE("of each answer so much is used and no more, the preferred ones first") {
    Dns dns;
    const auto numbered = [](std::string text, std::size_t i) { return std::move(text) + std::to_string(i); };
    SUBCASE("NAPTR") {
        std::vector<NaptrRecord> records;
        for (std::size_t i = 0; i < 2 * kNaptrMax; ++i)
            records.push_back(way(static_cast<std::uint16_t>(100 - i), 0, "SIP+D2U", numbered("way", i)));
        dns.naptr("x", records);
        dns.srv(numbered("way", 2 * kNaptrMax - kNaptrMax), {{0, 0, 5060, "a"}});
        dns.a("a", {"192.0.2.1"});
        CHECK(dns.text("sip:x") == "udp:192.0.2.1:5060");
        dns.records.erase({numbered("way", kNaptrMax), RecordType::srv});
        dns.srv(numbered("way", kNaptrMax - 1), {{0, 0, 5060, "a"}});
        CHECK(dns.text("sip:x") == "none: not found");
    }
    SUBCASE("SRV") {
        std::vector<SrvRecord> records;
        for (std::size_t i = 0; i < 2 * kSrvMax; ++i)
            records.push_back({static_cast<std::uint16_t>(100 - i), 0, static_cast<std::uint16_t>(1 + i), "a"});
        dns.srv("_sip._udp.x", records);
        dns.a("a", {"192.0.2.1"});
        const auto found = dns.find("sip:x;transport=udp");
        REQUIRE(found);
        CHECK(found->endpoints.front().port == 2 * kSrvMax);
        CHECK(found->endpoints.size() == kAddressesMax);
    }
    SUBCASE("SRV, most of them the same") {
        std::vector<SrvRecord> records(kSrvMax - 1, SrvRecord{1, 0, 5060, "a"});
        records.push_back({2, 0, 5060, "b"});
        dns.srv("_sip._udp.x", records);
        dns.a("a", {"192.0.2.1"});
        dns.a("b", {"192.0.2.2"});
        CHECK(dns.text("sip:x;transport=udp") == "udp:192.0.2.1:5060 udp:192.0.2.2:5060");
        records.insert(records.begin(), {1, 0, 5060, "a"});
        dns.srv("_sip._udp.x", records);
        CHECK(dns.text("sip:x;transport=udp") == "udp:192.0.2.1:5060");
    }
    SUBCASE("SRV, most of one priority") {
        std::vector<SrvRecord> records(kSrvMax, SrvRecord{1, 0, 5060, "x.."});  // cannot be right: not counted
        records.push_back({1, 0, 5060, "a"});
        dns.srv("_sip._udp.x", records);
        dns.a("a", {"192.0.2.1"});
        CHECK(dns.text("sip:x;transport=udp") == "udp:192.0.2.1:5060");
        std::ranges::for_each(records,
                              [i = std::size_t{0}](SrvRecord& one) mutable { one.target = "b" + std::to_string(i++); });
        dns.srv("_sip._udp.x", records);
        CHECK(dns.text("sip:x;transport=udp") == "none: not found");
        CHECK(dns.asked.size() == 1 + kServersMax);
    }
    SUBCASE("addresses") {
        std::vector<std::string> addresses;
        for (std::size_t i = 1; i <= 2 * kAddressesMax; ++i) addresses.push_back(numbered("192.0.2.", i));
        dns.a("x", addresses);
        dns.aaaa("x", {"2001:db8::1"});
        const auto found = dns.find("sip:x:5060", kBoth);
        REQUIRE(found);
        CHECK(found->endpoints.size() == kAddressesMax);
        CHECK(found->endpoints.back().address == numbered("192.0.2.", kAddressesMax));
        std::ranges::fill(addresses, "0.0.0.0");
        dns.a("x", addresses);
        dns.records[{"x", RecordType::a}].addresses.push_back("192.0.2.1");
        CHECK(dns.text("sip:x:5060", kBoth) == "udp:[2001:db8::1]:5060");
    }
}

TEST_CASE("a name has 253 bytes at most, and what would be longer is not asked for") {
    Dns dns;
    std::string longest;
    while (longest.size() + 50 < kDnsNameBytesMax) longest += std::string(49, 'x') + ".";
    longest += std::string(kDnsNameBytesMax - longest.size(), 'x');
    dns.a(longest, {"192.0.2.1"});
    CHECK(dns.text("sip:" + longest) == "udp:192.0.2.1:5060");
    CHECK(dns.asked.size() == 2);  // NAPTR and A: "_sip._udp." does not fit
    CHECK(dns.text("sip:x" + longest) == "none: malformed");
    CHECK(dns.text("sip:" + std::string(64, 'x') + ".y:5060") == "none: malformed");
}
