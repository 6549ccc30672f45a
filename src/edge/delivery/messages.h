// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "edge/http/client.h"
#include "link/delivery.h"

namespace sheaf::delivery {

// The archive's ingest, as requests and answers.
[[nodiscard]] http::ClientRequest facts_request(const std::string& archive_url, const std::string& token,
                                                const std::vector<Fact>& facts);
[[nodiscard]] http::ClientRequest file_request(const std::string& archive_url, const std::string& token,
                                               const link::OutboxFile& file);
[[nodiscard]] link::BatchAnswered facts_answer(const Result<http::ClientResponse>& response);
// `taken` only by an answer that names what was sent, `refused` only by one in the archive's form: whoever else may sit
// at that address, a proxy or another server, has no say in what becomes of it.
[[nodiscard]] link::FileAnswered file_answer(const std::string& segment, const std::string& sha256,
                                             const Result<http::ClientResponse>& response);

}  // namespace sheaf::delivery
