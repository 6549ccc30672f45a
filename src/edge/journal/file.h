// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "media/pack.h"

// Files as values: an error is always an Error with the path in it, never errno left lying about.
namespace sheaf::journal {

class File {
public:
    File() = default;
    ~File();
    File(File&& other) noexcept;
    File& operator=(File&& other) noexcept;

    [[nodiscard]] static Result<File> open_read(const std::string& path);
    [[nodiscard]] static Result<File> open_write(const std::string& path);  // what is there, to read and change
    [[nodiscard]] static Result<File> create(const std::string& path);      // truncates what is there
    [[nodiscard]] bool is_open() const { return fd_ >= 0; }
    [[nodiscard]] const std::string& path() const { return path_; }

    // All of it or an error: a short write is retried, and what stays short is an error.
    [[nodiscard]] Result<void> write_at(std::uint64_t offset, Bytes bytes);
    // Fewer than asked for only at the end of the file.
    [[nodiscard]] Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const;
    [[nodiscard]] Result<void> allocate(std::uint64_t bytes);  // posix_fallocate: blocks, not a promise
    [[nodiscard]] Result<void> sync();                         // fdatasync
    [[nodiscard]] Result<std::uint64_t> size() const;
    [[nodiscard]] int fd() const { return fd_; }
    void close();

private:
    int fd_ = -1;
    std::string path_;
};

// A file as a byte source.
class FileSource : public media::ByteSource {
public:
    explicit FileSource(const File& file) : file_(file) {}
    [[nodiscard]] Result<std::size_t> read(std::uint64_t offset, std::span<std::uint8_t> out) override {
        return file_.read_at(offset, out);
    }

private:
    const File& file_;
};

// Appends to a file through a buffer; `flush` before the file is synced.
class FileSink : public media::ByteSink {
public:
    explicit FileSink(File& file) : file_(file) {}
    [[nodiscard]] Result<void> write(Bytes bytes) override;
    [[nodiscard]] Result<void> flush();
    [[nodiscard]] std::uint64_t written() const { return offset_ + buffer_.size(); }

private:
    File& file_;
    std::uint64_t offset_ = 0;
    std::vector<std::uint8_t> buffer_;
};

[[nodiscard]] Result<void> make_folders(const std::string& path);
[[nodiscard]] Result<void> sync_folder(const std::string& path);
// Renames and syncs both folders: afterwards the new name survives a power loss.
[[nodiscard]] Result<void> rename_durably(const std::string& from, const std::string& to);
// Not being there is success.
[[nodiscard]] Result<void> remove_file(const std::string& path);
// Names of the plain files in a folder with this suffix, in order. A folder that is not there has none.
[[nodiscard]] Result<std::vector<std::string>> files_in(const std::string& folder, const std::string& suffix);
[[nodiscard]] bool file_exists(const std::string& path);
[[nodiscard]] Result<std::string> sha256_of_file(const std::string& path);

}  // namespace sheaf::journal
