// SPDX-License-Identifier: Apache-2.0
#include "sip/transaction.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "sip/timer_queue.h"

using namespace sheaf;
using namespace sheaf::sip;
using namespace std::chrono_literals;

namespace {

const TransactionTimes kTimes{};
const Instant kStart{1h};

// Lets due timers fire until `end`; returns how often the message was repeated.
template <typename Machine>
int run(Machine& machine, Instant end, bool* timed_out = nullptr) {
    int repeats = 0;
    while (machine.deadline() && *machine.deadline() <= end) {
        const TransactionStep step = machine.on_timer(*machine.deadline());
        repeats += step.repeat ? 1 : 0;
        if (timed_out != nullptr && step.timed_out) *timed_out = true;
    }
    return repeats;
}

Message request(const std::string& text) {
    auto message = message_from_datagram(text);
    REQUIRE_MESSAGE(message.has_value(), (message ? "" : to_string(message.error())));
    return *message;
}

std::string options(const std::string& via, const std::string& from_tag, int cseq) {
    return "OPTIONS sip:bob@127.0.0.1 SIP/2.0\r\nVia: " + via + "\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>" +
           (from_tag.empty() ? "" : ";tag=" + from_tag) +
           "\r\nTo: <sip:bob@c>\r\nCall-ID: one\r\nCSeq: " + std::to_string(cseq) +
           " OPTIONS\r\nContent-Length: 0\r\n\r\n";
}

}  // namespace

