// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "b2bua/core.h"
#include "b2bua/msml_client.h"

// Whether trunks, sites and media servers are there: OPTIONS to each address, so that no call waits for one that is
// not. Any answer but 503 says so, also a refusal.
namespace sheaf::b2bua {
namespace {

// Null: nobody asks there.
template <typename Map>
auto* watched_at(Map& watched, const PeerAddress& address) {
    const auto at = watched.find(sip::to_text(address.at));
    return at == watched.end() ? nullptr : &*at;
}

}  // namespace

sip::Uri B2bua::Core::our_uri(std::string user) const {
    sip::Uri out;
    if (const auto us = sip::uri_from_text("sip:" + settings.host)) {
        out.host = us->host;
        out.port = us->port;
    } else {
        out.host = settings.host;
    }
    out.user = std::move(user);
    return out;
}

sip::OutsideRequest B2bua::Core::outside(std::string method, const PeerAddress& to) const {
    sip::OutsideRequest request;
    request.method = std::move(method);
    request.target = to.uri;
    request.next_hop = to.at;
    request.from.uri = our_uri("switch");
    request.to.uri = to.uri;
    request.to.uri.params = {};
    return request;
}

void B2bua::Core::watch_peers(Stamp now) {
    std::map<std::string, Watched> wanted;
    const auto want = [&](const std::optional<PeerAddress>& address, std::string what,
                          std::optional<std::size_t> media) {
        if (!address || settings.ask_every == Duration::zero()) return;
        wanted.try_emplace(sip::to_text(address->at),
                           Watched{.address = *address, .what = std::move(what), .media = media});
    };
    for (std::size_t i = 0; i < settings.media.size(); ++i) want(settings.media[i], "media server", i);
    for (const auto& site : settings.sites) want(site.address, "site " + site.name, std::nullopt);
    for (const auto& trunk : settings.trunks) {
        for (const auto& address : trunk.addresses) want(address, "trunk " + trunk.name, std::nullopt);
    }
    std::erase_if(watched, [&](const auto& known) {
        if (wanted.contains(known.first)) return false;
        if (known.second.media) servers.set_down(*known.second.media, false);  // nobody would say that it is back
        ask_requests.erase(known.second.request);
        standing.set({known.first, Standing::ask}, std::nullopt);
        return true;
    });
    for (auto& [endpoint, one] : wanted) {
        const auto [at, is_new] = watched.try_emplace(endpoint, one);
        at->second.address = std::move(one.address);
        if (!is_new) continue;
        standing.set({endpoint, Standing::ask}, now.mono + settings.ask_every);
    }
}

void B2bua::Core::ask(Stamp now, const std::string& endpoint) {
    const auto at = watched.find(endpoint);
    if (at == watched.end()) return;
    Watched& one = at->second;
    if (one.request == 0) {
        auto request = outside("OPTIONS", one.address);
        request.headers = {{"Accept", "application/sdp"}};
        one.request = ua.request_outside(now.mono, request);
        ask_requests[one.request] = endpoint;
        return standing.set({endpoint, Standing::ask}, now.mono + kAskAnswerMax);
    }
    ask_requests.erase(std::exchange(one.request, 0));
    if (++one.missed >= kAskedMax) set_down(one, true);
    standing.set({endpoint, Standing::ask}, now.mono + kAskAgain);
}

bool B2bua::Core::on_asked(Stamp now, const sip::Responded& responded) {
    const auto found = ask_requests.find(responded.id);
    if (found == ask_requests.end()) return false;
    const std::string endpoint = found->second;
    if (!responded.response && responded.status == sip::kOwnLimit) {  // nobody has been asked
        ask_requests.erase(found);
        watched.at(endpoint).request = 0;
        standing.set({endpoint, Standing::ask}, now.mono + kAskAgain);
        return true;
    }
    if (!responded.response || responded.status == 503) {  // as if nobody had answered in time
        ask(now, endpoint);
        return true;
    }
    ask_requests.erase(found);
    Watched& one = watched.at(endpoint);
    one.request = 0;
    one.missed = 0;
    set_down(one, false);
    standing.set({endpoint, Standing::ask}, now.mono + settings.ask_every);
    return true;
}

void B2bua::Core::set_down(Watched& one, bool is_down) {
    if (std::exchange(one.is_down, is_down) == is_down) return;
    if (one.media) servers.set_down(*one.media, is_down);
    logs.push_back({is_down,
                    is_down ? "does not answer: no calls go there" : "answers again",
                    {{"peer", one.what}, {"address", to_text(one.address)}}});
}

void B2bua::Core::suspect(Stamp now, const PeerAddress& address) {
    auto* at = watched_at(watched, address);
    if (at == nullptr) return;
    set_down(at->second, true);
    if (at->second.request == 0) standing.set({at->first, Standing::ask}, now.mono + kAskAgain);
}

// Whoever answers a call is there, also one that answers no OPTIONS.
void B2bua::Core::answers(const Calling& calling) {
    if (calling.order->to.kind != exchange::DeviceKind::trunk) return;
    auto* at = watched_at(watched, calling.ways[calling.way]);
    if (at == nullptr) return;
    at->second.missed = 0;
    set_down(at->second, false);
}

bool B2bua::Core::is_down(const PeerAddress& address) const {
    const auto* at = watched_at(watched, address);
    return at != nullptr && at->second.is_down;
}

std::optional<std::size_t> B2bua::Core::way_from(const std::vector<PeerAddress>& ways, std::size_t from) const {
    for (std::size_t i = from; i < ways.size(); ++i) {
        if (!is_down(ways[i])) return i;
    }
    return from < ways.size() ? std::optional{from} : std::nullopt;
}

// A NAT forgets a way that nothing takes. The answer does not matter: the phone's registration says whether it is
// there.
// A NAT forgets it; a connection that nothing passes is closed, and a phone is seldom reached by another.
std::optional<Duration> B2bua::Core::keep_alive_of(const Binding& binding) const {
    if (settings.nat && binding.behind_nat) return kNatKeepAlive;
    if (binding.next_hop.transport == sip::Transport::tcp && binding.path.empty()) return kConnectionKeepAlive;
    return std::nullopt;
}

void B2bua::Core::keep_alive(Stamp now, const std::string& dn) {
    const auto* binding = registrar.binding_of(dn, now.mono);
    const auto every = binding == nullptr ? std::nullopt : keep_alive_of(*binding);
    if (!every) return;
    const auto contact = sip::uri_from_text(binding->contact);
    if (!contact) return;
    auto request = outside("OPTIONS", {*contact, {}});
    request.next_hop = binding->next_hop;
    request.local = binding->local;
    static_cast<void>(ua.request_outside(now.mono, request));
    standing.set({dn, Standing::keep_alive}, now.mono + *every);
}

// Once, and only to be quick about it: a media server lets go of what nobody asks about after a minute anyway.
void B2bua::Core::release_former(Stamp now, const PeerAddress& media) {
    if (settings.node.empty()) return;
    auto request = outside("MESSAGE", media);
    request.content_type = kMsmlType;
    request.body = msml_release(settings.site + "/" + settings.node, boot);
    static_cast<void>(ua.request_outside(now.mono, request));
}

void B2bua::Core::find_media(Stamp now, const std::vector<std::optional<PeerAddress>>& media) {
    for (std::size_t i = 0; i < settings.media.size() && i < media.size(); ++i) {
        if (settings.media[i] || !media[i]) continue;
        settings.media[i] = media[i];
        servers.set_down(i, false);
        if (has_started) release_former(now, *media[i]);
    }
}

}  // namespace sheaf::b2bua
