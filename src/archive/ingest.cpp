// SPDX-License-Identifier: Apache-2.0
#include "archive/ingest.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "base/bytes.h"
#include "base/json.h"

namespace sheaf::archive {
namespace {

namespace json = boost::json;

std::string id_in(const json::value& value) {
    if (!value.is_object()) return {};
    const auto id = string_field(value.get_object(), "id");
    return id ? id->substr(0, kIdBytesMax) : std::string();
}

bool is_sender(const Caller& caller, const Fact& fact) {
    if (fact.tenant != caller.tenant) return false;
    if (caller.is_any_sender) return true;
    return fact.site == caller.site &&
           std::find(caller.nodes.begin(), caller.nodes.end(), fact.node) != caller.nodes.end();
}

// What a site cannot know, or may not decide.
Result<void> may_say(const Caller& caller, const Fact& fact) {
    if (fact.type == "segment.stored") return fail(Errc::forbidden, "segment.stored is the archive's own word");
    if (fact.type.starts_with("operator.") && !caller.may_operate())
        return fail(Errc::forbidden, fact.type + " is for operators");
    return {};
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

int sextet(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    return c == '/' ? 63 : -1;
}

// 32 bytes in base64 (RFC 4648 §4): 43 characters and one '='.
Result<std::string> hex_of_sha256(std::string_view base64) {
    if (base64.size() != 44 || base64.back() != '=') return fail(Errc::malformed, "sha-256 is not 32 bytes in base64");
    std::array<std::uint8_t, 33> bytes{};
    for (std::size_t i = 0; i < 44; i += 4) {
        std::uint32_t quad = 0;
        for (std::size_t k = 0; k < 4; ++k) {
            const int value = i + k == 43 ? 0 : sextet(base64[i + k]);
            if (value < 0) return fail(Errc::malformed, "sha-256 is not base64");
            quad = quad << 6 | static_cast<std::uint32_t>(value);
        }
        for (std::size_t k = 0; k < 3; ++k) bytes[i / 4 * 3 + k] = static_cast<std::uint8_t>(quad >> (16 - 8 * k));
    }
    if (bytes[32] != 0) return fail(Errc::malformed, "sha-256 has bits beyond its end");
    return to_hex({bytes.data(), 32});
}

}  // namespace

Result<Batch> batch_from(std::string_view body, const Caller& caller) {
    if (body.size() > kBatchBytesMax) return fail(Errc::exhausted, "a batch holds at most 1 MiB");
    TRY(const json::value parsed, json_from_text(body));
    const json::value* list = parsed.is_object() ? parsed.get_object().if_contains("facts") : nullptr;
    if (list == nullptr || !list->is_array()) return fail(Errc::malformed, "the body is not {\"facts\": [...]}");
    if (list->get_array().size() > kBatchFactsMax) return fail(Errc::exhausted, "a batch holds at most 1,000 facts");
    Batch batch;
    for (const json::value& value : list->get_array()) {
        const auto reject = [&](const Error& error, const Fact& of) {
            batch.rejected.push_back({id_in(value), error.what, of.node, of.site});
        };
        if (json::serialize(value).size() > kFactBytesMax) {
            reject({Errc::exhausted, "a fact holds at most 64 KiB"}, {});
            continue;
        }
        auto fact = fact_from_json(value);
        if (!fact) {
            reject(fact.error(), {});
            continue;
        }
        if (!is_sender(caller, *fact))
            return fail(Errc::forbidden, "a fact names tenant " + fact->tenant + ", site " + fact->site + ", node " +
                                             fact->node + ", which this token does not stand for");
        if (const auto allowed = may_say(caller, *fact); !allowed) {
            reject(allowed.error(), *fact);
            continue;
        }
        auto typed = typed_fact(*fact);
        if (!typed) {
            reject(typed.error(), *fact);
            continue;
        }
        batch.facts.push_back(std::move(*fact));
        batch.typed.push_back(std::move(*typed));
    }
    return batch;
}

Result<std::string> sha256_from_content_digest(std::string_view header) {
    while (!header.empty()) {  // a dictionary of structured fields (RFC 8941 §3.2): name=:base64:, …
        const auto comma = header.find(',');
        std::string_view member = trimmed(header.substr(0, comma));
        header.remove_prefix(comma == std::string_view::npos ? header.size() : comma + 1);
        constexpr std::string_view kName = "sha-256=:";
        if (!member.starts_with(kName)) continue;
        member.remove_prefix(kName.size());
        if (!member.ends_with(':')) return fail(Errc::malformed, "Content-Digest: sha-256 is not between colons");
        member.remove_suffix(1);
        return hex_of_sha256(member);
    }
    return fail(Errc::malformed, "Content-Digest with sha-256 is missing");
}

Result<std::string> media_type_from(std::string_view header) {
    const std::string_view type = trimmed(header.substr(0, header.find(';')));
    for (const std::string_view known : {"audio/wav", "audio/flac", "audio/ogg", "audio/mpeg"})
        if (type == known) return std::string(known);
    return fail(Errc::unsupported, "Content-Type is not audio/wav, audio/flac, audio/ogg or audio/mpeg");
}

}  // namespace sheaf::archive
