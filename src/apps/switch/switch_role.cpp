// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/switch_role.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <filesystem>
#include <utility>

#include "apps/config/log.h"
#include "apps/switch/call_ladder.h"
#include "apps/switch/cti.h"
#include "apps/switch/fact_keeper.h"
#include "apps/switch/input_journal.h"
#include "apps/switch/pause_teller.h"
#include "apps/switch/peer_finder.h"
#include "apps/switch/readiness.h"
#include "apps/switch/settings.h"
#include "b2bua/b2bua.h"
#include "base/entropy.h"
#include "base/match.h"
#include "edge/net/clock.h"
#include "edge/net/sip_node.h"
#include "exchange/journal.h"
#include "sip/grammar.h"

namespace sheaf::apps {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kStopLook{20};
constexpr std::chrono::seconds kTurnedLook{5};
constexpr std::chrono::minutes kTurnedAgain{2};
constexpr std::string_view kOutbox = "outbox.db";
constexpr std::string_view kLadder = "ladder";

constexpr std::string_view kStrangers = "strangers are refused";

std::chrono::seconds whole_seconds(int ms) {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::milliseconds{ms});
}

class Role final : public SwitchRole {
public:
    Role(boost::asio::io_context& io, config::SwitchSettings settings)
        : io_(io),
          settings_(std::move(settings)),
          timer_(io),
          stop_timer_(io),
          turned_timer_(io),
          pauses_(io, settings_.node.site),
          exchange_(exchange_settings(settings_)) {}
    ~Role() override { close(); }

    Result<void> start() {
        std::error_code error;
        fs::create_directories(settings_.node.data, error);
        if (error) return fail(Errc::io, settings_.node.data + ": " + error.message());
        open_journal();
        TRY_VOID(open_outbox());
        TRY(ladder_, CallLadder::open(io_, (fs::path(settings_.node.data) / kLadder).string(), settings_.ladder_bytes));
        TRY_VOID(open_sip());
        if (!settings_.cti.address.empty()) {
            CtiPort port{[this](exchange::Event event) { on_http(std::move(event)); },
                         [this](const auto& devices) { return exchange_.calls(devices); },
                         [this](const auto& devices) { return exchange_.agents(devices); },
                         [this](const CallUuid& call, bool as_pcap, http::Reply reply) {
                             const auto form = as_pcap ? CallLadder::Form::pcap : CallLadder::Form::json;
                             ladder_->answer(call, form, std::move(reply));
                         }};
            TRY(cti_, Cti::start(io_, settings_, std::move(port)));
        }
        readiness_ = std::make_unique<ReadinessTeller>(io_, settings_.node.site,
                                                       [this] { return exchange_.readiness(net::now().mono); });
        readiness_->set_peers(settings_.sites);
        readiness_->start();
        pauses_.set_peers(settings_.sites);
        b2bua_->start(net::now());
        node_->pump();
        look_who_was_turned_away();
        arm();
        return {};
    }

    [[nodiscard]] Bound bound() const override {
        Bound out;
        for (const auto& endpoint : node_->bound()) out.sip.push_back(sip::to_text(endpoint));
        if (cti_) out.cti = cti_->bound();
        return out;
    }
    [[nodiscard]] exchange::Exchange::Counts counts() const override { return exchange_.counts(); }

    Result<void> reload(config::SwitchSettings settings) override {
        settings.media = settings_.media;
        TRY(auto peers, peers_of(settings));
        if (!stopped_) TRY_VOID(finder_->look_anew(settings.dns, named_uris(settings)));
        b2bua_->reload(net::now(), std::move(peers));
        admit_by_share(settings);
        settings_ = std::move(settings);
        if (cti_) cti_->reload(settings_);
        readiness_->set_peers(settings_.sites);
        pauses_.set_peers(settings_.sites);
        input_from_outside(exchange::SettingsChanged{exchange_settings(settings_)});
        config::log_info("settings read anew", {{"site", settings_.node.site}});
        return {};
    }

