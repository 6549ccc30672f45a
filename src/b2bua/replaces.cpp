// SPDX-License-Identifier: Apache-2.0
#include "b2bua/replaces.h"

#include "b2bua/caller.h"
#include "sip/grammar.h"

namespace sheaf::b2bua {
namespace {

// The one value of a parameter, or nothing when it is not there, twice, or empty.
std::optional<std::string> only_value(const sip::Params& params, std::string_view name) {
    std::optional<std::string> found;
    for (const auto& [key, value] : params.items) {
        if (!sip::same_name(key, name)) continue;
        if (found || !value || value->empty()) return std::nullopt;
        found = value;
    }
    return found;
}

}  // namespace

Result<Replaces> replaces_from_text(std::string_view text) {
    if (text.size() > kReplacesBytesMax) return fail(Errc::exhausted, "Replaces over 1,024 bytes");
    const auto end = text.find(';');
    if (end == std::string_view::npos) return fail(Errc::malformed, "Replaces without tags");
    TRY(const auto params, sip::header_params_from_text(text.substr(end)));
    auto to_tag = only_value(params, "to-tag");
    auto from_tag = only_value(params, "from-tag");
    Replaces out{std::string(sip::trimmed(text.substr(0, end))), {}, {}, params.has("early-only")};
    if (out.call_id.empty() || !to_tag || !from_tag) return fail(Errc::malformed, "Replaces without Call-ID or tags");
    out.to_tag = *std::move(to_tag);
    out.from_tag = *std::move(from_tag);
    return out;
}

std::string to_text(const Replaces& replaces) {
    std::string out = replaces.call_id + ";to-tag=" + replaces.to_tag + ";from-tag=" + replaces.from_tag;
    if (replaces.early_only) out += ";early-only";
    return out;
}

Replaces seen_by_peer(const sip::DialogView& view) {
    return {view.call_id, view.remote_tag, view.local_tag, false};
}

sip::DialogId dialog_of(const sip::UserAgent& ua, const Replaces& replaces) {
    return ua.find(replaces.call_id, replaces.to_tag, replaces.from_tag);
}

sip::DialogId dialog_either_way(const sip::UserAgent& ua, const Replaces& replaces) {
    const auto dialog = dialog_of(ua, replaces);
    return dialog != 0 ? dialog : ua.find(replaces.call_id, replaces.from_tag, replaces.to_tag);
}

ReferTarget refer_target_of(const sip::Message& request) {
    const auto values = request.all("Refer-To");
    const auto refused = [](int status, std::string reason) {
        return ReferTarget{{}, {}, {status, {}, std::move(reason)}};
    };
    // RFC 3515 §2.4.1: exactly one.
    if (values.size() != 1) return refused(400, "One Refer-To Needed");
    const auto to = sip::name_addr_from_text(values.front());
    if (!to) return refused(400, "Bad Refer-To");
    const auto& uri = to->uri;
    if (uri.scheme == "tel") {
        auto number = number_of(uri);
        return number.empty() ? refused(404, {}) : ReferTarget{std::move(number), {}, {}};
    }
    if (uri.scheme != "sip") return refused(416, {});
    const auto method = uri.params.value("method");
    if (method && !sip::same_name(*method, "INVITE")) return refused(501, "Only INVITE Can Be Referred");
    ReferTarget out{number_of(uri), {}, {}};
    for (const auto& [name, value] : sip::headers_of(uri)) {
        if (name != "replaces") continue;
        auto replaces = replaces_from_text(value);
        if (!replaces || out.replaces) return refused(400, "Bad Replaces In Refer-To");
        out.replaces = *std::move(replaces);
    }
    if (out.number.empty() && !out.replaces) return refused(404, {});
    return out;
}

}  // namespace sheaf::b2bua
