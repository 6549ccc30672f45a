// SPDX-License-Identifier: Apache-2.0
#include "base/fact.h"

#include "base/digest.h"
#include "base/json.h"

namespace sheaf {
namespace {

namespace json = boost::json;

// RFC 8785: names in order.
Result<void> append_without_id(std::string& out, const Fact& sender, std::uint64_t seq, WallTime at, std::int64_t mono,
                               std::string_view type, const json::object& data) {
    const auto text = [&](std::string_view before, std::string_view value) {
        out += before;
        append_json_string(out, value);
    };
    out.reserve(out.size() + 1024);
    text(R"({"at":)", to_rfc3339(at));
    out += R"(,"data":)";
    TRY_VOID(append_canonical_json(out, data));
    out += R"(,"mono":)";
    TRY_VOID(append_canonical_json(out, mono));
    text(R"(,"node":)", sender.node);
    out += R"(,"seq":)";
    TRY_VOID(append_canonical_json(out, seq));
    text(R"(,"site":)", sender.site);
    text(R"(,"tenant":)", sender.tenant);
    text(R"(,"type":)", type);
    out += '}';
    return {};
}

}  // namespace

Result<std::string> fact_id(const Fact& fact) {
    std::string text;
    TRY_VOID(append_without_id(text, fact, fact.seq, fact.at, fact.mono, fact.type, fact.data));
    return sha256_hex(text);
}

Result<std::string> sealed(const Fact& sender, std::uint64_t seq, const FactDraft& draft) {
    // The text that the id is the hash of, behind room for the id.
    constexpr std::string_view kBefore = R"({"id":")";
    constexpr std::size_t kRoom = kBefore.size() + 2 * sizeof(Sha256) + std::string_view("\",").size();
    std::string text(kRoom - 1, ' ');
    TRY_VOID(append_without_id(text, sender, seq, draft.stamp.wall, to_ms(draft.stamp.mono), draft.type, draft.data));
    const std::string id = sha256_hex(std::string_view(text).substr(kRoom - 1));
    text.replace(0, kRoom, std::string(kBefore) + id + "\",");
    return text;
}

json::object to_json(const Fact& fact) {
    return {{"tenant", fact.tenant}, {"site", fact.site},         {"node", fact.node},
            {"seq", fact.seq},       {"at", to_rfc3339(fact.at)}, {"mono", fact.mono},
            {"type", fact.type},     {"data", fact.data},         {"id", fact.id}};
}

Result<std::string> string_field(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr) return fail(Errc::malformed, std::string(name) + " is missing");
    if (!value->is_string()) return fail(Errc::malformed, std::string(name) + " is not a string");
    return std::string(value->get_string());
}

Result<std::string> optional_string_field(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr || value->is_null()) return std::string();
    return string_field(object, name);
}

Result<std::int64_t> integer_field(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr) return fail(Errc::malformed, std::string(name) + " is missing");
    json::error_code error;
    const auto number = value->is_double() ? 0 : value->to_number<std::int64_t>(error);
    if (value->is_double() || error) return fail(Errc::malformed, std::string(name) + " is not a whole number");
    return number;
}

Result<Fact> fact_from_json(const json::value& value) {
    if (!value.is_object()) return fail(Errc::malformed, "a fact is a JSON object");
    const json::object& object = value.get_object();
    Fact fact;
    TRY(fact.id, string_field(object, "id"));
    TRY(fact.tenant, string_field(object, "tenant"));
    TRY(fact.site, string_field(object, "site"));
    TRY(fact.node, string_field(object, "node"));
    TRY(const std::int64_t seq, integer_field(object, "seq"));
    if (seq < 1) return fail(Errc::malformed, "seq starts at 1");
    fact.seq = static_cast<std::uint64_t>(seq);
    TRY(const std::string at, string_field(object, "at"));
    TRY(fact.at, wall_from_rfc3339(at));
    TRY(fact.mono, integer_field(object, "mono"));
    TRY(fact.type, string_field(object, "type"));
    const json::value* data = object.if_contains("data");
    if (data == nullptr || !data->is_object()) return fail(Errc::malformed, "data is not an object");
    fact.data = data->get_object();
    if (object.size() != 9) return fail(Errc::malformed, "a fact has nine fields, no more");
    if (to_rfc3339(fact.at) != at) return fail(Errc::malformed, "at is not UTC with three decimals");
    TRY(const std::string id, fact_id(fact));
    if (id != fact.id) return fail(Errc::malformed, "id is not the hash of the other fields");
    return fact;
}

}  // namespace sheaf