TEST_CASE("an INVITE is repeated at doubling intervals and given up after 64 T1") {
    ClientTransaction machine(true, false, kTimes, kStart);
    bool timed_out = false;
    // 0.5 1.5 3.5 7.5 15.5 31.5: six repeats before 32 s.
    CHECK(run(machine, kStart + 31'999ms, &timed_out) == 6);
    CHECK_FALSE(timed_out);
    run(machine, kStart + 32s, &timed_out);
    CHECK(timed_out);
    CHECK(machine.is_over());
    CHECK_FALSE(machine.deadline());
}

TEST_CASE("a non-INVITE request is repeated at most every T2") {
    ClientTransaction machine(false, false, kTimes, kStart);
    // 0.5 1.5 3.5 7.5 11.5 15.5 19.5 23.5 27.5 31.5
    CHECK(run(machine, kStart + 31'999ms) == 10);
    ClientTransaction proceeding(false, false, kTimes, kStart);
    CHECK(proceeding.on_response(kStart + 100ms, 100).deliver);
    CHECK(proceeding.deadline() == kStart + 100ms + kTimes.t2);
    bool timed_out = false;
    run(proceeding, kStart + 32s, &timed_out);
    CHECK(timed_out);
}

TEST_CASE("nothing is repeated over a reliable transport") {
    for (const bool is_invite : {true, false}) {
        ClientTransaction machine(is_invite, true, kTimes, kStart);
        bool timed_out = false;
        CHECK(run(machine, kStart + 1min, &timed_out) == 0);
        CHECK(timed_out);
    }
    ServerTransaction server(true, true, kTimes, kStart);
    CHECK(server.on_response(kStart, 486));
    CHECK(run(server, kStart + 31s) == 0);
}

TEST_CASE("a phone may ring as long as its user likes once it has said so") {
    ClientTransaction machine(true, false, kTimes, kStart);
    CHECK(machine.on_response(kStart + 1s, 180).deliver);
    CHECK_FALSE(machine.deadline());
    CHECK(machine.phase() == ClientTransaction::Phase::proceeding);
    machine.give_up_after(kStart + 2s);  // cancelled
    CHECK(machine.deadline() == kStart + 34s);
}

TEST_CASE("a refused INVITE is ACKed for every copy of the answer, and heard once") {
    ClientTransaction machine(true, false, kTimes, kStart);
    CHECK(machine.on_response(kStart, 486) == TransactionStep{.acknowledge = true, .deliver = true});
    CHECK(machine.on_response(kStart + 1s, 486) == TransactionStep{.acknowledge = true});
    CHECK(machine.on_response(kStart + 1s, 180) == TransactionStep{});
    CHECK(machine.deadline() == kStart + 32s);  // timer D
    ClientTransaction reliable(true, true, kTimes, kStart);
    CHECK(reliable.on_response(kStart, 486).acknowledge);
    CHECK(reliable.is_over());
}

TEST_CASE("an accepted INVITE hears every 2xx until timer M") {
    ClientTransaction machine(true, false, kTimes, kStart);
    CHECK(machine.on_response(kStart, 200).deliver);
    CHECK(machine.on_response(kStart + 1s, 200) == TransactionStep{.deliver = true});
    CHECK(machine.on_response(kStart + 1s, 486) == TransactionStep{});
    CHECK(machine.deadline() == kStart + 32s);
    CHECK(run(machine, kStart + 32s) == 0);
    CHECK(machine.is_over());
}

TEST_CASE("a non-INVITE answer is heard once and its copies are absorbed for T4") {
    ClientTransaction machine(false, false, kTimes, kStart);
    CHECK(machine.on_response(kStart, 200) == TransactionStep{.deliver = true});
    CHECK(machine.on_response(kStart, 200) == TransactionStep{});
    CHECK(machine.deadline() == kStart + kTimes.t4);
    ClientTransaction broken(false, false, kTimes, kStart);
    broken.on_transport_error();
    CHECK(broken.is_over());
}

TEST_CASE("a refusal of theirs is repeated until its ACK, then ACKs are absorbed for T4") {
    ServerTransaction machine(true, false, kTimes, kStart);
    CHECK_FALSE(machine.on_request_again(kStart).repeat);  // nothing to repeat yet
    CHECK(machine.on_response(kStart, 100));
    CHECK(machine.on_request_again(kStart).repeat);
    CHECK(machine.on_response(kStart, 486));
    CHECK_FALSE(machine.on_response(kStart, 200));  // too late
    CHECK(run(machine, kStart + 4s) == 3);          // 0.5 1.5 3.5
    CHECK(machine.on_ack(kStart + 4s) == TransactionStep{});
    CHECK(machine.phase() == ServerTransaction::Phase::confirmed);
    CHECK_FALSE(machine.on_request_again(kStart + 4s).repeat);
    CHECK(machine.on_ack(kStart + 5s) == TransactionStep{});
    CHECK(machine.deadline() == kStart + 9s);
    bool timed_out = false;
    run(machine, kStart + 9s, &timed_out);
    CHECK(machine.is_over());
    CHECK_FALSE(timed_out);
}

TEST_CASE("a refusal that nobody acknowledges is given up after 64 T1") {
    ServerTransaction machine(true, false, kTimes, kStart);
    CHECK(machine.on_response(kStart, 486));
    bool timed_out = false;
    CHECK(run(machine, kStart + 32s, &timed_out) == 10);
    CHECK(timed_out);
}

TEST_CASE("an accepted INVITE absorbs its copies and hands the ACK up until timer L") {
    ServerTransaction machine(true, false, kTimes, kStart);
    CHECK(machine.on_response(kStart, 200));
    CHECK_FALSE(machine.on_request_again(kStart).repeat);
    CHECK(machine.on_ack(kStart + 1s).deliver);
    CHECK(machine.deadline() == kStart + 32s);
    run(machine, kStart + 32s);
    CHECK(machine.is_over());
}

TEST_CASE("a non-INVITE request is answered again for 64 T1, over TCP once") {
    ServerTransaction machine(false, false, kTimes, kStart);
    CHECK(machine.on_response(kStart, 200));
    CHECK(machine.on_request_again(kStart + 1s).repeat);
    CHECK(machine.deadline() == kStart + 32s);
    ServerTransaction reliable(false, true, kTimes, kStart);
    CHECK(reliable.on_response(kStart, 200));
    CHECK(reliable.is_over());
    ServerTransaction forgotten(false, false, kTimes, kStart);
    run(forgotten, kStart + 32s);
    CHECK(forgotten.is_over());
}

TEST_CASE("requests are matched by branch, sent-by and method") {
    const auto key = [](const std::string& text, const std::string& method) {
        const Message message = request(text);
        return server_key(message, *top_via(message), method);
    };
    const std::string via = "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKabc";
    const std::string mine = key(options(via, "t", 1), "OPTIONS");
    CHECK(mine == key(options(via + ";rport=1;received=9.9.9.9", "other", 2), "OPTIONS"));
    CHECK(mine != key(options("SIP/2.0/UDP 127.0.0.1:5071;branch=z9hG4bKabc", "t", 1), "OPTIONS"));
    CHECK(mine != key(options("SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKabd", "t", 1), "OPTIONS"));
    CHECK(mine != key(options(via, "t", 1), "INVITE"));
}

TEST_CASE("requests of RFC 2543 peers are matched by what they say") {
    const auto key = [](const std::string& text) {
        const Message message = request(text);
        return server_key(message, *top_via(message), "OPTIONS");
    };
    for (const char* via : {"SIP/2.0/UDP 127.0.0.1:5070;branch=1", "SIP/2.0/UDP 127.0.0.1:5070",
                            "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK"}) {
        CHECK(key(options(via, "t", 1)) == key(options(via, "t", 1)));
        CHECK(key(options(via, "t", 1)) != key(options(via, "t", 2)));
        CHECK(key(options(via, "t", 1)) != key(options(via, "u", 1)));
    }
    CHECK(key(options("SIP/2.0/UDP 127.0.0.1:5070", "t", 1)) != key(options("SIP/2.0/UDP 127.0.0.2:5070", "t", 1)));
}

TEST_CASE("a timer queue gives the earliest due key once, moved and cleared ones where they belong") {
    TimerQueue<int> queue;
    CHECK_FALSE(queue.next());
    queue.set(1, kStart + 3s);
    queue.set(2, kStart + 2s);
    queue.set(3, kStart + 1s);
    queue.set(3, kStart + 4s);
    queue.set(2, std::nullopt);
    CHECK(queue.size() == 2);
    CHECK(queue.next() == kStart + 3s);
    CHECK_FALSE(queue.pop_due(kStart + 2s));
    CHECK(queue.pop_due(kStart + 9s) == 1);
    CHECK(queue.pop_due(kStart + 9s) == 3);
    CHECK_FALSE(queue.pop_due(kStart + 9s));
    CHECK(queue.size() == 0);

    for (const int key : {5, 4, 6}) queue.set(key, kStart + 1s);
    queue.set(5, kStart + 1s);  // nothing has changed
    queue.set(4, kStart + 2s);
    queue.set(4, kStart + 1s);
    for (const int key : {5, 6, 4}) CHECK(queue.pop_due(kStart + 1s) == key);
    CHECK_FALSE(queue.next());
}

TEST_CASE("a timer queue gives what a plain list of deadlines gives") {
    struct Deadline {
        int key;
        Instant at;
    };
    TimerQueue<int> queue;
    std::vector<Deadline> plain;  // in the order in which they were set
    std::minstd_rand chance(7);
    const auto later = [](const Deadline& a, const Deadline& b) { return a.at < b.at; };
    for (int turn = 0; turn < 20'000; ++turn) {
        const int key = static_cast<int>(chance() % 50);
        const Instant at = kStart + std::chrono::milliseconds(chance() % 20);
        const auto known = std::ranges::find(plain, key, &Deadline::key);
        switch (chance() % 4) {
            case 0:
                queue.set(key, std::nullopt);
                if (known != plain.end()) plain.erase(known);
                break;
            case 1: {
                const auto first = std::ranges::min_element(plain, later);
                const bool is_due = first != plain.end() && first->at <= at;
                REQUIRE(queue.pop_due(at) == (is_due ? std::optional(first->key) : std::nullopt));
                if (is_due) plain.erase(first);
                break;
            }
            default:
                queue.set(key, at);
                if (known != plain.end() && known->at == at) break;
                if (known != plain.end()) plain.erase(known);
                plain.push_back({key, at});
        }
        REQUIRE(queue.size() == plain.size());
        const auto first = std::ranges::min_element(plain, later);
        REQUIRE(queue.next() == (first == plain.end() ? std::nullopt : std::optional(first->at)));
    }
}
