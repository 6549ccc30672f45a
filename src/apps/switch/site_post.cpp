// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/site_post.h"

#include "apps/switch/site_messages.h"
#include "base/entropy.h"
#include "edge/net/clock.h"

namespace sheaf::apps {

http::ClientRequest site_post(const std::string& url, std::string_view path, const std::string& own_site,
                              const std::string& secret, std::string body, int timeout_seconds) {
    http::ClientRequest request;
    request.method = "POST";
    request.url = url + std::string(path);
    request.body = std::move(body);
    request.timeout_seconds = timeout_seconds;
    const auto signature = sign_site_request("POST", path, own_site, secret, request.body, net::now().wall,
                                             Entropy(net::seed()).token(16));
    request.headers = {{"Content-Type", "application/json"},
                       {"Sheaf-Site", signature.site},
                       {"Sheaf-Date", signature.date},
                       {"Sheaf-Nonce", signature.nonce},
                       {"Sheaf-Signature", signature.signature}};
    return request;
}

}  // namespace sheaf::apps
