// SPDX-License-Identifier: Apache-2.0
#include "apps/archive/api.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "apps/archive/embedded.h"
#include "apps/archive/page.h"
#include "apps/config/log.h"
#include "archive/api_model.h"
#include "edge/http/message.h"

namespace sheaf::archive_role {
namespace {

namespace json = boost::json;
using archive::Caller;
using http::problem;
using http::Request;
using http::Response;

constexpr std::string_view kCookie = "sheaf_archive";

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// The parts of a path, each percent-decoded by itself: an id may hold a slash.
std::vector<std::string> parts_of(std::string_view target) {
    target = target.substr(0, target.find('?'));
    std::vector<std::string> parts(1);
    if (target.starts_with('/')) target.remove_prefix(1);
    for (std::size_t i = 0; i < target.size(); ++i) {
        const char c = target[i];
        if (c == '/') {
            parts.emplace_back();
        } else if (c == '%' && i + 2 < target.size() && hex_value(target[i + 1]) >= 0 &&
                   hex_value(target[i + 2]) >= 0) {
            parts.back() += static_cast<char>(hex_value(target[i + 1]) * 16 + hex_value(target[i + 2]));
            i += 2;
        } else {
            parts.back() += c;
        }
    }
    return parts;
}

bool is_path(const std::vector<std::string>& path, std::initializer_list<std::string_view> pattern) {
    if (path.size() != pattern.size()) return false;
    auto part = path.begin();
    for (const std::string_view wanted : pattern) {
        if (wanted != "*" && *part != wanted) return false;
        ++part;
    }
    return true;
}

Response answer(const json::object& body, int status = 200) {
    Response response = http::json_response(status, json::serialize(body));
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
}

Response text(std::string body, const char* type) {
    return {.status = 200, .headers = {{"Content-Type", type}, {"Cache-Control", "no-store"}}, .body = std::move(body)};
}

Response unauthorised() {
    Response response = problem(401, "Unauthorized", "a token is needed: Authorization: Bearer, or /login?token=");
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
}

Response not_allowed(const char* methods) {
    Response response = problem(405, "Method Not Allowed");
    response.headers.emplace_back("Allow", methods);
    return response;
}

Response refusal(const Error& error) {
    switch (error.code) {
        case Errc::malformed: return problem(400, "Bad Request", error.what);
        case Errc::unsupported: return problem(415, "Unsupported Media Type", error.what);
        case Errc::not_found: return problem(404, "Not Found", error.what);
        case Errc::conflict: return problem(409, "Conflict", error.what);
        case Errc::forbidden: return problem(403, "Forbidden", error.what);
        case Errc::exhausted: return problem(413, "Content Too Large", error.what);
        case Errc::timeout:
        case Errc::io: break;
    }
    return problem(500, "Internal Server Error");
}

// The store failed: what it says is for the log, not for the caller.
Response store_failed(const Error& error) {
    config::log_error("the archive's store failed", {{"error", error.what}});
    if (error.code == Errc::exhausted) return problem(507, "Insufficient Storage");
    return problem(503, "Service Unavailable");
}

}  // namespace

Api::Api(Parts parts) : parts_(std::move(parts)), catalogue_(parts_.options), policy_(policy_for(kPage)) {}

archive::Ms Api::now_ms() const {
    return to_unix_ms(parts_.now().wall);
}

Result<void> Api::load() {
    TRY(const auto tenants, parts_.store->tenants());
    std::vector<archive::TypedFact> erased;
    for (const std::string& tenant : tenants) {
        TRY_VOID(parts_.store->load(tenant, [&](const Fact& fact) {
            auto typed = archive::typed_fact(fact);
            if (typed && std::holds_alternative<archive::SegmentErased>(typed->body)) erased.push_back(*typed);
            if (typed)
                catalogue_.add(std::move(*typed));
            else
                config::log_warn("a fact in the store breaks a rule and is left out",
                                 {{"fact", fact.id}, {"error", typed.error().what}});
            return true;
        }));
    }
    for (const archive::TypedFact& fact : erased) remember_erased(fact);
    for (const archive::TypedFact& fact : erased) TRY_VOID(take_back(fact));
    static_cast<void>(catalogue_.take_changed(now_ms()));
    return {};
}

std::optional<Caller> Api::caller_of(const Request& request) const {
    if (http::is_of_another_page(request.header("origin"), request.header("host"))) return std::nullopt;
    if (auto everyone = parts_.access.everyone()) {
        if (http::is_loopback_host(request.header("host"))) return everyone;
        return std::nullopt;
    }
    if (const std::string token = request.bearer(); !token.empty()) return parts_.access.by_token(token);
    // A browser sends its cookie by itself: good for looking, never for changing.
    if (request.method != "GET") return std::nullopt;
    const std::string cookie = request.cookie(kCookie);
    return cookie.empty() ? std::nullopt : parts_.access.by_cookie(cookie);
}

void Api::handle(const Request& request, http::Reply reply) {
    ++counters_.requests;
    const auto path = parts_of(request.target);
    if (is_path(path, {"v1", "segments", "*", "media"}) && request.method == "PUT")
        return put_media(request, path[2], std::move(reply));
    Response response = is_path(path, {"v1", "facts"})
                            ? (request.method == "POST" ? post_facts(request) : not_allowed("POST"))
                        : request.method == "GET"                         ? get(request, path)
                        : is_path(path, {"v1", "segments", "*", "media"}) ? not_allowed("GET, HEAD, PUT")
                                                                          : not_allowed("GET, HEAD");
    if (response.status >= 400) ++counters_.requests_refused;
    reply(std::move(response));
}

Response Api::get(const Request& request, const Path& path) {
    if (is_path(path, {""})) {
        Response page = text(std::string(kPage), "text/html; charset=utf-8");
        page.headers.emplace_back("Content-Security-Policy", policy_);
        page.headers.emplace_back("Referrer-Policy", "no-referrer");
        return page;
    }
    if (is_path(path, {"livez"}) || is_path(path, {"readyz"})) return text("ok\n", "text/plain; charset=utf-8");
    if (is_path(path, {"metrics"})) return text(metrics(), "text/plain; version=0.0.4; charset=utf-8");
    if (is_path(path, {"openapi.json"})) return text(std::string(kOpenapi), "application/json");
    if (is_path(path, {"login"})) return login(request);
    const auto caller = caller_of(request);
    if (!caller) return unauthorised();
    if (!caller->may_read()) return problem(403, "Forbidden", "this token may not read");
    return get_read(request, path, *caller);
}

Response Api::get_read(const Request& request, const Path& path, const Caller& caller) {
    if (is_path(path, {"v1", "recordings"})) {
        const auto query = archive::query_from(request.query);
        if (!query) return refusal(query.error());
        return answer(to_json(catalogue_.list(caller.tenant, *query, now_ms())));
    }
    if (is_path(path, {"v1", "alarms"})) return alarms(caller.tenant);
    if (is_path(path, {"v1", "segments", "*", "media"})) return get_media(request, path[2], caller.tenant);
    const bool is_why = is_path(path, {"v1", "recordings", "*", "why"});
    if (is_why || is_path(path, {"v1", "recordings", "*"})) {
        const auto* recording = catalogue_.recording(caller.tenant, path[2], now_ms());
        if (recording == nullptr) return problem(404, "Not Found", "no recording, and no call of one, has this id");
        if (!is_why) return answer(to_json(*recording));
        return answer(why_json(*recording, catalogue_.link_standings(caller.tenant, path[2])));
    }
    return problem(404, "Not Found");
}

Response Api::login(const Request& request) const {
    Response redirect{.status = 303, .headers = {{"Location", "/"}, {"Cache-Control", "no-store"}}};
    redirect.headers.emplace_back("Referrer-Policy", "no-referrer");
    if (parts_.access.everyone()) return redirect;
    const std::string token = request.query_value("token");
    const auto caller = parts_.access.by_token(token);
    if (!caller || !caller->may_read()) return problem(403, "Forbidden", "this token may not read");
    redirect.headers.emplace_back("Set-Cookie", fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict", kCookie,
                                                            parts_.access.cookie_for(token)));
    return redirect;
}

