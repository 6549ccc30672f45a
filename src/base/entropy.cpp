// SPDX-License-Identifier: Apache-2.0
#include "base/entropy.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/assert.h"
#include "base/bytes.h"

namespace sheaf {
namespace {

constexpr std::size_t kBlock = 64;  // of ChaCha20

struct CipherContext {
    EVP_CIPHER_CTX* cipher = EVP_CIPHER_CTX_new();
    CipherContext() { ASSERT(EVP_EncryptInit_ex(cipher, EVP_chacha20(), nullptr, nullptr, nullptr) == 1); }
    CipherContext(const CipherContext&) = delete;
    CipherContext& operator=(const CipherContext&) = delete;
    ~CipherContext() { EVP_CIPHER_CTX_free(cipher); }
};

// The key stream from this block on.
void stretch(const Entropy::Seed& key, std::uint64_t block, std::span<std::uint8_t> out) {
    thread_local const CipherContext context;  // begun again it keeps its memory
    std::array<std::uint8_t, 16> start{};      // the block's number, then a nonce of zeros: a key is used once
    write_u64le(start.data(), block);
    ASSERT(EVP_EncryptInit_ex(context.cipher, nullptr, nullptr, key.data(), start.data()) == 1);
    std::ranges::fill(out, std::uint8_t{0});
    int size = 0;
    ASSERT(EVP_EncryptUpdate(context.cipher, out.data(), &size, out.data(), static_cast<int>(out.size())) == 1);
    ASSERT(static_cast<std::size_t>(size) == out.size());
}

}  // namespace

std::span<std::uint8_t> Entropy::next(std::size_t bytes) {
    if (bytes > left_) {
        stretch(seed_, blocks_, stretched_);
        blocks_ += kStretched / kBlock;
        left_ = kStretched;
    }
    const std::size_t at = kStretched - left_;
    left_ -= bytes;
    return std::span(stretched_).subspan(at, bytes);
}

std::string Entropy::uuid() {
    const auto bytes = next(16);
    bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0F) | 0x40);
    bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3F) | 0x80);
    std::string text = to_hex(bytes);
    for (std::size_t at : {20U, 16U, 12U, 8U}) text.insert(at, "-");
    return text;
}

std::string Entropy::token(std::size_t bytes) {
    ASSERT(bytes <= 32);
    return to_hex(next(bytes));
}

std::uint32_t Entropy::number() {
    return read_u32le(next(4).data());
}

}  // namespace sheaf
