// SPDX-License-Identifier: Apache-2.0
#include "b2bua/whereabouts.h"

#include <doctest/doctest.h>

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace std::chrono_literals;

namespace {

using Names = std::vector<std::string>;

constexpr Instant kNow{1'000s};
const std::string kCarrier = "sip:carrier.example";

sip::Located at(const std::vector<std::string>& endpoints, std::chrono::seconds ttl = 60s) {
    sip::Located out{{}, ttl};
    for (const auto& text : endpoints) out.endpoints.push_back(*sip::endpoint_from_text(text));
    return out;
}
Result<sip::Located> nowhere() {
    return fail(Errc::not_found, "no address");
}
std::size_t said(Whereabouts& whereabouts, bool warning) {
    std::size_t out = 0;
    for (const auto& log : whereabouts.take_logs()) out += log.warning == warning ? 1 : 0;
    return out;
}

}  // namespace

TEST_CASE("a name is looked for at once, and again when what was found holds no longer") {
    Whereabouts w;
    CHECK(w.next_deadline() == std::nullopt);
    w.want(kNow, {kCarrier, "sip:other.example"});
    CHECK(w.of(kCarrier).empty());
    CHECK(w.next_deadline() == kNow);
    CHECK(w.take_due(kNow) == Names{kCarrier, "sip:other.example"});
    CHECK(w.take_due(kNow).empty());
    CHECK(w.next_deadline() == std::nullopt);
    CHECK(w.found(kNow, kCarrier, at({"udp:192.0.2.1:5060"})));
    CHECK(w.of(kCarrier) == at({"udp:192.0.2.1:5060"}).endpoints);
    CHECK(said(w, false) == 1);
    CHECK(w.next_deadline() == kNow + 60s);
    CHECK(w.take_due(kNow + 59s).empty());
    CHECK(w.take_due(kNow + 60s) == Names{kCarrier});
    CHECK_FALSE(w.found(kNow + 60s, kCarrier, at({"udp:192.0.2.1:5060"})));
    CHECK(said(w, false) == 0);
    CHECK(w.found(kNow + 60s, kCarrier, at({"udp:192.0.2.2:5060"})));
    CHECK(w.of(kCarrier) == at({"udp:192.0.2.2:5060"}).endpoints);
    CHECK(said(w, false) == 1);
}

TEST_CASE("another order of the same addresses is a change, but not worth a line") {
    Whereabouts w;
    w.want(kNow, {kCarrier});
    CHECK(w.found(kNow, kCarrier, at({"udp:192.0.2.1:5060", "udp:192.0.2.2:5060"})));
    CHECK(said(w, false) == 1);
    CHECK(w.found(kNow, kCarrier, at({"udp:192.0.2.2:5060", "udp:192.0.2.1:5060"})));
    CHECK(w.of(kCarrier).front().address == "192.0.2.2");
    CHECK(said(w, false) == 0);
}

TEST_CASE("a name that is not found any more stays where it was, which is said once, and is looked for every 30 s") {
    Whereabouts w;
    w.want(kNow, {kCarrier});
    CHECK(w.found(kNow, kCarrier, at({"udp:192.0.2.1:5060"})));
    CHECK(said(w, false) == 1);
    for (int i = 0; i < 3; ++i) CHECK_FALSE(w.found(kNow, kCarrier, nowhere()));
    CHECK(w.of(kCarrier) == at({"udp:192.0.2.1:5060"}).endpoints);
    CHECK(said(w, true) == 1);
    CHECK(w.next_deadline() == kNow + kLookAgain);
    CHECK_FALSE(w.found(kNow, kCarrier, at({"udp:192.0.2.1:5060"})));
    CHECK(said(w, false) == 1);  // it is back
    CHECK_FALSE(w.found(kNow, kCarrier, nowhere()));
    CHECK(said(w, true) == 1);
}

TEST_CASE("of all that is looked for at once there is one line of what was found and one of what was not") {
    Whereabouts w;
    w.want(kNow, {"sip:a", "sip:b", "sip:c", kCarrier});
    CHECK_FALSE(w.is_looking());
    CHECK(w.take_due(kNow).size() == 4);
    CHECK(w.found(kNow, "sip:a", at({"udp:192.0.2.1:5060", "tcp:192.0.2.2:5060"})));
    CHECK(w.found(kNow, "sip:b", at({"udp:192.0.2.3:5060"})));
    CHECK_FALSE(w.found(kNow, "sip:c", nowhere()));
    CHECK(w.is_looking());
    CHECK_FALSE(w.found(kNow, kCarrier, nowhere()));
    CHECK_FALSE(w.is_looking());
    const auto logs = w.take_logs();
    REQUIRE(logs.size() == 2);
    CHECK(logs[0].fields[0].second == "sip:a at udp:192.0.2.1:5060 tcp:192.0.2.2:5060; sip:b at udp:192.0.2.3:5060");
    CHECK(logs[1].fields[0].second == "sip:c: no address; " + kCarrier + ": no address");
}

TEST_CASE("a name that nobody wants any more is forgotten, others are looked for anew and keep what is known") {
    Whereabouts w;
    w.want(kNow, {kCarrier, "sip:other.example"});
    CHECK(w.take_due(kNow).size() == 2);
    CHECK(w.found(kNow, kCarrier, at({"udp:192.0.2.1:5060"})));
    w.want(kNow + 1s, {kCarrier});
    CHECK(w.take_due(kNow + 1s) == Names{kCarrier});
    CHECK_FALSE(w.found(kNow + 1s, "sip:other.example", at({"udp:192.0.2.3:5060"})));
    CHECK(w.of("sip:other.example").empty());
    CHECK(w.of(kCarrier).size() == 1);
}
