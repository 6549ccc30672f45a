// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "edge/net/sip_node.h"
#include "lab/voice.h"
#include "sip/sdp.h"

namespace sheaf::lab {

enum class AnswerMode { automatic, manual, reject, ignore };

struct PhoneSettings {
    std::string name;  // in reports
    std::string sip_address;
    std::uint16_t sip_port = 0;  // 0: any
    std::string rtp_address;
    std::uint16_t rtp_first = 0, rtp_last = 0;
    std::string user, display, password;
    std::string registrar;  // SIP URI; empty: a phone that does not register (a trunk's customer)
    int tone_hz = 0;
    std::vector<sip::Codec> codecs;
    AnswerMode answer = AnswerMode::automatic;
    int answer_after_ms = 0;
    int reject_status = 486;
};

// One simulated person with a phone: registers, calls, answers, transfers, holds, speaks its tone and reports what it
// hears. One call at a time; a second INVITE gets 486. One thread (the io_context's).
class Phone {
public:
    // Reports `event` with further fields; the receiver adds time and name.
    using Report = std::function<void(const Phone& phone, const char* event, boost::json::object fields)>;

    Phone(boost::asio::io_context& io, PhoneSettings settings, Report report);
    ~Phone();
    Phone(const Phone&) = delete;
    Phone& operator=(const Phone&) = delete;

    [[nodiscard]] Result<void> start();
    [[nodiscard]] const std::string& name() const { return settings_.name; }

    // Errc::conflict when the phone is not in a state for it.
    [[nodiscard]] Result<void> register_at(int expires_s);
    [[nodiscard]] Result<void> call(const std::string& uri);
    [[nodiscard]] Result<void> answer();
    [[nodiscard]] Result<void> hang_up();
    [[nodiscard]] Result<void> refer(const std::string& uri);
    [[nodiscard]] Result<void> hold(bool held);
    [[nodiscard]] boost::json::object stats() const;

private:
    struct InCall {  // from the first INVITE to the last message
        sip::DialogId dialog = 0;
        bool ours = false;
        bool established = false;
        bool held = false;
        bool ending = false;
        std::optional<sip::SessionDescription> local, remote;
        std::uint64_t session_id = 1, version = 1;
    };

    void on_event(Instant now, const sip::Event& event);
    void on_invited(Instant now, const sip::Invited& event);
    void on_reinvited(Instant now, const sip::Reinvited& event);
    void on_answered(Instant now, const sip::Answered& event);
    void on_requested(Instant now, const sip::Requested& event);
    void on_responded(const sip::Responded& event);
    void over(const char* event, boost::json::object fields);
    void agree(const std::string& remote_body);
    [[nodiscard]] sip::LocalMedia local_media() const;
    [[nodiscard]] Result<std::string> next_offer();
    [[nodiscard]] Result<std::string> answer_to(const std::string& offer);
    [[nodiscard]] sip::NameAddr me() const;
    void say(const char* event, boost::json::object fields = {});

    boost::asio::io_context& io_;
    PhoneSettings settings_;
    Report report_;
    std::unique_ptr<net::SipNode> node_;
    std::unique_ptr<Voice> voice_;
    std::uint16_t rtp_port_ = 0;
    boost::asio::steady_timer answer_timer_;
    std::optional<InCall> in_call_;
    sip::ClientRequest registering_ = 0, referring_ = 0;
    std::string registration_call_id_;
    std::uint32_t registration_cseq_ = 0;
    std::string offer_;  // of the INVITE being answered
};

}  // namespace sheaf::lab
