// SPDX-License-Identifier: Apache-2.0
// CPU time to parse one INVITE and write it again: ours beside GNU oSIP, in turns, in one process.
#include <osipparser2/osip_parser.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "sip/message.h"

namespace {

const std::string kBody =
    "v=0\r\no=- 3 4 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0 8 101\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";
const std::string kInvite =
    "INVITE sip:+442071234567@192.0.2.1:5060 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK7a1f0c33;rport\r\n"
    "Via: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKbe11;received=192.0.2.21\r\n"
    "Max-Forwards: 68\r\n"
    "Record-Route: <sip:192.0.2.9;lr>, <sip:192.0.2.20;lr>\r\n"
    "From: \"A customer\" <sip:+447700900123@example.com>;tag=1928301774\r\n"
    "To: <sip:+442071234567@192.0.2.1>\r\n"
    "Call-ID: a84b4c76e66710@192.0.2.9\r\n"
    "CSeq: 314159 INVITE\r\n"
    "Contact: <sip:customer@192.0.2.9:5060;transport=udp>\r\n"
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO\r\n"
    "Supported: timer, 100rel, replaces\r\n"
    "P-Asserted-Identity: <sip:+447700900123@example.com>\r\n"
    "User-Agent: bench\r\n"
    "Content-Type: application/sdp\r\n"
    "Content-Length: " +
    std::to_string(kBody.size()) + "\r\n\r\n" + kBody;

double cpu_seconds() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

bool ours_once() {
    const auto message = sheaf::sip::message_from_datagram(kInvite);
    return message && to_bytes(*message).size() > kBody.size();
}

bool theirs_once() {
    osip_message_t* message = nullptr;
    osip_message_init(&message);
    const bool parsed = osip_message_parse(message, kInvite.data(), kInvite.size()) == 0;
    char* text = nullptr;
    std::size_t length = 0;
    const bool written = parsed && osip_message_to_str(message, &text, &length) == 0 && length > kBody.size();
    osip_free(text);
    osip_message_free(message);
    return written;
}

template <typename F>
double microseconds_each(F once, int count) {
    const double began = cpu_seconds();
    for (int i = 0; i < count; ++i) {
        if (!once()) {
            std::fprintf(stderr, "a message was not parsed\n");
            std::exit(1);
        }
    }
    return (cpu_seconds() - began) * 1e6 / count;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

}  // namespace

int main() {
    parser_init();
    constexpr int rounds = 9;
    constexpr int count = 5'000;
    std::vector<double> ours;
    std::vector<double> theirs;
    std::vector<double> ratios;
    for (int round = -1; round < rounds; ++round) {
        const double a = microseconds_each(ours_once, count);
        const double b = microseconds_each(theirs_once, count);
        if (round < 0) continue;  // warm-up
        ours.push_back(a);
        theirs.push_back(b);
        ratios.push_back(a / b);
    }
    std::printf("{\"bench\": \"sip-parse\", \"rounds\": %d, \"us_ours\": %.2f, \"us_osip\": %.2f, \"ratio_to_osip\": %.3f}\n",
                rounds, median(ours), median(theirs), median(ratios));
}
