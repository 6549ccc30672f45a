// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/digest.h"

namespace sheaf::journal {
namespace {

constexpr std::size_t kSinkBufferBytes = 256 * 1024;
constexpr mode_t kFileMode = 0640;

std::unexpected<Error> failed(const char* what, const std::string& path, int error) {
    const Errc code = error == ENOSPC || error == EDQUOT || error == EMFILE ? Errc::exhausted
                      : error == ENOENT                                     ? Errc::not_found
                                                                            : Errc::io;
    return fail(code, std::string(what) + " " + path + ": " + std::system_category().message(error));
}

std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

File::~File() {
    close();
}

File::File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
    if (this != &other) {
        close();
        fd_ = std::exchange(other.fd_, -1);
        path_ = std::move(other.path_);
    }
    return *this;
}

void File::close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

Result<File> File::open_read(const std::string& path) {
    File file;
    file.path_ = path;
    file.fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file.fd_ < 0) return failed("open", path, errno);
    return file;
}

Result<File> File::open_write(const std::string& path) {
    File file;
    file.path_ = path;
    file.fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (file.fd_ < 0) return failed("open", path, errno);
    return file;
}

Result<File> File::create(const std::string& path) {
    File file;
    file.path_ = path;
    file.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, kFileMode);
    if (file.fd_ < 0) return failed("create", path, errno);
    return file;
}

Result<void> File::write_at(std::uint64_t offset, Bytes bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return failed("write", path_, n < 0 ? errno : EIO);
        offset += static_cast<std::uint64_t>(n);
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return {};
}

Result<std::size_t> File::read_at(std::uint64_t offset, std::span<std::uint8_t> out) const {
    std::size_t got = 0;
    while (got < out.size()) {
        const ssize_t n = ::pread(fd_, out.data() + got, out.size() - got, static_cast<off_t>(offset + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failed("read", path_, errno);
        if (n == 0) break;
        got += static_cast<std::size_t>(n);
    }
    return got;
}

Result<void> File::allocate(std::uint64_t bytes) {
    const int error = ::posix_fallocate(fd_, 0, static_cast<off_t>(bytes));
    if (error != 0) return failed("allocate", path_, error);
    return {};
}

Result<void> File::sync() {
    if (::fdatasync(fd_) != 0) return failed("sync", path_, errno);
    return {};
}

Result<std::uint64_t> File::size() const {
    struct stat status{};
    if (::fstat(fd_, &status) != 0) return failed("stat", path_, errno);
    return static_cast<std::uint64_t>(status.st_size);
}

Result<void> FileSink::write(Bytes bytes) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    if (buffer_.size() < kSinkBufferBytes) return {};
    return flush();
}

Result<void> FileSink::flush() {
    TRY_VOID(file_.write_at(offset_, buffer_));
    offset_ += buffer_.size();
    buffer_.clear();
    return {};
}

Result<void> make_folders(const std::string& path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) return fail(Errc::io, "make folder " + path + ": " + error.message());
    return {};
}

Result<void> sync_folder(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return failed("open folder", path, errno);
    const int status = ::fsync(fd);
    const int error = errno;
    ::close(fd);
    if (status != 0) return failed("sync folder", path, error);
    return {};
}

Result<void> rename_durably(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) return failed("rename", from, errno);
    TRY_VOID(sync_folder(folder_of(to)));
    if (folder_of(from) != folder_of(to)) TRY_VOID(sync_folder(folder_of(from)));
    return {};
}

Result<void> remove_file(const std::string& path) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failed("remove", path, errno);
    return {};
}

Result<std::vector<std::string>> files_in(const std::string& folder, const std::string& suffix) {
    std::vector<std::string> names;
    std::error_code error;
    std::filesystem::directory_iterator it(folder, error);
    if (error == std::errc::no_such_file_or_directory) return names;
    for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
        std::error_code ignored;
        std::string name = it->path().filename().string();
        if (it->is_regular_file(ignored) && name.ends_with(suffix)) names.push_back(std::move(name));
    }
    if (error) return fail(Errc::io, "list " + folder + ": " + error.message());
    std::ranges::sort(names);
    return names;
}

bool file_exists(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
}

Result<std::string> sha256_of_file(const std::string& path) {
    TRY(const File file, File::open_read(path));
    Sha256Stream digest;
    std::vector<std::uint8_t> buffer(256 * 1024);
    for (std::uint64_t at = 0;;) {
        TRY(const std::size_t n, file.read_at(at, buffer));
        digest.add(Bytes(buffer).first(n));
        at += n;
        if (n < buffer.size()) break;
    }
    return to_hex(digest.finish());
}

}  // namespace sheaf::journal
