// SPDX-License-Identifier: Apache-2.0
#include "sim/media_server.h"

#include <algorithm>
#include <utility>

#include "base/match.h"
#include "sim/archive.h"

namespace sheaf::sim {
namespace {

constexpr std::chrono::microseconds kWorkerAnswers{200};
constexpr std::uint16_t kPortsFrom = 20'000, kPortsTo = 60'000;

Duration length_of(const media::Prompt& prompt) {
    return std::chrono::milliseconds{prompt.samples.front()};
}

boost::json::object names(const media::SegmentHead& head) {
    return {
        {"segment", head.segment.text()}, {"calluuid", head.calluuid.text()}, {"connection", head.connection.text()}};
}

std::string text_of(const std::string& address, std::uint16_t port) {
    return address + ":" + std::to_string(port);
}

}  // namespace

MediaServer::MediaServer(World& world, Network& network, Audio& audio, Archive& archive, const std::string& site,
                         std::string at_address, Clock clock, std::string allowed)
    : Node(world, network, site + "-media", site, std::move(at_address), clock),
      audio_(audio),
      allowed_(std::move(allowed)),
      teller_(std::make_unique<Teller>(archive, site, name())) {
    with_tcp_ = true;
    // A prompt's one sample says how long it is, in ms.
    for (const auto& [uri, ms] : std::map<std::string, std::int16_t>{{"say:welcome", 3'000},
                                                                     {"say:position", 2'500},
                                                                     {"say:menu", 1'500},
                                                                     {"say:recorded", 400},
                                                                     {"say:agent-ready", 400},
                                                                     {"say:agent-not-ready", 400},
                                                                     {"say:wrap-up-done", 400},
                                                                     {"music:default", 20'000},
                                                                     {"music:hold", 20'000},
                                                                     {"music:ringback", 4'000},
                                                                     {"tone:beep", 200}})
        prompts_[uri] = std::make_shared<const media::Prompt>(media::Prompt{uri, {ms}});
    restart();
}

MediaServer::~MediaServer() = default;

void MediaServer::restart() {
    if (is_up()) return;
    mediactl::MediaControlSettings settings;
    settings.allow = {allowed_};
    control_ = std::make_unique<mediactl::MediaControl>(std::move(settings), *this);
    start(mediactl::options_of_media_server());
    for (auto& [running, when] : std::exchange(left_by_crash_, {})) say_sealed(running, when, "crash");
}

void MediaServer::crash() {
    if (!is_up()) return;
    die();
    for (auto& [id, leg] : legs_) audio_.remove(leg.at);
    for (auto& [segment, running] : running_) left_by_crash_.emplace_back(running, stamp());
    legs_.clear();
    running_.clear();
    notices_.clear();
    port_of_.clear();
    ports_ = 0;
    control_.reset();
}

MediaServer::Counts MediaServer::counts() const {
    const auto control = control_ ? control_->counts() : mediactl::MediaControl::Counts{};
    return {control.legs + legs_.size(), control.rooms, control.recordings + running_.size(),
            ports_ + audio_.ends_of(name())};
}

Result<mediactl::RtpPair> MediaServer::allocate_ports() {
    next_port_ = next_port_ >= kPortsTo ? kPortsFrom : static_cast<std::uint16_t>(next_port_ + 2);
    ++ports_;
    const int socket = static_cast<int>(next_port_);
    port_of_[socket] = next_port_;
    return mediactl::RtpPair{address, next_port_, socket, socket + 1};
}

std::shared_ptr<const media::Prompt> MediaServer::find_prompt(const std::string& uri) {
    constexpr std::string_view kPosition = "say:position";  // each place has one of its own
    const auto found = prompts_.find(uri.starts_with(kPosition) ? std::string(kPosition) : uri);
    return found == prompts_.end() ? nullptr : found->second;
}

void MediaServer::silence(const SegmentId& segment, const std::string& label) {
    auto& known = silences_[segment];
    for (const Silence& one : known)
        if (one.label == label && !one.is_over) return;
    known.push_back({label, world_.now(), {}, false});
}

void MediaServer::resume(const SegmentId& segment, const std::string& label) {
    for (Silence& one : silences_[segment]) {
        if (one.is_over || (one.label != label && !label.empty())) continue;
        one.is_over = true;
        one.to = world_.now();
    }
}

const std::vector<MediaServer::Silence>& MediaServer::silences_of(const SegmentId& segment) const {
    static const std::vector<Silence> none;
    const auto found = silences_.find(segment);
    return found == silences_.end() ? none : found->second;
}

void MediaServer::on_event(const sip::Event& event) {
    std::string tag;
    if (const auto* invited = std::get_if<sip::Invited>(&event))
        if (const auto view = agent().view(invited->dialog)) tag = view->local_tag;
    carry_out(control_->handle(stamp(), event, tag));
}

void MediaServer::on_due() {
    carry_out(control_->tick(stamp()));
}

std::optional<Instant> MediaServer::own_deadline() const {
    return control_->next_deadline();
}

void MediaServer::carry_out(std::vector<mediactl::Effect> effects) {
    for (mediactl::Effect& effect : effects) {
        std::visit(Match{[&](FactDraft& fact) { teller_->say(std::move(fact)); },
                         [&](mediactl::Order& order) { command(order.command); }, [&](mediactl::Complain&) {},
                         // Of a segment that is over nothing is heard here: all of it is gone at once.
                         [&](const mediactl::EraseEnded& e) { notice(media::CommandDone{e.ticket}); },
                         [&](const mediactl::AnswerInvite& e) { agent().answer(mono(), e.dialog, e.sdp); },
                         [&](const mediactl::RejectInvite& e) {
                             agent().reject(mono(), e.dialog, e.status, e.headers, e.reason);
                         },
                         [&](const mediactl::SendBye& e) { agent().bye(mono(), e.dialog); },
                         [&](const mediactl::RespondTo& e) {
                             agent().respond(mono(), e.request, e.status, e.headers, e.content_type, e.body);
                         },
                         [&](const mediactl::SendInfo& e) {
                             static_cast<void>(agent().request(mono(), e.dialog, "INFO", {},
                                                               std::string(mediactl::kMsmlType), e.body));
                         }},
                   effect);
    }
}

// What the worker would say, a moment later and on the control's thread.
void MediaServer::notice(media::Notice notice) {
    notices_.push_back(std::move(notice));
    if (notices_.size() > 1) return;
    world_.after(kWorkerAnswers, [this, started = boots] {
        if (!is_up() || boots != started) return;
        for (const auto& one : std::exchange(notices_, {})) carry_out(control_->notice(stamp(), one));
        pump();
    });
}

void MediaServer::command(const media::Command& command) {
    const auto leg_of = [&](const LegId& id) -> Leg* {
        const auto found = legs_.find(id);
        return found == legs_.end() ? nullptr : &found->second;
    };
    std::visit(Match{
                   [&](const media::AddLeg& c) {
                       const std::string at = text_of(address, port_of_.at(c.rtp_socket));
                       legs_[c.leg] = Leg{at, {}, {}, {}, 0, false};
                       AudioEnd end;
                       end.at = at;
                       end.server = name();
                       audio_.add(std::move(end));
                   },
                   [&](const media::ConfigureLeg& c) { configure(c); },
                   [&](const media::RemoveLeg& c) {
                       Leg* leg = leg_of(c.leg);
                       if (leg == nullptr) return;
                       if (!leg->play.empty()) end_play(c.leg, *leg, false);
                       for (const SegmentId& segment : std::set<SegmentId>(leg->recordings)) seal(segment, c.cause);
                       audio_.remove(leg->at);
                       --ports_;
                       legs_.erase(c.leg);
                   },
                   [&](const media::JoinRoom& c) {
                       Leg* leg = leg_of(c.leg);
                       if (leg == nullptr) return;
                       leg->room = c.room;
                       audio_.enter(leg->at, c.room);
                   },
                   [&](const media::LeaveRoom& c) {
                       Leg* leg = leg_of(c.leg);
                       if (leg == nullptr) return;
                       leg->room = {};
                       audio_.enter(leg->at, {});
                   },
                   [&](const media::Play& c) { start_play(c); },
                   [&](const media::StopPlay& c) {
                       Leg* leg = leg_of(c.leg);
                       if (leg != nullptr && leg->play == c.name) return end_play(c.leg, *leg, false);
                       notice(media::CommandFailed{c.leg, {}, "StopPlay", {Errc::not_found, "no play " + c.name}});
                   },
                   [&](const media::StartRecording& c) { start_recording(c); },
                   [&](const media::SilenceRecording& c) {
                       if (!c.is_over) silence(c.segment, c.silence.label);
                       if (c.ticket != 0) notice(media::CommandDone{c.ticket});
                   },
                   [&](const media::ResumeRecording& c) {
                       resume(c.segment, c.label);
                       if (c.ticket != 0) notice(media::CommandDone{c.ticket});
                   },
                   [&](const media::CollectDigits& c) {
                       if (Leg* leg = leg_of(c.leg)) leg->collects = c.on;
                       if (c.ticket != 0) notice(media::CommandDone{c.ticket});
                   },
                   [&](const media::StopRecording& c) {
                       if (running_.contains(c.segment)) return seal(c.segment, c.cause);
                       notice(media::CommandFailed{{}, c.segment, "StopRecording", {Errc::not_found, "no segment"}});
                   },
               },
               command);
}

void MediaServer::configure(const media::ConfigureLeg& order) {
    const auto leg = legs_.find(order.leg);
    if (leg == legs_.end()) return;
    const std::string& at = leg->second.at;
    const bool is_nowhere = order.media.remote_address == "0.0.0.0";
    if (is_nowhere && !order.media.we_send && !order.media.we_receive) return audio_.agree(at, "", false, false);
    // Held by 0.0.0.0: it is the same peer as before, to whom nothing can be sent.
    const AudioEnd* end = audio_.find(at);
    const std::string to = is_nowhere ? end->to : text_of(order.media.remote_address, order.media.remote_port);
    audio_.agree(at, to, order.media.we_send && !is_nowhere, order.media.we_receive);
}

void MediaServer::start_play(const media::Play& play) {
    const auto found = legs_.find(play.leg);
    if (found == legs_.end()) return;
    Leg& leg = found->second;
    if (!leg.play.empty()) end_play(play.leg, leg, false);
    leg.play = play.name;
    const auto nth = ++leg.plays;
    const std::string& first = play.prompts.empty() ? play.name : play.prompts.front()->name;
    // Who is told of a recording hears nobody meanwhile: too short for any account of who talks with whom.
    const bool is_brief = first == "say:recorded" || first == "tone:beep";
    audio_.play(leg.at, !is_brief, !is_brief && first != "music:hold");
    if (play.forever) return;
    Duration length{};
    for (const auto& prompt : play.prompts) length += length_of(*prompt);
    world_.after(length, [this, started = boots, id = play.leg, nth] {
        if (!is_up() || boots != started) return;
        const auto still = legs_.find(id);
        if (still != legs_.end() && still->second.plays == nth && !still->second.play.empty())
            end_play(id, still->second, true);
    });
}

void MediaServer::end_play(const LegId& id, Leg& leg, bool completed) {
    notice(media::PlayEnded{id, std::exchange(leg.play, {}), completed});
    audio_.play(leg.at, false, false);
}

void MediaServer::press(const std::string& at, char digit) {
    const auto leg = std::find_if(legs_.begin(), legs_.end(), [&](const auto& each) { return each.second.at == at; });
    if (leg != legs_.end() && leg->second.collects) notice(media::DigitReceived{leg->first, digit});
}

void MediaServer::start_recording(const media::StartRecording& order) {
    const auto found = legs_.find(order.leg);
    if (found == legs_.end() || running_.contains(order.segment))
        return notice(media::RecordingFailed{order.leg, order.segment, "no such leg"});
    if (disk_is_full_) return notice(media::RecordingFailed{order.leg, order.segment, "no space"});
    found->second.recordings.insert(order.segment);
    const media::SegmentHead head{order.segment, order.calluuid, order.connection, stamp()};
    running_[order.segment] = {head, order.leg, world_.now()};
    for (const auto& each : order.silences) silence(order.segment, each.label);
    notice(media::RecordingOpened{order.leg, head});
}

void MediaServer::seal(const SegmentId& segment, const std::string& cause) {
    const auto found = running_.find(segment);
    if (found == running_.end()) return;
    const Running running = found->second;
    running_.erase(found);
    resume(segment, {});
    if (const auto leg = legs_.find(running.leg); leg != legs_.end()) leg->second.recordings.erase(segment);
    say_sealed(running, stamp(), cause);
    media::SegmentTail tail;
    tail.sealed = stamp();
    tail.cause = cause;
    notice(media::RecordingSealed{running.leg, running.head, tail});
}

// As the sealer says it, once the file is there; then the file is delivered.
void MediaServer::say_sealed(const Running& running, Stamp when, const std::string& cause) {
    const boost::json::object packets{{"received", 0}, {"stored", 0},   {"duplicate", 0},
                                      {"late", 0},     {"excluded", 0}, {"lost", 0}};
    boost::json::object data = names(running.head);
    data["duration_ms"] = to_ms(when.mono - running.head.opened.mono);
    data["cause"] = cause;
    data["said"] = packets;
    data["heard"] = packets;
    teller_->say({when, "segment.sealed", std::move(data)});
    teller_->deliver_file(running.head.segment);
}

}  // namespace sheaf::sim
