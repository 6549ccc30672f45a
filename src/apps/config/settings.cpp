// SPDX-License-Identifier: Apache-2.0
#include "apps/config/settings.h"

#include <filesystem>
#include <fstream>

#include "apps/config/checks.h"
#include "apps/config/log.h"
#include "apps/config/role_readers.h"

namespace sheaf::config {
namespace {

constexpr std::int64_t kRtpSilenceMsMin = 5'000;
constexpr std::int64_t kRtpSilenceMsMax = 86'400'000;
constexpr std::int64_t kKeepMsDefault = 3'600'000;
constexpr std::int64_t kKeepMsMax = 365 * 24 * 3'600'000LL;
constexpr std::int64_t kSettleMsDefault = 3'600'000;
constexpr std::int64_t kSettleMsMax = 7 * 24 * 3'600'000LL;

// Roles that were read but are not in the file are not returned.
Settings read_all(Reader& root) {
    Settings settings;
    auto node = root.table("node");
    settings.node = read_node(node);
    node.finish();
    auto exchange = root.table("switch");
    auto exchange_settings = read_switch(exchange, settings.node);
    if (exchange.is_there()) settings.exchange = std::move(exchange_settings);
    exchange.finish();
    auto media = root.table("media");
    auto media_settings = read_media(media, settings.node);
    if (media.is_there()) settings.media = std::move(media_settings);
    media.finish();
    auto archive = root.table("archive");
    auto archive_settings = read_archive(archive, settings.node);
    if (archive.is_there()) settings.archive = std::move(archive_settings);
    archive.finish();
    root.finish();
    if (!node.is_there()) root.problem("node", "is missing");
    if (node.is_there() && !settings.exchange && !settings.media && !settings.archive) {
        root.problem("node", "the file names no role: [switch], [media] or [archive]");
    }
    return settings;
}

}  // namespace

NodeSettings read_node(Reader& reader) {
    NodeSettings node;
    node.site = reader.required("site");
    node.name = reader.required("name");
    node.data = reader.path("data");
    node.tenant = reader.text("tenant", "default");
    if (!reader.has("data")) reader.problem("data", "is missing");
    if (reader.has("data") && node.data.empty()) reader.problem("data", "must not be empty");
    for (const auto& [key, value] : {std::pair("site", node.site), {"name", node.name}, {"tenant", node.tenant}}) {
        if (!value.empty() && !is_name(value)) reader.problem(key, "must be 1 to 64 of letters, digits, . _ and -");
    }
    if (reader.has("tenant") && node.tenant.empty()) reader.problem("tenant", "must not be empty");
    return node;
}

ArchiveLink read_archive_link(Reader& reader) {
    ArchiveLink link{reader.text("archive"), reader.secret("archive_token")};
    while (link.url.ends_with('/')) link.url.pop_back();
    if (link.url.starts_with("https://")) {
        reader.problem("archive", "https is not built yet; use http://host:port");
    } else if (!link.url.empty() && !is_http_url(link.url)) {
        reader.problem("archive", "must be http://host:port");
    }
    return link;
}

std::string read_name(Reader& reader, const std::string& key, std::set<std::string>& taken) {
    std::string name = reader.required(key);
    if (name.empty()) return name;
    if (!is_name(name)) reader.problem(key, "must be 1 to 64 of letters, digits, . _ and -");
    if (!taken.insert(name).second) reader.problem(key, "\"" + name + "\" is there twice");
    return name;
}

std::string read_secret(Reader& reader, const std::string& key) {
    std::string secret = reader.secret(key);
    if (!reader.has(key)) {
        reader.problem(key, "is missing");
    } else if (secret.empty()) {
        reader.problem(key, "is empty");
    } else if (secret.size() < kSecretCharactersAdvised) {
        log_warn("a secret is short enough to be guessed",
                 {{"key", key}, {"characters", std::to_string(secret.size())}});
    }
    return secret;
}

std::string read_advertise(Reader& reader) {
    std::string advertise = reader.text("advertise");
    if (!advertise.empty() && !is_host(advertise)) reader.problem("advertise", "must be a host or host:port");
    return advertise;
}

std::vector<std::string> read_listen(Reader& reader, const std::string& key) {
    auto listen = reader.texts(key);
    if (listen.empty()) reader.problem(key, reader.has(key) ? "must name one address at least" : "is missing");
    std::set<std::string> seen;
    for (const auto& endpoint : listen) {
        if (!is_sip_endpoint(endpoint)) {
            const bool later =
                endpoint.starts_with("tls:") || endpoint.starts_with("ws:") || endpoint.starts_with("wss:");
            reader.problem(key, "\"" + endpoint + "\" " +
                                    (later ? "is not built yet; use udp: or tcp:"
                                           : "must be udp:ADDRESS:PORT or tcp:ADDRESS:PORT"));
        } else if (!endpoint.ends_with(":0") && !seen.insert(endpoint).second) {
            reader.problem(key, "\"" + endpoint + "\" is there twice");
        }
    }
    return listen;
}

bool read_without_token(Reader& reader, const std::string& key, const std::string& address) {
    const bool none = reader.choice(key, {"token", "none"}, "token") == "none";
    if (none && !address.empty() && !is_loopback(address)) {
        reader.problem(key, "\"none\" is only for loopback addresses; use \"token\"");
    }
    return none;
}

MediaSettings read_media(Reader& reader, const NodeSettings& node) {
    MediaSettings media;
    media.node = node;
    media.sip = read_listen(reader, "sip");
    media.advertise = read_advertise(reader);
    const std::string rtp = reader.required("rtp");
    const auto dash = rtp.rfind('-');
    const auto first = host_port_from_text(rtp.substr(0, dash));
    const auto last = first && dash != rtp.npos ? host_port_from_text("0.0.0.0:" + rtp.substr(dash + 1)) : std::nullopt;
    if (first && last && first->port >= 1'024 && first->port % 2 == 0 && last->port > first->port) {
        media.rtp_address = first->address;
        media.rtp_port_first = first->port;
        media.rtp_port_last = last->port;
    } else if (!rtp.empty()) {
        reader.problem("rtp", "must be ADDRESS:FIRST-LAST, ports from 1024 up, the first one even");
    }
    media.archive = read_archive_link(reader);
    const std::string format = reader.choice("format", {"wav", "flac"}, "wav", {"opus", "mp3"});
    media.format = format == "flac" ? ArchiveFormat::flac : ArchiveFormat::wav;
    media.allow = reader.texts("allow");
    for (const auto& address : media.allow) {
        if (!is_ip_literal(address)) reader.problem("allow", "\"" + address + "\" is not an IP address");
    }
    media.keep_ms = reader.number("keep_ms", kKeepMsDefault, 0, kKeepMsMax);
    media.rtp_silence_ms = reader.number("rtp_silence_ms", media.rtp_silence_ms, 0, kRtpSilenceMsMax);
    if (media.rtp_silence_ms > 0 && media.rtp_silence_ms < kRtpSilenceMsMin)
        reader.problem("rtp_silence_ms", "must be 0 or at least " + std::to_string(kRtpSilenceMsMin));
    media.prompts = reader.path("prompts");
    std::error_code ignored;
    if (!media.prompts.empty() && !std::filesystem::is_directory(media.prompts, ignored)) {
        reader.problem("prompts", media.prompts + " is not a folder");
    }
    return media;
}

ArchiveToken read_archive_token(Reader& reader, const NodeSettings& node, std::set<std::string>& names,
                                std::set<std::string>& secrets) {
    ArchiveToken token;
    token.name = read_name(reader, "name", names);
    token.secret = read_secret(reader, "secret");
    if (token.secret.size() > 256) reader.problem("secret", "must have 256 characters at most");
    if (!token.secret.empty() && !secrets.insert(token.secret).second) reader.problem("secret", "is there twice");
    const std::string scope = reader.choice("scope", {"site", "read", "admin"}, "");
    token.scope = scope == "admin" ? TokenScope::admin : scope == "site" ? TokenScope::site : TokenScope::read;
    token.tenant = reader.text("tenant", node.tenant);
    token.site = reader.text("site");
    token.nodes = reader.texts("nodes");
    if (!is_name(token.tenant)) reader.problem("tenant", "must be 1 to 64 of letters, digits, . _ and -");
    const bool is_site = token.scope == TokenScope::site;
    if (is_site && !is_name(token.site)) reader.problem("site", "a token of scope site names its site");
    if (is_site && token.nodes.empty()) reader.problem("nodes", "a token of scope site names its nodes");
    if (!is_site && reader.has("site")) reader.problem("site", "only for scope site");
    if (!is_site && reader.has("nodes")) reader.problem("nodes", "only for scope site");
    return token;
}

ArchiveSettings read_archive(Reader& reader, const NodeSettings& node) {
    ArchiveSettings archive;
    archive.tenant = node.tenant;
    archive.site = node.site;
    archive.node = node.name;
    archive.data = (std::filesystem::path(node.data) / "archive").string();
    const std::string http = reader.required("http");
    const auto bound = host_port_from_text(http);
    if (bound) {
        archive.address = bound->address;
        archive.port = bound->port;
    } else if (!http.empty()) {
        reader.problem("http", "must be ADDRESS:PORT");
    }
    archive.auth_none = read_without_token(reader, "auth", archive.address);
    static_cast<void>(reader.choice("database", {"sqlite"}, "sqlite", {"postgresql:"}));
    static_cast<void>(reader.choice("objects", {"files"}, "files", {"s3:"}));
    archive.settle_ms = reader.number("settle_ms", kSettleMsDefault, 0, kSettleMsMax);
    std::set<std::string> names;
    std::set<std::string> secrets;
    reader.each("token", kEntriesMax,
                [&](Reader& one) { archive.tokens.push_back(read_archive_token(one, node, names, secrets)); });
    if (!archive.auth_none && !reader.has("token")) {
        reader.problem("auth", "\"token\" needs an [[archive.token]] at least");
    }
    return archive;
}

Result<Settings> settings_from_text(const std::string& text, const std::string& file) {
    if (text.size() > kFileBytesMax) return fail(Errc::exhausted, file + ": the file is too large");
    TRY(const Table tree, tree_from_toml(text, file));
    std::error_code ignored;
    Findings findings;
    findings.file = file;
    findings.folder = std::filesystem::absolute(file, ignored).parent_path().string();
    Reader root(findings, "", &tree);
    Settings settings = read_all(root);
    if (findings.problems.empty()) return settings;
    std::string all;
    for (const auto& [_, problem] : findings.problems) all += (all.empty() ? "" : "\n") + problem;
    return fail(Errc::malformed, std::move(all));
}

Result<Settings> settings_from_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(kFileBytesMax + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!file.is_open() || file.bad()) return fail(Errc::not_found, path + ": cannot be read");
    text.resize(static_cast<std::size_t>(file.gcount()));
    return settings_from_text(text, path);
}

std::set<std::string> accepted_keys() {
    Findings findings;
    Reader root(findings, "", nullptr);
    static_cast<void>(read_all(root));
    return findings.asked;
}

}  // namespace sheaf::config
