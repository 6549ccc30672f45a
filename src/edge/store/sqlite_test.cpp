// SPDX-License-Identifier: Apache-2.0
#include "edge/store/sqlite.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

using namespace sheaf;
using namespace sheaf::store;

namespace {

struct Folder {
    Folder() {
        char name[] = "/tmp/sheaf-sqlite-XXXXXX";
        path = mkdtemp(name);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string path;
};

}  // namespace

TEST_CASE("what a transaction commits is there when the file is opened again") {
    Folder folder;
    std::vector<std::string_view> schema = {"CREATE TABLE t(name TEXT PRIMARY KEY, n INTEGER)"};
    {
        auto database = Database::open(folder.path + "/a.db", schema);
        REQUIRE(database);
        auto transaction = Transaction::begin(*database);
        REQUIRE(transaction);
        auto insert = database->prepare("INSERT OR IGNORE INTO t VALUES (?1, ?2)");
        REQUIRE(insert);
        REQUIRE(insert->bind(1, "a'b").bind(2, 7).run());
        CHECK(database->changes() == 1);
        REQUIRE(insert->bind(1, "a'b").bind(2, 8).run());
        CHECK(database->changes() == 0);
        REQUIRE(insert->bind(1, std::string_view{}).bind_null(2).run());
        REQUIRE(transaction->commit());
    }
    auto database = Database::open(folder.path + "/a.db", schema);
    REQUIRE(database);
    auto select = database->prepare("SELECT name, n FROM t ORDER BY name");
    REQUIRE(select);
    REQUIRE(select->step().value());
    CHECK(select->text(0).empty());
    CHECK(select->is_null(1));
    REQUIRE(select->step().value());
    CHECK(select->text(0) == "a'b");
    CHECK(select->integer(1) == 7);
    CHECK_FALSE(select->step().value());
    CHECK(database->user_version().value() == 1);
}

TEST_CASE("a transaction that is not committed leaves nothing") {
    Folder folder;
    auto database = Database::open(folder.path + "/a.db", {"CREATE TABLE t(n INTEGER)"});
    REQUIRE(database);
    {
        auto transaction = Transaction::begin(*database);
        REQUIRE(transaction);
        REQUIRE(database->execute("INSERT INTO t VALUES (1)"));
    }
    auto count = database->prepare("SELECT count(*) FROM t");
    REQUIRE(count);
    REQUIRE(count->step().value());
    CHECK(count->integer(0) == 0);
}

TEST_CASE("statements of the same SQL are apart while both live, and the next one begins without bindings") {
    Folder folder;
    auto database = Database::open(folder.path + "/a.db", {"CREATE TABLE t(n INTEGER)"});
    REQUIRE(database);
    REQUIRE(database->execute("INSERT INTO t VALUES (1), (2)"));
    constexpr std::string_view kSql = "SELECT n, ?1 FROM t ORDER BY n";
    for (int round = 0; round < 3; ++round) {
        auto first = database->prepare(kSql);
        auto second = database->prepare(kSql);
        REQUIRE(first);
        REQUIRE(second);
        REQUIRE(first->step().value());
        CHECK(first->is_null(1));
        first->reset();
        first->bind(1, "bound");
        REQUIRE(first->step().value());
        REQUIRE(first->step().value());
        CHECK(first->integer(0) == 2);
        CHECK(first->text(1) == "bound");
        REQUIRE(second->step().value());
        CHECK(second->integer(0) == 1);
        CHECK(second->is_null(1));
    }
    for (std::size_t i = 0; i < 2 * StatementCache::kTextsMax; ++i) {
        auto one = database->prepare("SELECT " + std::to_string(i));
        REQUIRE(one);
        REQUIRE(one->step().value());
        CHECK(one->integer(0) == static_cast<std::int64_t>(i));
    }
    // None is left that reads: the table can go.
    REQUIRE(database->execute("DROP TABLE t"));
}

TEST_CASE("migrations run once each, in order, and a newer file is refused") {
    Folder folder;
    std::string path = folder.path + "/a.db";
    REQUIRE(Database::open(path, {"CREATE TABLE t(n INTEGER)"}));
    auto second = Database::open(path, {"CREATE TABLE t(n INTEGER)", "ALTER TABLE t ADD COLUMN m INTEGER"});
    REQUIRE(second);
    CHECK(second->user_version().value() == 2);
    auto old = Database::open(path, {"CREATE TABLE t(n INTEGER)"});
    REQUIRE_FALSE(old);
    CHECK(old.error().code == Errc::unsupported);
}

TEST_CASE("errors are values with the database's words") {
    Folder folder;
    auto nowhere = Database::open(folder.path + "/no/such/folder/a.db", {});
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error().code == Errc::io);
    auto database = Database::open(folder.path + "/a.db", {"CREATE TABLE t(n INTEGER UNIQUE)"});
    REQUIRE(database);
    CHECK_FALSE(database->prepare("SELECT nonsense FROM nowhere"));
    REQUIRE(database->execute("INSERT INTO t VALUES (1)"));
    CHECK_FALSE(database->execute("INSERT INTO t VALUES (1)"));
}
