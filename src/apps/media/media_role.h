// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/config/media_settings.h"
#include "base/result.h"

namespace boost::asio {
class io_context;
}

namespace sheaf::apps {

// A media server. SIP, its control and the way to the archive run on the io_context's one thread; the media worker, the
// journal's writer and the sealer each have their own.
//
//   SipNode → MediaControl → Worker ─ packets ─→ JournalWriter → Sealer → Courier → archive
//
// Below settings.node.data it keeps outbox.db and media/{journal,segments,encoded,done}.
class MediaRole {
public:
    // Opens journal and outbox, loads the prompts and binds every address; takes up what an earlier run left. Errc::io
    // and others with words for the operator when something cannot be had.
    [[nodiscard]] static Result<std::unique_ptr<MediaRole>> start(boost::asio::io_context& io,
                                                                  config::MediaSettings settings);
    virtual ~MediaRole() = default;

    struct Bound {
        std::vector<std::string> sip;  // "udp:127.0.0.1:5070"
        std::string rtp;               // "127.0.0.1:20000-29999"
    };
    [[nodiscard]] virtual Bound bound() const = 0;
    // Ends every leg, seals what runs (cause "shutdown") and hands it to the outbox, at most kMediaStopMaxMs; what is
    // not done by then the next start does. Then `done`, once, from the io_context.
    virtual void stop(std::function<void()> done) = 0;

    struct Counts {
        std::uint64_t legs = 0;
        std::uint64_t recordings = 0;        // running
        std::uint64_t packets_received = 0;  // RTP, since the start
        std::uint64_t packets_stored = 0;
        std::uint64_t packets_overflow = 0;   // not recorded: the buffer was full
        std::uint64_t packets_unwritten = 0;  // not recorded: the disk refused
        std::uint64_t journal_errors = 0;
        std::uint64_t segments_sealed = 0;
        std::uint64_t segments_recovered = 0;
        std::uint64_t segments_waiting = 0;  // closed and not yet in the outbox
    };
    [[nodiscard]] virtual Counts counts() const = 0;
};

inline constexpr int kMediaStopMaxMs = 10'000;
inline constexpr std::size_t kMediaFactsKeptMax = 100'000;  // while the outbox cannot take them

}  // namespace sheaf::apps
