// SPDX-License-Identifier: Apache-2.0
#include "sim/site.h"

#include <utility>

#include "sim/archive.h"

namespace sheaf::sim {
namespace {

constexpr std::chrono::seconds kReadinessEvery{5};
constexpr std::chrono::milliseconds kPauseFirstRetry{250}, kPauseLastRetry{4'000};
constexpr std::chrono::seconds kPauseTriesFor{60};

}  // namespace

Switch::Switch(World& world, Network& network, Archive& archive, std::string at_address, Clock clock, Settings settings,
               Observer& observer)
    : Node(world, network, settings.exchange.site, settings.exchange.site, std::move(at_address), clock),
      settings_(std::move(settings)),
      observer_(observer),
      teller_(std::make_unique<Teller>(archive, settings_.exchange.site, settings_.exchange.node)) {
    with_tcp_ = true;
    restart();
}

Switch::~Switch() = default;

void Switch::restart() {
    if (is_up()) return;
    exchange_ = std::make_unique<exchange::Exchange>(settings_.exchange);
    promises_ = std::make_unique<exchange::Promises>();
    start(b2bua::options_of_switch());
    b2bua_ = std::make_unique<b2bua::B2bua>(settings_.b2bua, agent(), world_.chance().seed());
    tell_regularly();
}

void Switch::crash() {
    if (!is_up()) return;
    b2bua_.reset();
    exchange_.reset();
    pending_.clear();
    asked_.clear();
    telling_.clear();
    die();
}

void Switch::on_event(const sip::Event& event) {
    b2bua_->handle(stamp(), event);
    drain();
}

void Switch::on_due() {
    b2bua_->tick(stamp());
    const auto due = exchange_->next_deadline();
    if (due && *due <= mono()) pending_.emplace_back(exchange::Tick{});
    drain();
}

std::optional<Instant> Switch::own_deadline() const {
    std::optional<Instant> next = exchange_->next_deadline();
    const auto other = b2bua_->next_deadline();
    if (other && (!next || *other < *next)) next = other;
    return next;
}

void Switch::input(exchange::Event event) {
    if (!is_up()) return;
    pending_.push_back(std::move(event));
    if (is_draining_) return;
    drain();
    pump();
}

void Switch::drain() {
    if (std::exchange(is_draining_, true)) return;
    for (;;) {
        for (auto& event : b2bua_->take_events()) pending_.push_back(std::move(event));
        static_cast<void>(b2bua_->take_logs());
        if (pending_.empty()) break;
        auto event = std::move(pending_.front());
        pending_.pop_front();
        step(std::move(event));
    }
    is_draining_ = false;
}

void Switch::step(exchange::Event event) {
    const exchange::Input input{stamp(), world_.chance().seed(), std::move(event)};
    const auto effects = exchange_->step(input);
    for (const auto& effect : effects) {
        b2bua_->carry_out(input.now, effect);
        carry_out(input.now, effect);
    }
    if (const auto broken = promises_->watch(input.event, effects); !broken.empty()) observer_.broken(*this, broken);
    observer_.stepped(*this, input.event, effects);
    if (const auto* asked = std::get_if<exchange::CtiRequest>(&input.event)) asked_.erase(asked->request);
}

void Switch::carry_out(Stamp now, const exchange::Effect& effect) {
    if (const auto* fact = std::get_if<exchange::SayFact>(&effect)) {
        teller_->say({now, fact->type, fact->data});
    } else if (const auto* reply = std::get_if<exchange::CtiReply>(&effect)) {
        if (const auto found = asked_.find(reply->request); found != asked_.end()) {
            network_.carry(area, area, [answer = found->second.reply, told = *reply] { answer(told); });
        }
    } else if (const auto* pause = std::get_if<exchange::TellPause>(&effect)) {
        telling_[{pause->site, pause->link}] = pause->pause.id + (pause->on ? "" : " over");
        tell_pause(*pause, kPauseFirstRetry, world_.now() + kPauseTriesFor);
    } else if (const auto* confirmation = std::get_if<exchange::ConfirmPause>(&effect)) {
        if (const auto peer = peers.find(confirmation->site); peer != peers.end())
            network_.carry(area, peer->second->area, [peer = peer->second, site = site(), told = *confirmation] {
                peer->telling_.erase({site, told.link});
                peer->input(exchange::PauseConfirmed{site, told.link, told.pause});
            });
    } else if (std::holds_alternative<exchange::TellReadiness>(effect)) {
        tell_readiness();
    }
}

// As apps/switch's PauseTeller: until it is confirmed, or something newer is to be told.
void Switch::tell_pause(const exchange::TellPause& pause, Duration wait, Instant until) {
    const auto peer = peers.find(pause.site);
    const std::string what = pause.pause.id + (pause.on ? "" : " over");
    const auto telling = telling_.find({pause.site, pause.link});
    if (peer == peers.end() || telling == telling_.end() || telling->second != what || world_.now() > until) return;
    network_.carry(area, peer->second->area, [peer = peer->second, site = site(), pause, at = world_.now(), this] {
        exchange::PauseTold told{site, pause.link, pause.on, pause.pause};
        told.pause.ago_ms += to_ms(world_.now() - at);
        peer->input(std::move(told));
        if (!pause.on) telling_.erase({pause.site, pause.link});
    });
    world_.after(wait, [this, started = boots, pause, wait, until] {
        if (is_up() && boots == started) tell_pause(pause, std::min<Duration>(2 * wait, kPauseLastRetry), until);
    });
}

void Switch::ask(exchange::CtiRequest request, int about, Reply reply) {
    network_.carry(area, area, [this, request = std::move(request), about, reply = std::move(reply)]() mutable {
        if (!is_up()) return;
        request.request = ++requests_;
        asked_[requests_] = {about, std::move(reply)};
        input(std::move(request));
    });
}

int Switch::about(std::uint64_t request) const {
    const auto found = asked_.find(request);
    return found == asked_.end() ? 0 : found->second.about;
}

void Switch::hear(exchange::RemoteAgents agents) {
    input(std::move(agents));
}

void Switch::tell_readiness() {
    if (peers.empty()) return;
    auto readiness = exchange_->readiness(mono());
    readiness.boot = std::to_string(boots);
    readiness.seq = ++told_;
    for (const auto& [name, peer] : peers)
        network_.carry(area, peer->area, [to = peer, readiness] { to->hear(readiness); });
}

void Switch::tell_regularly() {
    tell_readiness();
    world_.after(kReadinessEvery, [this, started = boots] {
        if (is_up() && boots == started) tell_regularly();
    });
}

}  // namespace sheaf::sim
