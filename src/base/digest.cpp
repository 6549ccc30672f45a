// SPDX-License-Identifier: Apache-2.0
#include "base/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.h"

namespace sheaf {
namespace {

// Methods are looked up once: OpenSSL does it anew for every digest else.
const EVP_MD* sha256_method() {
    static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    return method;
}
const EVP_MD* md5_method() {
    static const EVP_MD* const method = EVP_MD_fetch(nullptr, "MD5", nullptr);
    return method;
}

// Begun again it keeps its memory.
struct DigestContext {
    explicit DigestContext(const EVP_MD* method) : method(method) {}
    DigestContext(const DigestContext&) = delete;
    DigestContext& operator=(const DigestContext&) = delete;
    ~DigestContext() { EVP_MD_CTX_free(md); }
    void begin() const { ASSERT(EVP_DigestInit_ex(md, method, nullptr) == 1); }
    void add(Bytes bytes) const { ASSERT(EVP_DigestUpdate(md, bytes.data(), bytes.size()) == 1); }
    template <typename Digest>
    [[nodiscard]] Digest finish() const {
        Digest out{};
        unsigned size = 0;
        ASSERT(EVP_DigestFinal_ex(md, out.data(), &size) == 1 && size == out.size());
        return out;
    }

    const EVP_MD* method;
    EVP_MD_CTX* md = EVP_MD_CTX_new();
};

// Likewise.
struct HmacContext {
    HmacContext() {
        static EVP_MAC* const method = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
        mac = EVP_MAC_CTX_new(method);
        std::string digest = "SHA256";
        const std::array<OSSL_PARAM, 2> params{OSSL_PARAM_construct_utf8_string("digest", digest.data(), 0),
                                               OSSL_PARAM_construct_end()};
        ASSERT(mac != nullptr && EVP_MAC_CTX_set_params(mac, params.data()) == 1);
    }
    HmacContext(const HmacContext&) = delete;
    HmacContext& operator=(const HmacContext&) = delete;
    ~HmacContext() { EVP_MAC_CTX_free(mac); }

    EVP_MAC_CTX* mac = nullptr;
};

}  // namespace

struct Sha256Stream::Context : DigestContext {
    Context() : DigestContext(sha256_method()) {}
};

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
    return context_->finish<Sha256>();
}

Sha256 sha256(Bytes bytes) {
    thread_local const DigestContext context(sha256_method());
    context.begin();
    context.add(bytes);
    return context.finish<Sha256>();
}

std::string sha256_hex(std::string_view text) {
    return to_hex(sha256(as_bytes(text)));
}

std::string md5_hex(std::string_view text) {
    thread_local const DigestContext context(md5_method());
    context.begin();
    context.add(as_bytes(text));
    return to_hex(context.finish<std::array<std::uint8_t, 16>>());
}

std::uint64_t xxh3(std::string_view text) {
    return XXH3_64bits(text.data(), text.size());
}

std::string hmac_sha256_hex(std::string_view key, std::string_view text) {
    thread_local const HmacContext context;
    const Bytes secret = as_bytes(key);
    const Bytes bytes = as_bytes(text);
    // Without a key at all it would go on with the former one.
    static const std::uint8_t none = 0;
    ASSERT(EVP_MAC_init(context.mac, secret.empty() ? &none : secret.data(), secret.size(), nullptr) == 1);
    ASSERT(EVP_MAC_update(context.mac, bytes.data(), bytes.size()) == 1);
    Sha256 out{};
    std::size_t size = 0;
    ASSERT(EVP_MAC_final(context.mac, out.data(), &size, out.size()) == 1 && size == out.size());
    return to_hex(out);
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace sheaf
