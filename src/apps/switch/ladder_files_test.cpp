// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/ladder_files.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>

using namespace sheaf;
using namespace sheaf::apps;
namespace fs = std::filesystem;

namespace {

struct Folder {
    Folder() {
        std::string name = (fs::temp_directory_path() / "sheaf-ladder-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Folder() { fs::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::unique_ptr<LadderFiles> open(std::uint64_t bytes_max = 1'000'000,
                                                    std::size_t waiting = 1'000'000) const {
        auto files = LadderFiles::open(
            {.folder = (path / "ladder").string(), .bytes_max = bytes_max, .waiting_bytes_max = waiting});
        REQUIRE(files);
        return std::move(*files);
    }
    [[nodiscard]] std::size_t count() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(path / "ladder"), fs::directory_iterator()));
    }
    fs::path path;
};

Result<std::string> read(LadderFiles& files, const std::string& call) {
    std::promise<Result<std::string>> told;
    files.read(CallUuid(call), [&](Result<std::string> content) { told.set_value(std::move(content)); });
    return told.get_future().get();
}

}  // namespace

TEST_CASE("a ladder is there after a restart, and a later one of the same call takes its place") {
    Folder folder;
    {
        auto files = folder.open();
        files->keep(CallUuid("u1"), "one");
        CHECK(read(*files, "u1") == "one");
        files->keep(CallUuid("u1"), "two");
        files->keep(CallUuid("u2"), "other");
    }
    auto files = folder.open();
    CHECK(read(*files, "u1") == "two");
    CHECK(read(*files, "u2") == "other");
    CHECK(read(*files, "u3").error().code == Errc::not_found);
    CHECK(folder.count() == 2);
}

TEST_CASE("the oldest go when there is no more room, also those of former runs") {
    Folder folder;
    {
        auto files = folder.open(10);
        files->keep(CallUuid("a"), "12345");
        files->keep(CallUuid("b"), "12345");
        files->keep(CallUuid("c"), "123");
        CHECK(read(*files, "a").error().code == Errc::not_found);
        CHECK(read(*files, "b") == "12345");
        files->keep(CallUuid("b"), "1");  // the newest again
        files->keep(CallUuid("d"), "1234567");
        CHECK(read(*files, "c").error().code == Errc::not_found);
        CHECK(read(*files, "b") == "1");
        files->keep(CallUuid("too-large"), "12345678901");
    }
    CHECK(folder.count() == 2);
    auto files = folder.open(7);
    CHECK(read(*files, "b").error().code == Errc::not_found);
    CHECK(read(*files, "d") == "1234567");
}

TEST_CASE("a name that could lead elsewhere is no call's, and what a crash left unfinished goes") {
    Folder folder;
    {
        auto files = folder.open();
        files->keep(CallUuid("../outside"), "x");
        files->keep(CallUuid(""), "x");
        files->keep(CallUuid(std::string(65, 'a')), "x");
        CHECK(read(*files, "../../etc/passwd").error().code == Errc::not_found);
    }
    CHECK_FALSE(fs::exists(folder.path / "outside.jsonl"));
    CHECK(folder.count() == 0);
    std::ofstream(folder.path / "ladder" / "u9.part") << "half";
    static_cast<void>(folder.open());
    CHECK(folder.count() == 0);
}

TEST_CASE("what the disk does not follow is left out, and a folder that cannot be made is an error") {
    Folder folder;
    {
        auto files = folder.open(1'000, 4);
        files->keep(CallUuid("a"), "12345");
        files->keep(CallUuid("b"), "123");
        CHECK(read(*files, "a").error().code == Errc::not_found);
        CHECK(read(*files, "b") == "123");
    }
    std::ofstream(folder.path / "file") << "x";
    const auto refused = LadderFiles::open({.folder = (folder.path / "file" / "ladder").string()});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::io);
}
