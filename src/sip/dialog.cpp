// SPDX-License-Identifier: Apache-2.0
#include "sip/dialog.h"

#include <algorithm>
#include <utility>

#include "sip/transaction.h"

namespace sheaf::sip {
namespace {

NameAddr party(const Message& message, std::string_view header) {
    const std::string* text = message.first(header);
    if (text == nullptr) return {};
    auto value = name_addr_from_text(*text);
    return value ? std::move(*value) : NameAddr{};
}

std::string call_id_of(const Message& message) {
    const std::string* text = message.first("Call-ID");
    return text == nullptr ? std::string{} : *text;
}

Message within(const Dialog& dialog, const std::string& method, std::uint32_t cseq) {
    Message request;
    request.headers.reserve(kUsualHeaders);
    request.start = RequestLine{method, dialog.remote_target};
    set_route(request, dialog.remote_target, dialog.routes);
    request.add("Max-Forwards", "70");
    request.add("From", to_text(dialog.local));
    request.add("To", to_text(dialog.remote));
    request.add("Call-ID", dialog.call_id);
    request.add("CSeq", std::to_string(cseq) + ' ' + method);
    return request;
}

}  // namespace

Result<std::vector<NameAddr>> name_addrs(const Message& message, std::string_view header) {
    std::vector<NameAddr> values;
    for (const std::string& item : message.list(header)) {
        TRY(auto value, name_addr_from_text(item));
        values.push_back(std::move(value));
    }
    return values;
}

Dialog dialog_of_request(const Message& request) {
    Dialog dialog;
    dialog.call_id = call_id_of(request);
    dialog.local = party(request, "From");
    dialog.remote = party(request, "To");
    dialog.local_tag = dialog.local.params.value("tag").value_or("");
    dialog.remote_target = request.uri();
    dialog.local_cseq = cseq_of(request).number;
    return dialog;
}

Dialog dialog_of_response(const Message& request, const Message& response) {
    Dialog dialog = dialog_of_request(request);
    follow_response(dialog, request, response);
    return dialog;
}

void follow_response(Dialog& dialog, const Message& request, const Message& response) {
    if (std::string tag = tag_of(response, "To"); tag != dialog.remote_tag || tag.empty()) {
        if (tag != dialog.remote_tag) dialog.remote_cseq.reset();
        dialog.remote = party(response, "To");
        dialog.remote_tag = std::move(tag);
    }
    dialog.local_cseq = std::max(dialog.local_cseq, cseq_of(request).number);
    dialog.remote_target = request.uri();
    dialog.routes.clear();
    for (const std::string& item : response.list("Record-Route")) {
        if (auto route = name_addr_from_text(item)) dialog.routes.push_back(std::move(*route));
    }
    std::reverse(dialog.routes.begin(), dialog.routes.end());
    refresh_target(dialog, response);
}

Result<Dialog> dialog_of_invite(const Message& request, const std::string& local_tag) {
    Dialog dialog;
    dialog.call_id = call_id_of(request);
    dialog.local = party(request, "To");
    dialog.local.params.set("tag", local_tag);
    dialog.local_tag = local_tag;
    dialog.remote = party(request, "From");
    dialog.remote_tag = dialog.remote.params.value("tag").value_or("");
    TRY(dialog.routes, name_addrs(request, "Record-Route"));
    TRY(const auto contacts, name_addrs(request, "Contact"));
    dialog.remote_target = contacts.empty() ? dialog.remote.uri : contacts.front().uri;
    dialog.remote_cseq = cseq_of(request).number;
    return dialog;
}

Message dialog_request(Dialog& dialog, const std::string& method) {
    ++dialog.local_cseq;
    return within(dialog, method, dialog.local_cseq);
}

Message dialog_ack(const Dialog& dialog, std::uint32_t cseq) {
    return within(dialog, "ACK", cseq);
}

void set_route(Message& request, const Uri& target, const std::vector<NameAddr>& routes) {
    auto& line = std::get<RequestLine>(request.start);
    request.remove("Route");
    line.uri = target;
    line.uri.headers.clear();  // not allowed there (§19.1.1)
    if (routes.empty()) return;
    if (routes.front().uri.params.has("lr")) {
        for (const NameAddr& route : routes) request.add("Route", to_text(route));
        return;
    }
    // A strict router wants itself as Request-URI, and the target last.
    line.uri = routes.front().uri;
    line.uri.headers.clear();
    std::erase_if(line.uri.params.items, [](const auto& item) { return item.first == "method"; });
    for (std::size_t i = 1; i < routes.size(); ++i) request.add("Route", to_text(routes[i]));
    request.add("Route", to_text(NameAddr{.display = {}, .uri = target, .params = {}}));
}

const Uri& first_hop(const Dialog& dialog) {
    return dialog.routes.empty() ? dialog.remote_target : dialog.routes.front().uri;
}

bool accept_cseq(Dialog& dialog, const Message& request) {
    const std::uint32_t number = cseq_of(request).number;
    if (dialog.remote_cseq && number <= *dialog.remote_cseq) return false;
    dialog.remote_cseq = number;
    return true;
}

void refresh_target(Dialog& dialog, const Message& message) {
    const auto contacts = name_addrs(message, "Contact");
    if (!contacts || contacts->empty()) return;
    const Uri& uri = contacts->front().uri;
    if (uri.scheme == "sip" || uri.scheme == "sips") dialog.remote_target = uri;
}

bool is_target_refresh(std::string_view method) {
    return method == "INVITE" || method == "UPDATE" || method == "SUBSCRIBE" || method == "NOTIFY" || method == "REFER";
}

}  // namespace sheaf::sip
