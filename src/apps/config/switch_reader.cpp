// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <regex>

#include "apps/config/checks.h"
#include "apps/config/role_readers.h"

namespace sheaf::config {
namespace {

constexpr std::int64_t kWrapUpMsMax = 3'600'000;
constexpr std::size_t kExpressionMax = 200;
constexpr std::size_t kTargetsMax = 1'000;
constexpr std::size_t kPromptsMax = 8;  // of one announcement: what a media server plays in one
constexpr std::int64_t kQueueMax = 100'000;
constexpr std::int64_t kWaitMsMax = 86'400'000;
constexpr std::int64_t kRepeatsMax = 10;
constexpr std::int64_t kRingMsMax = 180'000;
constexpr std::int64_t kSessionMsMin = 90'000;  // RFC 4028 §5
constexpr std::int64_t kSessionMsMax = 86'400'000;
constexpr std::int64_t kLadderBytesMax = 1LL << 40;
constexpr std::int64_t kOptionsMsMin = 1'000;
constexpr std::int64_t kOptionsMsMax = 3'600'000;
constexpr std::int64_t kCallsMax = 100'000;
constexpr std::int64_t kMessagesMax = 1'000'000;  // a second
constexpr std::size_t kDnsServersMax = 4;
constexpr std::size_t kAddressesMax = 16;  // of a trunk
constexpr std::int64_t kPositionMsMin = 1'000;
constexpr std::int64_t kConsentToneMsMin = 1'000;
constexpr std::int64_t kConsentToneMsMax = 600'000;

// Names that must not come twice, and to which others may refer.
struct Names {
    std::string own_site;  // may stand behind an @, too
    std::set<std::string> trunks;
    std::set<std::string> sites;
    std::set<std::string> agents;
    std::set<std::string> routing_points;
    std::set<std::string> numbers;
    std::set<std::string> tokens;
};

RecordRule read_record(Reader& reader) {
    const std::string text = reader.text("record", "never");
    const auto rule = record_rule_from_text(text);
    if (!rule) reader.problem("record", R"(must be "always", "never", "on-demand" or a percentage as "25%")");
    return rule.value_or(RecordRule{});
}

int read_ms(Reader& reader, const std::string& key, std::int64_t otherwise, std::int64_t least, std::int64_t most) {
    return static_cast<int>(reader.number(key, otherwise, least, most));
}

// Something said, from its first word to its last.
std::vector<std::string> read_announcement(Reader& reader, const std::string& key) {
    std::vector<std::string> items = reader.texts(key);
    for (const auto& item : items)
        if (!is_treatment(item) || !item.starts_with("say:")) reader.problem(key, "\"" + item + "\" must be say:NAME");
    if (items.size() > kPromptsMax) reader.problem(key, "there are more than " + std::to_string(kPromptsMax));
    return items;
}

ConsentRule read_consent(Reader& reader) {
    ConsentRule consent;
    consent.announcement = read_announcement(reader, "consent");
    const std::string to = reader.choice("consent_to", {"customer", "agent", "both"}, "customer");
    consent.to = to == "both" ? ConsentTo::both : to == "agent" ? ConsentTo::agent : ConsentTo::customer;
    consent.tone_ms = read_ms(reader, "consent_tone_ms", 0, 0, kConsentToneMsMax);
    if (consent.tone_ms > 0 && consent.tone_ms < kConsentToneMsMin)
        reader.problem("consent_tone_ms", "must be 0 or at least " + std::to_string(kConsentToneMsMin));
    consent.required = reader.flag("consent_required", false);
    if (consent.required && consent.announcement.empty() && consent.tone_ms == 0)
        reader.problem("consent_required", "there is nothing that could be required: no consent, no consent_tone_ms");
    return consent;
}

std::string read_code(Reader& reader, const std::string& key, Names& names) {
    std::string code = reader.text(key);
    if (code.empty()) return code;
    if (!is_dialable(code)) reader.problem(key, "must be 1 to 32 of letters, digits, . _ - + * and #");
    if (!names.numbers.insert(code).second) reader.problem(key, "\"" + code + "\" is there twice");
    return code;
}

// A directory number of this site: an agent's or a routing point's, or a number that leads to one.
std::string read_dn(Reader& reader, Names& names, std::set<std::string>& kind) {
    std::string dn = reader.required("dn");
    if (dn.empty()) return dn;
    if (!is_dialable(dn)) reader.problem("dn", "must be 1 to 32 of letters, digits, . _ - + * and #");
    if (!names.numbers.insert(dn).second) reader.problem("dn", "\"" + dn + "\" is there twice");
    kind.insert(dn);
    return dn;
}

TrunkSettings read_trunk(Reader& reader, Names& names) {
    TrunkSettings trunk;
    trunk.name = read_name(reader, "name", names.trunks);
    trunk.addresses = reader.texts("addresses");
    if (trunk.addresses.empty()) reader.problem("addresses", "must name one address at least");
    if (trunk.addresses.size() > kAddressesMax)
        reader.problem("addresses", "there are more than " + std::to_string(kAddressesMax));
    for (const auto& address : trunk.addresses) {
        if (!is_sip_uri(address)) reader.problem("addresses", "\"" + address + "\" must be sip:HOST or sip:HOST:PORT");
    }
    trunk.refer = reader.flag("refer", true);
    trunk.record = read_record(reader);
    trunk.user = reader.text("user");
    trunk.password = reader.secret("password");
    if (trunk.user.empty() != trunk.password.empty()) reader.problem("user", "user and password go together");
    trunk.consent = read_consent(reader);
    trunk.registers = reader.flag("register", false);
    if (trunk.registers && trunk.user.empty()) reader.problem("register", "needs user and password");
    trunk.trusted = reader.flag("trusted", true);
    trunk.calls_max = static_cast<int>(reader.number("calls_max", 0, 0, kCallsMax));
    return trunk;
}

SiteSettings read_site(Reader& reader, const NodeSettings& node, Names& names) {
    SiteSettings site;
    site.name = read_name(reader, "name", names.sites);
    if (!site.name.empty() && site.name == node.site) reader.problem("name", "is this site's own");
    site.address = reader.required("address");
    if (!site.address.empty() && !is_sip_uri(site.address)) {
        reader.problem("address", "must be sip:HOST or sip:HOST:PORT");
    }
    site.http = reader.text("http");
    while (site.http.ends_with('/')) site.http.pop_back();
    if (site.http.starts_with("https://")) {
        reader.problem("http", "https is not built yet; use http://host:port");
    } else if (!site.http.empty() && !is_http_url(site.http)) {
        reader.problem("http", "must be http://host:port");
    }
    site.secret = read_secret(reader, "secret");
    site.prefix = reader.text("prefix");
    if (!site.prefix.empty() && !is_dialable(site.prefix)) reader.problem("prefix", "must be digits");
    site.return_transfers = reader.flag("return_transfers", false);
    site.record_duplicate = reader.flag("record_duplicate", false);
    return site;
}

CtiTokenSettings read_token(Reader& reader, Names& names, std::set<std::string>& secrets) {
    CtiTokenSettings token;
    token.name = read_name(reader, "name", names.tokens);
    token.secret = read_secret(reader, "secret");
    if (!token.secret.empty() && !secrets.insert(token.secret).second) reader.problem("secret", "is there twice");
    token.devices = reader.texts("devices");
    if (token.devices.empty()) reader.problem("devices", "must name one device at least, or \"*\" for any");
    for (const auto& device : token.devices) {
        if (device != "*" && !is_dialable(device)) reader.problem("devices", "\"" + device + "\" is not a device");
    }
    return token;
}

AgentSettings read_agent(Reader& reader, Names& names) {
    AgentSettings agent;
    agent.dn = read_dn(reader, names, names.agents);
    agent.name = reader.text("name", agent.dn);
    agent.password = reader.secret("password");
    if (agent.password.empty()) reader.problem("password", reader.has("password") ? "must not be empty" : "is missing");
    agent.record = read_record(reader);
    agent.auto_answer = reader.flag("auto_answer", false);
    agent.consent = read_consent(reader);
    return agent;
}

Menu read_menu(Reader& reader) {
    Menu menu;
    menu.announcement = read_announcement(reader, "menu");
    menu.invalid = read_announcement(reader, "menu_invalid");
    if (menu.announcement.size() + menu.invalid.size() > kPromptsMax)
        reader.problem("menu_invalid", "with the menu there are more than " + std::to_string(kPromptsMax));
    std::set<std::string> digits;
    const std::vector<std::string> choices = reader.texts("menu_choices");
    for (const auto& text : choices) {
        const bool is_one = text.size() > 2 && text[1] == '=' && std::string_view("0123456789*#ABCD").contains(text[0]);
        if (!is_one)
            reader.problem("menu_choices", "\"" + text + "\" must be DIGIT=TARGET");
        else if (!digits.insert(text.substr(0, 1)).second)
            reader.problem("menu_choices", "\"" + text.substr(0, 1) + "\" is there twice");
        else
            menu.choices.emplace_back(text.substr(0, 1), text.substr(2));
    }
    menu.otherwise = reader.text("menu_otherwise");
    menu.timeout_ms = read_ms(reader, "menu_timeout_ms", 5'000, 100, 60'000);
    menu.repeats = read_ms(reader, "menu_repeats", 2, 0, kRepeatsMax);
    if (menu.announcement.empty() != choices.empty())
        reader.problem(choices.empty() ? "menu" : "menu_choices", "menu and menu_choices go together");
    return menu;
}

RoutingPointSettings read_routing_point(Reader& reader, Names& names) {
    RoutingPointSettings point;
    point.dn = read_dn(reader, names, names.routing_points);
    point.numbers = reader.texts("numbers");
    for (const auto& number : point.numbers) {
        if (!is_dialable(number)) reader.problem("numbers", "\"" + number + "\" cannot be dialled");
        if (!names.numbers.insert(number).second) reader.problem("numbers", "\"" + number + "\" is there twice");
    }
    point.treatment = reader.texts("treatment");
    for (const auto& treatment : point.treatment) {
        if (!is_treatment(treatment))
            reader.problem("treatment", "\"" + treatment + "\" must be say:NAME or music:NAME");
    }
    point.targets = reader.texts("targets");
    if (point.targets.empty()) reader.problem("targets", "must name one target at least");
    if (point.targets.size() > kTargetsMax)
        reader.problem("targets", "there are more than " + std::to_string(kTargetsMax));
    point.record = read_record(reader);
    point.consent = read_consent(reader);
    point.queue_max = static_cast<int>(reader.number("queue_max", 1'000, 1, kQueueMax));
    point.overflow = reader.text("overflow");
    point.overflow_after_ms = read_ms(reader, "overflow_after_ms", 0, 0, kWaitMsMax);
    if (point.overflow.empty() && point.overflow_after_ms > 0)
        reader.problem("overflow_after_ms", "there is no overflow to go to");
    point.position_ms = read_ms(reader, "position_ms", 0, 0, kWaitMsMax);
    if (point.position_ms > 0 && point.position_ms < kPositionMsMin)
        reader.problem("position_ms", "must be 0 or at least " + std::to_string(kPositionMsMin));
    point.menu = read_menu(reader);
    return point;
}

// `match` and what `number` makes of it.
void check_rewrite(Reader& reader, const std::string& match, const std::string& number) {
    if (match.size() > kExpressionMax) {
        return reader.problem("match", "must have " + std::to_string(kExpressionMax) + " characters at most");
    }
    std::size_t groups = 9;
    try {
        groups = std::regex(match, std::regex::ECMAScript).mark_count();
    } catch (const std::regex_error& error) {  // the library's way to say so
        reader.problem("match", std::string("is not a regular expression: ") + error.what());
    }
    for (auto at = number.find('$'); at != std::string::npos; at = number.find('$', at + 1)) {
        const char digit = at + 1 < number.size() ? number[at + 1] : ' ';
        const bool is_group = digit >= '0' && digit <= '9' && static_cast<std::size_t>(digit - '0') <= groups;
        if (!is_group) reader.problem("number", "$ is followed by the number of a group of match");
    }
}

RouteSettings read_route(Reader& reader) {
    RouteSettings route;
    route.match = reader.required("match");
    route.to = reader.required("to");
    route.number = reader.text("number");
    check_rewrite(reader, route.match, route.number);
    return route;
}

NumberRuleSettings read_number_rule(Reader& reader, const Names& names) {
    NumberRuleSettings rule;
    rule.trunk = reader.required("trunk");
    if (!rule.trunk.empty() && !names.trunks.contains(rule.trunk))
        reader.problem("trunk", "there is no [[switch.trunk]] of that name");
    rule.of = reader.choice("of", {"called-in", "calling-in", "called-out", "calling-out"}, "called-in");
    if (!reader.has("of")) static_cast<void>(reader.required("of"));
    rule.match = reader.required("match");
    rule.number = reader.required("number");
    check_rewrite(reader, rule.match, rule.number);
    return rule;
}

// Sites and agents have been read by now, wherever they stand in the file.
void check_targets(Reader& reader, const RoutingPointSettings& point, const Names& names) {
    for (const auto& target : point.targets) {
        const std::string rest = target.starts_with("agent:") ? target.substr(6) : std::string();
        const auto at = rest.find('@');
        const std::string dn = rest.substr(0, at);
        if (!is_dialable(dn)) {
            reader.problem("targets", "\"" + target + "\" must be agent:DN or agent:DN@SITE");
        } else if (const std::string site = at == std::string::npos ? names.own_site : rest.substr(at + 1);
                   site != names.own_site) {
            if (!names.sites.contains(site))
                reader.problem("targets", "\"" + target + "\": there is no [[switch.site]] of that name");
        } else if (!names.agents.contains(dn)) {
            reader.problem("targets", "\"" + target + "\": there is no [[switch.agent]] with that dn");
        }
    }
}

// What is wrong with a target that a call is handed to, or empty.
std::string problem_of_target(const std::string& target, const Names& names) {
    const auto colon = target.find(':');
    const std::string kind = target.substr(0, colon);
    const std::string rest = colon == std::string::npos ? std::string() : target.substr(colon + 1);
    const auto at = rest.find('@');
    const std::string number = rest.substr(0, at);
    const std::string where = at == std::string::npos ? std::string() : rest.substr(at + 1);
    const bool is_inside = kind == "agent" || kind == "routing_point";
    if ((kind != "trunk" && !is_inside) || !is_dialable(number) || (kind == "trunk" && where.empty()))
        return "must be agent:DN, routing_point:DN, either with @SITE behind, or trunk:NUMBER@NAME";
    if (kind == "trunk") return names.trunks.contains(where) ? "" : "there is no [[switch.trunk]] of that name";
    if (!where.empty() && where != names.own_site)
        return names.sites.contains(where) ? "" : "there is no [[switch.site]] of that name";
    const auto& known = kind == "agent" ? names.agents : names.routing_points;
    return known.contains(number) ? "" : "there is no [[switch." + kind + "]] with that dn";
}

void check_target(Reader& reader, const std::string& key, const std::string& target, const Names& names) {
    if (target.empty()) return;
    const std::string problem = problem_of_target(target, names);
    if (!problem.empty()) reader.problem(key, "\"" + target + "\": " + problem);
}

void check_handovers(Reader& reader, const RoutingPointSettings& point, const Names& names) {
    check_target(reader, "overflow", point.overflow, names);
    if (point.overflow == "routing_point:" + point.dn) reader.problem("overflow", "is the routing point itself");
    check_target(reader, "menu_otherwise", point.menu.otherwise, names);
    for (const auto& [digit, target] : point.menu.choices)
        if (target != "queue") check_target(reader, "menu_choices", target, names);
}

void check_route(Reader& reader, const RouteSettings& route, const Names& names) {
    if (route.to.empty()) return;
    const auto colon = route.to.find(':');
    const std::string kind = route.to.substr(0, colon);
    const std::string name = colon == std::string::npos ? std::string() : route.to.substr(colon + 1);
    const std::set<std::string>* known = kind == "trunk"           ? &names.trunks
                                         : kind == "site"          ? &names.sites
                                         : kind == "agent"         ? &names.agents
                                         : kind == "routing_point" ? &names.routing_points
                                                                   : nullptr;
    if (known == nullptr) {
        reader.problem("to", "must be trunk:NAME, site:NAME, agent:DN or routing_point:DN");
    } else if (!known->contains(name)) {
        reader.problem("to", "there is no [[switch." + kind + "]] \"" + name + "\"");
    }
}

LimitSettings read_limits(Reader reader) {
    LimitSettings limits;
    const auto read = [&](const std::string& key, int& value, std::int64_t most) {
        value = static_cast<int>(reader.number(key, value, 1, most));
    };
    read("stranger_calls", limits.stranger_calls, kCallsMax);
    read("strangers_calls", limits.strangers_calls, kCallsMax);
    read("stranger_messages", limits.stranger_messages, kMessagesMax);
    read("strangers_messages", limits.strangers_messages, kMessagesMax);
    read("caller_messages", limits.caller_messages, kMessagesMax);
    read("peer_messages", limits.peer_messages, kMessagesMax);
    reader.finish();
    return limits;
}

std::vector<std::string> read_dns(Reader& reader) {
    std::vector<std::string> servers = reader.texts("dns");
    for (const auto& server : servers)
        if (!is_dns_server(server)) reader.problem("dns", "\"" + server + "\" must be ADDRESS or ADDRESS:PORT");
    if (servers.size() > kDnsServersMax) reader.problem("dns", "there are more than " + std::to_string(kDnsServersMax));
    return servers;
}

void read_main(Reader& reader, SwitchSettings& settings, Names& names) {
    settings.listen = read_listen(reader, "listen");
    settings.advertise = read_advertise(reader);
    settings.media = reader.texts("media");
    for (const auto& media : settings.media) {
        if (!is_sip_uri(media)) reader.problem("media", "\"" + media + "\" must be sip:HOST or sip:HOST:PORT");
    }
    settings.dns = read_dns(reader);
    settings.archive = read_archive_link(reader);
    const std::string cti = reader.text("cti");
    const auto bound = host_port_from_text(cti);
    if (!cti.empty() && !bound) reader.problem("cti", "must be ADDRESS:PORT");
    settings.cti = bound.value_or(HostPort{});
    settings.cti_without_token = read_without_token(reader, "cti_auth", settings.cti.address);
    settings.record_consult = reader.flag("record_consult", false);
    settings.record_hold = reader.flag("record_hold", false);
    settings.leave_conference = reader.flag("leave_conference", false);
    settings.ready_on_register = reader.flag("ready_on_register", true);
    settings.wrap_up_ms = static_cast<int>(reader.number("wrap_up_ms", 0, 0, kWrapUpMsMax));
    settings.ring_timeout_ms = read_ms(reader, "ring_timeout_ms", 20'000, 1'000, kRingMsMax);
    settings.session_min_ms = read_ms(reader, "session_min_ms", kSessionMsMin, kSessionMsMin, kSessionMsMax);
    settings.session_ms =
        read_ms(reader, "session_ms", std::max(1'800'000, settings.session_min_ms), kSessionMsMin, kSessionMsMax);
    if (settings.session_ms < settings.session_min_ms) reader.problem("session_ms", "must not be below session_min_ms");
    settings.ladder_bytes = static_cast<std::uint64_t>(
        reader.number("ladder_bytes", static_cast<std::int64_t>(settings.ladder_bytes), 0, kLadderBytesMax));
    settings.direct_media = reader.flag("direct_media", true);
    settings.nat = reader.flag("nat", true);
    settings.options_ms = read_ms(reader, "options_ms", 30'000, 0, kOptionsMsMax);
    if (settings.options_ms > 0 && settings.options_ms < kOptionsMsMin)
        reader.problem("options_ms", "must be 0 or at least " + std::to_string(kOptionsMsMin));
    settings.ready_after_no_answer = reader.choice("no_answer_state", {"not-ready", "ready"}, "not-ready") == "ready";
    settings.ready_code = read_code(reader, "ready_code", names);
    settings.not_ready_code = read_code(reader, "not_ready_code", names);
    settings.wrap_up_done_code = read_code(reader, "wrap_up_done_code", names);
}

}  // namespace

SwitchSettings read_switch(Reader& reader, const NodeSettings& node) {
    SwitchSettings settings;
    settings.node = node;
    Names names;
    names.own_site = node.site;
    read_main(reader, settings, names);
    settings.limits = read_limits(reader.table("limits"));
    std::set<std::string> secrets;
    std::vector<Reader> points;
    reader.each("trunk", kEntriesMax, [&](Reader& one) { settings.trunks.push_back(read_trunk(one, names)); });
    reader.each("site", kEntriesMax, [&](Reader& one) { settings.sites.push_back(read_site(one, node, names)); });
    reader.each("token", kEntriesMax, [&](Reader& one) { settings.tokens.push_back(read_token(one, names, secrets)); });
    reader.each("agent", kEntriesMax, [&](Reader& one) { settings.agents.push_back(read_agent(one, names)); });
    reader.each("routing_point", kEntriesMax, [&](Reader& one) {
        settings.routing_points.push_back(read_routing_point(one, names));
        check_targets(one, settings.routing_points.back(), names);
        points.push_back(one);
    });
    // Now that all of them are known.
    for (std::size_t i = 0; i < settings.routing_points.size(); ++i)
        check_handovers(points[i], settings.routing_points[i], names);
    reader.each("route", kEntriesMax, [&](Reader& one) {
        settings.routes.push_back(read_route(one));
        check_route(one, settings.routes.back(), names);
    });
    reader.each("number", kEntriesMax, [&](Reader& one) { settings.numbers.push_back(read_number_rule(one, names)); });
    return settings;
}

}  // namespace sheaf::config
