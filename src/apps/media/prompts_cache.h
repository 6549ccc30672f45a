// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "media/control.h"

namespace sheaf::media_role {

inline constexpr std::size_t kPromptSamplesMax = 10UL * 60 * 8'000;  // ten minutes
inline constexpr std::size_t kPromptsMax = 1'000;
inline constexpr std::size_t kPromptSamplesSumMax = 4UL * 60 * 60 * 8'000;  // of all together: 230 MB
inline constexpr std::size_t kPromptNameMax = 64;

// Reads a RIFF WAVE file of 8 kHz, mono, 16-bit PCM. Errc::malformed: no WAVE, or cut; unsupported: another format;
// exhausted: longer than kPromptSamplesMax.
[[nodiscard]] Result<std::vector<std::int16_t>> samples_from_wav(Bytes bytes);

// The treatments' audio, read once at the start: `say:NAME` is say/NAME.wav below the prompts folder, `music:NAME` is
// music/NAME.wav. NAME is 1 to kPromptNameMax of [A-Za-z0-9_-], so a uri never leaves the folder. Read-only after
// load(): any thread may find.
class PromptCache {
public:
    // Every file is checked; the error names the first that is wrong. An empty `folder` gives a cache that answers
    // every well-formed uri with a second of silence.
    [[nodiscard]] static Result<PromptCache> load(const std::filesystem::path& folder);

    // Errc::malformed: no such form of uri; not_found: no such file was there at the start.
    [[nodiscard]] Result<std::shared_ptr<const media::Prompt>> find(std::string_view uri) const;
    [[nodiscard]] std::size_t size() const { return prompts_.size(); }

private:
    std::map<std::string, std::shared_ptr<const media::Prompt>, std::less<>> prompts_;  // by uri
    std::shared_ptr<const media::Prompt> silence_;                                      // only without a folder
};

}  // namespace sheaf::media_role
