// SPDX-License-Identifier: Apache-2.0
#include "b2bua/replaces.h"

#include <doctest/doctest.h>

#include <string>

namespace sheaf::b2bua {
namespace {

ReferTarget referred_to(const std::string& refer_to) {
    sip::Message request;
    request.start = sip::RequestLine{"REFER", {}};
    request.add("Refer-To", refer_to);
    return refer_target_of(request);
}

TEST_CASE("a REFER names a number by sip or tel, without what phones write between its digits") {
    CHECK(referred_to("<sip:2001@paris.example;user=phone>").number == "2001");
    CHECK(referred_to("<tel:+33-1-5550.2001;phone-context=+33>").number == "+33155502001");
}

TEST_CASE("a REFER to nobody is refused before anything happens") {
    CHECK(referred_to("<sip:paris.example>").refusal.status == 404);
    CHECK(referred_to("<tel:;phone-context=+33>").refusal.status == 404);
    CHECK(referred_to("<tel:\363;x>").refusal.status == 404);
    CHECK(referred_to("<mailto:a1@example>").refusal.status == 416);
    CHECK(referred_to("<sip:2001@paris.example;method=BYE>").refusal.status == 501);
    CHECK(referred_to("<sip:2001@paris.example?Replaces=x>").refusal.status == 400);
}

}  // namespace
}  // namespace sheaf::b2bua
