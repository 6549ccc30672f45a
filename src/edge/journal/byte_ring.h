// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"

namespace sheaf::journal {

// Bytes from one thread to another, in order, in bounded memory, without a lock. One producer, one consumer. What was
// taken is wiped: no voice stays in it.
class ByteRing {
public:
    explicit ByteRing(std::size_t bytes) : data_(bytes, 0), mask_(bytes - 1) {  // touched here, not on the packet path
        ASSERT(bytes >= 4'096 && (bytes & mask_) == 0);
    }

    // Producer. Pieces put by `put` become visible together with `publish`.
    [[nodiscard]] std::size_t capacity() const { return data_.size(); }
    [[nodiscard]] std::size_t room() const {
        return data_.size() - static_cast<std::size_t>(put_ - taken_.load(std::memory_order_acquire));
    }
    void put(Bytes bytes) {
        const auto at = static_cast<std::size_t>(put_) & mask_;
        const std::size_t first = bytes.size() < data_.size() - at ? bytes.size() : data_.size() - at;
        if (first > 0) std::memcpy(&data_[at], bytes.data(), first);  // an empty span may point nowhere
        if (first < bytes.size()) std::memcpy(data_.data(), bytes.data() + first, bytes.size() - first);
        put_ += bytes.size();
    }
    void skip(std::size_t bytes) { put_ += bytes; }  // padding: zeros
    void publish() { published_.store(put_, std::memory_order_release); }

    // Consumer.
    [[nodiscard]] std::size_t readable() const {
        return static_cast<std::size_t>(published_.load(std::memory_order_acquire) -
                                        taken_.load(std::memory_order_relaxed));
    }
    void take(std::span<std::uint8_t> out) {
        const std::uint64_t taken = taken_.load(std::memory_order_relaxed);
        const auto at = static_cast<std::size_t>(taken) & mask_;
        const std::size_t first = out.size() < data_.size() - at ? out.size() : data_.size() - at;
        if (first > 0) {
            std::memcpy(out.data(), &data_[at], first);
            std::memset(&data_[at], 0, first);
        }
        if (first < out.size()) {
            std::memcpy(out.data() + first, data_.data(), out.size() - first);
            std::memset(data_.data(), 0, out.size() - first);
        }
        taken_.store(taken + out.size(), std::memory_order_release);
    }

private:
    std::vector<std::uint8_t> data_;
    std::size_t mask_;
    std::uint64_t put_ = 0;  // producer's own
    alignas(64) std::atomic<std::uint64_t> published_{0};
    alignas(64) std::atomic<std::uint64_t> taken_{0};
};

}  // namespace sheaf::journal
