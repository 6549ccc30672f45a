// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "b2bua/notifier.h"
#include "base/assert.h"
#include "base/bytes.h"

// A SUBSCRIBE whose Event, Expires, Accept, Contact and Record-Route are lines of the input, and what happens then, a
// letter each: the lamp changes (b, r, i), time passes (t), the NOTIFY is answered (y, n), the agent goes (g).
using namespace sheaf;
using namespace sheaf::b2bua;

namespace {

std::string_view take_line(std::string_view& rest) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    return line;
}

// The notifier's side of the wire: answers to NOTIFYs are made from what it sends.
struct Peer {
    sip::UserAgent ua;
    Lamp lamp = Lamp::idle;
    Notifier notifier{ua, [this](const std::string&) { return lamp; }};
    Instant now{std::chrono::seconds{1}};
    sip::Source source{{sip::Transport::udp, "127.0.0.6", 5060}, {sip::Transport::udp, "127.0.0.1", 5060}, 0};
    std::vector<sip::Message> notified;

    static sip::UserAgentOptions options() {
        sip::UserAgentOptions out;
        out.listen = {{sip::Transport::udp, "127.0.0.1", 5060}, {sip::Transport::tcp, "127.0.0.1", 5060}};
        out.allow = {"SUBSCRIBE", "NOTIFY"};
        return out;
    }
    Peer() : ua(options(), Entropy::Seed{}) {}

    void pump() {
        for (auto events = ua.take_events(); !events.empty(); events = ua.take_events()) {
            for (const auto& event : events) on(event);
        }
        for (const auto& send : ua.take_sends()) {
            auto message = sip::message_from_datagram(send.bytes);
            ASSERT(message.has_value());  // what we say can be read
            if (message->is_request() && message->method() == "NOTIFY") notified.push_back(*std::move(message));
        }
    }
    void on(const sip::Event& event) {
        if (const auto* e = std::get_if<sip::Requested>(&event)) {
            const bool is_new = e->local_tag.size() != 0 && e->request.first("To")->find("tag=") == std::string::npos;
            is_new ? notifier.subscribe(now, *e, {"1002", "1001", "sip:1001@127.0.0.1", false})
                   : notifier.refresh(now, *e);
        } else if (const auto* responded = std::get_if<sip::Responded>(&event)) {
            ASSERT(notifier.on_responded(now, *responded));
        }
    }
    void receive(std::string_view bytes) {
        ua.receive_datagram(now, source, bytes);
        pump();
    }
    void pass(Duration span) {
        now += span;
        ua.tick(now);
        notifier.tick(now);
        pump();
    }
    void step(char what) {
        constexpr std::string_view kLamps = "irb";
        if (const auto which = kLamps.find(what); which != std::string_view::npos) {
            lamp = static_cast<Lamp>(which);
            notifier.changed(now, "1001");
        } else if (what == 'g') {
            notifier.drop_if(now, [](const std::string& dn) { return dn == "1001"; });
        } else if ((what == 'y' || what == 'n') && !notified.empty()) {
            return receive(sip::to_bytes(sip::response_to(notified.back(), what == 'y' ? 200 : 481)));
        } else if (what == 't') {
            return pass(std::chrono::milliseconds{700});
        }
        pump();
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto rest = as_text(Bytes{data, size});
    std::string message =
        "SUBSCRIBE sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.6;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
        "From: <sip:1002@127.0.0.1>;tag=1\r\nTo: <sip:1001@127.0.0.1>\r\nCall-ID: 1\r\nCSeq: 1 SUBSCRIBE\r\n";
    for (const std::string_view name : {"Event", "Expires", "Accept", "Contact", "Record-Route"}) {
        const auto value = take_line(rest);
        if (!value.empty()) message += std::string(name) + ": " + std::string(value) + "\r\n";
    }
    Peer peer;
    peer.receive(message + "\r\n");
    for (const char what : rest.substr(0, 64)) peer.step(what);
    // Whatever has happened, it is over when its time is.
    peer.pass(std::chrono::seconds{kWatchSecondsMax});
    peer.pass(std::chrono::seconds{40});
    peer.pass(std::chrono::seconds{40});
    ASSERT(peer.notifier.size() == 0);
    ASSERT(!peer.notifier.next_deadline());
    return 0;
}
