// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "edge/journal/sealer.h"
#include "edge/journal/segment_reading.h"

namespace sheaf::journal {

// Encodes a segment file to `target` (by way of a temporary name, synced) and says what the archive is to know of it.
// `say_opened`: nobody knows whether its opening has been told; the same again changes nothing.
[[nodiscard]] Result<SealedSegment> publish_segment(const std::string& segment_file, const std::string& target,
                                                    AudioFormat format, bool say_opened);

}  // namespace sheaf::journal
