// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "media/channels.h"

namespace sheaf::journal {

enum class AudioFormat { wav, flac };
[[nodiscard]] std::string_view suffix_of(AudioFormat format);      // ".wav"
[[nodiscard]] std::string_view media_type_of(AudioFormat format);  // "audio/wav"

// Two channels of 16 bit at 8 kHz into a file; left said, right heard. After an error: remove the file.
class Encoder : public media::PcmSink {
public:
    // `samples`: of each channel, all there will be.
    [[nodiscard]] static Result<std::unique_ptr<Encoder>> create(AudioFormat format, const std::string& path,
                                                                 std::uint64_t samples);
    // Writes what is left and syncs. The file is whole afterwards.
    [[nodiscard]] virtual Result<void> finish() = 0;
};

}  // namespace sheaf::journal
