// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "link/delivery.h"
#include "link/outbox.h"

namespace boost::asio {
class io_context;
}

namespace sheaf::delivery {

struct CourierOptions {
    std::string outbox;  // path of the node's SQLite file; its folder is there. The node's roles share the file
    std::string tenant;
    std::string site;
    std::string node;
    std::string owner;          // the role, "switch" or "media": each delivers what it added
    std::string archive_url;    // http://host:port; empty: everything stays in the outbox
    std::string archive_token;  // empty: none is sent
};
// Called on the io_context's thread, never from within a call of the Courier's own functions. Any may be empty.
struct CourierEvents {
    // The archive has the file of that digest: it may be freed.
    std::function<void(const std::string& segment, const std::string& sha256)> file_delivered;
    std::function<void(link::Notice notice, const std::string& detail)> notice;  // for the log
};

// Words for the log, the same for every role.
[[nodiscard]] std::string_view text_of(link::Notice notice);

// A role's way to the archive: keeps what it is given in the outbox and delivers it, whenever the archive is there, by
// POST /v1/facts and PUT /v1/segments/{id}/media. What was not delivered by a former process is taken up at the start.
// One thread: the io_context's. May be destroyed at any time; what is under way then is sent again by the next one.
class Courier {
public:
    [[nodiscard]] static Result<std::unique_ptr<Courier>> open(boost::asio::io_context& io, CourierOptions options,
                                                               CourierEvents events);
    virtual ~Courier() = default;

    // Durable when they return: link::Outbox's. Errc::exhausted: the disk is full or a fact too large.
    [[nodiscard]] virtual Result<std::uint64_t> add(const std::vector<FactDraft>& drafts) = 0;
    // The file stays where it is, unchanged, until file_delivered. Again with the same segment: no change, unless the
    // digest is another; then this file takes the former one's place.
    [[nodiscard]] virtual Result<void> add_file(const link::OutboxFile& file) = 0;
    // link::Outbox's, of this owner.
    [[nodiscard]] virtual Result<link::Outbox::Unfinished> unfinished() = 0;
    [[nodiscard]] virtual Result<void> alive(const Stamp& now) = 0;
    [[nodiscard]] virtual Result<std::uint64_t> first_pending() = 0;
    [[nodiscard]] virtual Result<link::Outbox::Counts> counts() = 0;
};

}  // namespace sheaf::delivery
