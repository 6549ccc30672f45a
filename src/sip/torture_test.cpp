// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstdlib>
#include <set>
#include <string>

#include "base/fact.h"
#include "sip/message.h"
#include "sip/torture_test_messages.h"

// The torture messages: ours in tests/torture, and those of RFC 4475 itself where SHEAF_TORTURE_DIR has them.
namespace sheaf::sip {
namespace {

std::string text_of(const boost::json::object& entry, std::string_view key) {
    return optional_string_field(entry, key).value();
}

Message without_length(Message message) {
    message.remove("Content-Length");
    return message;
}

// Written and read again, as a datagram and from a stream one byte at a time, a message stays itself.
void check_round_trip(const Message& message) {
    const auto bytes = to_bytes(message);
    const auto again = message_from_datagram(bytes);
    REQUIRE(again);
    CHECK(without_length(*again) == without_length(message));
    CHECK(to_bytes(*again) == bytes);
    StreamParser stream;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        CHECK_FALSE(stream.next());
        stream.feed(std::string_view(bytes).substr(i, 1));
    }
    const auto streamed = stream.next();
    REQUIRE(streamed);
    REQUIRE(*streamed);
    CHECK(**streamed == *again);
    CHECK(stream.buffered() == 0);
}

// What was salvaged is enough for an answer.
bool can_be_answered(const std::string& bytes) {
    const auto salvaged = salvage_request(bytes);
    if (!salvaged) {
        CHECK(salvaged.error().code == Errc::not_found);
        return false;
    }
    const auto answer = response_to(*salvaged, 400, "ours");
    CHECK(answer.status() == 400);
    for (const std::string_view name : {"Via", "From", "To", "Call-ID", "CSeq"}) CHECK(answer.first(name) != nullptr);
    CHECK(answer.first("To")->find("tag=") != std::string::npos);
    CHECK(via_from_text(answer.list("Via").front()));
    return true;
}

void check_contents(const Message& message, const boost::json::object& entry) {
    if (entry.contains("method")) {
        REQUIRE(message.is_request());
        CHECK(message.method() == text_of(entry, "method"));
        CHECK(cseq_from_text(*message.first("CSeq")).value().method == message.method());
    }
    if (entry.contains("status")) {
        REQUIRE_FALSE(message.is_request());
        CHECK(message.status() == entry.at("status").as_int64());
        CHECK(std::get<StatusLine>(message.start).reason == text_of(entry, "reason"));
    }
    if (entry.contains("user")) CHECK(message.uri().user == text_of(entry, "user"));
    if (entry.contains("scheme")) CHECK(message.uri().scheme == text_of(entry, "scheme"));
    if (entry.contains("body_bytes")) {
        CHECK(message.body.size() == static_cast<std::size_t>(entry.at("body_bytes").as_int64()));
    }
    if (const auto* values = entry.if_contains("values")) {
        for (const auto& [name, value] : values->as_object()) {
            const auto* found = message.first({name.data(), name.size()});
            REQUIRE_MESSAGE(found != nullptr, std::string(name));
            CHECK(*found == std::string(value.as_string()));
        }
    }
    if (const auto* items = entry.if_contains("items")) {
        for (const auto& [name, count] : items->as_object()) {
            CHECK(message.list({name.data(), name.size()}).size() == static_cast<std::size_t>(count.as_int64()));
        }
    }
}

TEST_CASE("our own torture messages behave as the index says") {
    std::set<std::string> sections;
    for (const auto& item : messages_of("tests/torture")) {
        const auto& entry = item.as_object();
        const auto file = text_of(entry, "file");
        CAPTURE(file);
        const auto bytes = file_text("tests/torture/" + file);
        const auto expected = text_of(entry, "expected");
        const auto message = message_from_datagram(bytes);
        sections.insert(text_of(entry, "section"));
        CHECK_FALSE(text_of(entry, "why").empty());
        if (message) {
            CHECK("parsed" == expected);
            check_contents(*message, entry);
            check_round_trip(*message);
        } else {
            CHECK(std::string(name_of(message.error().code)) == expected);
            CHECK(can_be_answered(bytes) == entry.at("answerable").as_bool());
        }
    }
    CHECK(sections.size() == 49);  // RFC 4475 has so many messages
}

TEST_CASE("the messages of RFC 4475 behave as the RFC says") {
    const char* folder = std::getenv("SHEAF_TORTURE_DIR");
    if (folder == nullptr) return;
    std::size_t count = 0;
    for (const auto& item : messages_of(folder)) {
        const auto& entry = item.as_object();
        const auto file = text_of(entry, "file");
        CAPTURE(file);
        const auto bytes = file_text(std::string(folder) + "/" + file);
        const auto parse = text_of(entry, "parse");
        const auto outcome = text_of(entry, "outcome");
        const bool is_response = entry.at("is_response").as_bool();
        const auto message = message_from_datagram(bytes);
        ++count;
        if (parse != "either") CHECK(message.has_value() == (parse == "valid"));
        if (message) {
            CHECK(message->is_request() != is_response);
            check_round_trip(*message);
            continue;
        }
        const bool other_version = message.error().code == Errc::unsupported;
        CHECK(other_version == outcome.starts_with("505"));
        const bool answered = can_be_answered(bytes);
        // Two requests leave too little for an answer: one has no readable Via, one neither From, To nor Call-ID.
        CHECK(answered == (!is_response && file != "badinv01.dat" && file != "insuf.dat"));
    }
    CHECK(count == 49);
}

}  // namespace
}  // namespace sheaf::sip
