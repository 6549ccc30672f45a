// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "archive/access.h"
#include "archive/typed_fact.h"
#include "base/fact.h"
#include "base/result.h"

// The wall that facts and files come through.
namespace sheaf::archive {

inline constexpr std::size_t kBatchFactsMax = 1'000;
inline constexpr std::size_t kBatchBytesMax = 1 << 20;

struct RejectedFact {
    std::string id;  // as it was sent, at most kIdBytesMax; empty when there was none
    std::string error;
    std::string node, site;  // who sent it, when known
};
struct Batch {
    std::vector<Fact> facts;       // as they are kept
    std::vector<TypedFact> typed;  // the same, one to one
    std::vector<RejectedFact> rejected;
};

// Body of POST /v1/facts. A fact that breaks a rule is rejected by itself. Errc::malformed: not a batch at all;
// Errc::exhausted: too many facts or bytes; Errc::forbidden: a fact names another sender than the caller is, and then
// nothing of the batch is taken.
[[nodiscard]] Result<Batch> batch_from(std::string_view body, const Caller& caller);

// Content-Digest (RFC 9530): the sha-256 among its members, as lower-case hex. Errc::malformed, also when there is
// none.
[[nodiscard]] Result<std::string> sha256_from_content_digest(std::string_view header);
// audio/wav, audio/flac, audio/ogg, audio/mpeg; parameters are dropped. Errc::unsupported.
[[nodiscard]] Result<std::string> media_type_from(std::string_view header);

}  // namespace sheaf::archive
