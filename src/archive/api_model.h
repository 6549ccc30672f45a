// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <vector>

#include "archive/catalogue.h"
#include "archive/query.h"
#include "archive/view.h"

// The JSON of the archive's API (docs/api/openapi.json).
namespace sheaf::archive {

[[nodiscard]] boost::json::object to_json(const RecordingView& recording);
[[nodiscard]] boost::json::object to_json(const Page& page);
[[nodiscard]] boost::json::object to_json(const std::vector<Alarm>& alarms);
// Why the calls of the recording are one: for each call the links that lead to it from the root, strongest first, and
// every link that names one of them with what became of it.
[[nodiscard]] boost::json::object why_json(const RecordingView& recording,
                                           const std::vector<Catalogue::LinkStanding>& standings);
// Of a segment's media; the id percent-encoded.
[[nodiscard]] std::string media_url(const SegmentId& segment);

}  // namespace sheaf::archive