Response Api::post_facts(const Request& request) {
    const auto caller = caller_of(request);
    if (!caller) return unauthorised();
    if (!caller->may_send()) return problem(403, "Forbidden", "facts are for tokens of scope site");
    auto batch = archive::batch_from(request.body, *caller);
    if (!batch) return refusal(batch.error());
    const auto added = parts_.store->add(batch->facts);
    if (!added) return store_failed(added.error());
    json::array accepted, rejected;
    std::set<std::pair<std::string, std::string>> senders;
    for (std::size_t i = 0; i < batch->facts.size(); ++i) {
        accepted.push_back(json::string(batch->facts[i].id));
        senders.emplace(batch->facts[i].site, batch->facts[i].node);
        ++((*added)[i] ? counters_.facts_new : counters_.facts_again);
        remember_erased(batch->typed[i]);
        if (auto taken = take_back(batch->typed[i]); !taken) return store_failed(taken.error());
        catalogue_.add(std::move(batch->typed[i]));
    }
    for (const archive::RejectedFact& fact : batch->rejected) {
        rejected.push_back(json::object{{"id", fact.id}, {"error", fact.error}});
        if (!fact.node.empty()) senders.emplace(fact.site, fact.node);
    }
    remember_refused(caller->tenant, batch->rejected);
    json::object up_to;
    for (const auto& [site, node] : senders) {
        const auto seq = parts_.store->up_to(caller->tenant, site, node);
        if (!seq) return store_failed(seq.error());
        up_to[node] = *seq;
    }
    parts_.changed();
    return answer({{"accepted", std::move(accepted)}, {"rejected", std::move(rejected)}, {"up_to", std::move(up_to)}});
}