    void stop(std::function<void()> done) override {
        if (stopped_) return boost::asio::post(io_, std::move(done));
        stopped_ = std::move(done);
        stop_until_ = net::now().mono + std::chrono::milliseconds{kStopMaxMs};
        readiness_->stop();
        finder_->stop();
        b2bua_->leave(net::now());
        input_from_outside(exchange::Shutdown{});
        look_whether_stopped();
    }

private:
    void open_journal() {
        JournalOptions options;
        options.folder = settings_.node.data;
        options.run = std::to_string(to_unix_ms(net::now().wall));
        options.settings = exchange::settings_line(exchange_settings(settings_));
        while (!options.settings.empty() && options.settings.back() == '\n') options.settings.pop_back();
        auto journal = InputJournal::open(std::move(options));
        if (journal)
            journal_ = std::move(*journal);
        else
            config::log_error("there is no journal of inputs: this run cannot be replayed",
                              {{"why", journal.error().what}});
    }
    Result<void> open_outbox() {
        const auto& node = settings_.node;
        TRY(facts_, FactKeeper::open({(fs::path(node.data) / kOutbox).string(), node.tenant, node.site, node.name,
                                      "switch", settings_.archive.url, settings_.archive.token}));
        return {};
    }
    Result<void> open_sip() {
        auto options = b2bua::options_of_switch();
        for (const auto& text : settings_.listen) {
            TRY(auto endpoint, sip::endpoint_from_text(text));
            options.listen.push_back(std::move(endpoint));
        }
        if (options.listen.empty()) return fail(Errc::malformed, "switch.listen is empty");
        options.session = {whole_seconds(settings_.session_ms), whole_seconds(settings_.session_min_ms)};
        options.advertise = settings_.advertise;
        finder_ = std::make_unique<PeerFinder>(io_, sip::reach_of(options.listen), [this] { peers_moved(); });
        TRY_VOID(finder_->start(settings_.dns, named_uris(settings_)));
        TRY(node_, net::SipNode::start(
                       io_, std::move(options), [this](Instant, const sip::Event& event) { on_sip(event); },
                       [this](const net::SipNode::Passed& message) { ladder_->passed(message); }));
        host_ = settings_.advertise;
        if (host_.empty()) {
            const auto& first = node_->bound().front();
            host_ = sip::host_to_text(first.address) + ":" + std::to_string(first.port);
        }
        TRY(auto peers, peers_of(settings_));
        b2bua_ = std::make_unique<b2bua::B2bua>(std::move(peers), node_->agent(), net::seed());
        admit_by_share(settings_);
        b2bua_->watch_dialogs([this](const LegId& leg, std::string_view call_id) { ladder_->dialog(leg, call_id); });
        return {};
    }

    [[nodiscard]] Result<b2bua::Settings> peers_of(const config::SwitchSettings& settings) const {
        return b2bua_settings(settings, host_, [this](const std::string& uri) { return finder_->of(uri); });
    }
    // A name leads elsewhere: calls from now on go there.
    void peers_moved() {
        auto peers = peers_of(settings_);
        if (!peers) return;  // they have been taken before
        b2bua_->reload(net::now(), std::move(*peers));
        drain();
        node_->pump();
        arm();
    }

