// SPDX-License-Identifier: Apache-2.0
#include "lab/console.h"

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <charconv>
#include <cstdio>
#include <istream>
#include <map>

#include "base/fact.h"
#include "base/json.h"
#include "edge/net/clock.h"
#include "lab/phone.h"

namespace sheaf::lab {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

constexpr std::size_t kLineMax = 64 * 1024;

// "127.0.0.1:29000-29019" → address, first and last port; a single port gives a range of one.
struct PortRange {
    std::string address;
    std::uint16_t first = 0, last = 0;
};

Result<PortRange> range_from_text(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return fail(Errc::malformed, "no port in " + std::string(text));
    PortRange range{.address = std::string(text.substr(0, colon))};
    const std::string_view ports = text.substr(colon + 1);
    const auto [dash, error] = std::from_chars(ports.data(), ports.data() + ports.size(), range.first);
    if (error != std::errc{}) return fail(Errc::malformed, "no port in " + std::string(text));
    range.last = range.first;
    if (dash != ports.data() + ports.size()) std::from_chars(dash + 1, ports.data() + ports.size(), range.last);
    return range;
}

sip::Codec codec_named(std::string_view name) {
    if (name == "PCMA") return {.payload_type = 8, .name = "PCMA"};
    return {.payload_type = 0, .name = "PCMU"};
}

Result<PhoneSettings> settings_from(const json::object& command) {
    PhoneSettings settings;
    TRY(settings.name, string_field(command, "name"));
    TRY(const std::string sip, string_field(command, "sip"));
    TRY(const PortRange sip_range, range_from_text(sip));
    settings.sip_address = sip_range.address;
    settings.sip_port = sip_range.first;
    TRY(const std::string rtp, string_field(command, "rtp"));
    TRY(const PortRange rtp_range, range_from_text(rtp));
    settings.rtp_address = rtp_range.address;
    settings.rtp_first = rtp_range.first;
    settings.rtp_last = rtp_range.last;
    TRY(settings.user, string_field(command, "user"));
    TRY(settings.display, optional_string_field(command, "display"));
    TRY(settings.password, optional_string_field(command, "password"));
    TRY(settings.registrar, optional_string_field(command, "registrar"));
    TRY(const std::int64_t tone, integer_field(command, "tone_hz"));
    settings.tone_hz = static_cast<int>(tone);
    if (const json::value* codecs = command.if_contains("codecs"); codecs != nullptr && codecs->is_array()) {
        for (const auto& name : codecs->get_array()) {
            if (name.is_string()) settings.codecs.push_back(codec_named(name.get_string()));
        }
    }
    if (settings.codecs.empty()) settings.codecs = {codec_named("PCMU"), codec_named("PCMA")};
    TRY(const std::string answer, optional_string_field(command, "answer"));
    if (answer == "manual") settings.answer = AnswerMode::manual;
    if (answer == "ignore") settings.answer = AnswerMode::ignore;
    if (answer == "reject") settings.answer = AnswerMode::reject;
    if (command.contains("answer_after_ms")) {
        TRY(const std::int64_t after, integer_field(command, "answer_after_ms"));
        settings.answer_after_ms = static_cast<int>(after);
    }
    if (command.contains("reject_status")) {
        TRY(const std::int64_t status, integer_field(command, "reject_status"));
        settings.reject_status = static_cast<int>(status);
    }
    return settings;
}

void write_event(const std::string& phone, const char* event, json::object fields) {
    fields["at_ms"] = to_unix_ms(net::now().wall);
    fields["phone"] = phone;
    fields["event"] = event;
    std::printf("%s\n", json::serialize(fields).c_str());
    std::fflush(stdout);
}

class Console {
public:
    Console() : input_(io_, ::dup(STDIN_FILENO)) {}

    int run() {
        read();
        io_.run();
        return 0;
    }

private:
    void read() {
        asio::async_read_until(input_, buffer_, '\n', [this](boost::system::error_code error, std::size_t) {
            if (error) return quit();
            std::istream stream(&buffer_);
            std::string line;
            std::getline(stream, line);
            if (auto done = obey(line); !done) write_event("", "refused", {{"why", to_string(done.error())}, {"line", line}});
            if (!stopping_) read();
        });
    }

    void quit() {
        stopping_ = true;
        phones_.clear();
        io_.stop();
    }

    Result<void> obey(const std::string& line) {
        TRY(const json::value value, json_from_text(line));
        if (!value.is_object()) return fail(Errc::malformed, "a command is a JSON object");
        const json::object& command = value.get_object();
        TRY(const std::string verb, string_field(command, "cmd"));
        if (verb == "quit") {
            quit();
            return {};
        }
        if (verb == "phone") return add_phone(command);
        TRY(const std::string name, string_field(command, "phone"));
        const auto found = phones_.find(name);
        if (found == phones_.end()) return fail(Errc::not_found, "no phone called " + name);
        return tell(*found->second, verb, command);
    }

    Result<void> add_phone(const json::object& command) {
        TRY(PhoneSettings settings, settings_from(command));
        const std::string name = settings.name;
        auto phone = std::make_unique<Phone>(io_, std::move(settings),
                                             [](const Phone& who, const char* event, json::object fields) {
                                                 write_event(who.name(), event, std::move(fields));
                                             });
        TRY_VOID(phone->start());
        phones_[name] = std::move(phone);
        return {};
    }

    static Result<void> tell(Phone& phone, const std::string& verb, const json::object& command) {
        if (verb == "register") return phone.register_at(3600);
        if (verb == "unregister") return phone.register_at(0);
        if (verb == "answer") return phone.answer();
        if (verb == "hangup") return phone.hang_up();
        if (verb == "hold") return phone.hold(true);
        if (verb == "retrieve") return phone.hold(false);
        if (verb == "stats") {
            write_event(phone.name(), "stats", phone.stats());
            return {};
        }
        TRY(const std::string to, string_field(command, "to"));
        if (verb == "call") return phone.call(to);
        if (verb == "refer") return phone.refer(to);
        return fail(Errc::unsupported, "no command " + verb);
    }

    asio::io_context io_;
    asio::posix::stream_descriptor input_;
    asio::streambuf buffer_{kLineMax};
    std::map<std::string, std::unique_ptr<Phone>> phones_;
    bool stopping_ = false;
};

}  // namespace

int run_console() {
    return Console().run();
}

}  // namespace sheaf::lab
