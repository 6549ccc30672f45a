// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sip/transaction.h"
#include "sip/user_agent.h"

// For tests: user agents joined by a wire that loses, delays and doubles datagrams, all in virtual time.
namespace sheaf::sip {

using namespace std::chrono_literals;

inline UserAgentOptions test_options(const std::string& address, std::uint16_t port = 5060, bool with_tcp = false) {
    UserAgentOptions options;
    options.listen = {{Transport::udp, address, port}};
    if (with_tcp) options.listen.push_back({Transport::tcp, address, port});
    options.allow = {"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "REFER", "NOTIFY", "REGISTER", "UPDATE"};
    options.supported = {"replaces"};
    return options;
}

inline Entropy::Seed test_seed(std::uint8_t number) {
    Entropy::Seed seed{};
    seed.fill(number);
    return seed;
}

// What an agent has said, by kind, and what it should do about it.
struct TestAgent {
    std::string name;
    UserAgent ua;
    Endpoint at;
    std::vector<Event> events;
    std::function<void(Instant, const Event&)> on_event = [](Instant, const Event&) {};

    template <typename E>
    std::vector<E> all() const {
        std::vector<E> found;
        for (const Event& event : events) {
            if (const E* wanted = std::get_if<E>(&event)) found.push_back(*wanted);
        }
        return found;
    }
    template <typename E>
    E last() const {
        const auto found = all<E>();
        REQUIRE_FALSE(found.empty());
        return found.back();
    }
    template <typename E>
    std::size_t count() const {
        return all<E>().size();
    }
};

class TestWire {
public:
    struct Sent {
        Instant at;
        Send send;
        Message message;
        std::string from;
    };
    unsigned loss_percent = 0;
    unsigned double_percent = 0;
    Duration delay_min = 1ms;
    Duration delay_max = 1ms;  // above delay_min: datagrams overtake each other
    bool tcp_works = true;
    std::function<bool(const Sent&)> loses = [](const Sent&) { return false; };  // beside loss_percent
    std::vector<Sent> log;
    Instant now{1h};

    explicit TestWire(std::uint64_t seed = 1) : random_(seed * 2654435761U + 1) {}

    TestAgent& add(const std::string& name, UserAgentOptions options) {
        const Endpoint at = options.listen.front();
        UserAgent ua(std::move(options), test_seed(static_cast<std::uint8_t>(agents_.size() + 1)));
        agents_.push_back({name, std::move(ua), at, {}, [](Instant, const Event&) {}});
        return agents_.back();
    }

    // Carries everything that happens up to then. Call it after every command.
    void run_for(Duration length) {
        const Instant end = now + length;
        flush();
        while (true) {
            std::optional<Instant> next;
            const auto earlier = [&next](Instant at) { next = next ? std::min(*next, at) : at; };
            if (!in_flight_.empty()) earlier(in_flight_.begin()->first);
            for (TestAgent& agent : agents_) {
                if (const auto at = agent.ua.next_deadline()) earlier(*at);
            }
            if (!next || *next > end) break;
            now = std::max(now, *next);
            while (!in_flight_.empty() && in_flight_.begin()->first <= now) {
                const Flying flying = std::move(in_flight_.begin()->second);
                in_flight_.erase(in_flight_.begin());
                arrive(flying);
            }
            for (TestAgent& agent : agents_) agent.ua.tick(now);
            flush();
        }
        now = end;
    }

    // Everything is over: nothing is kept.
    void check_nothing_left() {
        run_for(3min);
        for (TestAgent& agent : agents_) {
            CAPTURE(agent.name);
            const auto counts = agent.ua.counts();
            CHECK(counts.dialogs == 0);
            CHECK(counts.transactions == 0);
            CHECK(counts.timers == 0);
        }
    }

    [[nodiscard]] std::vector<Sent> sent(const std::string& from, const std::string& method, int status = 0) const {
        std::vector<Sent> found;
        for (const Sent& item : log) {
            if (item.from != from || item.message.method() != method) continue;
            if (item.message.is_request() ? status == 0 : item.message.status() == status) found.push_back(item);
        }
        return found;
    }
    void flush() {
        bool again = true;
        while (again) {
            again = false;
            for (TestAgent& agent : agents_) {
                for (Send& send : agent.ua.take_sends()) {
                    carry(agent, std::move(send));
                    again = true;
                }
                for (Event& event : agent.ua.take_events()) {
                    agent.events.push_back(event);
                    agent.on_event(now, event);
                    again = true;
                }
            }
        }
    }

private:
    struct Flying {
        Send send;
        Endpoint from;
    };

    std::uint32_t random() {
        random_ = random_ * 6364136223846793005ULL + 1442695040888963407ULL;
        return static_cast<std::uint32_t>(random_ >> 33);
    }
    void carry(TestAgent& from, Send send) {
        auto message = message_from_datagram(send.bytes);
        REQUIRE_MESSAGE(message.has_value(), send.bytes);
        log.push_back({now, send, *message, from.name});
        Endpoint source = from.at;
        source.transport = send.to.transport;
        const bool is_tcp = send.to.transport == Transport::tcp;
        if (is_tcp && !tcp_works) {
            from.ua.transport_failed(now, send.branch);
            return;
        }
        if (loses(log.back()) || (!is_tcp && random() % 100 < loss_percent)) return;
        const int copies = !is_tcp && random() % 100 < double_percent ? 2 : 1;
        for (int i = 0; i < copies; ++i) {
            const auto spread = static_cast<std::uint64_t>((delay_max - delay_min).count()) + 1;
            const Duration delay = is_tcp ? delay_min : delay_min + Duration{random() * 1000ULL % spread};
            in_flight_.insert({now + delay, {send, source}});
        }
    }
    void arrive(const Flying& flying) {
        for (TestAgent& agent : agents_) {
            if (agent.at.address != flying.send.to.address || agent.at.port != flying.send.to.port) continue;
            const bool is_tcp = flying.send.to.transport == Transport::tcp;
            const Source source{flying.from, flying.send.to, is_tcp ? 1U : 0U};
            if (is_tcp) {
                agent.ua.receive_message(now, source, message_from_datagram(flying.send.bytes));
            } else {
                agent.ua.receive_datagram(now, source, flying.send.bytes);
            }
        }
        flush();
    }

    std::deque<TestAgent> agents_;
    std::multimap<Instant, Flying> in_flight_;
    std::uint64_t random_;
};

inline Invitation test_invitation(const TestAgent& to, const std::string& body = "v=0\r\n") {
    Invitation invitation;
    invitation.target.user = "bob";
    invitation.target.host = to.at.address;
    invitation.target.port = to.at.port;
    invitation.from.uri.user = "alice";
    invitation.from.uri.host = "alice.example";
    invitation.to.uri = invitation.target;
    invitation.content_type = body.empty() ? "" : "application/sdp";
    invitation.body = body;
    return invitation;
}

// One agent and a peer whose messages are written by hand.
class LoneAgent {
public:
    UserAgent ua;
    Instant now{1h};
    Source source{{Transport::udp, "10.0.0.9", 5060}, {Transport::udp, "10.0.0.1", 5060}, 0};

    explicit LoneAgent(UserAgentOptions options = test_options("10.0.0.1")) : ua(std::move(options), test_seed(9)) {}

    void receive(const std::string& text) { ua.receive_datagram(now, source, text); }
    std::vector<Message> taken() {
        std::vector<Message> messages;
        for (const Send& send : ua.take_sends()) {
            sends.push_back(send);
            messages.push_back(*message_from_datagram(send.bytes));
        }
        return messages;
    }
    // The only message sent since asked last.
    Message only() {
        const auto messages = taken();
        REQUIRE(messages.size() == 1);
        return messages.front();
    }
    void run_for(Duration length) {
        const Instant end = now + length;
        for (int left = 100'000; ua.next_deadline() && *ua.next_deadline() <= end; --left) {
            REQUIRE(left > 0);  // what is due is done
            now = std::max(now, *ua.next_deadline());
            ua.tick(now);
        }
        now = end;
    }
    void check_nothing_left() {
        run_for(3min);
        CHECK(ua.counts().dialogs == 0);
        CHECK(ua.counts().transactions == 0);
        CHECK(ua.counts().timers == 0);
    }
    template <typename E>
    E only_event() {
        const auto events = ua.take_events();
        REQUIRE(events.size() == 1);
        REQUIRE(std::holds_alternative<E>(events.front()));
        return std::get<E>(events.front());
    }
    // A request of the peer's.
    std::string request(const std::string& method, const std::string& branch, int cseq, const std::string& more = "",
                        const std::string& to_tag = "") const {
        return method + " sip:bob@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK" + branch +
               "\r\nFrom: <sip:peer@10.0.0.9>;tag=pt\r\nTo: <sip:bob@10.0.0.1>" +
               (to_tag.empty() ? "" : ";tag=" + to_tag) + "\r\nCall-ID: peer-call\r\nCSeq: " + std::to_string(cseq) +
               " " + method + "\r\nContact: <sip:peer@10.0.0.9>\r\n" +
               (more.find("Max-Forwards") == std::string::npos ? "Max-Forwards: 70\r\n" : "") + more +
               "Content-Length: 0\r\n\r\n";
    }
    static std::string with_offer(std::string text) {
        const std::string_view none = "Content-Length: 0\r\n\r\n";
        return text.replace(text.size() - none.size(), none.size(),
                            "Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n");
    }
    // The peer's answer to a request of ours.
    static std::string answer(const Message& to, int status, const std::string& tag, const std::string& more = "") {
        Message response = response_to(to, status, tag);
        std::string text = to_bytes(response);
        text.insert(text.find("\r\n") + 2, more);
        return text;
    }

    std::vector<Send> sends;
};

}  // namespace sheaf::sip
