// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "edge/net/sip_node.h"
#include "lab/ear.h"
#include "lab/phone_call.h"
#include "sip/sdp.h"

namespace sheaf::lab {

enum class AnswerMode { automatic, manual, reject, ignore };

// What it does when it is asked by REFER to call somebody else.
enum class ReferPolicy {
    refuse,              // 603
    accept,              // does as it is told (RFC 3515, RFC 3891)
    silent,              // never answers
    accept_then_fail,    // 202, then a NOTIFY that it did not work
    accept_then_silent,  // 202, and nothing more
};

struct PhoneSettings {
    std::string name;  // in reports
    std::string sip_address;
    std::uint16_t sip_port = 0;  // 0: any
    std::string rtp_address;
    std::uint16_t rtp_first = 0, rtp_last = 0;
    std::string user, display, password;
    std::string registrar;  // SIP URI; empty: a phone that does not register (a trunk's customer)
    int tone_hz = 0;        // one of kTones
    std::vector<sip::Codec> codecs;
    AnswerMode answer = AnswerMode::automatic;
    int answer_after_ms = 0;
    int reject_status = 486;
    bool second_calls = false;  // rings for another INVITE while in a call; else 486
    bool takes_talk = false;    // NOTIFY Event: talk makes it answer; said when it registers
    ReferPolicy refer_policy = ReferPolicy::refuse;
};

inline constexpr std::size_t kPhoneCallsMax = 4;
inline constexpr std::size_t kSungMax = 1'000;  // frames of another tone that are kept

// One simulated person with a phone: registers, calls, answers, transfers, holds, dials digits, speaks its tone and
// reports what it hears. Of several calls one is active: it alone sends the tone and listens, unless it is on hold. A
// command without a call's name is about the active one. One thread (the io_context's).
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

    // Errc::conflict when the phone is not in a state for it, Errc::not_found when there is no such call.
    [[nodiscard]] Result<void> register_at(int expires_s);
    // Puts the active call on hold first. Without a name: the first free of "1" to "4".
    [[nodiscard]] Result<void> call(const std::string& uri, const std::string& name);
    [[nodiscard]] Result<void> answer(const std::string& name);
    [[nodiscard]] Result<void> hang_up(const std::string& name);
    // Asks the call's peer to call `uri`; `replaces`: in place of that other call of this phone, whose peer is called
    // when there is no `uri`.
    [[nodiscard]] Result<void> refer(const std::string& name, const std::string& uri, const std::string& replaces);
    [[nodiscard]] Result<void> hold(const std::string& name, HoldMode mode);
    [[nodiscard]] Result<void> retrieve(const std::string& name);  // puts the active call on hold first
    [[nodiscard]] Result<void> dial(const std::string& name, const std::string& digits);
    void obey_refers(ReferPolicy policy) { settings_.refer_policy = policy; }
    void answer_by(AnswerMode mode) { settings_.answer = mode; }
    // Speaks another tone from the next frame on, until told another one; `sings` says so. What it sends that is not
    // its own tone is kept, and `sang` says it as it was on the wire (µ-law, hex) when it has its own tone again.
    void sing(int hz) { next_tone_hz_ = hz; }
    void restart_frames() { ear_.frames().restart(); }
    [[nodiscard]] boost::json::array frames();
    [[nodiscard]] Result<boost::json::object> stats(const std::string& name);

private:
    // phone.cpp: calls and commands
    [[nodiscard]] PhoneCall* find(sip::DialogId dialog);
    [[nodiscard]] PhoneCall* find_named(const std::string& name);
    [[nodiscard]] Result<PhoneCall*> named(const std::string& name);  // empty: the active one
    [[nodiscard]] Result<PhoneCall*> established(const std::string& name);
    [[nodiscard]] Result<PhoneCall*> new_call(const std::string& name);
    [[nodiscard]] Result<void> invite(PhoneCall& call, const sip::Uri& target, std::vector<sip::Header> headers);
    [[nodiscard]] Result<void> send_offer(PhoneCall& call);
    [[nodiscard]] Result<void> put_aside();
    [[nodiscard]] sip::NameAddr me() const;
    void say(const char* event, boost::json::object fields = {});
    void say(const PhoneCall& call, const char* event, boost::json::object fields = {});

    // phone_sound.cpp: offers and answers, the next 20 ms
    [[nodiscard]] sip::LocalMedia local_media(const PhoneCall& call) const;
    [[nodiscard]] std::string next_offer(PhoneCall& call);
    [[nodiscard]] Result<std::string> answer_to(PhoneCall& call, const std::string& offer);
    void agree(PhoneCall& call, const std::string& remote_body);
    void make_active(const PhoneCall& call);
    void arm_frame_timer();
    void on_frame();
    void change_tone();
    [[nodiscard]] static boost::json::object stats_of(const PhoneCall& call);

    // phone_events.cpp: what the user agent says
    void on_event(Instant now, const sip::Event& event);
    void on_invited(Instant now, const sip::Invited& event);
    void on_replacing(Instant now, const sip::Invited& event, const std::string& replaces);
    void on_reinvited(Instant now, const sip::Reinvited& event);
    void on_answered(Instant now, const sip::Answered& event);
    void on_failed(const sip::Failed& event);
    void on_requested(Instant now, const sip::Requested& event);
    void on_notify(Instant now, const sip::Requested& event);
    void on_responded(const sip::Responded& event);
    void tell_identity(PhoneCall& call, const sip::Message& message);
    void answer_soon(PhoneCall& call, int after_ms);
    void over(PhoneCall& call, const char* event, boost::json::object fields);

    // phone_refer.cpp: asked by REFER
    void on_referred(Instant now, const sip::Requested& event);
    void report_to_referrer(Instant now, const std::string& name, int status, bool is_final);
    void take_place(PhoneCall& fresh, PhoneCall& old);

    boost::asio::io_context& io_;
    PhoneSettings settings_;
    Report report_;
    std::unique_ptr<net::SipNode> node_;
    std::vector<std::unique_ptr<PhoneCall>> calls_;
    std::string active_;  // name of a call
    sip::ClientRequest registering_ = 0, referring_ = 0;
    std::string registration_call_id_;
    std::uint32_t registration_cseq_ = 0;

    Ear ear_;
    boost::asio::steady_timer frame_timer_;
    bool is_ticking_ = false;
    std::chrono::steady_clock::time_point next_frame_{};
    std::uint64_t frame_ = 0;  // number of the next one
    int tone_hz_ = 0;          // spoken now
    int next_tone_hz_ = 0;
    boost::json::array sung_;  // at most kSungMax frames
};

}  // namespace sheaf::lab