    void admit_by_share(const config::SwitchSettings& settings) {
        node_->admit_by_share(shares_of(settings.limits),
                              [this](const std::string& address) { return b2bua_->sender_at(address); });
    }
    void write_log(const exchange::Log& log) {
        const std::string_view kind = is_of_stranger(log) ? kStrangers : std::string_view{};
        config::log_fields(log.warning ? config::LogLevel::warn : config::LogLevel::info, log.text, log.fields, kind);
    }
    // Whatever they try, all of it is one line, so that a flood of it stays one.
    [[nodiscard]] bool is_of_stranger(const exchange::Log& log) const {
        for (const auto& [key, value] : log.fields) {
            if (key != "from") continue;
            const auto endpoint = sip::endpoint_from_text(value);
            if (!endpoint) return value.empty();  // the exchange names who it is, or nobody
            return b2bua_->sender_at(endpoint->address).kind == sip::Sender::Kind::stranger;
        }
        return false;
    }
    // One line in two minutes.
    void look_who_was_turned_away() {
        const auto now = net::now().mono;
        if (now >= turned_again_) {
            if (const auto turned = node_->take_turned(); turned.refused + turned.dropped > 0) {
                config::log_warn("more messages than their senders' shares",
                                 {{"refused", std::to_string(turned.refused)},
                                  {"dropped", std::to_string(turned.dropped)},
                                  {"latest_from", turned.address}});
                turned_again_ = now + kTurnedAgain;
            }
        }
        turned_timer_.expires_after(kTurnedLook);
        turned_timer_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
            if (!error && !alive.expired()) look_who_was_turned_away();
        });
    }

    // ---- The loop: one event, one step, its effects in order, the next --------------------------------------
    void on_sip(const sip::Event& event) {
        b2bua_->handle(net::now(), event);
        drain();
        arm();
    }
    void on_http(exchange::Event event) {
        if (is_closed_) return;  // a request that was being read when we closed
        if (const auto* confirmed = std::get_if<exchange::PauseConfirmed>(&event)) pauses_.confirmed(*confirmed);
        input_from_outside(std::move(event));
    }
    void input_from_outside(exchange::Event event) {
        pending_.push_back(std::move(event));
        if (is_draining_) return;
        drain();
        node_->pump();
        arm();
    }
    void drain() {
        if (is_draining_) return;
        is_draining_ = true;
        for (;;) {
            for (auto& event : b2bua_->take_events()) pending_.push_back(std::move(event));
            for (const auto& log : b2bua_->take_logs()) write_log(log);
            if (pending_.empty()) break;
            auto event = std::move(pending_.front());
            pending_.pop_front();
            step(std::move(event));
        }
        is_draining_ = false;
    }
    void step(exchange::Event event) {
        const exchange::Input input{net::now(), net::seed(), std::move(event)};
        auto effects = exchange_.step(input);
        journal(input, effects);
        for (const auto& effect : effects) {
            b2bua_->carry_out(input.now, effect);
            carry_out(input.now, effect);
        }
        ladder_->stepped(exchange_, input.event, effects);
        keep_facts(input.now, effects);
    }
    void keep_facts(Stamp now, std::vector<exchange::Effect>& effects) {
        std::vector<FactDraft> facts;
        facts.reserve(static_cast<std::size_t>(std::ranges::count_if(
            effects, [](const auto& effect) { return std::holds_alternative<exchange::SayFact>(effect); })));
        for (auto& effect : effects) {
            auto* fact = std::get_if<exchange::SayFact>(&effect);
            if (fact != nullptr) facts.push_back({now, std::move(fact->type), std::move(fact->data)});
        }
        if (!facts.empty()) facts_->keep(std::move(facts));
    }
    void carry_out(Stamp now, const exchange::Effect& effect) {
        if (const auto* reply = std::get_if<exchange::CtiReply>(&effect)) {
            if (cti_) cti_->answer(*reply);
        } else if (const auto* said = std::get_if<exchange::CtiEvent>(&effect)) {
            if (cti_) cti_->say(*said, now.wall);
        } else if (const auto* pause = std::get_if<exchange::TellPause>(&effect)) {
            pauses_.tell(*pause);
        } else if (const auto* confirmation = std::get_if<exchange::ConfirmPause>(&effect)) {
            pauses_.confirm(*confirmation);
        } else if (std::holds_alternative<exchange::TellReadiness>(effect)) {
            if (readiness_ && !stopped_) readiness_->tell();
        } else if (const auto* log = std::get_if<exchange::Log>(&effect)) {
            write_log(*log);
        }
    }
    void journal(const exchange::Input& input, const std::vector<exchange::Effect>& effects) {
        if (!journal_ || journal_has_ended_) return;
        auto line = exchange::input_line(input, effects);
        while (!line.empty() && line.back() == '\n') line.pop_back();
        journal_->append(std::move(line));
        if (const auto why = journal_->failure(); !why.empty()) {
            config::log_error("the journal of inputs has ended: this run cannot be replayed past here",
                              {{"file", journal_->path()}, {"why", why}});
            journal_has_ended_ = true;  // it goes with us: what it still writes is not to be waited for here
        }
    }

    // ---- Time -------------------------------------------------------------------------------------------------
    void arm() {
        if (is_closed_) return;
        std::optional<Instant> next = exchange_.next_deadline();
        const auto other = b2bua_->next_deadline();
        if (other && (!next || *other < *next)) next = other;
        if (next == armed_) return;
        armed_ = next;
        timer_.cancel();
        if (!next) return;
        timer_.expires_after(std::max(*next - net::now().mono, Duration{0}));
        timer_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
            if (!error && !alive.expired()) on_timer();
        });
    }
    void on_timer() {
        armed_.reset();
        const auto now = net::now();
        b2bua_->tick(now);
        const auto due = exchange_.next_deadline();
        if (due && *due <= now.mono) pending_.emplace_back(exchange::Tick{});
        drain();
        node_->pump();
        arm();
    }
    void look_whether_stopped() {
        const auto legs = b2bua_->counts();
        const bool is_quiet = legs.legs == 0 && node_->agent().counts().dialogs == 0 && exchange_.counts().calls == 0;
        if (is_quiet || net::now().mono >= stop_until_) {
            if (!is_quiet) {
                config::log_warn("stopped before every peer had confirmed", {{"legs", std::to_string(legs.legs)}});
            }
            close();
            return boost::asio::post(io_, stopped_);
        }
        stop_timer_.expires_after(kStopLook);
        stop_timer_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
            if (!error && !alive.expired()) look_whether_stopped();
        });
    }
    void close() {
        if (std::exchange(is_closed_, true)) return;
        timer_.cancel();
        stop_timer_.cancel();
        turned_timer_.cancel();
        if (readiness_) readiness_->stop();
        pauses_.stop();
        if (finder_) finder_->stop();
        if (cti_) cti_->close();
        if (node_) node_->close();
        if (ladder_) ladder_->close();
        facts_.reset();
        journal_.reset();
    }

    boost::asio::io_context& io_;
    config::SwitchSettings settings_;
    boost::asio::steady_timer timer_;
    boost::asio::steady_timer stop_timer_;
    boost::asio::steady_timer turned_timer_;
    Instant turned_again_{};
    PauseTeller pauses_;
    exchange::Exchange exchange_;
    std::string host_;
    std::unique_ptr<InputJournal> journal_;
    std::unique_ptr<FactKeeper> facts_;
    std::unique_ptr<CallLadder> ladder_;
    std::unique_ptr<PeerFinder> finder_;
    std::unique_ptr<net::SipNode> node_;
    std::unique_ptr<b2bua::B2bua> b2bua_;  // calls into the node's agent
    std::unique_ptr<Cti> cti_;
    std::unique_ptr<ReadinessTeller> readiness_;
    std::deque<exchange::Event> pending_;
    bool is_draining_ = false;
    std::optional<Instant> armed_;
    std::function<void()> stopped_;
    Instant stop_until_{};
    bool is_closed_ = false;
    bool journal_has_ended_ = false;
    // Timers that are due already when the role goes hold it weakly.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

Result<std::unique_ptr<SwitchRole>> SwitchRole::start(boost::asio::io_context& io, config::SwitchSettings settings) {
    auto role = std::make_unique<Role>(io, std::move(settings));
    TRY_VOID(role->start());
    return role;
}

}  // namespace sheaf::apps
