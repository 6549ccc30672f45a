// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

// Little-endian fields of what we write to disk (docs/formats/journal.md, segment.md).
namespace sheaf::media {

// Appends to a buffer of the caller's.
class Packer {
public:
    explicit Packer(std::vector<std::uint8_t>& out) : out_(out) {}
    void u8(std::uint8_t v) { out_.push_back(v); }
    void u16(std::uint16_t v) { write_u16le(grow(2), v); }
    void u32(std::uint32_t v) { write_u32le(grow(4), v); }
    void u64(std::uint64_t v) { write_u64le(grow(8), v); }
    void i64(std::int64_t v) { u64(static_cast<std::uint64_t>(v)); }
    void bytes(Bytes b) { out_.insert(out_.end(), b.begin(), b.end()); }
    // Longer than `max`: cut. Callers whose text must not be cut have checked it.
    void text(std::string_view t, std::size_t max) {
        t = t.substr(0, max);
        u16(static_cast<std::uint16_t>(t.size()));
        bytes(as_bytes(t));
    }

private:
    std::uint8_t* grow(std::size_t n) {
        out_.resize(out_.size() + n);
        return out_.data() + out_.size() - n;
    }
    std::vector<std::uint8_t>& out_;
};

// Times that come from disk are refused beyond these, so that their differences can be taken: 126 years either side of
// a clock's zero, wall clocks from 1970 to 2096.
inline constexpr std::int64_t kMomentMaxNs = 4'000'000'000'000'000'000;
inline constexpr std::int64_t kWallMaxMs = 4'000'000'000'000;
[[nodiscard]] constexpr bool is_moment(std::int64_t ns) {
    return ns >= -kMomentMaxNs && ns <= kMomentMaxNs;
}
[[nodiscard]] constexpr bool is_wall(std::int64_t ms) {
    return ms >= 0 && ms <= kWallMaxMs;
}

// Takes fields from the front of bytes from outside. The first that is not there fails it for good: read all, then
// ask `ok` once. A failed reader gives zeros.
class Unpacker {
public:
    explicit Unpacker(Bytes in) : in_(in) {}
    std::uint8_t u8() { return take(1) ? in_[at_ - 1] : std::uint8_t{0}; }
    std::uint16_t u16() { return take(2) ? read_u16le(&in_[at_ - 2]) : std::uint16_t{0}; }
    std::uint32_t u32() { return take(4) ? read_u32le(&in_[at_ - 4]) : 0U; }
    std::uint64_t u64() { return take(8) ? read_u64le(&in_[at_ - 8]) : std::uint64_t{0}; }
    std::int64_t i64() { return static_cast<std::int64_t>(u64()); }
    std::int64_t moment() {
        const std::int64_t ns = i64();
        if (!is_moment(ns)) ok_ = false;
        return ok_ ? ns : 0;
    }
    std::int64_t wall() {
        const std::int64_t ms = i64();
        if (!is_wall(ms)) ok_ = false;
        return ok_ ? ms : 0;
    }
    Bytes bytes(std::size_t n) { return take(n) ? in_.subspan(at_ - n, n) : Bytes{}; }
    std::string text(std::size_t max) {
        const std::size_t n = u16();
        if (n > max) ok_ = false;
        return std::string(as_text(bytes(n)));
    }
    [[nodiscard]] bool ok() const { return ok_; }
    [[nodiscard]] std::size_t left() const { return in_.size() - at_; }

private:
    bool take(std::size_t n) {
        if (!ok_ || n > in_.size() - at_) {
            ok_ = false;
            return false;
        }
        at_ += n;
        return true;
    }
    Bytes in_;
    std::size_t at_ = 0;
    bool ok_ = true;
};

// Where a writer's bytes go. The edge's writes to a file; a test's to memory.
class ByteSink {
public:
    virtual ~ByteSink() = default;
    [[nodiscard]] virtual Result<void> write(Bytes bytes) = 0;
};

// Where a reader's bytes come from. Fewer than asked for only at the end.
class ByteSource {
public:
    virtual ~ByteSource() = default;
    [[nodiscard]] virtual Result<std::size_t> read(std::uint64_t offset, std::span<std::uint8_t> out) = 0;
};

// Bytes in memory as a source. The bytes outlive it.
class MemorySource : public ByteSource {
public:
    explicit MemorySource(Bytes bytes) : bytes_(bytes) {}
    [[nodiscard]] Result<std::size_t> read(std::uint64_t offset, std::span<std::uint8_t> out) override {
        if (offset >= bytes_.size()) return std::size_t{0};
        const Bytes rest = bytes_.subspan(static_cast<std::size_t>(offset));
        const std::size_t n = rest.size() < out.size() ? rest.size() : out.size();
        for (std::size_t i = 0; i < n; ++i) out[i] = rest[i];
        return n;
    }

private:
    Bytes bytes_;
};

class MemorySink : public ByteSink {
public:
    [[nodiscard]] Result<void> write(Bytes bytes) override {
        data.insert(data.end(), bytes.begin(), bytes.end());
        return {};
    }
    std::vector<std::uint8_t> data;
};

}  // namespace sheaf::media