void Api::remember_erased(const archive::TypedFact& fact) {
    const auto* erased = std::get_if<archive::SegmentErased>(&fact.body);
    if (erased == nullptr) return;
    const auto owner = catalogue_.segment(fact.tenant, erased->segment);
    if (owner && !owner->site.empty() && owner->site != fact.site) return;  // another site's word changes nothing
    erased_[{fact.tenant, erased->segment}][{fact.node, fact.seq}] = {fact.site, erased->sha256};
}

// A pause came at the site when the segment had ended. The file that is here goes at once; the one without what was
// erased comes in its place, and no other is taken. Not answered as taken before: the site says it again.
Result<void> Api::take_back(const archive::TypedFact& fact) {
    const auto* erased = std::get_if<archive::SegmentErased>(&fact.body);
    if (erased == nullptr) return {};
    TRY(const auto known, parts_.store->object(fact.tenant, erased->segment.text()));
    if (!known || may_be_stored(*known)) return {};
    TRY_VOID(parts_.media->remove(known->path));
    TRY_VOID(parts_.store->forget_object(fact.tenant, erased->segment.text()));
    config::log_warn("a file was taken back: a pause came late", {{"segment", erased->segment.text()}});
    return {};
}

bool Api::may_be_stored(const archive::StoredObject& object) const {
    const auto erased = erased_.find({object.tenant, SegmentId(object.segment)});
    if (erased == erased_.end()) return true;
    const auto owner = catalogue_.segment(object.tenant, SegmentId(object.segment));
    const auto last = std::find_if(erased->second.rbegin(), erased->second.rend(), [&](const auto& one) {
        return !owner || owner->site.empty() || owner->site == one.second.site;
    });
    return last == erased->second.rend() || last->second.sha256 == object.sha256;
}

