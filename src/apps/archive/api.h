// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "archive/access.h"
#include "archive/catalogue.h"
#include "archive/ingest.h"
#include "archive/store_port.h"
#include "edge/http/server.h"

namespace sheaf::archive_role {

inline constexpr std::size_t kRefusersMax = 1'000;  // nodes whose refused facts are remembered

struct Counters {
    std::uint64_t facts_new = 0, facts_again = 0, facts_rejected = 0;
    std::uint64_t media_new = 0, media_again = 0, media_refused = 0;
    std::uint64_t requests = 0, requests_refused = 0;
};

// Who the archive is, as sender of its own facts.
struct Sender {
    std::string site, node;
};

// Answers the archive's requests. All on one thread but what `in_background` runs.
class Api {
public:
    struct Parts {
        archive::Access access;
        std::unique_ptr<archive::CatalogueStore> store;
        std::unique_ptr<archive::MediaStore> media;
        archive::CatalogueOptions options;
        Sender sender;
        std::function<Stamp()> now;
        // Runs the work on another thread, then `done` on this one.
        std::function<void(std::function<void()> work, std::function<void()> done)> in_background;
        std::function<void()> changed;  // some recording may look different
    };
    explicit Api(Parts parts);

    // Everything the store holds, into the catalogue.
    [[nodiscard]] Result<void> load();
    void handle(const http::Request& request, http::Reply reply);
    // Of an upload, before its body is read; empty: go on.
    // Of a request with a body, before that is read.
    [[nodiscard]] std::optional<http::Response> refuse_unknown(const http::Request& request) const;
    [[nodiscard]] std::optional<http::Response> refuse_upload(const http::Request& request);
    // Of an event stream; the tenant whose events it gets, or why not.
    [[nodiscard]] std::optional<http::Response> refuse_stream(const http::Request& request);
    [[nodiscard]] std::optional<archive::Caller> caller_of(const http::Request& request) const;
    [[nodiscard]] archive::Catalogue& catalogue() { return catalogue_; }
    [[nodiscard]] archive::Ms now_ms() const;

private:
    struct Refused {
        std::uint64_t count = 0;
        archive::Ms last_at = 0;
        std::string last_error;
    };
    using Path = std::vector<std::string>;

    http::Response get(const http::Request& request, const Path& path);
    http::Response get_read(const http::Request& request, const Path& path, const archive::Caller& caller);
    http::Response post_facts(const http::Request& request);
    void put_media(const http::Request& request, const std::string& segment, http::Reply reply);
    http::Response finish_upload(const archive::StoredObject& object);
    http::Response get_media(const http::Request& request, const std::string& segment, const std::string& tenant);
    http::Response login(const http::Request& request) const;
    http::Response alarms(const std::string& tenant);
    [[nodiscard]] std::string metrics() const;
    [[nodiscard]] Result<void> take_back(const archive::TypedFact& fact);
    void remember_erased(const archive::TypedFact& fact);
    [[nodiscard]] bool may_be_stored(const archive::StoredObject& object) const;
    void remember_refused(const std::string& tenant, const std::vector<archive::RejectedFact>& rejected);

    Parts parts_;
    archive::Catalogue catalogue_;
    Counters counters_;
    std::map<std::pair<std::string, std::string>, Refused> refused_;  // tenant, node
    // By tenant and segment: what the segment had left, by the node that said it and its seq. Only the last is taken.
    struct Erased {
        std::string site, sha256;
    };
    using Erasures = std::map<std::pair<std::string, std::uint64_t>, Erased>;
    std::map<std::pair<std::string, SegmentId>, Erasures> erased_;
    std::string policy_;
};

}  // namespace sheaf::archive_role
