// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/encoder.h"

#include <FLAC/stream_encoder.h>

#include <limits>
#include <optional>

#include "edge/journal/file.h"

namespace sheaf::journal {
namespace {

constexpr std::uint32_t kChannels = 2;
constexpr std::uint32_t kFrameBytes = kChannels * 2;
constexpr std::size_t kWavHeaderBytes = 44;

// RIFF/WAVE, linear PCM. The lengths are known before the first sample, so the header is never wrong.
class WavEncoder : public Encoder {
public:
    WavEncoder(File file, std::uint64_t samples) : file_(std::move(file)), sink_(file_), left_(samples) {}

    Result<void> begin() {
        if (left_ > (std::numeric_limits<std::uint32_t>::max() - kWavHeaderBytes) / kFrameBytes) {
            return fail(Errc::exhausted, "more audio than a WAV file can hold");
        }
        const auto data = static_cast<std::uint32_t>(left_ * kFrameBytes);
        std::vector<std::uint8_t> header;
        media::Packer p(header);
        p.bytes(as_bytes("RIFF"));
        p.u32(data + static_cast<std::uint32_t>(kWavHeaderBytes) - 8);
        p.bytes(as_bytes("WAVEfmt "));
        p.u32(16);
        p.u16(1);
        p.u16(kChannels);
        p.u32(media::kPcmRate);
        p.u32(media::kPcmRate * kFrameBytes);
        p.u16(kFrameBytes);
        p.u16(16);
        p.bytes(as_bytes("data"));
        p.u32(data);
        return sink_.write(header);
    }

    Result<void> write(std::span<const std::int16_t> said, std::span<const std::int16_t> heard) override {
        if (said.size() > left_) return fail(Errc::conflict, "more audio than was announced");
        left_ -= said.size();
        bytes_.clear();
        media::Packer p(bytes_);
        for (std::size_t i = 0; i < said.size(); ++i) {
            p.u16(static_cast<std::uint16_t>(said[i]));
            p.u16(static_cast<std::uint16_t>(heard[i]));
        }
        return sink_.write(bytes_);
    }

    Result<void> finish() override {
        if (left_ != 0) return fail(Errc::conflict, "less audio than was announced");
        TRY_VOID(sink_.flush());
        return file_.sync();
    }

private:
    File file_;
    FileSink sink_;
    std::uint64_t left_;
    std::vector<std::uint8_t> bytes_;
};

class FlacEncoder : public Encoder {
public:
    explicit FlacEncoder(File file) : file_(std::move(file)), encoder_(FLAC__stream_encoder_new()) {}
    ~FlacEncoder() override {
        if (encoder_ != nullptr) FLAC__stream_encoder_delete(encoder_);
    }
    FlacEncoder(const FlacEncoder&) = delete;
    FlacEncoder& operator=(const FlacEncoder&) = delete;

    Result<void> begin(std::uint64_t samples) {
        if (encoder_ == nullptr) return fail(Errc::exhausted, "no memory for a FLAC encoder");
        const bool set = FLAC__stream_encoder_set_channels(encoder_, kChannels) != 0 &&
                         FLAC__stream_encoder_set_bits_per_sample(encoder_, 16) != 0 &&
                         FLAC__stream_encoder_set_sample_rate(encoder_, media::kPcmRate) != 0 &&
                         FLAC__stream_encoder_set_compression_level(encoder_, 5) != 0 &&
                         FLAC__stream_encoder_set_total_samples_estimate(encoder_, samples) != 0;
        if (!set || FLAC__stream_encoder_init_stream(encoder_, &on_write, &on_seek, &on_tell, nullptr, this) !=
                        FLAC__STREAM_ENCODER_INIT_STATUS_OK) {
            return broken();
        }
        return {};
    }

    Result<void> write(std::span<const std::int16_t> said, std::span<const std::int16_t> heard) override {
        frames_.clear();
        for (std::size_t i = 0; i < said.size(); ++i) {
            frames_.push_back(said[i]);
            frames_.push_back(heard[i]);
        }
        const auto n = static_cast<std::uint32_t>(said.size());
        if (FLAC__stream_encoder_process_interleaved(encoder_, frames_.data(), n) == 0) return broken();
        return {};
    }

    Result<void> finish() override {
        if (FLAC__stream_encoder_finish(encoder_) == 0 || error_) return broken();
        return file_.sync();
    }

private:
    std::unexpected<Error> broken() const {
        if (error_) return std::unexpected(*error_);
        return fail(Errc::io, "FLAC encoder refused " + file_.path());
    }
    // The library's callbacks; `self` is ours.
    static FLAC__StreamEncoderWriteStatus on_write(const FLAC__StreamEncoder*, const FLAC__byte* bytes, std::size_t n,
                                                   std::uint32_t, std::uint32_t, void* self) {
        auto& me = *static_cast<FlacEncoder*>(self);
        auto done = me.file_.write_at(me.at_, {bytes, n});
        if (!done) {
            me.error_ = done.error();
            return FLAC__STREAM_ENCODER_WRITE_STATUS_FATAL_ERROR;
        }
        me.at_ += n;
        return FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
    }
    static FLAC__StreamEncoderSeekStatus on_seek(const FLAC__StreamEncoder*, FLAC__uint64 offset, void* self) {
        static_cast<FlacEncoder*>(self)->at_ = offset;
        return FLAC__STREAM_ENCODER_SEEK_STATUS_OK;
    }
    static FLAC__StreamEncoderTellStatus on_tell(const FLAC__StreamEncoder*, FLAC__uint64* offset, void* self) {
        *offset = static_cast<FlacEncoder*>(self)->at_;
        return FLAC__STREAM_ENCODER_TELL_STATUS_OK;
    }

    File file_;
    FLAC__StreamEncoder* encoder_;
    std::uint64_t at_ = 0;
    std::optional<Error> error_;
    std::vector<FLAC__int32> frames_;
};

}  // namespace

std::string_view suffix_of(AudioFormat format) {
    return format == AudioFormat::wav ? ".wav" : ".flac";
}
std::string_view media_type_of(AudioFormat format) {
    return format == AudioFormat::wav ? "audio/wav" : "audio/flac";
}

Result<std::unique_ptr<Encoder>> Encoder::create(AudioFormat format, const std::string& path, std::uint64_t samples) {
    TRY(File file, File::create(path));
    if (format == AudioFormat::wav) {
        auto wav = std::make_unique<WavEncoder>(std::move(file), samples);
        TRY_VOID(wav->begin());
        return wav;
    }
    auto flac = std::make_unique<FlacEncoder>(std::move(file));
    TRY_VOID(flac->begin(samples));
    return flac;
}

}  // namespace sheaf::journal
