// SPDX-License-Identifier: Apache-2.0
#include "sip/session_timer.h"

#include <doctest/doctest.h>

#include <string>

using namespace sheaf;
using namespace sheaf::sip;
using namespace std::chrono_literals;

namespace {

Message invite(const std::vector<Header>& headers) {
    Message message;
    message.start = RequestLine{"INVITE", *uri_from_text("sip:bob@10.0.0.1")};
    message.headers = headers;
    return message;
}

Message ok(const std::vector<Header>& headers) {
    Message message;
    message.start = StatusLine{200, "OK"};
    message.headers = headers;
    return message;
}

std::string value(const std::vector<Header>& headers, std::string_view name) {
    for (const Header& header : headers)
        if (header.name == name) return header.value;
    return {};
}

const SessionTimes kOurs{1800s, 120s};

}  // namespace

TEST_CASE("who refreshes is as the table of RFC 4028 §9 says, and the asker where the choice is ours") {
    struct Row {
        bool knows;
        std::string asked, answered;
    };
    const Row rows[] = {{false, "1000", "1000;refresher=uas"},
                        {true, "1000", "1000;refresher=uac"},
                        {true, "1000;refresher=uac", "1000;refresher=uac"},
                        {true, "1000; refresher=UAS", "1000;refresher=uas"},
                        {true, "", "1800;refresher=uas"},
                        {false, "", "1800;refresher=uas"}};
    for (const Row& row : rows) {
        CAPTURE(row.asked);
        std::vector<Header> headers;
        if (row.knows) headers.push_back({"Supported", "replaces, timer"});
        if (!row.asked.empty()) headers.push_back({"Session-Expires", row.asked});
        const SessionReply reply = answer_session(invite(headers), kOurs);
        CHECK(reply.status == 200);
        CHECK(value(reply.headers, "Session-Expires") == row.answered);
        CHECK(value(reply.headers, "Require") == (row.knows ? "timer" : ""));
        REQUIRE(reply.timer);
        CHECK(reply.timer->we_refresh == row.answered.ends_with("uas"));
        CHECK(std::to_string(reply.timer->interval.count()) == row.answered.substr(0, row.answered.find(';')));
    }
}

TEST_CASE("an interval is granted up to what we want, never below the request's Min-SE, and not when too short") {
    const Header knows{"Supported", "timer"};
    CHECK(answer_session(invite({knows, {"Session-Expires", "86400"}}), kOurs).timer->interval == 1800s);
    CHECK(answer_session(invite({knows, {"Session-Expires", "86400"}, {"Min-SE", "3600"}}), kOurs).timer->interval ==
          3600s);
    CHECK(answer_session(invite({knows, {"Min-SE", "3600"}}), kOurs).timer->interval == 3600s);
    const SessionReply refused = answer_session(invite({knows, {"Session-Expires", "119"}}), kOurs);
    CHECK(refused.status == 422);
    CHECK(value(refused.headers, "Min-SE") == "120");
    CHECK_FALSE(refused.timer);
    // Who does not know the extension could do nothing with a 422; faster than 90 s we refresh for nobody.
    const SessionReply unheard = answer_session(invite({{"Session-Expires", "1"}}), kOurs);
    CHECK(unheard.status == 200);
    CHECK(unheard.headers.empty());
    CHECK_FALSE(unheard.timer);
    for (const char* bad : {"soon", "-1", "", "99999999999", "1800;;refresher"}) {
        CAPTURE(bad);
        CHECK(answer_session(invite({knows, {"Session-Expires", bad}}), kOurs).status == 400);
    }
}

TEST_CASE("a request asks for what is in force, and for no less than anybody on the way allows") {
    CHECK(value(ask_session(kOurs, std::nullopt, std::nullopt), "Session-Expires") == "1800");
    CHECK(value(ask_session(kOurs, std::nullopt, std::nullopt), "Min-SE").empty());
    CHECK(value(ask_session(kOurs, std::nullopt, 4000s), "Session-Expires") == "4000");
    CHECK(value(ask_session(kOurs, std::nullopt, 4000s), "Min-SE") == "4000");
    CHECK(value(ask_session(kOurs, SessionTimer{600s, true}, 100s), "Session-Expires") == "600;refresher=uac");
    CHECK(value(ask_session(kOurs, SessionTimer{600s, false}, {}), "Session-Expires") == "600;refresher=uas");
}

TEST_CASE("the 2xx decides; where it says nothing we refresh for ourselves") {
    const Message asked = invite({{"Session-Expires", "1800"}});
    CHECK(agreed_session(asked, ok({{"Session-Expires", "900;refresher=uas"}})) == SessionTimer{900s, false});
    CHECK(agreed_session(asked, ok({{"Session-Expires", "900;refresher=uac"}})) == SessionTimer{900s, true});
    CHECK(agreed_session(asked, ok({{"Session-Expires", "1;refresher=uac"}})) == SessionTimer{90s, true});
    CHECK(agreed_session(asked, ok({})) == SessionTimer{1800s, true});
    CHECK(agreed_session(asked, ok({{"Session-Expires", "often"}})) == SessionTimer{1800s, true});
    CHECK_FALSE(agreed_session(invite({}), ok({})));
}
