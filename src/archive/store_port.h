// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/fact.h"
#include "base/result.h"

// What the archive keeps its knowledge in. Implemented in edge/store; every implementation passes
// edge/store/catalogue_store_suite.h.
namespace sheaf::archive {

// A segment's media as it was stored.
struct StoredObject {
    std::string tenant, segment;
    std::string sha256;  // hex, of the bytes
    std::uint64_t bytes = 0;
    std::string media_type;  // audio/wav, audio/flac
    std::string path;        // as the media store named it
    friend bool operator==(const StoredObject&, const StoredObject&) = default;
};

// Facts and the table of objects. What a call has returned survives kill -9 and power loss. One thread.
class CatalogueStore {
public:
    virtual ~CatalogueStore() = default;

    // In one transaction; for each fact whether it is new (false: its id was there already).
    [[nodiscard]] virtual Result<std::vector<bool>> add(const std::vector<Fact>& facts) = 0;
    // All facts of a tenant, in the order they came. `each` returns false to stop.
    [[nodiscard]] virtual Result<void> load(const std::string& tenant, const std::function<bool(Fact)>& each) = 0;
    [[nodiscard]] virtual Result<std::vector<std::string>> tenants() = 0;
    // The seq up to which every fact of the node is here; 0: not even the first.
    [[nodiscard]] virtual Result<std::uint64_t> up_to(const std::string& tenant, const std::string& site,
                                                      const std::string& node) = 0;

    // The object and the fact that says so, in one transaction. `sender` is stamped with its node's next seq and its
    // id. Returns the fact; empty: the same object was there already. Errc::conflict: the segment has another digest.
    [[nodiscard]] virtual Result<std::optional<Fact>> add_object(const StoredObject& object, Fact sender) = 0;
    [[nodiscard]] virtual Result<std::optional<StoredObject>> object(const std::string& tenant,
                                                                     const std::string& segment) = 0;
    // The segment has no object any more, and may be given another one. Its facts stay.
    [[nodiscard]] virtual Result<void> forget_object(const std::string& tenant, const std::string& segment) = 0;
};

struct KeptMedia {
    std::string path;  // within the store
    std::string sha256;
    std::uint64_t bytes = 0;
};

// The bytes of segments. Any thread; one upload of a segment at a time is the caller's care.
class MediaStore {
public:
    virtual ~MediaStore() = default;
    // Takes the file over when its SHA-256 is `sha256` (Errc::malformed if not), durably: what has returned survives
    // power loss. The name is made from tenant, segment and digest, never a path from outside.
    [[nodiscard]] virtual Result<KeptMedia> keep(const std::string& file, const std::string& tenant,
                                                 const std::string& segment, const std::string& sha256) = 0;
    // Where a kept path can be read; Errc::not_found.
    [[nodiscard]] virtual Result<std::string> file_of(const std::string& path) = 0;
    // Its bytes are gone when it returns, durably; also when they were before.
    [[nodiscard]] virtual Result<void> remove(const std::string& path) = 0;
};

}  // namespace sheaf::archive
