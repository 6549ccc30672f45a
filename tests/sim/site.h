// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "b2bua/b2bua.h"
#include "exchange/exchange.h"
#include "exchange/promises.h"
#include "sim/node.h"

namespace sheaf::sim {

class Archive;
class Teller;

// A site's switch, wired as apps/switch wires it: one event, one step, its effects carried out in order, the next.
class Switch final : public Node {
public:
    struct Settings {
        exchange::SiteSettings exchange;
        b2bua::Settings b2bua;
    };
    struct Observer {  // sees each step, after it was carried out
        virtual ~Observer() = default;
        virtual void stepped(Switch& at, const exchange::Event& event,
                             const std::vector<exchange::Effect>& effects) = 0;
        virtual void broken(Switch& at, const std::string& promise) = 0;
    };
    Switch(World& world, Network& network, Archive& archive, std::string address, Clock clock, Settings settings,
           Observer& observer);
    ~Switch() override;

    void crash();
    void restart();

    using Reply = std::function<void(const exchange::CtiReply& reply)>;
    // `about`: the conversation it is about, for the observer; of a request under way, or 0.
    void ask(exchange::CtiRequest request, int about, Reply reply);
    [[nodiscard]] int about(std::uint64_t request) const;
    void hear(exchange::RemoteAgents agents);
    std::map<std::string, Switch*> peers;  // by site, for readiness

    [[nodiscard]] const std::string& site() const { return settings_.exchange.site; }
    [[nodiscard]] const exchange::Exchange& exchange() const { return *exchange_; }
    [[nodiscard]] const b2bua::B2bua& translator() const { return *b2bua_; }

protected:
    void on_event(const sip::Event& event) override;
    void on_due() override;
    [[nodiscard]] std::optional<Instant> own_deadline() const override;

private:
    void input(exchange::Event event);
    void drain();
    void step(exchange::Event event);
    void carry_out(Stamp now, const exchange::Effect& effect);
    void tell_pause(const exchange::TellPause& pause, Duration wait, Instant until);
    void tell_readiness();
    void tell_regularly();

    Settings settings_;
    Observer& observer_;
    std::unique_ptr<Teller> teller_;
    std::unique_ptr<exchange::Exchange> exchange_;
    std::unique_ptr<b2bua::B2bua> b2bua_;
    std::unique_ptr<exchange::Promises> promises_;
    std::deque<exchange::Event> pending_;
    bool is_draining_ = false;
    struct Asked {
        int about;
        Reply reply;
    };
    std::map<std::uint64_t, Asked> asked_;
    std::map<std::pair<std::string, LinkId>, std::string> telling_;  // pauses not confirmed
    std::uint64_t requests_ = 0, told_ = 0;
};

}  // namespace sheaf::sim