void Api::remember_refused(const std::string& tenant, const std::vector<archive::RejectedFact>& rejected) {
    for (const archive::RejectedFact& fact : rejected) {
        ++counters_.facts_rejected;
        config::log_warn("a fact is refused", {{"node", fact.node}, {"fact", fact.id}, {"error", fact.error}});
        const std::pair key(tenant, fact.node);
        if (refused_.size() >= kRefusersMax && !refused_.contains(key)) continue;
        Refused& refused = refused_[key];
        ++refused.count;
        refused.last_at = now_ms();
        refused.last_error = fact.error;
    }
}

std::optional<Response> Api::refuse_unknown(const Request& request) const {
    if (caller_of(request)) return std::nullopt;
    return unauthorised();
}

std::optional<Response> Api::refuse_upload(const Request& request) {
    const auto caller = caller_of(request);
    if (!caller) return unauthorised();
    if (!caller->may_send()) return problem(403, "Forbidden", "media is for tokens of scope site");
    const auto path = parts_of(request.target);
    if (!is_path(path, {"v1", "segments", "*", "media"}) || !archive::is_id(path[2])) return problem(404, "Not Found");
    if (const auto digest = archive::sha256_from_content_digest(request.header("content-digest")); !digest)
        return refusal(digest.error());
    if (const auto type = archive::media_type_from(request.header("content-type")); !type) return refusal(type.error());
    const auto owner = catalogue_.segment(caller->tenant, SegmentId(path[2]));
    if (owner && !caller->is_any_sender && !owner->site.empty() && owner->site != caller->site)
        return problem(403, "Forbidden", "the segment is another site's");
    return std::nullopt;
}

void Api::put_media(const Request& request, const std::string& segment, http::Reply reply) {
    const auto refuse = [&](Response response) {
        ++counters_.media_refused;
        reply(std::move(response));
    };
    if (auto refused = refuse_upload(request)) return refuse(std::move(*refused));
    if (request.body_file.empty()) return refuse(problem(400, "Bad Request", "the media is missing"));
    archive::StoredObject object;
    object.tenant = caller_of(request)->tenant;
    object.segment = segment;
    object.sha256 = archive::sha256_from_content_digest(request.header("content-digest")).value();
    object.media_type = archive::media_type_from(request.header("content-type")).value();
    if (!may_be_stored(object))
        return refuse(
            problem(409, "Conflict", "something of the segment was erased, and this is not what it has left"));
    const auto known = parts_.store->object(object.tenant, segment);
    if (!known) return refuse(store_failed(known.error()));
    if (*known && (*known)->sha256 != object.sha256)
        return refuse(problem(409, "Conflict", "the segment is stored with another digest"));
    if (*known) {
        ++counters_.media_again;
        return reply(answer({{"segment", segment}, {"sha256", object.sha256}}));
    }
    // Reading a long file, and waiting for the disk, is not for the thread that answers. shared: the work writes it,
    // and what is done afterwards reads it, on different threads one after the other.
    const auto kept = std::make_shared<Result<archive::KeptMedia>>();
    parts_.in_background(
        [this, kept, object, file = request.body_file] {
            *kept = parts_.media->keep(file, object.tenant, object.segment, object.sha256);
        },
        [this, kept, object, reply]() mutable {
            if (!*kept) {
                ++counters_.media_refused;
                const bool theirs = kept->error().code == Errc::malformed;
                return reply(theirs ? refusal(kept->error()) : store_failed(kept->error()));
            }
            object.path = (*kept)->path;
            object.bytes = (*kept)->bytes;
            reply(finish_upload(object));
        });
}

