// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "apps/config/archive_settings.h"
#include "base/result.h"
#include "base/time.h"

namespace boost::asio {
class io_context;
}

namespace sheaf::archive_role {

using config::ArchiveSettings;
using Clock = std::function<Stamp()>;

// The clocks of this machine.
[[nodiscard]] Stamp stamp_now();

// The archive: takes facts and files, keeps them at settings.data (see there), groups, serves the
// API and one page. Everything runs on the io_context's thread, but for reading uploads, which has a thread of its own.
class ArchiveRole {
public:
    // Loads what is kept, then listens. Errors are an operator's: the folder, the database, the address.
    [[nodiscard]] static Result<std::unique_ptr<ArchiveRole>> start(boost::asio::io_context& io,
                                                                    ArchiveSettings settings, Clock clock = stamp_now);
    ArchiveRole(const ArchiveRole&) = delete;
    ArchiveRole& operator=(const ArchiveRole&) = delete;
    ~ArchiveRole();

    [[nodiscard]] std::uint16_t port() const;
    // Takes no more requests; what is under way is finished. Before the io_context ends, on its thread.
    void stop();

private:
    struct Impl;
    explicit ArchiveRole(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;  // shared: with timers and work that end after stop
};

}  // namespace sheaf::archive_role
