// SPDX-License-Identifier: Apache-2.0
#include "base/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.h"

namespace sheaf {
namespace {

// Looked up once: OpenSSL does it anew for every digest else.
const EVP_MD* sha256_method() {
    static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    return method;
}

struct DigestContext {
    EVP_MD_CTX* md = EVP_MD_CTX_new();
    DigestContext() = default;
    DigestContext(const DigestContext&) = delete;
    DigestContext& operator=(const DigestContext&) = delete;
    ~DigestContext() { EVP_MD_CTX_free(md); }
    void begin() const { ASSERT(EVP_DigestInit_ex(md, sha256_method(), nullptr) == 1); }
    void add(Bytes bytes) const { ASSERT(EVP_DigestUpdate(md, bytes.data(), bytes.size()) == 1); }
    [[nodiscard]] Sha256 finish() const {
        Sha256 out{};
        unsigned size = 0;
        ASSERT(EVP_DigestFinal_ex(md, out.data(), &size) == 1 && size == out.size());
        return out;
    }
};

}  // namespace

struct Sha256Stream::Context : DigestContext {};

Sha256Stream::Sha256Stream() : context_(std::make_unique<Context>()) {
    context_->begin();
}
Sha256Stream::~Sha256Stream() = default;
Sha256Stream::Sha256Stream(Sha256Stream&&) noexcept = default;
Sha256Stream& Sha256Stream::operator=(Sha256Stream&&) noexcept = default;

void Sha256Stream::add(Bytes bytes) {
    context_->add(bytes);
}

Sha256 Sha256Stream::finish() {
    return context_->finish();
}

Sha256 sha256(Bytes bytes) {
    thread_local const DigestContext context;  // begun again it keeps its memory
    context.begin();
    context.add(bytes);
    return context.finish();
}

std::string sha256_hex(std::string_view text) {
    return to_hex(sha256(as_bytes(text)));
}

std::string md5_hex(std::string_view text) {
    std::array<std::uint8_t, 16> out{};
    unsigned size = 0;
    ASSERT(EVP_Digest(text.data(), text.size(), out.data(), &size, EVP_md5(), nullptr) == 1);
    return to_hex(out);
}

std::uint64_t xxh3(std::string_view text) {
    return XXH3_64bits(text.data(), text.size());
}

std::string hmac_sha256_hex(std::string_view key, std::string_view text) {
    Sha256 out{};
    unsigned size = 0;
    const Bytes bytes = as_bytes(text);
    ASSERT(HMAC(sha256_method(), key.data(), static_cast<int>(key.size()), bytes.data(), bytes.size(), out.data(),
                &size) != nullptr);
    return to_hex(out);
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace sheaf
