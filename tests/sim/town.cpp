// SPDX-License-Identifier: Apache-2.0
#include "sim/town.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "b2bua/caller.h"
#include "base/match.h"
#include "sim/town_plan.h"
#include "sim/type_name.h"

namespace sheaf::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr minutes kQuietAfter{15};  // the longest call, its timers, and what is sent again
// What a fault may still touch: a call so long after its end, and one that was sent to a site so long before.
constexpr seconds kShaken{60};

std::string call_id_of(const std::string& message) {
    return message.substr(0, message.find(';'));
}

// The value of a header in a message of ours, as it is on the wire.
std::string_view header(std::string_view bytes, std::string_view name) {
    const auto at = bytes.find(name);
    if (at == std::string_view::npos) return {};
    const auto from = at + name.size();
    return bytes.substr(from, bytes.find('\r', from) - from);
}

}  // namespace

Town::Town(Options options)
    : options_(options),
      world_(options.seed),
      trace_(world_),
      faults_(world_.chance().fork("faults")),
      network_(world_, world_.chance().fork("network")),
      archive_(world_, world_.chance().fork("archive")),
      truth_(world_, audio_),
      around_{world_, network_, audio_, truth_, trace_, {}, {}, {}, {}, {}, false, {}} {
    trace_.is_on = options.trace;
    build_network();
    for (int i = 0; i < static_cast<int>(kSites.size()); ++i) build_site(kSites[static_cast<std::size_t>(i)], i);
    for (auto& [site, at] : switches_) {
        for (auto& [other, peer] : switches_)
            if (other != site) at->peers[other] = peer.get();
        around_.switches[site] = at.get();
    }
    around_.press = [this](const std::string& at, char digit) {
        const AudioEnd* line = audio_.find(at);
        const AudioEnd* leg = line == nullptr ? nullptr : audio_.find(line->to);
        if (leg == nullptr) return;
        for (auto& [site, media] : media_)
            if (media->name() == leg->server) media->press(leg->at, digit);
    };
    build_people();
    network_.watcher = [this](const Station& from, const Station* to, std::string_view bytes, bool sent) {
        watch(from, to, bytes, sent);
    };
}

Town::~Town() = default;

