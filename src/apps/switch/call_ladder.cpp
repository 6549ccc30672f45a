// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/call_ladder.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <optional>

#include "apps/config/log.h"
#include "base/json.h"
#include "edge/net/clock.h"
#include "ladder/pcap.h"

namespace sheaf::apps {
namespace {

constexpr Duration kQuietAfter = std::chrono::seconds{40};  // no transaction of the call lives longer: 64·T1 and more
constexpr std::string_view kFormat = "sheaf-ladder";
constexpr int kVersion = 1;

using Found = ladder::Ladder::Found;

std::string file_of(const CallUuid& call, const Found& found) {
    const boost::json::object head{
        {"format", kFormat}, {"version", kVersion}, {"calluuid", call.text()}, {"dropped", found.dropped}};
    std::string out = boost::json::serialize(head) + "\n";
    for (const auto& message : found.messages) out += boost::json::serialize(to_json(message)) + "\n";
    return out;
}

Result<Found> found_in(std::string_view content) {
    Found found;
    bool is_head = true;
    while (!content.empty()) {
        const auto end = content.find('\n');
        TRY(const auto value, json_from_text(content.substr(0, end)));
        content = end == std::string_view::npos ? std::string_view{} : content.substr(end + 1);
        if (!std::exchange(is_head, false)) {
            TRY(auto message, ladder::message_from_json(value));
            found.messages.push_back(std::move(message));
            continue;
        }
        const auto* object = value.if_object();
        const auto* version = object == nullptr ? nullptr : object->if_contains("version");
        if (version == nullptr || *version != kVersion) return fail(Errc::unsupported, "a ladder of another version");
        const auto* dropped = object->if_contains("dropped");
        if (dropped != nullptr && dropped->is_int64()) found.dropped = static_cast<std::uint64_t>(dropped->get_int64());
    }
    return found;
}

http::Response response_of(const CallUuid& call, const Found& found, CallLadder::Form form) {
    if (form == CallLadder::Form::pcap) {
        http::Response response;
        response.headers = {{"Content-Type", "application/vnd.tcpdump.pcap"},
                            {"Content-Disposition", "attachment; filename=\"" + call.text() + ".pcap\""}};
        response.body = ladder::pcap_of(found.messages);
        return response;
    }
    boost::json::array messages;
    for (const auto& message : found.messages) messages.push_back(to_json(message));
    const boost::json::object body{
        {"calluuid", call.text()}, {"messages", std::move(messages)}, {"dropped", found.dropped}};
    return http::json_response(200, boost::json::serialize(body));
}

http::Response response_of(const CallUuid& call, const Result<std::string>& content, CallLadder::Form form) {
    const auto found = content ? found_in(*content) : Result<Found>(std::unexpected(content.error()));
    if (found) return response_of(call, *found, form);
    if (found.error().code == Errc::not_found) return http::problem(404, "Unknown", "no messages of such a call");
    config::log_warn("a call's ladder cannot be read", {{"call", call.text()}, {"why", found.error().what}});
    return http::problem(500, "Cannot be read", found.error().what);
}

// The leg that an event or effect is about.
template <typename T>
const LegId* leg_in(const T& about) {
    if constexpr (requires { about.leg; }) return &about.leg;
    return nullptr;
}

}  // namespace

CallLadder::CallLadder(boost::asio::io_context& io, std::unique_ptr<LadderFiles> files)
    : io_(io), timer_(io), files_(std::move(files)) {}

Result<std::unique_ptr<CallLadder>> CallLadder::open(boost::asio::io_context& io, std::string folder,
                                                     std::uint64_t bytes_max) {
    std::unique_ptr<LadderFiles> files;
    if (bytes_max > 0) {
        TRY(files, LadderFiles::open({.folder = std::move(folder), .bytes_max = bytes_max}));
    }
    return std::unique_ptr<CallLadder>(new CallLadder(io, std::move(files)));
}

void CallLadder::passed(const net::SipNode::Passed& message) {
    ladder_.add(net::now().wall, message.sent, message.local, message.remote, message.bytes);
}

void CallLadder::dialog(const LegId& leg, std::string_view call_id) {
    call_id.empty() ? ladder_.end(leg) : ladder_.begin(leg, call_id);
}

void CallLadder::stepped(const exchange::Exchange& exchange, const exchange::Event& event,
                         const std::vector<exchange::Effect>& effects) {
    const auto tie = [&](const auto& about) {
        const LegId* leg = leg_in(about);
        if (leg == nullptr) return;
        if (const CallUuid call = exchange.call_of(*leg); !call.empty()) ladder_.tie(call, *leg);
    };
    std::visit(tie, event);
    for (const auto& effect : effects) {
        std::visit(tie, effect);
        if (const auto* rejected = std::get_if<exchange::RejectLeg>(&effect)) {
            if (!rejected->calluuid.empty()) ladder_.tie(rejected->calluuid, rejected->leg);
        }
        if (const auto* fact = std::get_if<exchange::SayFact>(&effect)) heard(*fact);
    }
}

void CallLadder::heard(const exchange::SayFact& fact) {
    const auto id = [&](std::string_view field) {
        const auto* value = fact.data.if_contains(field);
        const auto* text = value == nullptr ? nullptr : value->if_string();
        return CallUuid(text == nullptr ? std::string() : std::string(*text));
    };
    if (fact.type == "segment.expected") recorded_.insert(id("calluuid"));
    if (fact.type == "call.merged") {
        ladder_.merge(id("calluuid"), id("into"));
        if (recorded_.contains(id("calluuid"))) recorded_.insert(id("into"));
    }
    const bool is_over = fact.type == "call.ended" || fact.type == "call.merged";
    if (is_over && recorded_.erase(id("calluuid")) != 0) keep_when_quiet(id("calluuid"));
}

void CallLadder::keep_when_quiet(const CallUuid& call) {
    if (!files_) return;
    to_be_kept_.emplace_back(net::now().mono + kQuietAfter, call);
    if (to_be_kept_.size() == 1) arm();
}

void CallLadder::keep(const CallUuid& call) {
    const auto found = ladder_.of(call);
    if (found) files_->keep(call, file_of(call, *found));
}

void CallLadder::arm() {
    if (to_be_kept_.empty()) return;
    timer_.expires_at(std::chrono::steady_clock::time_point{to_be_kept_.front().first.time_since_epoch()});
    timer_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
        if (error || alive.expired()) return;
        const Instant now = net::now().mono;
        while (!to_be_kept_.empty() && to_be_kept_.front().first <= now) {
            keep(to_be_kept_.front().second);
            to_be_kept_.pop_front();
        }
        arm();
    });
}

void CallLadder::answer(const CallUuid& call, Form form, http::Reply reply) {
    const auto found = ladder_.of(call);
    if (found && !found->messages.empty()) return reply(response_of(call, *found, form));
    if (!files_) return reply(http::problem(404, "Unknown", "no messages of such a call"));
    auto done = [&io = io_, alive = std::weak_ptr(alive_), call, form,
                 reply = std::move(reply)](Result<std::string> content) {
        boost::asio::post(io, [alive, call, form, reply, content = std::move(content)] {
            if (!alive.expired()) reply(response_of(call, content, form));
        });
    };
    files_->read(call, std::move(done));
}

void CallLadder::close() {
    timer_.cancel();
    for (const auto& [when, call] : std::exchange(to_be_kept_, {})) keep(call);
    alive_.reset();
    files_.reset();
}

}  // namespace sheaf::apps
