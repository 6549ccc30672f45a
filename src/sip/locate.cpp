// SPDX-License-Identifier: Apache-2.0
#include "sip/locate.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "sip/grammar.h"

namespace sheaf::sip {
namespace {

constexpr std::uint16_t kSipPort = 5060;
constexpr std::size_t kLabelBytesMax = 63;
constexpr std::uint32_t kTtlTopBit = 0x8000'0000U;

bool is_ipv6(std::string_view address) {
    return address.find(':') != std::string_view::npos;
}

// As it is asked for; nullopt: no name of a host or a service.
std::optional<std::string> dns_name(std::string_view text) {
    if (text.ends_with('.')) text.remove_suffix(1);
    if (text.empty() || text.size() > kDnsNameBytesMax || is_ip_literal(text)) return std::nullopt;
    std::size_t label = 0;
    for (const char c : text) {
        const bool is_dot = c == '.';
        if (is_dot ? label == 0 : !is_alphanumeric(c) && c != '-' && c != '_') return std::nullopt;
        label = is_dot ? 0 : label + 1;
        if (label > kLabelBytesMax) return std::nullopt;
    }
    return label == 0 ? std::nullopt : std::optional{lower(text)};
}

// Nobody's own: unspecified, multicast, broadcast, or IPv4 written as IPv6.
bool is_nobodys(const std::string& address) {
    if (is_ipv6(address)) return address == "::" || address.starts_with("ff") || address.starts_with("::ffff:");
    const auto first = number_from_text(std::string_view(address).substr(0, address.find('.')), 255).value_or(0);
    return first == 0 || first >= 224;
}

// A place where SIP is spoken, by its name.
struct Server {
    std::string host;
    std::uint16_t port = 0;
    Transport transport = Transport::udp;
    friend bool operator==(const Server&, const Server&) = default;
};

// What SRV says of one transport.
struct Service {
    bool exists = false;  // there are records, though perhaps none that leads anywhere
    std::vector<Server> servers;
};

struct Way {  // of NAPTR, to an SRV record
    std::string name;
    Transport transport = Transport::udp;
};

class Procedure {
public:
    Procedure(const Uri& uri, const DnsAnswers& answers, const Reach& reach, const Entropy::Seed& seed)
        : uri_(uri), answers_(answers), reach_(reach), entropy_(seed) {}

    LocateStep run();

private:
    [[nodiscard]] bool speaks(Transport transport) const {
        return transport == Transport::udp ? reach_.udp : reach_.tcp;
    }
    [[nodiscard]] bool speaks(const std::string& address) const { return is_ipv6(address) ? reach_.ipv6 : reach_.ipv4; }
    const DnsAnswer* answer(const std::string& name, RecordType type);
    void uses(const DnsAnswer& answer) { ttl_ = std::min(ttl_, answer.ttl_s < kTtlTopBit ? answer.ttl_s : 0); }
    std::optional<std::vector<Server>> servers(const std::string& target, std::optional<Transport> transport);
    std::optional<std::vector<Server>> servers_of_domain(const std::string& target);
    std::optional<Service> service(const std::string& name, Transport transport);
    std::vector<Way> ways(const std::vector<NaptrRecord>& records) const;
    void by_priority(std::vector<SrvRecord>& records);
    void draw_by_weight(std::vector<SrvRecord>::iterator from, std::vector<SrvRecord>::iterator to);
    LocateStep addresses(const std::vector<Server>& servers);
    void add_addresses(const Server& server, RecordType type, std::vector<Endpoint>& endpoints);

