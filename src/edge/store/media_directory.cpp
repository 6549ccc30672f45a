// SPDX-License-Identifier: Apache-2.0
#include "edge/store/media_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/bytes.h"
#include "base/digest.h"

namespace sheaf::store {
namespace {

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const { return fd_; }

private:
    int fd_;
};

std::unexpected<Error> failed(const std::string& doing) {
    const int error = errno;
    const bool full = error == ENOSPC || error == EDQUOT;
    return fail(full ? Errc::exhausted : Errc::io, doing + ": " + std::system_category().message(error));
}

Result<void> sync_directory(const std::string& path) {
    const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.get() < 0 || ::fsync(directory.get()) != 0) return failed("sync " + path);
    return {};
}

Result<void> make_directory(const std::string& path) {
    std::error_code error;
    if (std::filesystem::create_directories(path, error); error)
        return fail(Errc::io, "make " + path + ": " + error.message());
    return sync_directory(std::filesystem::path(path).parent_path().string());
}

class MediaDirectory final : public archive::MediaStore {
public:
    explicit MediaDirectory(std::string directory) : directory_(std::move(directory)) {}

    Result<archive::KeptMedia> keep(const std::string& file, const std::string& tenant, const std::string& segment,
                                    const std::string& sha256) override {
        TRY(const auto bytes, check(file, sha256));
        // A hash of what the outside named is a name that cannot leave the folder. The digest in it keeps two uploads
        // that disagree apart until the catalogue has decided.
        const std::string name = sha256_hex(tenant + "\n" + segment);
        const std::string folder = name.substr(0, 2);
        const std::string path = folder + "/" + name + "-" + sha256.substr(0, 16);
        TRY_VOID(make_directory(directory_ + "/" + folder));
        if (std::rename(file.c_str(), (directory_ + "/" + path).c_str()) != 0) return failed("keep " + path);
        TRY_VOID(sync_directory(directory_ + "/" + folder));
        return archive::KeptMedia{path, sha256, bytes};
    }

    Result<std::string> file_of(const std::string& path) override {
        std::string file = directory_ + "/" + path;
        struct stat status{};
        if (::stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode))
            return fail(Errc::not_found, "media " + path + " is not in the store");
        return file;
    }

    Result<void> remove(const std::string& path) override {
        const std::string file = directory_ + "/" + path;
        if (::unlink(file.c_str()) != 0) return errno == ENOENT ? Result<void>{} : failed("remove " + path);
        return sync_directory(std::filesystem::path(file).parent_path().string());
    }

private:
    // Reads the file once: its size when the digest is right. What was read is on disk afterwards.
    static Result<std::uint64_t> check(const std::string& file, const std::string& sha256) {
        const Descriptor input(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
        if (input.get() < 0) return failed("open upload");
        Sha256Stream digest;
        std::uint64_t bytes = 0;
        std::array<std::uint8_t, 64 * 1024> block{};
        while (true) {
            const ssize_t got = ::read(input.get(), block.data(), block.size());
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return failed("read upload");
            if (got == 0) break;
            digest.add({block.data(), static_cast<std::size_t>(got)});
            bytes += static_cast<std::uint64_t>(got);
        }
        const Sha256 found = digest.finish();
        if (to_hex(found) != sha256) return fail(Errc::malformed, "the bytes do not have the digest that was promised");
        if (::fsync(input.get()) != 0) return failed("sync upload");
        return bytes;
    }

    std::string directory_;
};

}  // namespace

Result<std::unique_ptr<archive::MediaStore>> open_media_directory(const std::string& directory) {
    TRY_VOID(make_directory(directory));
    return std::make_unique<MediaDirectory>(directory);
}

}  // namespace sheaf::store
