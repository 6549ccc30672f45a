// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace sheaf::store {

class Database;

// Prepared statements by their SQL, for the next who asks for the same: to parse SQL costs more than to run it.
class StatementCache {
public:
    static constexpr std::size_t kTextsMax = 128;  // of further ones none is kept
    using Idle = std::vector<sqlite3_stmt*>;       // statements of one SQL text that nobody uses

    StatementCache() = default;
    StatementCache(const StatementCache&) = delete;
    StatementCache& operator=(const StatementCache&) = delete;
    ~StatementCache();
    [[nodiscard]] Idle* of(std::string_view sql);  // where its statements wait; null: there is no room for more

private:
    std::unordered_map<std::string, Idle> idle_;
};

// A prepared statement: bind, step, read, reset. Parameters and columns count from 1 and 0, as in SQLite. One owner,
// one thread, and it dies before its database.
class Statement {
public:
    Statement(Statement&& other) noexcept;
    Statement& operator=(Statement&& other) noexcept;
    ~Statement();

    Statement& bind(int index, std::string_view text);  // copied
    Statement& bind(int index, std::int64_t number);
    Statement& bind_null(int index);

    // True: a row is there to read. False: done.
    [[nodiscard]] Result<bool> step();
    // Steps a statement that yields no row to its end and resets it, bindings kept.
    [[nodiscard]] Result<void> run();
    // Ready for the next bindings and step.
    void reset();

    [[nodiscard]] std::string text(int column) const;  // empty for null
    [[nodiscard]] std::int64_t integer(int column) const;
    [[nodiscard]] bool is_null(int column) const;

private:
    friend class Database;
    Statement(sqlite3* database, sqlite3_stmt* statement, StatementCache::Idle* idle)
        : database_(database), statement_(statement), idle_(idle) {}
    sqlite3* database_;
    sqlite3_stmt* statement_;
    StatementCache::Idle* idle_;  // where it goes when it dies; null: nowhere
    int bind_error_ = 0;          // the first failed bind; told by step
};

// A connection to one database file. WAL with synchronous=FULL: what a commit has returned survives kill -9 and power
// loss. One owner, one thread. Errors are Errc::io with SQLite's words; Errc::exhausted when the disk is full.
class Database {
public:
    // Opens or creates the file. `migrations[n]` is SQL that lifts the schema from user_version n to n+1, each in its
    // own transaction; a file from a newer program (user_version beyond the list) is Errc::unsupported.
    [[nodiscard]] static Result<Database> open(const std::string& path,
                                               const std::vector<std::string_view>& migrations);
    Database(Database&& other) noexcept;
    Database& operator=(Database&& other) noexcept;
    ~Database();

    [[nodiscard]] Result<Statement> prepare(std::string_view sql);
    [[nodiscard]] Result<void> execute(std::string_view sql);  // one or more statements, rows ignored
    [[nodiscard]] std::int64_t changes() const;                // rows the last insert, update or delete touched
    [[nodiscard]] Result<std::int64_t> user_version();

private:
    explicit Database(sqlite3* handle) : handle_(handle), cache_(std::make_unique<StatementCache>()) {}
    [[nodiscard]] Result<void> migrate(const std::vector<std::string_view>& migrations);
    sqlite3* handle_;
    std::unique_ptr<StatementCache> cache_;
};

// BEGIN IMMEDIATE … COMMIT; rolled back when it dies uncommitted. The database outlives it.
class Transaction {
public:
    [[nodiscard]] static Result<Transaction> begin(Database& database);
    Transaction(Transaction&& other) noexcept;
    Transaction& operator=(Transaction&&) = delete;
    ~Transaction();

    [[nodiscard]] Result<void> commit();

private:
    explicit Transaction(Database* database) : database_(database) {}
    Database* database_;  // null once over
};

}  // namespace sheaf::store
