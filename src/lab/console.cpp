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
    if (name == "telephone-event") return {.payload_type = 101, .name = "telephone-event", .fmtp = "0-15"};
    return {.payload_type = 0, .name = "PCMU"};
}

Result<AnswerMode> answer_mode_named(std::string_view name) {
    if (name == "auto") return AnswerMode::automatic;
    if (name == "manual") return AnswerMode::manual;
    if (name == "ignore") return AnswerMode::ignore;
    if (name == "reject") return AnswerMode::reject;
    return fail(Errc::malformed, "no way to answer: " + std::string(name));
}

Result<ReferPolicy> refer_policy_named(std::string_view name) {
    if (name == "refuse") return ReferPolicy::refuse;
    if (name == "accept") return ReferPolicy::accept;
    if (name == "silent") return ReferPolicy::silent;
    if (name == "accept-then-fail") return ReferPolicy::accept_then_fail;
    if (name == "accept-then-silent") return ReferPolicy::accept_then_silent;
    return fail(Errc::malformed, "no refer policy " + std::string(name));
}

Result<HoldMode> hold_mode_named(std::string_view name) {
    if (name.empty() || name == "sendonly") return HoldMode::sendonly;
    if (name == "inactive") return HoldMode::inactive;
    if (name == "zero") return HoldMode::zero;
    return fail(Errc::malformed, "no way to hold: " + std::string(name));
}

bool is_set(const json::object& command, std::string_view key) {
    const json::value* value = command.if_contains(key);
    return value != nullptr && value->is_bool() && value->get_bool();
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
    if (settings.codecs.empty())
        settings.codecs = {codec_named("PCMU"), codec_named("PCMA"), codec_named("telephone-event")};
    TRY(const std::string answer, optional_string_field(command, "answer"));
    if (!answer.empty()) {
        TRY(settings.answer, answer_mode_named(answer));
    }
    TRY(const std::string policy, optional_string_field(command, "refer_policy"));
    if (!policy.empty()) {
        TRY(settings.refer_policy, refer_policy_named(policy));
    }
    settings.second_calls = is_set(command, "second_calls");
    settings.takes_talk = is_set(command, "talk");
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
            if (auto done = obey(line); !done)
                write_event("", "refused", {{"why", to_string(done.error())}, {"line", line}});
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
        if (verb == "sing") {
            TRY(const std::int64_t hz, integer_field(command, "hz"));
            phone.sing(static_cast<int>(hz));
            return {};
        }
        if (verb == "mark") {
            phone.restart_frames();
            return {};
        }
        if (verb == "frames") {
            write_event(phone.name(), "frames", {{"from", phone.frames()}});
            return {};
        }
        if (verb == "refer-policy" || verb == "answer-mode") {
            TRY(const std::string mode, string_field(command, "mode"));
            if (verb == "refer-policy") {
                TRY(const ReferPolicy policy, refer_policy_named(mode));
                phone.obey_refers(policy);
            } else {
                TRY(const AnswerMode answer, answer_mode_named(mode));
                phone.answer_by(answer);
            }
            return {};
        }
        return tell_call(phone, verb, command);
    }

    static Result<void> tell_call(Phone& phone, const std::string& verb, const json::object& command) {
        TRY(const std::string call, optional_string_field(command, "call"));
        TRY(const std::string to, optional_string_field(command, "to"));
        if (verb == "call") return phone.call(to, call);
        if (verb == "answer") return phone.answer(call);
        if (verb == "hangup") return phone.hang_up(call);
        if (verb == "retrieve" || verb == "switch") return phone.retrieve(call);
        if (verb == "hold") {
            TRY(const std::string name, optional_string_field(command, "mode"));
            TRY(const HoldMode mode, hold_mode_named(name));
            return phone.hold(call, mode);
        }
        if (verb == "refer") {
            TRY(const std::string replaces, optional_string_field(command, "replaces"));
            return phone.refer(call, to, replaces);
        }
        if (verb == "dtmf") {
            TRY(const std::string digits, string_field(command, "digits"));
            return phone.dial(call, digits);
        }
        if (verb == "stats") {
            TRY(json::object stats, phone.stats(call));
            write_event(phone.name(), "stats", std::move(stats));
            return {};
        }
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