    const Uri& uri_;
    const DnsAnswers& answers_;
    const Reach reach_;
    Entropy entropy_;
    std::vector<Question> open_;
    std::optional<Error> failure_;  // the first question that had no answer
    std::uint32_t ttl_ = static_cast<std::uint32_t>(kTtlMax.count());
};

// Null: it is still to be asked, or it could not be found out.
const DnsAnswer* Procedure::answer(const std::string& name, RecordType type) {
    static const DnsAnswer nothing;
    if (name.size() > kDnsNameBytesMax) return &nothing;
    Question question{name, type};
    const auto found = answers_.find(question);
    if (found == answers_.end()) {
        if (std::ranges::find(open_, question) == open_.end()) open_.push_back(std::move(question));
        return nullptr;
    }
    if (found->second) return &*found->second;
    if (!failure_) failure_ = found->second.error();
    return nullptr;
}

// RFC 3403 §4.1: lowest order first, then lowest preference.
std::vector<Way> Procedure::ways(const std::vector<NaptrRecord>& records) const {
    std::vector<std::pair<std::tuple<std::uint16_t, std::uint16_t, std::string>, Transport>> usable;
    for (const auto& record : records) {
        const bool is_udp = same_name(record.service, "SIP+D2U");
        if (!is_udp && !same_name(record.service, "SIP+D2T")) continue;
        const auto transport = is_udp ? Transport::udp : Transport::tcp;
        const auto name = dns_name(record.replacement);
        if (!name || !speaks(transport) || !same_name(record.flags, "s") || !record.regexp.empty()) continue;
        usable.push_back({{record.order, record.preference, *name}, transport});
    }
    std::ranges::sort(usable);
    if (usable.size() > kNaptrMax) usable.resize(kNaptrMax);
    std::vector<Way> out;
    out.reserve(usable.size());
    for (auto& [rank, transport] : usable) out.push_back({std::move(std::get<std::string>(rank)), transport});
    return out;
}

// RFC 2782, "Usage rules": each is drawn with a chance of its weight among those that are left. Those of weight 0 stand
// first, so that they have a very small chance.
void Procedure::draw_by_weight(std::vector<SrvRecord>::iterator from, std::vector<SrvRecord>::iterator to) {
    for (; from != to; ++from) {
        std::uint64_t sum = 0;
        for (auto it = from; it != to; ++it) sum += it->weight;
        std::uint64_t drawn = entropy_.number() % (sum + 1);
        auto chosen = from;
        while (chosen->weight < drawn) {
            drawn -= chosen->weight;
            ++chosen;
        }
        std::rotate(from, chosen, chosen + 1);
    }
}

void Procedure::by_priority(std::vector<SrvRecord>& records) {
    std::ranges::sort(records, {}, [](const SrvRecord& one) {
        return std::tuple(one.priority, one.weight, one.port, std::string_view(one.target));
    });
    if (records.size() > kSrvMax) records.resize(kSrvMax);
    for (auto from = records.begin(); from != records.end();) {
        const auto to =
            std::find_if(from, records.end(), [&](const SrvRecord& one) { return one.priority != from->priority; });
        draw_by_weight(from, to);
        from = to;
    }
}

std::optional<Service> Procedure::service(const std::string& name, Transport transport) {
    const auto* found = answer(name, RecordType::srv);
    if (found == nullptr) return std::nullopt;
    Service out{!found->srv.empty(), {}};
    auto records = found->srv;
    // A target of "." says that the service is decidedly not there; it is no name.
    std::erase_if(records, [](const SrvRecord& one) { return one.port == 0 || !dns_name(one.target); });
    by_priority(records);
    for (const auto& record : records) {
        Server server{*dns_name(record.target), record.port, transport};
        if (std::ranges::find(out.servers, server) == out.servers.end()) out.servers.push_back(std::move(server));
    }
    if (!out.servers.empty()) uses(*found);
    return out;
}

// Neither a port nor a transport is given (§4.1).
std::optional<std::vector<Server>> Procedure::servers_of_domain(const std::string& target) {
    const auto* naptr = answer(target, RecordType::naptr);
    if (naptr == nullptr) return std::nullopt;
    const auto found = ways(naptr->naptr);
    bool is_denied = false;
    for (const auto& way : found) {
        const auto there = service(way.name, way.transport);
        if (!there) return std::nullopt;
        if (!there->servers.empty()) {
            uses(*naptr);
            return there->servers;
        }
        is_denied = is_denied || there->exists;
    }
    if (is_denied) return std::vector<Server>{};
    if (!found.empty()) return std::vector{Server{target, kSipPort, found.front().transport}};
    // Both are asked for at once.
    const auto udp = reach_.udp ? service("_sip._udp." + target, Transport::udp) : Service{};
    const auto tcp = reach_.tcp ? service("_sip._tcp." + target, Transport::tcp) : Service{};
    if (!udp || !udp->servers.empty()) return udp ? std::optional{udp->servers} : std::nullopt;
    if (!tcp || !tcp->servers.empty()) return tcp ? std::optional{tcp->servers} : std::nullopt;
    if (udp->exists || (!reach_.udp && tcp->exists)) return std::vector<Server>{};
    return std::vector{Server{target, kSipPort, reach_.udp ? Transport::udp : Transport::tcp}};
}

// In the order in which they are tried; none: the domain has none. Nullopt: that is not known yet.
std::optional<std::vector<Server>> Procedure::servers(const std::string& target, std::optional<Transport> transport) {
    if (!transport) return servers_of_domain(target);
    if (uri_.port != 0) return std::vector{Server{target, uri_.port, *transport}};
    const auto there = service((*transport == Transport::udp ? "_sip._udp." : "_sip._tcp.") + target, *transport);
    if (!there) return std::nullopt;
    if (there->exists) return there->servers;
    return std::vector{Server{target, kSipPort, *transport}};
}

void Procedure::add_addresses(const Server& server, RecordType type, std::vector<Endpoint>& endpoints) {
    const auto* found = answer(server.host, type);
    if (found == nullptr) return;
    std::size_t looked_at = 0;
    bool is_used = false;
    for (const auto& address : found->addresses) {
        if (++looked_at > kAddressesMax || endpoints.size() >= kAddressesMax) break;
        const bool is_asked_for = is_ip_literal(address) && is_ipv6(address) == (type == RecordType::aaaa);
        if (!is_asked_for || is_nobodys(address)) continue;
        Endpoint endpoint{server.transport, address, server.port};
        is_used = true;
        if (std::ranges::find(endpoints, endpoint) == endpoints.end()) endpoints.push_back(std::move(endpoint));
    }
    if (is_used) uses(*found);
}

LocateStep Procedure::addresses(const std::vector<Server>& servers) {
    std::vector<Endpoint> endpoints;
    for (std::size_t i = 0; i < std::min(servers.size(), kServersMax); ++i) {
        if (reach_.ipv4) add_addresses(servers[i], RecordType::a, endpoints);
        if (reach_.ipv6) add_addresses(servers[i], RecordType::aaaa, endpoints);
    }
    if (!open_.empty()) return Ask{std::move(open_)};
    if (endpoints.empty() && failure_) return *failure_;
    if (endpoints.empty()) return Error{Errc::not_found, "no address for " + uri_.host};
    // What could not be found out is asked again soon.
    const auto ttl = failure_ ? kTtlMin : std::clamp(std::chrono::seconds{ttl_}, kTtlMin, kTtlMax);
    return Located{std::move(endpoints), ttl};
}

LocateStep Procedure::run() {
    if (uri_.scheme != "sip") return Error{Errc::unsupported, "scheme " + uri_.scheme};
    std::optional<Transport> transport;
    if (const auto given = uri_.params.value("transport")) {
        const bool is_tcp = same_name(*given, "tcp");
        if (!is_tcp && !same_name(*given, "udp")) return Error{Errc::unsupported, "transport " + *given};
        transport = is_tcp ? Transport::tcp : Transport::udp;
    }
    const std::string target = uri_.params.value("maddr").value_or(uri_.host);
    const bool is_numeric = is_ip_literal(target);
    // A number or a port without a transport means UDP (§4.1).
    if (!transport && (is_numeric || uri_.port != 0)) transport = Transport::udp;
    const bool is_spoken = transport ? speaks(*transport) : reach_.udp || reach_.tcp;
    if (!is_spoken) return Error{Errc::unsupported, "a transport that we do not listen on"};
    if (is_numeric) {
        if (!speaks(target)) return Error{Errc::unsupported, "an IP version that we do not listen on"};
        return Located{{{*transport, target, uri_.port == 0 ? kSipPort : uri_.port}}, kTtlMax};
    }
    const auto name = dns_name(target);
    if (!name) return Error{Errc::malformed, "no name of a host: " + printable(target, kDnsNameBytesMax)};
    const auto found = servers(*name, transport);
    if (found && found->empty()) return Error{Errc::not_found, *name + " says that it has no SIP server for us"};
    if (found) return addresses(*found);
    if (!open_.empty()) return Ask{std::move(open_)};
    return *failure_;
}

}  // namespace

Reach reach_of(const std::vector<Endpoint>& listen) {
    Reach out{false, false, false, false};
    for (const auto& endpoint : listen) {
        (endpoint.transport == Transport::udp ? out.udp : out.tcp) = true;
        (is_ipv6(endpoint.address) ? out.ipv6 : out.ipv4) = true;
    }
    return out;
}

LocateStep locate(const Uri& uri, const DnsAnswers& answers, const Reach& reach, const Entropy::Seed& seed) {
    return Procedure(uri, answers, reach, seed).run();
}

}  // namespace sheaf::sip
