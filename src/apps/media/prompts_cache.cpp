// SPDX-License-Identifier: Apache-2.0
#include "apps/media/prompts_cache.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>
#include <vector>

namespace sheaf::media_role {
namespace {

constexpr std::size_t kWavBytesMax = kPromptSamplesMax * 2 + 65'536;  // room for other chunks
constexpr std::uint16_t kPcm = 1;

bool is_name(std::string_view name) {
    constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    return !name.empty() && name.size() <= kPromptNameMax && name.find_first_not_of(kLetters) == std::string_view::npos;
}

Result<std::vector<std::uint8_t>> read_file(const std::filesystem::path& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
    if (!file) return fail(Errc::io, path.string() + ": " + std::generic_category().message(errno));
    // One byte more than is allowed tells a file that is too long.
    std::vector<std::uint8_t> bytes(kWavBytesMax + 1);
    bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file.get()));
    if (std::ferror(file.get()) != 0) return fail(Errc::io, path.string() + ": cannot be read");
    if (bytes.size() > kWavBytesMax) return fail(Errc::exhausted, path.string() + ": longer than ten minutes");
    return bytes;
}

Result<void> check_format(Bytes chunk) {
    if (chunk.size() < 16) return fail(Errc::malformed, "the fmt chunk is cut");
    const bool is_ours = read_u16le(chunk.data()) == kPcm && read_u16le(chunk.data() + 2) == 1 &&
                         read_u32le(chunk.data() + 4) == 8'000 && read_u16le(chunk.data() + 14) == 16;
    if (!is_ours) return fail(Errc::unsupported, "not 8 kHz mono 16-bit PCM");
    return {};
}

Result<std::shared_ptr<const media::Prompt>> load_prompt(const std::filesystem::path& path, std::string name) {
    TRY(const auto bytes, read_file(path));
    auto samples = samples_from_wav(bytes);
    if (!samples) return fail(samples.error().code, path.string() + ": " + samples.error().what);
    auto prompt = std::make_shared<media::Prompt>();
    prompt->name = std::move(name);
    prompt->samples = std::move(*samples);
    return prompt;
}

}  // namespace

Result<std::vector<std::int16_t>> samples_from_wav(Bytes bytes) {
    if (bytes.size() < 12 || as_text(bytes.first(4)) != "RIFF" || as_text(bytes.subspan(8, 4)) != "WAVE") {
        return fail(Errc::malformed, "no RIFF WAVE file");
    }
    bytes = bytes.subspan(12);
    bool has_format = false;
    while (bytes.size() >= 8) {
        const std::string_view id = as_text(bytes.first(4));
        const std::size_t size = read_u32le(bytes.data() + 4);
        bytes = bytes.subspan(8);
        if (size > bytes.size()) return fail(Errc::malformed, "a chunk is cut");
        const Bytes chunk = bytes.first(size);
        if (id == "fmt ") {
            TRY_VOID(check_format(chunk));
            has_format = true;
        }
        if (id == "data") {
            if (!has_format) return fail(Errc::malformed, "data before fmt");
            if (size % 2 != 0 || size == 0) return fail(Errc::malformed, "no whole samples");
            if (size / 2 > kPromptSamplesMax) return fail(Errc::exhausted, "longer than ten minutes");
            std::vector<std::int16_t> samples(size / 2);
            for (std::size_t i = 0; i < samples.size(); ++i) {
                samples[i] = static_cast<std::int16_t>(read_u16le(chunk.data() + 2 * i));
            }
            return samples;
        }
        bytes = bytes.subspan(std::min(bytes.size(), size + size % 2));
    }
    return fail(Errc::malformed, "no data chunk");
}

Result<PromptCache> PromptCache::load(const std::filesystem::path& folder) {
    PromptCache cache;
    if (folder.empty()) {
        auto silence = std::make_shared<media::Prompt>();
        silence->name = "silence";
        silence->samples.resize(8'000);
        cache.silence_ = std::move(silence);
        return cache;
    }
    std::error_code error;
    if (!std::filesystem::is_directory(folder, error)) {
        return fail(Errc::not_found, "prompts: no folder " + folder.string());
    }
    std::size_t sum = 0;
    for (const std::string kind : {"say", "music", "tone"}) {
        const std::filesystem::path place = folder / kind;
        if (!std::filesystem::exists(place, error)) continue;
        std::filesystem::directory_iterator entry(place, error);
        for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
            const std::filesystem::path& path = entry->path();
            if (path.extension() != ".wav") continue;
            const std::string name = path.stem().string();
            if (!is_name(name)) return fail(Errc::malformed, "prompts: not a prompt's name: " + path.string());
            TRY(auto prompt, load_prompt(path, std::string(kind).append(":").append(name)));
            sum += prompt->samples.size();
            if (cache.prompts_.size() >= kPromptsMax || sum > kPromptSamplesSumMax) {
                return fail(Errc::exhausted, "prompts: too many, or too long together, in " + folder.string());
            }
            std::string uri = prompt->name;
            cache.prompts_.emplace(std::move(uri), std::move(prompt));
        }
        if (error) return fail(Errc::io, "prompts: " + place.string() + ": " + error.message());
    }
    return cache;
}

Result<std::shared_ptr<const media::Prompt>> PromptCache::find(std::string_view uri) const {
    const std::size_t colon = uri.find(':');
    const std::string_view kind = uri.substr(0, colon);
    const bool is_known = colon != std::string_view::npos && (kind == "say" || kind == "music" || kind == "tone");
    if (!is_known || !is_name(uri.substr(colon + 1))) {
        return fail(Errc::malformed, "a prompt is say:NAME, music:NAME or tone:NAME");
    }
    if (silence_) return silence_;
    const auto found = prompts_.find(uri);
    if (found == prompts_.end()) return fail(Errc::not_found, "no prompt " + std::string(uri));
    return found->second;
}

}  // namespace sheaf::media_role
