// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "lab/voice.h"
#include "sip/user_agent.h"

namespace sheaf::lab {

// How a phone puts somebody on hold: the spellings in use (RFC 3264 §8.4, and c=0.0.0.0 of RFC 2543).
enum class HoldMode { sendonly, inactive, zero };

// One of a phone's calls, from the first INVITE to the last message.
struct PhoneCall {
    explicit PhoneCall(boost::asio::io_context& io) : timer(io) {}

    std::string name;
    sip::DialogId dialog = 0;
    bool ours = false;
    bool established = false;
    bool ending = false;
    std::optional<HoldMode> held;  // by us
    bool was_held = false;         // by them
    bool replaced = false;         // its place has been taken by another call of this phone
    std::optional<sip::SessionDescription> local, remote;
    std::uint64_t session_id = 1, version = 1;
    std::string offer;  // of the INVITE being answered
    std::string told_number, told_name;

    std::unique_ptr<Voice> voice;
    std::uint16_t rtp_port = 0;
    boost::asio::steady_timer timer;  // until it is answered; until a replaced one is ended

    std::string moves;  // the call this one was made to replace, by the peer's REFER
};

}  // namespace sheaf::lab
