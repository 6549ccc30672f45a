// SPDX-License-Identifier: Apache-2.0
#include "sim/network.h"

#include <algorithm>

namespace sheaf::sim {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kStreamRetry{200};          // a lost segment comes that much later
constexpr std::chrono::seconds kStreamGivesUp{4};  // over a way that is cut
constexpr milliseconds kOvertakenBy{300};

}  // namespace

const Quality& Network::quality(const Station& from, const Station& to) const {
    const auto found = ways_.find(key(from.area, to.area));
    return found == ways_.end() ? otherwise_ : found->second;
}

Duration Network::delay_of(const Quality& quality) {
    return quality.delay + chance_.between(Duration{0}, quality.jitter);
}

void Network::send(Station& from, const sip::Send& send) {
    const auto found = stations_.find(send.to.address);
    Station* to = found == stations_.end() ? nullptr : found->second;
    if (watcher) watcher(from, to, send.bytes, true);
    if (send.to.transport == sip::Transport::udp) return send_datagram(from, to, send);
    send_stream(from, to, send);
}

void Network::send_datagram(Station& from, Station* to, const sip::Send& send) {
    ++counts_.datagrams;
    if (to == nullptr) return;
    const Quality& way = quality(from, *to);
    if (is_cut(from.area, to->area) || chance_.happens(way.loss)) {
        ++counts_.lost;
        return;
    }
    const sip::Source source{{sip::Transport::udp, from.address, 5060}, send.to, 0};
    const auto deliver = [this, from = &from, to, source](Duration wait, std::string bytes) {
        world_.after(wait, [this, from, to, source, bytes = std::move(bytes)] {
            if (!to->is_up()) return;
            if (watcher) watcher(*from, to, bytes, false);
            to->datagram(source, bytes);
        });
    };
    Duration wait = delay_of(way);
    if (chance_.happens(way.overtaken)) {
        ++counts_.overtaken;
        wait += chance_.between(Duration{0}, kOvertakenBy);
    }
    if (chance_.happens(way.twice)) {
        ++counts_.twice;
        deliver(delay_of(way), send.bytes);
    }
    deliver(wait, send.bytes);
}

bool Network::is_alive(const Connection& c) const {
    return c.a->is_up() && c.b->is_up() && c.a->boots == c.boots_a && c.b->boots == c.boots_b;
}

std::uint64_t Network::connection_between(Station& from, Station& to) {
    auto& flow = by_ends_[{&from, &to}];
    if (const auto found = connections_.find(flow); found != connections_.end()) {
        if (is_alive(found->second)) return flow;
        connections_.erase(found);
    }
    flow = ++flows_;
    connections_[flow] = {&from, &to, from.boots, to.boots, {}, {}};
    return flow;
}

void Network::send_stream(Station& from, Station* to, const sip::Send& send) {
    std::uint64_t flow = send.flow;
    if (const auto found = connections_.find(flow); found != connections_.end() && is_alive(found->second)) {
        to = found->second.a == &from ? found->second.b : found->second.a;
    } else {
        flow = 0;
    }
    const auto fails = [&](Duration wait) {
        ++counts_.failed;
        if (send.branch.empty()) return;
        world_.after(wait, [from = &from, boots = from.boots, branch = send.branch] {
            if (from->is_up() && from->boots == boots) from->send_failed(branch);
        });
    };
    if (to == nullptr) return fails(milliseconds{1});
    const Quality& way = quality(from, *to);
    if (is_cut(from.area, to->area)) return fails(kStreamGivesUp);
    if (!to->is_up()) return fails(2 * way.delay);
    if (flow == 0) flow = connection_between(from, *to);
    Connection& connection = connections_.at(flow);
    const bool to_b = connection.a == &from;
    Duration wait = delay_of(way);
    for (int tries = 0; tries < 10 && chance_.happens(way.loss); ++tries) wait += kStreamRetry;
    Instant& last = to_b ? connection.last_to_b : connection.last_to_a;
    last = std::max(last + std::chrono::microseconds{1}, world_.now() + wait);
    ++counts_.stream_messages;
    const sip::Source source{{sip::Transport::tcp, from.address, to_b ? std::uint16_t{40'000} : std::uint16_t{5060}},
                             {sip::Transport::tcp, to->address, 5060},
                             flow};
    world_.at(last, [this, from = &from, to, boots = to->boots, source, bytes = send.bytes] {
        if (!to->is_up() || to->boots != boots) return;
        if (watcher) watcher(*from, to, bytes, false);
        to->stream_message(source, bytes);
    });
}

void Network::carry(const std::string& from_area, const std::string& to_area, std::function<void()> arrive) {
    if (is_cut(from_area, to_area)) return;
    const auto found = ways_.find(key(from_area, to_area));
    const Quality& way = found == ways_.end() ? otherwise_ : found->second;
    // A connection is made and asked over: one round trip and a half.
    Duration wait = 3 * delay_of(way);
    for (int tries = 0; tries < 10 && chance_.happens(way.loss); ++tries) wait += kStreamRetry;
    world_.after(wait, std::move(arrive));
}

}  // namespace sheaf::sim
