// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/cti.h"

#include <algorithm>
#include <map>
#include <utility>

#include "apps/config/log.h"
#include "base/digest.h"
#include "base/fact.h"
#include "base/json.h"
#include "edge/http/message.h"
#include "edge/net/clock.h"

namespace sheaf::apps {
namespace {

constexpr std::size_t kFieldBytesMax = 256;
constexpr std::size_t kPathPartsMax = 6;
constexpr std::string_view kSitePaths = "/v1/site/";

// What a peer site's message says; Errc::not_found: no message has this path.
Result<exchange::Event> site_event(std::string_view path, const std::string& body, const std::string& site) {
    if (path == kSiteAgentsPath) {
        TRY(auto event, readiness_from_body(body, site));
        return event;
    }
    if (path == kSitePausePath) {
        TRY(auto event, pause_from_body(body, site));
        return event;
    }
    if (path == kSitePauseConfirmedPath) {
        TRY(auto event, confirmation_from_body(body, site));
        return event;
    }
    return fail(Errc::not_found, "no such message");
}

std::vector<std::string> parts_of(std::string_view path) {
    std::vector<std::string> parts;
    while (!path.empty() && parts.size() <= kPathPartsMax) {
        path.remove_prefix(1);  // its slash
        const auto end = path.find('/');
        parts.emplace_back(path.substr(0, end));
        path = end == std::string_view::npos ? std::string_view{} : path.substr(end);
    }
    return parts;
}

http::Response method_not_allowed(std::string_view allowed) {
    auto response = http::problem(405, "Method not allowed");
    response.headers.emplace_back("Allow", allowed);
    return response;
}

http::Response unauthorized() {
    auto response = http::problem(401, "Unauthorized", "a bearer token is needed");
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
}

// A name from outside, as it may stand in an answer.
std::string clean_field(std::string_view name) {
    std::string out;
    for (const char c : name.substr(0, kFieldBytesMax)) out += c >= ' ' && c < 0x7f ? c : '?';
    return out;
}

bool is_here(const std::vector<std::string>& devices, const std::string& device) {
    return std::ranges::find(devices, device) != devices.end();
}

// The services' body: an object of known fields, which are strings.
Result<void> take_body(const std::string& body, exchange::CtiRequest& into) {
    if (body.empty()) return {};
    TRY(const auto value, json_from_text(body));
    const auto* object = value.if_object();
    if (object == nullptr) return fail(Errc::malformed, "the body is not an object");
    std::map<std::string_view, std::string*> fields{{"device", &into.device}, {"to", &into.to}};
    if (into.service == "agent-state") fields["state"] = &into.state;
    for (const auto& [name, ignored] : *object) {
        const auto known = fields.find(name);
        if (known == fields.end()) return fail(Errc::malformed, "unknown field: " + clean_field(name));
        TRY(auto text, optional_string_field(*object, name));
        if (text.size() > kFieldBytesMax) return fail(Errc::malformed, std::string(name) + " is too long");
        if (!text.empty()) *known->second = std::move(text);
    }
    return {};
}

// What a path and method ask for: a service without its body, or the answer that refuses them.
struct Asked {
    exchange::CtiRequest request;
    bool is_ladder = false;  // the messages of request.calluuid
    std::optional<http::Response> refusal;
};

Asked call_service(const http::Request& request, const std::vector<std::string>& parts) {
    Asked asked;
    asked.request.calluuid = parts[2];
    asked.request.service = parts.size() == 5 ? parts[3] + "/" + parts[4] : parts[3];
    if (parts.size() == 4 && parts[3] == "messages") {
        asked.is_ladder = true;
        if (request.method != "GET") asked.refusal = method_not_allowed("GET");
    } else if (request.method != "POST") {
        asked.refusal = method_not_allowed("POST");
    } else if (asked.request.calluuid.size() > kFieldBytesMax) {
        asked.refusal = http::problem(404, "Unknown", "no such call");
    }
    return asked;
}

Asked asked_of(const http::Request& request) {
    const auto parts = parts_of(request.path);
    const auto is = [&](std::size_t size, std::string_view second) {
        return parts.size() == size && parts[0] == "v1" && parts[1] == second;
    };
    Asked asked;
    if (is(2, "agents")) {
        asked.request.service = "agents";
        if (request.method != "GET") asked.refusal = method_not_allowed("GET");
    } else if (is(2, "calls")) {
        asked.request.service = request.method == "GET" ? "calls" : "make-call";
        if (request.method != "GET" && request.method != "POST") asked.refusal = method_not_allowed("GET, POST");
    } else if (is(4, "agents") && parts[3] == "state") {
        asked.request.service = "agent-state";
        asked.request.device = parts[2].substr(0, kFieldBytesMax);
        if (request.method != "POST") asked.refusal = method_not_allowed("POST");
    } else if (is(4, "calls") || is(5, "calls")) {
        return call_service(request, parts);
    } else {
        asked.refusal = http::problem(404, "Not found");
    }
    return asked;
}

}  // namespace

Result<std::unique_ptr<Cti>> Cti::start(boost::asio::io_context& io, const config::SwitchSettings& settings,
                                        CtiPort port) {
    std::unique_ptr<Cti> cti(new Cti(std::move(port)));
    cti->take(settings);
    http::ServerOptions options;
    options.address = settings.cti.address;
    options.port = settings.cti.port;
    options.body_bytes_max = kSiteBodyMax;
    options.connections_of_one_max = options.connections_max / 2;
    auto* self = cti.get();
    options.admit = [self](const http::Request& request) { return self->admit_body(request); };
    TRY(cti->server_, http::Server::listen(io, options, [self](const http::Request& request, http::Reply reply) {
            self->on_request(request, std::move(reply));
        }));
    http::StreamRoute route;
    route.admit = [self](const http::Request& request) { return self->admit(request); };
    route.opened_for = [self](const http::Request& request, std::shared_ptr<http::Stream> stream) {
        self->opened(request, std::move(stream));
    };
    cti->server_->add_stream("/v1/events", std::move(route));
    const bool is_v6 = settings.cti.address.find(':') != std::string::npos;
    cti->address_ =
        (is_v6 ? "[" + settings.cti.address + "]" : settings.cti.address) + ":" + std::to_string(cti->server_->port());
    return cti;
}

void Cti::take(const config::SwitchSettings& settings) {
    without_token_ = settings.cti_without_token;
    tokens_ = settings.tokens;
    sites_ = settings.sites;
}

void Cti::reload(const config::SwitchSettings& settings) {
    take(settings);
    // Whose token has gone or means something else now is told nothing more.
    for (auto& listener : listeners_) {
        const auto& known = without_token_ ? std::vector{anyone_} : tokens_;
        const bool is_same = std::ranges::any_of(known, [&](const config::CtiTokenSettings& token) {
            return token.name == listener.token.name && token.secret == listener.token.secret &&
                   token.devices == listener.token.devices;
        });
        if (!is_same) listener.stream->close();
    }
    forget_closed_listeners();
}

std::string Cti::bound() const {
    return address_;
}

void Cti::close() {
    for (auto& listener : listeners_) listener.stream->close();
    listeners_.clear();
    for (auto& [id, reply] : std::exchange(waiting_, {})) reply(http::problem(503, "Shutting down"));
    if (server_) server_->close();
}

const config::CtiTokenSettings* Cti::bearer_of(const http::Request& request) const {
    // Another site's page in a browser has no business here; and without a token nobody has who comes by another name.
    if (http::is_of_another_page(request.header("origin"), request.header("host"))) return nullptr;
    if (without_token_) return http::is_loopback_host(request.header("host")) ? &anyone_ : nullptr;
    const auto given = request.bearer();
    const config::CtiTokenSettings* found = nullptr;
    for (const auto& token : tokens_) {
        // All are compared, so that the time does not tell which one was near.
        if (!token.secret.empty() && equal_in_constant_time(token.secret, given)) found = &token;
    }
    return found;
}

void Cti::on_request(const http::Request& request, http::Reply reply) {
    if (request.path.starts_with(kSitePaths)) return on_site_message(request, reply);
    const auto* token = bearer_of(request);
    if (token == nullptr) {
        config::log_warn("CTI request without a valid token", {{"from", request.remote_address}});
        return reply(unauthorized());
    }
    auto asked = asked_of(request);
    if (asked.refusal) return reply(std::move(*asked.refusal));
    if (asked.is_ladder) return on_messages(request, *token, asked.request.calluuid, std::move(reply));
    asked.request.token = token->name;
    asked.request.devices = token->devices;
    on_service(request, std::move(asked.request), std::move(reply));
}

// A ladder names everyone who was in the call: for those who may see every device.
void Cti::on_messages(const http::Request& request, const config::CtiTokenSettings& token, const std::string& call,
                      http::Reply reply) {
    if (!is_here(token.devices, "*")) return reply(http::problem(403, "Forbidden", "only with a token for any device"));
    const std::string format = request.query_value("format");
    if (!format.empty() && format != "json" && format != "pcap") {
        return reply(http::problem(400, "Bad request", "format is json or pcap"));
    }
    port_.messages(CallUuid(call), format == "pcap", std::move(reply));
}

void Cti::on_service(const http::Request& request, exchange::CtiRequest wanted, http::Reply reply) {
    const std::string device = wanted.device;
    if (request.method == "POST") {
        if (auto taken = take_body(request.body, wanted); !taken) {
            return reply(http::problem(400, "Bad request", taken.error().what));
        }
    }
    if (!device.empty()) wanted.device = device;  // the path's, whatever the body says
    if (waiting_.size() >= kCtiWaitingMax) return reply(http::problem(503, "Too many requests wait"));
    wanted.request = ++last_request_;
    waiting_.emplace(wanted.request, std::move(reply));
    port_.input(std::move(wanted));
}

void Cti::answer(const exchange::CtiReply& reply) {
    const auto it = waiting_.find(reply.request);
    if (it == waiting_.end()) return;
    const auto respond = std::move(it->second);
    waiting_.erase(it);
    if (reply.status / 100 == 2) return respond(http::json_response(reply.status, boost::json::serialize(reply.body)));
    const auto text = [&](std::string_view name) {
        const auto* object = reply.body.if_object();
        const auto* field = object == nullptr ? nullptr : object->if_contains(name);
        const auto* value = field == nullptr ? nullptr : field->if_string();
        return value == nullptr ? std::string() : std::string(*value);
    };
    respond(http::problem(reply.status, text("title"), text("detail")));
}

void Cti::on_site_message(const http::Request& request, const http::Reply& reply) {
    if (request.method != "POST") return reply(method_not_allowed("POST"));
    const SiteSignature given{request.header("sheaf-site"), request.header("sheaf-date"), request.header("sheaf-nonce"),
                              request.header("sheaf-signature")};
    const auto site = std::ranges::find(sites_, given.site, &config::SiteSettings::name);
    const auto refuse = [&](std::string_view why) {
        config::log_warn("site message refused",
                         {{"site", given.site}, {"from", request.remote_address}, {"why", why}});
        reply(http::problem(403, "Forbidden", "the signature does not hold"));
    };
    if (site == sites_.end()) return refuse("unknown site");
    const auto believed = guard_.check(given, "POST", request.path, site->secret, request.body, net::now().wall);
    if (!believed) return refuse(believed.error().what);
    auto event = site_event(request.path, request.body, site->name);
    if (!event && event.error().code == Errc::not_found) return reply(http::problem(404, "Not found"));
    if (!event) return reply(http::problem(400, "Bad request", event.error().what));
    reply(http::Response{204, {}, {}, {}});
    const std::int64_t lain_ms = ages_.lain_ms(given, net::now().wall);
    if (auto* pause = std::get_if<exchange::PauseTold>(&*event))
        pause->pause.ago_ms = std::min(pause->pause.ago_ms + lain_ms, kSiteAgoMaxMs);
    port_.input(std::move(*event));
}

std::optional<http::Response> Cti::admit_body(const http::Request& request) const {
    const bool is_site = request.path.starts_with(kSitePaths);
    const bool is_known =
        is_site
            ? std::ranges::any_of(sites_, [&](const auto& site) { return site.name == request.header("sheaf-site"); })
            : bearer_of(request) != nullptr;
    if (is_known) return std::nullopt;
    config::log_warn(is_site ? "site message refused" : "CTI request without a valid token",
                     {{"from", request.remote_address}, {"site", request.header("sheaf-site")}});
    return is_site ? http::problem(403, "Forbidden", "the signature does not hold") : unauthorized();
}

void Cti::forget_closed_listeners() {
    std::erase_if(listeners_, [](const Listener& listener) { return !listener.stream->is_open(); });
}

std::optional<http::Response> Cti::admit(const http::Request& request) {
    forget_closed_listeners();
    if (bearer_of(request) == nullptr) return unauthorized();
    if (listeners_.size() >= kCtiStreamsMax) return http::problem(503, "Too many event streams");
    return std::nullopt;
}

void Cti::opened(const http::Request& request, std::shared_ptr<http::Stream> stream) {
    const auto* token = bearer_of(request);
    if (token == nullptr) return stream->close();  // taken away meanwhile
    const boost::json::object snapshot{{"type", "snapshot"},
                                       {"at", to_rfc3339(net::now().wall)},
                                       {"calls", port_.calls(token->devices)},
                                       {"agents", port_.agents(token->devices)}};
    stream->send(boost::json::serialize(snapshot));
    listeners_.push_back({std::move(stream), *token});
}

void Cti::say(const exchange::CtiEvent& event, WallTime at) {
    forget_closed_listeners();
    if (listeners_.empty()) return;
    const auto text = boost::json::serialize(exchange::json_of(event, at));
    for (auto& listener : listeners_) {
        if (exchange::concerns(event, listener.token.devices)) listener.stream->send(text);
    }
}

}  // namespace sheaf::apps