void Town::build_network() {
    const bool faults = options_.profile == Profile::faults;
    Chance& chance = world_.chance();
    const auto wide = [&] {
        Quality way;
        way.delay = chance.between(milliseconds{3}, milliseconds{40});
        way.jitter = chance.between(milliseconds{0}, milliseconds{15});
        if (faults) {
            way.loss = 0.03 * chance.share();
            way.twice = 0.03 * chance.share();
            way.overtaken = 0.03 * chance.share();
        }
        return way;
    };
    network_.set_default(wide());
    for (const std::string& site : kSites) {
        Quality local{microseconds{300}, microseconds{400}, 0, 0, 0};
        if (faults) local.loss = local.twice = 0.002;
        network_.set(site, site, local);
        for (const std::string& other : kSites)
            if (site < other) network_.set(site, other, wide());
        network_.set(site, "carrier", wide());
        network_.set(site, "toll", wide());
        Clock clock;
        clock.base = chance.between(seconds{0}, seconds{100'000});
        clock.rate = 1.0 + 4e-5 * (chance.share() - 0.5);
        clock.wall_ahead_ms = static_cast<std::int64_t>(chance.below(1'200'000)) - 600'000;
        clocks_[site] = clock;
    }
}

void Town::build_site(const std::string& site, int index) {
    Clock media_clock = clocks_.at(site);
    media_clock.base += seconds{77};  // another machine, the same wall
    media_[site] = std::make_unique<MediaServer>(world_, network_, audio_, archive_, site, media_address(index),
                                                 media_clock, switch_address(index));
    switches_[site] = std::make_unique<Switch>(world_, network_, archive_, switch_address(index), clocks_.at(site),
                                               settings_of(index), *this);
    around_.routing_points.push_back(std::to_string(index + 1) + "800");
}

void Town::build_people() {
    for (int site = 0; site < 2; ++site) {
        for (int nth = 0; nth < kAgentsOfSite; ++nth) {
            Agent::Settings settings;
            settings.site = kSites[static_cast<std::size_t>(site)];
            settings.dn = dn_of(site, nth);
            settings.password = "secret-" + settings.dn;
            settings.address = phone_address(site, nth);
            settings.host = switch_address(site);
            settings.is_recorded = is_recorded(nth);
            settings.is_recorded_in_consults = records_consults(site);
            settings.auto_answer = is_auto_answer(nth);
            around_.agents.push_back(settings.dn);
            agents_.push_back(std::make_unique<Agent>(around_, world_.chance().fork("agent " + settings.dn), settings));
        }
    }
    Carrier::Settings carrier{"carrier", kCarrierAddress, {}, {}};
    for (int site = 0; site < 3; ++site)
        carrier.numbers.emplace_back(switch_address(site), "+20" + std::to_string(site + 1) + "800");
    carrier.numbers.emplace_back(switch_address(0), "+201801");
    carriers_.push_back(std::make_unique<Carrier>(around_, world_.chance().fork("carrier"), carrier));
    Carrier::Settings toll{"toll", kTollAddress, {{switch_address(1), "+202800"}}, "paris"};
    carriers_.push_back(std::make_unique<Carrier>(around_, world_.chance().fork("toll"), toll));
    for (auto& agent : agents_) agent->begin();
    for (auto& one : carriers_) one->begin();
}

const Clock& Town::clock_of(const std::string& site) const {
    return clocks_.at(site);
}

void Town::live() {
    const Instant end = kBegin + Duration{static_cast<std::int64_t>(options_.hours * 3.6e12)};
    if (options_.profile == Profile::faults) something_fails();
    world_.run_until(end);
    around_.is_closing = true;
    world_.run_until(end + seconds{60});
    network_.mend_all();
    world_.run_until(end + kQuietAfter);
    truth_.finish();
    archive_.deliver_all();
}

// ---- What the switches do -------------------------------------------------------------------------------------------

void Town::broken(Switch& at, const std::string& promise) {
    around_.complaints.push_back(at.site() + " broke a promise: " + promise);
    world_.stop();
}

void Town::call_began(Switch& at, const exchange::LegOffered& offered, const std::vector<exchange::Effect>& effects) {
    const std::string call_id = call_id_of(offered.message);
    if (offered.replaces) {
        const std::string& uuid = calls_[{at.site(), offered.replaces->leg}];
        calls_[{at.site(), offered.leg}] = uuid;
        return truth_.dialog_in_call(call_id, uuid);
    }
    for (const auto& effect : effects) {
        const auto* event = std::get_if<exchange::CtiEvent>(&effect);
        if (event == nullptr || event->type != "originated") continue;
        const std::string& uuid = event->call.text();
        const auto conversation = truth_.conversation_of_dialog(call_id);
        if (offered.from.kind == exchange::DeviceKind::agent) truth_.call_begins(conversation, call_id);
        bool is_recorded = offered.from == exchange::Device{exchange::DeviceKind::site, "hub"};
        if (offered.from.kind == exchange::DeviceKind::agent)
            is_recorded = is_recorded || is_consult_of_recorded(conversation, offered.from.name);
        truth_.call_is({uuid, at.site(), conversation, is_recorded, truth_.call_of_dialog(call_id)});
        truth_.dialog_in_call(call_id, uuid);
        calls_[{at.site(), offered.leg}] = uuid;
        return;
    }
}

// A call from an agent's second line belongs to the first one's, and is recorded no more than that.
bool Town::is_consult_of_recorded(ConversationId conversation, const std::string& dn) const {
    if (conversation == 0) return false;
    const Conversation& whole = truth_.conversations()[static_cast<std::size_t>(conversation - 1)];
    return std::any_of(whole.lines.begin(), whole.lines.end(), [&](LineId id) {
        const TrueLine* line = truth_.line(id);
        const TrueCall* call = truth_.call(truth_.call_of_line(id));
        return line->state == TrueLine::State::talking && truth_.person(line->person).address == dn &&
               call != nullptr && call->is_recorded_before;
    });
}

void Town::stepped(Switch& at, const exchange::Event& event, const std::vector<exchange::Effect>& effects) {
    if (const auto* offered = std::get_if<exchange::LegOffered>(&event)) call_began(at, *offered, effects);
    if (const auto* asked = std::get_if<exchange::CtiRequest>(&event)) {
        for (const auto& effect : effects) {
            const auto* reply = std::get_if<exchange::CtiReply>(&effect);
            if (reply == nullptr || reply->status != 200 || !reply->body.is_object()) continue;
            const char* field = asked->service == "make-call"      ? "calluuid"
                                : asked->service == "consultation" ? "consult_calluuid"
                                                                   : nullptr;
            if (field == nullptr) continue;
            const TrueCall* main = truth_.call(asked->calluuid);
            truth_.call_is({std::string(reply->body.as_object().at(field).as_string()),
                            at.site(),
                            at.about(asked->request),
                            main != nullptr && main->is_recorded_before,
                            {}});
        }
    }
    for (const auto& effect : effects) {
        const auto* fact = std::get_if<exchange::SayFact>(&effect);
        if (fact != nullptr && fact->type == "call.merged")
            truth_.call_merged(std::string(fact->data.at("calluuid").as_string()),
                               std::string(fact->data.at("into").as_string()));
    }
    for (const auto& effect : effects)
        if (const auto* placed = std::get_if<exchange::PlaceLeg>(&effect)) note_placed(at, *placed);
    if (const auto* placed = std::get_if<exchange::LegPlaced>(&event)) {
        const std::string& uuid = calls_[{at.site(), placed->leg}];
        const std::string call_id = call_id_of(placed->message);
        const TrueCall* call = truth_.call(uuid);
        truth_.dialog_of(call_id, call == nullptr ? 0 : call->conversation);
        if (call_id.empty()) return;
        truth_.dialog_in_call(call_id, uuid);
    }
    if (options_.with_rivals) note_ids(at, event, effects);
    if (trace_.is_on) note_step(at, event, effects);
}

void Town::note_placed(Switch& at, const exchange::PlaceLeg& placed) {
    calls_[{at.site(), placed.leg}] = placed.room.text();
    const TrueCall* call = truth_.call(placed.room.text());
    if (call == nullptr || placed.to.kind != exchange::DeviceKind::site) return;
    while (!called_sites_.empty() && world_.now() - called_sites_.front().when > kShaken) called_sites_.pop_front();
    called_sites_.push_back({world_.now(), placed.to.name, call->conversation});
}

void Town::note_ids(Switch& at, const exchange::Event& event, const std::vector<exchange::Effect>& effects) {
    const auto call_of = [&](const LegId& leg) {
        const auto found = calls_.find({at.site(), leg});
        return found == calls_.end() ? std::string() : found->second;
    };
    const auto message = [&](const LegId& leg, const std::string& id) {
        rivals_.saw(Rivals::Way::call_id, call_of(leg), call_id_of(id));
    };
    const auto session = [&](const LegId& leg, const std::string& half) {
        rivals_.saw(Rivals::Way::session_id, call_of(leg), half);
    };
    const auto carried = [&](const LegId& leg, const std::optional<exchange::LinkHeader>& link) {
        if (link) rivals_.saw(Rivals::Way::carried_id, call_of(leg), link->root.text());
    };
    std::visit(Match{[&](const exchange::LegOffered& e) {
                         message(e.leg, e.message);
                         session(e.leg, e.session_id);
                         carried(e.leg, e.link);
                     },
                     [&](const exchange::LegPlaced& e) { message(e.leg, e.message); },
                     [&](const exchange::LegAnswered& e) { session(e.leg, e.session_id); }, [](const auto&) {}},
               event);
    for (const auto& effect : effects) {
        const auto* placed = std::get_if<exchange::PlaceLeg>(&effect);
        if (placed == nullptr) continue;
        carried(placed->leg, placed->link);
        session(placed->leg,
                b2bua::session_half_from(placed->session_id.empty() ? placed->room.text() : placed->session_id));
    }
}

void Town::note_step(Switch& at, const exchange::Event& event, const std::vector<exchange::Effect>& effects) {
    const auto conversation = [&](const LegId& leg) {
        const auto found = calls_.find({at.site(), leg});
        const TrueCall* call = found == calls_.end() ? nullptr : truth_.call(found->second);
        return call == nullptr ? 0 : call->conversation;
    };
    int about = 0;
    std::string text = at.site() + " < ";
    std::visit(
        [&](const auto& e) {
            text += type_name<std::remove_cvref_t<decltype(e)>>();
            if constexpr (requires { e.leg; }) {
                about = conversation(e.leg);
                text += " " + e.leg.text().substr(0, 12);
            }
            if constexpr (requires { e.service; }) text += " " + e.service + " " + e.device + " " + e.to;
        },
        event);
    for (const auto& effect : effects) {
        std::visit(
            [&](const auto& e) {
                text += "\n      > " + type_name<std::remove_cvref_t<decltype(e)>>();
                if constexpr (requires { e.leg; }) {
                    if (about == 0) about = conversation(e.leg);
                    text += " " + e.leg.text().substr(0, 12);
                }
                if constexpr (requires { e.data; }) text += " " + e.type + " " + boost::json::serialize(e.data);
                if constexpr (requires { e.number; }) text += " to " + e.number;
                if constexpr (requires { e.text; }) text += " " + e.text;
                if constexpr (requires { e.body; }) text += " " + boost::json::serialize(e.body);
                if constexpr (requires { e.room; }) text += " room " + e.room.text();
                if constexpr (requires { e.segment; }) text += " segment " + e.segment.text();
            },
            effect);
    }
    trace_.note(about, [&] { return text; });
}

// ---- What is on the wire --------------------------------------------------------------------------------------------

void Town::watch(const Station& from, const Station* to, std::string_view bytes, bool sent) {
    if (sent && to != nullptr && from.area == "hub" && from.area != to->area && bytes.starts_with("INVITE sip:") &&
        from.address == switch_address(2)) {
        const std::string call_id(header(bytes, "\r\nCall-ID: "));
        const auto body = bytes.find("\r\n\r\n");
        const bool is_to_site = to->area == "london" || to->area == "paris";
        const bool is_first = header(bytes, "\r\nTo: ").find(";tag=") == std::string_view::npos;
        if (is_to_site && is_first && body != std::string_view::npos && recorded_legs_.insert(call_id).second) {
            const auto port = header(bytes.substr(body), "\r\nm=audio ");
            std::string end(header(bytes.substr(body), "\r\nc=IN IP4 "));
            end += ":" + std::string(port.substr(0, port.find(' ')));
            truth_.leg_is_recorded(truth_.conversation_of_dialog(call_id), "hub", end, call_id);
        }
    }
    if (!trace_.is_on) return;
    const std::string call_id(header(bytes, "\r\nCall-ID: "));
    int about = truth_.conversation_of_dialog(call_id);
    if (about == 0) {
        auto& uuid = uuid_of_call_id_[call_id];
        if (const auto room = bytes.find("sip:msml="); uuid.empty() && room != std::string_view::npos)
            uuid = std::string(bytes.substr(room + 9, 36));
        if (const TrueCall* call = truth_.call(uuid)) about = call->conversation;
    }
    trace_.note(about, [&] {
        std::string text = fmt::format("{} {} {}: {}", from.address, sent ? "->" : "=>",
                                       to == nullptr ? "nowhere" : to->address, bytes.substr(0, bytes.find('\r')));
        text += fmt::format(" [{}; {}]", header(bytes, "\r\nCSeq: "), call_id.substr(0, 8));
        const auto body = bytes.find("\r\n\r\n");
        if (body != std::string_view::npos && bytes.size() > body + 4 &&
            bytes.find("application/msml") != std::string_view::npos)
            text += " " + std::string(bytes.substr(body + 4, 300));
        return text;
    });
}

// ---- What fails -----------------------------------------------------------------------------------------------------

void Town::shake(const std::string& what, const std::string& site) {
    for (Conversation& conversation : truth_.conversations()) {
        const bool is_alive = conversation.ended == Instant{} || world_.now() - conversation.ended < kShaken ||
                              std::any_of(
                                  conversation.lines.begin(), conversation.lines.end(),
                                  [&](LineId id) { return truth_.line(id)->state != TrueLine::State::over; });
        // One that has reached no site yet may be on its way to this one.
        const bool is_there = site.empty() || conversation.sites.empty() || conversation.sites.contains(site);
        if (is_alive && is_there) truth_.shake(conversation.id, what);
    }
    for (const CalledSite& called : called_sites_)
        if (called.site == site && world_.now() - called.when <= kShaken) truth_.shake(called.by, what);
}

void Town::something_fails() {
    world_.after(faults_.about(minutes{4}), [this] {
        if (around_.is_closing) return;
        const double what = faults_.share();
        if (what < 0.28)
            crash(faults_.pick(kSites), false);
        else if (what < 0.56)
            crash(faults_.pick(kSites), true);
        else if (what < 0.66)
            fill_disk(faults_.pick(kSites));
        else
            cut_off();
        something_fails();
    });
}

void Town::crash(const std::string& site, bool is_media) {
    const std::string what = (is_media ? "crash of the media server of " : "crash of the switch of ") + site;
    trace_.note(0, [&] { return what; });
    shake(what, site);
    if (is_media)
        media_.at(site)->crash();
    else
        switches_.at(site)->crash();
    world_.after(faults_.between(seconds{1}, seconds{20}), [this, what, site, is_media] {
        trace_.note(0, [&] { return "restart at " + site; });
        shake(what, site);  // who has begun to call meanwhile
        if (is_media)
            media_.at(site)->restart();
        else
            switches_.at(site)->restart();
    });
}

void Town::fill_disk(const std::string& site) {
    const std::string what = "full disk of the media server of " + site;
    trace_.note(0, [&] { return what; });
    shake(what, site);
    media_.at(site)->disk_full(true);
    world_.after(faults_.between(seconds{1}, seconds{20}), [this, what, site] {
        shake(what, site);
        media_.at(site)->disk_full(false);
    });
}

void Town::cut_off() {
    std::vector<std::string> areas = kSites;
    areas.emplace_back("carrier");
    const std::string a = faults_.pick(areas), b = faults_.pick(areas);
    if (a == b) return;
    trace_.note(0, [&] { return "cut between " + a + " and " + b; });
    shake("cut between " + a + " and " + b, "");
    network_.cut(a, b);
    world_.after(faults_.between(seconds{2}, seconds{45}), [this, a, b] {
        trace_.note(0, [&] { return "mended between " + a + " and " + b; });
        shake("cut between " + a + " and " + b, "");
        network_.mend(a, b);
    });
}

std::vector<std::string> Town::leftovers() const {
    std::vector<std::string> out;
    const auto say = [&](const std::string& who, const std::string& what, std::size_t count) {
        if (count != 0) out.push_back(fmt::format("{}: {} {}", who, count, what));
    };
    for (const auto& [site, at] : switches_) {
        const auto exchange = at->exchange().counts();
        say(site, "calls", exchange.calls);
        say(site, "legs of calls", exchange.legs);
        say(site, "queued", exchange.queued);
        say(site, "recordings", exchange.recordings);
        const auto legs = at->translator().counts();
        say(site, "legs", legs.legs);
        say(site, "dialogs watched", legs.dialogs);
        say(site, "rooms", legs.rooms);
        say(site, "requests", legs.requests);
        say(site, "leg timers", legs.timers);
        say(site, "dialogs", at->agent().counts().dialogs);
    }
    for (const auto& [site, at] : media_) {
        const auto counts = at->counts();
        say(at->name(), "legs", counts.legs);
        say(at->name(), "rooms", counts.rooms);
        say(at->name(), "recordings", counts.recordings);
        say(at->name(), "ports", counts.ports);
        say(at->name(), "dialogs", at->agent().counts().dialogs);
        say(at->name(), "transactions", at->agent().counts().transactions);
    }
    for (const auto& agent : agents_) {
        say(agent->phone().name(), "lines", agent->phone().lines());
        say(agent->phone().name(), "dialogs", agent->phone().agent().counts().dialogs);
    }
    for (const auto& one : carriers_) say("carrier", "customers", one->customers());
    for (const auto& [conversation, lines] : truth_.lines_standing())
        say("people", fmt::format("lines in conversation {}", conversation), lines);
    say("audio", "rooms", audio_.counts().rooms);
    return out;
}

}  // namespace sheaf::sim
