// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/match.h"
#include "sip/user_agent.h"

// Two user agents and a wire that does what the input says: deliver, lose, double, reorder, spoil and forge messages,
// give commands, let time pass. Whatever happens: nothing crashes, an input makes few messages, every request of ours
// is answered once, a dialog ends at most once, and once all is released and time has passed nothing is kept.
using namespace sheaf;
using namespace sheaf::sip;

namespace {

constexpr std::size_t kSendsMax = 64;  // of one input: forks, pending answers, BYE
constexpr std::size_t kFlyingMax = 256;

void require(bool condition) {
    if (!condition) std::abort();
}

struct Input {
    const std::uint8_t* data;
    std::size_t size;
    std::uint8_t next() {
        if (size == 0) return 0;
        --size;
        return *data++;
    }
};

struct Side {
    explicit Side(std::uint8_t number, std::string address)
        : at{Transport::udp, std::move(address), 5060}, ua(options(at), Entropy::Seed{number}) {}

    static UserAgentOptions options(const Endpoint& at) {
        UserAgentOptions options;
        options.listen = {at, {Transport::tcp, at.address, at.port}};
        options.allow = {"INVITE", "ACK", "CANCEL", "BYE", "INFO", "REFER", "NOTIFY", "UPDATE", "PRACK", "OPTIONS"};
        options.supported = {"replaces", "100rel", "timer"};
        options.transactions_max = 200;
        options.dialogs_max = 20;
        return options;
    }
    template <typename T>
    T pick(const std::vector<T>& from, std::uint8_t by) const {
        return from.empty() ? T{} : from[by % from.size()];
    }
    void hear(const Event& event) {
        const auto ended = [this](DialogId id) { require(over.insert(id).second); };
        std::visit(
            Match{[&](const Invited& e) { dialogs.push_back(e.dialog); },
                  [&](const Failed& e) {
                      if (!e.reinvite) ended(e.dialog);
                  },
                  [&](const Ended& e) { ended(e.dialog); }, [&](const Requested& e) { requests.push_back(e.id); },
                  [&](const Responded& e) { require(waiting.erase(e.id) == 1); }, [](const auto&) {}},
            event);
    }

    Endpoint at;
    UserAgent ua;
    std::vector<DialogId> dialogs;
    std::set<DialogId> over;
    std::vector<ServerRequest> requests;
    std::set<ClientRequest> waiting;
};

struct Flying {
    Send send;
    Endpoint from;
};

class World {
public:
    explicit World(Input input) : input_(input) {}

