// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "b2bua/test_world.h"
#include "base/fact.h"
#include "sip/torture_test_messages.h"

// What a switch answers to the torture messages: ours in tests/torture, and those of RFC 4475 itself where
// SHEAF_TORTURE_DIR has them. They come from a stranger, one switch each.
using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;
using sheaf::sip::file_text;
using sheaf::sip::messages_of;

namespace {

// The answers' codes, in order, each once. Nothing else leaves the switch: nobody is called, nothing is passed on.
std::vector<int> answers_to(const std::string& bytes) {
    World w;
    w.wire.inject(w.stranger, at("udp:127.0.0.1:5060"), bytes);
    w.wire.settle();
    std::vector<int> codes;
    for (std::size_t i = 1; i < w.wire.seen.size(); ++i) {
        const auto& message = w.wire.seen[i];  // what is broken in a request is broken in the answer, which repeats it
        REQUIRE_MESSAGE(message.starts_with("SIP/2.0 "), message);
        codes.push_back(std::stoi(message.substr(8, 3)));
    }
    return codes;
}

std::string text_of(const std::vector<int>& codes) {
    std::string out;
    for (const int code : codes) out += (out.empty() ? "" : " ") + std::to_string(code);
    return out;
}

// "1xx,2xx,404" or "400,drop, or repaired": the last answer is one of these. Words say that it may be taken, too.
bool is_allowed(const std::string& outcome, const std::vector<int>& codes) {
    const auto says = [&](const std::string& word) { return outcome.find(word) != std::string::npos; };
    if (codes.empty()) return says("drop");
    const auto code = std::to_string(codes.back());
    if (says(code) || says(code.substr(0, 1) + "xx")) return true;
    const bool may_be_taken = says("repaired") || says("accept") || says("ignored");
    return may_be_taken && (codes.back() < 300 || codes.back() == 401 || codes.back() == 403 || codes.back() == 404);
}

}  // namespace

TEST_CASE("our own torture messages are answered as the index says") {
    for (const auto& item : messages_of("tests/torture")) {
        const auto& entry = item.as_object();
        const auto file = string_field(entry, "file").value();
        CAPTURE(file);
        CHECK(text_of(answers_to(file_text("tests/torture/" + file))) == string_field(entry, "answers").value());
    }
}

TEST_CASE("the messages of RFC 4475 are answered as the RFC says") {
    const char* folder = std::getenv("SHEAF_TORTURE_DIR");
    if (folder == nullptr) return;
    std::size_t count = 0;
    for (const auto& item : messages_of(folder)) {
        const auto& entry = item.as_object();
        const auto file = string_field(entry, "file").value();
        const auto outcome = string_field(entry, "outcome").value();
        const auto bytes = file_text(std::string(folder) + "/" + file);
        const auto codes = answers_to(bytes);
        CAPTURE(file);
        CAPTURE(outcome);
        CAPTURE(text_of(codes));
        // A registrar that wants credentials asks for them before it looks at anything else.
        const bool is_challenge = bytes.starts_with("REGISTER") && !codes.empty() && codes.back() == 401;
        CHECK((is_challenge || is_allowed(outcome, codes)));
        ++count;
    }
    CHECK(count == 49);
}
