// SPDX-License-Identifier: Apache-2.0
#include "sim/phone.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "base/match.h"
#include "sip/sdp.h"

namespace sheaf::sim {
namespace {

constexpr std::string_view kSdp = "application/sdp";
constexpr std::chrono::minutes kRingsFor{3};

sip::Uri uri_of(const std::string& user, const std::string& host) {
    sip::Uri uri;
    uri.user = user;
    uri.host = host;
    return uri;
}

std::string text_of(const std::string& address, std::uint16_t port) {
    return address + ":" + std::to_string(port);
}

// The status in a message/sipfrag body's first line (RFC 3420), or 0.
int sipfrag_status(std::string_view body) {
    int status = 0;
    if (body.starts_with("SIP/2.0 ") && body.size() >= 11) std::from_chars(body.data() + 8, body.data() + 11, status);
    return status;
}

}  // namespace

Phone::Phone(World& world, Network& network, Audio& audio, std::string name, std::string at_area,
             std::string at_address, User& user)
    : Node(world, network, std::move(name), std::move(at_area), std::move(at_address), Clock{}),
      audio_(audio),
      user_(user) {
    with_tcp_ = true;
    sip::UserAgentOptions options;
    options.product = "Sheaf-Sim";
    options.contact_user = this->name();
    options.allow = {"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "NOTIFY", "INFO", "REFER"};
    options.supported = {"replaces"};
    start(std::move(options));
}

Line* Phone::line(LineId id) {
    const auto found = lines_.find(id);
    return found == lines_.end() ? nullptr : &found->second;
}

Line* Phone::of(sip::DialogId dialog) {
    const auto found = by_dialog_.find(dialog);
    return found == by_dialog_.end() ? nullptr : line(found->second);
}

Line& Phone::add(sip::DialogId dialog, bool ours) {
    Line line;
    line.id = ++last_line_;
    line.dialog = dialog;
    line.ours = ours;
    line.at = text_of(address, static_cast<std::uint16_t>(10'000 + 2 * (ports_++ % 20'000)));
    AudioEnd end;
    end.at = line.at;
    end.line = line.id;
    audio_.add(std::move(end));
    if (dialog != 0) by_dialog_[dialog] = line.id;
    return lines_[line.id] = std::move(line);
}

void Phone::remove(Line& line) {
    audio_.remove(line.at);
    by_dialog_.erase(line.dialog);
    const LineId id = line.id;
    lines_.erase(id);
}

void Phone::register_at(const std::string& host, const std::string& dn, const std::string& password, int expires_s) {
    sip::OutsideRequest request;
    request.method = "REGISTER";
    request.target = uri_of("", host);
    request.from.uri = request.to.uri = uri_of(dn, host);
    request.call_id = registration_;
    request.cseq = ++registrations_;
    request.headers = {{"Contact", "<sip:" + dn + "@" + address + ":5060>"}, {"Expires", std::to_string(expires_s)}};
    request.headers.push_back({"Allow-Events", "talk"});
    request.account = sip::Account{dn, password};
    registering_ = agent().request_outside(mono(), request);
    pump();
}

sip::LocalMedia Phone::local_media(const Line& line) const {
    sip::LocalMedia local;
    local.address = line.hold == HoldSpelling::zero_address ? "0.0.0.0" : address;
    local.port = static_cast<std::uint16_t>(std::stoi(line.at.substr(line.at.find(':') + 1)));
    local.codecs = {{0, "PCMU", 8000, 1, ""}, {8, "PCMA", 8000, 1, ""}, {101, "telephone-event", 8000, 1, "0-15"}};
    if (line.hold == HoldSpelling::sendonly) local.direction = sip::Direction::sendonly;
    if (line.hold == HoldSpelling::inactive) local.direction = sip::Direction::inactive;
    return local;
}

std::string Phone::next_offer(Line& line) {
    line.local = sip::make_offer(local_media(line), line.id, ++line.version);
    return to_text(*line.local);
}

std::optional<std::string> Phone::answer_to(Line& line, const std::string& offer) {
    auto remote = sip::sdp_from_text(offer);
    if (!remote) return std::nullopt;
    auto local = sip::make_answer(*remote, local_media(line), line.id, ++line.version);
    if (!local) return std::nullopt;
    line.remote = std::move(*remote);
    line.local = std::move(*local);
    return to_text(*line.local);
}

void Phone::take_remote(Line& line, const std::string& body) {
    if (body.empty()) return;
    if (auto remote = sip::sdp_from_text(body)) line.remote = std::move(*remote);
}

// The latest descriptions of both ends are what counts.
void Phone::agree(Line& line) {
    if (!line.local || !line.remote) return;
    const auto agreed = sip::negotiated(*line.local, *line.remote);
    if (!agreed) return audio_.agree(line.at, "", false, false);
    const bool is_deaf = line.hold == HoldSpelling::zero_address;  // nothing can be sent to 0.0.0.0
    audio_.agree(line.at, text_of(agreed->remote_address, agreed->remote_port), sip::sends(agreed->direction),
                 sip::receives(agreed->direction) && !is_deaf);
}

LineId Phone::call(const std::string& host, const std::string& number, const std::string& from,
                   const std::optional<sip::Account>& account, const std::vector<sip::Header>& headers) {
    Line& line = add(0, true);
    line.number = number;
    sip::Invitation invitation;
    invitation.target = uri_of(number, host);
    invitation.from.uri = uri_of(from, account ? host : address);
    invitation.to.uri = invitation.target;
    invitation.account = account;
    invitation.headers = headers;
    invitation.content_type = std::string(kSdp);
    invitation.body = next_offer(line);
    line.dialog = agent().invite(mono(), invitation);
    by_dialog_[line.dialog] = line.id;
    if (const auto view = agent().view(line.dialog)) line.call_id = view->call_id;
    return line.id;
}

void Phone::ring(LineId id) {
    const Line* at = line(id);
    if (at == nullptr || at->state != Line::State::offered) return;
    agent().provisional(mono(), at->dialog, 180);
    // As phones do, should nobody answer nor the caller ever be heard of again.
    world_.after(kRingsFor, [this, id] {
        Line* still = line(id);
        if (still == nullptr || still->state != Line::State::offered) return;
        user_.over(*this, *still, 480);
        reject(id, 480);
    });
    pump();
}

void Phone::answer(LineId id) {
    Line* at = line(id);
    if (at == nullptr || at->state != Line::State::offered) return;
    const auto sdp = at->offer.empty() ? std::optional(next_offer(*at)) : answer_to(*at, at->offer);
    if (!sdp) return reject(id, 488);
    at->state = Line::State::talking;
    agent().answer(mono(), at->dialog, *sdp);
    agree(*at);
    pump();
}

void Phone::reject(LineId id, int status) {
    Line* at = line(id);
    if (at == nullptr || at->state != Line::State::offered) return;
    agent().reject(mono(), at->dialog, status);
    remove(*at);
    pump();
}

void Phone::hang_up(LineId id) {
    Line* at = line(id);
    if (at == nullptr || at->state == Line::State::ending) return;
    agent().release(mono(), at->dialog, 486);
    // A call of ours that was not answered lives until its final response: a 2xx may cross.
    if (at->state == Line::State::calling) {
        at->state = Line::State::ending;
        audio_.agree(at->at, "", false, false);
    } else {
        remove(*at);
    }
    pump();
}

bool Phone::hold(LineId id, std::optional<HoldSpelling> how) {
    Line* at = line(id);
    if (at == nullptr || at->state != Line::State::talking || at->is_changing) return false;
    at->before = std::exchange(at->hold, how);
    at->is_changing = true;
    agent().reinvite(mono(), at->dialog, next_offer(*at));
    pump();
    return true;
}

bool Phone::refer(LineId id, const std::string& refer_to) {
    Line* at = line(id);
    if (at == nullptr || at->state != Line::State::talking || at->refer != 0) return false;
    at->refer = agent().request(mono(), at->dialog, "REFER", {{"Refer-To", refer_to}});
    pump();
    return true;
}

std::string Phone::replaces_of(LineId id) {
    const Line* at = line(id);
    const auto view = at == nullptr ? std::nullopt : agent().view(at->dialog);
    if (!view || view->remote_tag.empty()) return {};
    return view->call_id + "%3Bto-tag%3D" + view->remote_tag + "%3Bfrom-tag%3D" + view->local_tag;
}

void Phone::notify(LineId id, int status, bool last) {
    const Line* at = line(id);
    if (at == nullptr) return;
    const std::vector<sip::Header> headers{
        {"Event", "refer"}, {"Subscription-State", last ? "terminated;reason=noresource" : "active;expires=60"}};
    static_cast<void>(agent().request(mono(), at->dialog, "NOTIFY", headers, "message/sipfrag;version=2.0",
                                      fmt::format("SIP/2.0 {} Sim\r\n", status)));
    pump();
}

void Phone::on_event(const sip::Event& event) {
    std::visit(Match{
                   [&](const sip::Invited& e) {
                       Line& line = add(e.dialog, false);
                       line.state = Line::State::offered;
                       line.offer = e.request.body;
                       if (const auto* id = e.request.first("Call-ID")) line.call_id = *id;
                       if (const auto* from = e.request.first("From")) {
                           if (const auto parsed = sip::name_addr_from_text(*from)) line.number = parsed->uri.user;
                       }
                       if (const auto* info = e.request.first("Call-Info"))
                           line.auto_answer = info->find("answer-after=0") != std::string::npos;
                       user_.rings(*this, line, e.request);
                   },
                   [&](const sip::Progressed& e) {
                       Line* line = of(e.dialog);
                       if (line == nullptr || line->state != Line::State::calling) return;
                       user_.progresses(*this, *line, e.response.status());
                   },
                   [&](const sip::Answered& e) { on_answered(e); },
                   [&](const sip::Failed& e) { on_failed(e); },
                   [&](const sip::Acknowledged& e) {
                       Line* line = of(e.dialog);
                       if (line == nullptr) return;
                       take_remote(*line, e.request.body);
                       if (!e.request.body.empty()) agree(*line);
                       user_.stands(*this, *line);
                   },
                   [&](const sip::Reinvited& e) { on_reinvited(e); },
                   [](const sip::RefreshDue&) {},
                   [&](const sip::GlareOver& e) {
                       Line* line = of(e.dialog);
                       if (line != nullptr && line->is_changing && line->state == Line::State::talking)
                           agent().reinvite(mono(), e.dialog, next_offer(*line));
                   },
                   [&](const sip::Ended& e) {
                       Line* line = of(e.dialog);
                       if (line == nullptr) return;
                       if (line->state != Line::State::ending) user_.over(*this, *line, 0);
                       remove(*line);
                   },
                   [&](const sip::Requested& e) { on_requested(e); },
                   [&](const sip::Responded& e) { on_responded(e); },
               },
               event);
}

void Phone::on_answered(const sip::Answered& event) {
    Line* line = of(event.dialog);
    if (line == nullptr) return;
    take_remote(*line, event.response.body);
    if (event.reinvite) {
        line->is_changing = false;
        agree(*line);
        return user_.changed(*this, *line, true);
    }
    if (line->state == Line::State::ending) {  // it crossed our CANCEL; the agent ends it
        return remove(*line);
    }
    line->state = Line::State::talking;
    agree(*line);
    user_.answers(*this, *line);
}

void Phone::on_failed(const sip::Failed& event) {
    Line* line = of(event.dialog);
    if (line == nullptr) return;
    if (event.reinvite) {
        if (event.status == 491) return;  // GlareOver follows
        line->is_changing = false;
        line->hold = line->before;
        return user_.changed(*this, *line, false);
    }
    if (line->state != Line::State::ending) user_.over(*this, *line, event.status);
    remove(*line);
}

void Phone::on_reinvited(const sip::Reinvited& event) {
    Line* line = of(event.dialog);
    if (line == nullptr) return agent().reject(mono(), event.dialog, 481);
    // A change of ours that met theirs on the way is not made yet: it will be offered anew (RFC 3261 §14.1).
    if (line->is_changing) std::swap(line->hold, line->before);
    const auto sdp =
        event.request.body.empty() ? std::optional(next_offer(*line)) : answer_to(*line, event.request.body);
    if (line->is_changing) std::swap(line->hold, line->before);
    if (!sdp) return agent().reject(mono(), event.dialog, 488);
    agent().answer(mono(), event.dialog, *sdp);
    if (event.request.body.empty()) return;
    if (line->is_changing) std::swap(line->hold, line->before);
    agree(*line);
    if (line->is_changing) std::swap(line->hold, line->before);
}

void Phone::on_requested(const sip::Requested& event) {
    const std::string& method = event.request.method();
    Line* line = of(event.dialog);
    if (method == "REFER") {
        const int status = line == nullptr ? 481 : user_.referred(*this, *line, event.request);
        return agent().respond(mono(), event.id, status);
    }
    agent().respond(mono(), event.id, 200);
    if (method != "NOTIFY" || line == nullptr) return;
    if (const auto* package = event.request.first("Event"); package != nullptr && *package == "talk")
        return user_.told_to_answer(*this, *line);
    const auto* state = event.request.first("Subscription-State");
    const int status = sipfrag_status(event.request.body);
    if (status != 0 && state != nullptr && state->starts_with("terminated")) user_.refer_over(*this, *line, status);
}

void Phone::on_responded(const sip::Responded& event) {
    if (event.id == registering_) {
        registering_ = 0;
        if (event.response) {
            if (const auto* id = event.response->first("Call-ID")) registration_ = *id;
        }
        return user_.registered(*this, event.status == 200);
    }
    Line* line = of(event.dialog);
    if (line == nullptr || line->refer != event.id) return;
    line->refer = 0;
    user_.refer_answered(*this, *line, event.status);
}

}  // namespace sheaf::sim
