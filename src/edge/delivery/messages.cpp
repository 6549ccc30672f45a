// SPDX-License-Identifier: Apache-2.0
#include "edge/delivery/messages.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/bytes.h"
#include "base/json.h"
#include "edge/http/message.h"

namespace sheaf::delivery {
namespace {

namespace json = boost::json;

constexpr std::size_t kReasonMax = 200;

std::string percent_encoded(std::string_view text) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                           c == '_' || c == '.' || c == '~';
        if (plain) {
            out.push_back(c);
        } else {
            out.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
        }
    }
    return out;
}

std::string base64_of_hex(std::string_view hex) {
    const auto value = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(static_cast<char>(value(hex[i]) * 16 + value(hex[i + 1])));
    }
    return to_base64(as_bytes(bytes));
}

http::ClientRequest request_to(std::string method, std::string url, const std::string& token) {
    http::ClientRequest request;
    request.method = std::move(method);
    request.url = std::move(url);
    if (!token.empty()) request.headers.emplace_back("Authorization", "Bearer " + token);
    return request;
}

// The status and what the archive says about it, short enough for a log line.
std::string reason_of(const http::ClientResponse& response) {
    std::string reason = "status " + std::to_string(response.status);
    const auto body = json_from_text(response.body);
    if (!body || !body->is_object()) return reason;
    for (const char* name : {"title", "detail"}) {
        if (const auto text = optional_string_field(body->get_object(), name); text && !text->empty()) {
            reason += ", " + *text;
        }
    }
    return reason.substr(0, kReasonMax);
}

Result<link::BatchAnswered> read_lists(const std::string& body) {
    link::BatchAnswered answer;
    answer.outcome = link::Outcome::taken;
    TRY(const json::value value, json_from_text(body));
    if (!value.is_object()) return fail(Errc::malformed, "the answer is not an object");
    const json::value* accepted = value.get_object().if_contains("accepted");
    const json::value* rejected = value.get_object().if_contains("rejected");
    if (accepted == nullptr || !accepted->is_array()) return fail(Errc::malformed, "the answer has no list accepted");
    for (const auto& id : accepted->get_array()) {
        if (id.is_string()) answer.accepted.emplace_back(id.get_string());
    }
    if (rejected == nullptr || !rejected->is_array()) return answer;
    for (const auto& item : rejected->get_array()) {
        if (!item.is_object()) continue;
        TRY(std::string id, string_field(item.get_object(), "id"));
        TRY(std::string reason, optional_string_field(item.get_object(), "error"));
        answer.rejected.push_back({std::move(id), reason.substr(0, kReasonMax)});
    }
    return answer;
}

bool is_archives(const http::ClientResponse& response) {
    return std::ranges::any_of(response.headers, [](const auto& header) {
        constexpr std::string_view kProblem = "application/problem+json";  // RFC 9457
        return http::equal_ignoring_case(header.first, "content-type") && header.second.starts_with(kProblem);
    });
}

link::Outcome outcome_of(const http::ClientResponse& response) {
    const auto outcome = link::outcome_of_status(response.status);
    return outcome == link::Outcome::refused && !is_archives(response) ? link::Outcome::failed : outcome;
}

bool names(const std::string& body, const std::string& segment, const std::string& sha256) {
    const auto value = json_from_text(body);
    if (!value || !value->is_object()) return false;
    const auto& object = value->get_object();
    return string_field(object, "segment") == segment && string_field(object, "sha256") == sha256;
}

}  // namespace

http::ClientRequest facts_request(const std::string& archive_url, const std::string& token,
                                  const std::vector<Fact>& facts) {
    auto request = request_to("POST", archive_url + "/v1/facts", token);
    request.headers.emplace_back("Content-Type", "application/json");
    json::array list;
    for (const auto& fact : facts) list.push_back(to_json(fact));
    request.body = json::serialize(json::object{{"facts", std::move(list)}});
    return request;
}

http::ClientRequest file_request(const std::string& archive_url, const std::string& token,
                                 const link::OutboxFile& file) {
    auto request = request_to("PUT", archive_url + "/v1/segments/" + percent_encoded(file.segment) + "/media", token);
    request.headers.emplace_back("Content-Type", file.media_type);
    request.headers.emplace_back("Content-Digest", "sha-256=:" + base64_of_hex(file.sha256) + ":");  // RFC 9530 §2
    request.body_file = file.path;
    return request;
}

link::BatchAnswered facts_answer(const Result<http::ClientResponse>& response) {
    using link::Outcome;
    if (!response) return {Outcome::failed, response.error().what, {}, {}};
    const auto outcome = outcome_of(*response);
    if (outcome != Outcome::taken) return {outcome, reason_of(*response), {}, {}};
    auto lists = read_lists(response->body);
    if (!lists) return {Outcome::failed, lists.error().what, {}, {}};
    return std::move(*lists);
}

link::FileAnswered file_answer(const std::string& segment, const std::string& sha256,
                               const Result<http::ClientResponse>& response) {
    using link::Outcome;
    if (!response) {
        const bool gone = response.error().code == Errc::not_found;
        return {segment, gone ? Outcome::refused : Outcome::failed, response.error().what};
    }
    const auto outcome = outcome_of(*response);
    if (outcome == Outcome::taken && !names(response->body, segment, sha256))
        return {segment, Outcome::failed, "the answer does not name the file"};
    // Spoilt on its way, and not the archive's last word on it.
    const bool is_spoilt = outcome == Outcome::refused && response->status == 400;
    return {segment, is_spoilt ? Outcome::failed : outcome, reason_of(*response)};
}

}  // namespace sheaf::delivery