Response Api::finish_upload(const archive::StoredObject& object) {
    if (!may_be_stored(object)) {
        ++counters_.media_refused;
        if (auto removed = parts_.media->remove(object.path); !removed) return store_failed(removed.error());
        return problem(409, "Conflict", "something of the segment was erased meanwhile");
    }
    const Stamp now = parts_.now();
    Fact fact;
    fact.tenant = object.tenant;
    fact.site = parts_.sender.site;
    fact.node = parts_.sender.node;
    fact.at = now.wall;
    fact.mono = to_ms(now.mono);
    fact.type = "segment.stored";
    fact.data = {{"segment", object.segment},
                 {"sha256", object.sha256},
                 {"bytes", object.bytes},
                 {"media_type", object.media_type}};
    const auto added = parts_.store->add_object(object, std::move(fact));
    if (!added) {
        ++counters_.media_refused;
        return added.error().code == Errc::conflict ? refusal(added.error()) : store_failed(added.error());
    }
    ++(*added ? counters_.media_new : counters_.media_again);
    if (*added) {
        if (auto typed = archive::typed_fact(**added)) catalogue_.add(std::move(*typed));
        parts_.changed();
    }
    return answer({{"segment", object.segment}, {"sha256", object.sha256}}, *added ? 201 : 200);
}

Response Api::get_media(const Request& request, const std::string& segment, const std::string& tenant) {
    const std::string format = request.query_value("format");
    if (!format.empty() && format != "wav") return problem(400, "Bad Request", "format is wav or absent");
    const auto object = parts_.store->object(tenant, segment);
    if (!object) return store_failed(object.error());
    if (!*object) return problem(404, "Not Found", "no media of this segment is stored");
    if (!format.empty() && (*object)->media_type != "audio/wav")
        return problem(501, "Not Implemented", "this segment is kept as " + (*object)->media_type);
    const auto file = parts_.media->file_of((*object)->path);
    if (!file) return store_failed(file.error());
    return {.status = 200,
            .headers = {{"Content-Type", (*object)->media_type},
                        {"ETag", "\"" + (*object)->sha256 + "\""},
                        {"Cache-Control", "private, no-cache"},
                        {"Content-Security-Policy", "default-src 'none'; sandbox"}},
            .file = *file};
}

Response Api::alarms(const std::string& tenant) {
    auto list = catalogue_.alarms(tenant, now_ms());
    for (const auto& [key, refused] : refused_) {
        if (key.first != tenant) continue;
        list.push_back({"facts-refused",
                        refused.last_at,
                        {},
                        {},
                        fmt::format("{} facts of node {} were refused, the last because {}", refused.count,
                                    key.second.empty() ? "?" : key.second, refused.last_error)});
    }
    return answer(to_json(list));
}

std::optional<Response> Api::refuse_stream(const Request& request) {
    const auto caller = caller_of(request);
    if (!caller) return unauthorised();
    if (!caller->may_read()) return problem(403, "Forbidden", "this token may not read");
    return std::nullopt;
}

std::string Api::metrics() const {
    std::string out;
    const auto counter = [&](std::string_view name, std::string_view help, std::uint64_t value,
                             const char* type = "counter") {
        out += fmt::format("# HELP sheaf_archive_{0} {1}\n# TYPE sheaf_archive_{0} {3}\nsheaf_archive_{0} {2}\n", name,
                           help, value, type);
    };
    counter("facts_new_total", "Facts taken for the first time.", counters_.facts_new);
    counter("facts_again_total", "Facts that were here already.", counters_.facts_again);
    counter("facts_rejected_total", "Facts refused for breaking a rule.", counters_.facts_rejected);
    counter("media_new_total", "Media files stored.", counters_.media_new);
    counter("media_again_total", "Media files that were here already.", counters_.media_again);
    counter("media_refused_total", "Media files refused.", counters_.media_refused);
    counter("requests_total", "Requests answered.", counters_.requests);
    counter("requests_refused_total", "Requests answered with an error.", counters_.requests_refused);
    counter("facts", "Facts held.", catalogue_.facts(), "gauge");
    counter("groups", "Groups of calls, listed or not.", catalogue_.recordings(), "gauge");
    return out;
}

}  // namespace sheaf::archive_role