    void run() {
        while (input_.size > 0) {
            step(input_.next());
            for (Side& side : sides_) collect(side, kSendsMax);
        }
        finish();
    }

private:
    void collect(Side& side, std::size_t sends_max) {
        auto sends = side.ua.take_sends();
        require(sends.size() <= sends_max);
        for (Send& send : sends) {
            if (flying_.size() < kFlyingMax) flying_.push_back({std::move(send), side.at});
        }
        for (const Event& event : side.ua.take_events()) side.hear(event);
    }
    void deliver(const Flying& flying) {
        Side& to = flying.send.to.address == sides_[1].at.address ? sides_[1] : sides_[0];
        const bool is_tcp = flying.send.to.transport == Transport::tcp;
        Source source{flying.from, to.at, 0};
        if (is_tcp) {
            source.remote.transport = source.local.transport = Transport::tcp;
            source.flow = 1;
        }
        to.ua.receive_datagram(now_, source, flying.send.bytes);
    }
    Flying take(std::size_t index) {
        Flying flying = std::move(flying_[index]);
        flying_.erase(flying_.begin() + static_cast<std::ptrdiff_t>(index));
        return flying;
    }
    void pass(Duration length) {
        now_ += length;
        for (Side& side : sides_) {
            const std::size_t timers = side.ua.counts().timers;
            side.ua.tick(now_);
            collect(side, kSendsMax * (timers + 1));
        }
    }
    // An answer to a request on the wire that its receiver has never seen.
    void forge(const Flying& flying, int status) {
        const auto request = message_from_datagram(flying.send.bytes);
        if (!request || !request->is_request()) return;
        Message response = response_to(*request, status, std::string(1, static_cast<char>('a' + input_.next() % 26)));
        response.add("Contact", "<sip:forged@10.0.0.2>");
        if (status == 401) response.add("WWW-Authenticate", "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256");
        Side& to = flying.from == sides_[0].at ? sides_[0] : sides_[1];
        to.ua.receive_datagram(now_, {flying.send.to, to.at, 0}, to_bytes(response));
    }
    void step(std::uint8_t code) {
        if (code < 128) return wire(code);
        Side& side = sides_[code & 1];
        command(side, static_cast<std::uint8_t>((code >> 1) & 31), side.pick(side.dialogs, input_.next()));
    }
    void wire(std::uint8_t code) {
        if (code % 8 == 7) return pass(std::chrono::milliseconds{1 << (input_.next() % 17)});
        if (code == 126) return raw();
        if (flying_.empty()) return;
        switch (code % 8) {
            case 0:
            case 1: return deliver(take(0));
            case 2: return deliver(take(flying_.size() - 1));
            case 3: return deliver(flying_[input_.next() % flying_.size()]);  // stays: comes twice
            case 4: static_cast<void>(take(0)); return;
            case 5: {
                Flying spoilt = take(0);
                std::string& bytes = spoilt.send.bytes;
                bytes[(input_.next() * 256U + input_.next()) % bytes.size()] = static_cast<char>(input_.next());
                return deliver(spoilt);
            }
            default: {
                static constexpr int kStatuses[] = {100, 180, 200, 202, 302, 401, 404,
                                                    408, 481, 486, 487, 491, 503, 600};
                return forge(flying_[0], kStatuses[input_.next() % std::size(kStatuses)]);
            }
        }
    }
    void raw() {
        std::string bytes;
        for (std::size_t length = input_.next(); length > 0 && input_.size > 0; --length) {
            bytes.push_back(static_cast<char>(input_.next()));
        }
        sides_[0].ua.receive_datagram(now_, {sides_[1].at, sides_[0].at, 0}, bytes);
    }
    void command(Side& side, std::uint8_t code, DialogId dialog) {
        const std::string sdp = (code & 16) != 0 ? "" : "v=0\r\n";
        switch (code % 16) {
            case 0: return invite(side, sdp);
            case 1: return side.ua.cancel(now_, dialog);
            case 2: return side.ua.ack(now_, dialog, "application/sdp", sdp);
            case 3: return side.ua.provisional(now_, dialog, 180, {}, sdp);
            case 4:
            case 5: return side.ua.answer(now_, dialog, sdp);
            case 6: return side.ua.reject(now_, dialog, 486);
            case 7:
            case 8: return side.ua.reinvite(now_, dialog, sdp);
            case 9: return side.ua.bye(now_, dialog);
            case 10: return side.ua.release(now_, dialog, 480);
            case 11:
            case 12: return side.ua.respond(now_, side.pick(side.requests, input_.next()), 200);
            case 13:
                side.waiting.insert(side.ua.request(now_, dialog, (code & 16) != 0 ? "INFO" : "NOTIFY", {}));
                return;
            case 14: return ask_outside(side);
            default:
                if (!flying_.empty())
                    side.ua.transport_failed(now_, flying_[input_.next() % flying_.size()].send.branch);
        }
    }
    void invite(Side& side, const std::string& sdp) {
        Invitation invitation;
        invitation.target.host = (&side == &sides_[0] ? sides_[1] : sides_[0]).at.address;
        invitation.from.uri = invitation.to.uri = invitation.target;
        invitation.body = input_.next() % 8 == 0 ? std::string(2'000, 'x') : sdp;
        if (input_.next() % 2 == 0) invitation.account = Account{"u", "p"};
        side.dialogs.push_back(side.ua.invite(now_, invitation));
    }
    void ask_outside(Side& side) {
        OutsideRequest request;
        request.method = "OPTIONS";
        request.target.host = (&side == &sides_[0] ? sides_[1] : sides_[0]).at.address;
        request.from.uri = request.to.uri = request.target;
        request.account = Account{"u", "p"};
        side.waiting.insert(side.ua.request_outside(now_, request));
    }
    void finish() {
        for (Side& side : sides_) {
            for (const DialogId dialog : side.dialogs) {
                side.ua.release(now_, dialog, 480);
                collect(side, kSendsMax);
            }
        }
        const Instant end = now_ + std::chrono::minutes{5};
        while (true) {
            std::optional<Instant> next = sides_[0].ua.next_deadline();
            const auto other = sides_[1].ua.next_deadline();
            if (!next || (other && *other < *next)) next = other;
            if (!next || *next > end) break;
            pass(std::max(Duration::zero(), *next - now_));
        }
        for (Side& side : sides_) {
            const auto counts = side.ua.counts();
            require(counts.dialogs == 0 && counts.transactions == 0 && counts.timers == 0);
            require(side.waiting.empty());
        }
    }

    Input input_;
    Side sides_[2] = {Side{1, "10.0.0.1"}, Side{2, "10.0.0.2"}};
    std::deque<Flying> flying_;
    Instant now_{std::chrono::hours{1}};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size <= 4'096) World(Input{data, size}).run();
    return 0;
}
