// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/digest.h"
#include "edge/store/catalogue_sqlite.h"
#include "edge/store/catalogue_store_suite.h"
#include "edge/store/media_directory.h"

using namespace sheaf;
using namespace sheaf::store;

namespace {

struct Folder {
    Folder() {
        char name[] = "/tmp/sheaf-archive-XXXXXX";
        path = mkdtemp(name);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    [[nodiscard]] std::string write(const std::string& name, const std::string& text) const {
        std::ofstream(path + "/" + name, std::ios::binary) << text;
        return path + "/" + name;
    }
    std::string path;
};

std::string contents(const std::string& file) {
    std::stringstream text;
    text << std::ifstream(file, std::ios::binary).rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("the catalogue in SQLite does what every catalogue store must") {
    const Folder folder;
    const suite::Open open = [&] { return open_catalogue(folder.path + "/archive.db"); };
    SUBCASE("facts are kept once and whole") {
        suite::facts_are_kept_once_and_whole(open);
    }
    SUBCASE("loading can be stopped") {
        suite::loading_can_be_stopped(open);
    }
    SUBCASE("tenants see their own facts") {
        suite::tenants_see_their_own(open);
    }
    SUBCASE("up_to is the seq below which nothing is missing") {
        suite::up_to_is_the_seq_below_which_nothing_is_missing(open);
    }
    SUBCASE("an object comes with its fact, and once") {
        suite::an_object_comes_with_its_fact_and_once(open);
    }
}

TEST_CASE("media is taken over when its digest is right, under a name the outside cannot choose") {
    const Folder folder;
    auto store = open_media_directory(folder.path + "/media").value();
    const std::string file = folder.write("upload", "abc");
    const auto kept = store->keep(file, "default", "../../etc/passwd", sha256_hex("abc"));
    REQUIRE(kept);
    CHECK(kept->bytes == 3);
    CHECK(kept->path.find("..") == std::string::npos);
    CHECK_FALSE(std::filesystem::exists(file));
    const std::string inside = std::filesystem::canonical(store->file_of(kept->path).value());
    CHECK(inside.starts_with(std::filesystem::canonical(folder.path + "/media").string()));
    CHECK(contents(inside) == "abc");
}

TEST_CASE("media with another digest than promised is refused and left alone") {
    const Folder folder;
    auto store = open_media_directory(folder.path + "/media").value();
    const std::string file = folder.write("upload", "abd");
    const auto kept = store->keep(file, "default", "f1", sha256_hex("abc"));
    REQUIRE_FALSE(kept);
    CHECK(kept.error().code == Errc::malformed);
    CHECK(std::filesystem::exists(file));
}

TEST_CASE("the same media again is the same name; other tenants, segments and digests are other names") {
    const Folder folder;
    auto store = open_media_directory(folder.path + "/media").value();
    const auto keep = [&](const std::string& text, const std::string& tenant, const std::string& segment) {
        return store->keep(folder.write("upload", text), tenant, segment, sha256_hex(text)).value().path;
    };
    const std::string first = keep("abc", "default", "f1");
    CHECK(keep("abc", "default", "f1") == first);
    CHECK(keep("abd", "default", "f1") != first);
    CHECK(keep("abc", "other", "f1") != first);
    CHECK(keep("abc", "default", "f2") != first);
    CHECK(store->file_of("00/nothing").error().code == Errc::not_found);
}
