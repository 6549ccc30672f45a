// SPDX-License-Identifier: Apache-2.0
#include "edge/store/sqlite.h"

#include <sqlite3.h>

#include <utility>

namespace sheaf::store {

namespace {

constexpr int kBusyTimeoutMs = 5'000;

std::unexpected<Error> failed(sqlite3* database, int code, std::string_view doing) {
    std::string what(doing);
    what += ": ";
    what += database != nullptr ? sqlite3_errmsg(database) : sqlite3_errstr(code);
    return fail((code & 0xff) == SQLITE_FULL ? Errc::exhausted : Errc::io, std::move(what));
}

}  // namespace

StatementCache::~StatementCache() {
    for (const auto& [sql, idle] : idle_) {
        for (sqlite3_stmt* statement : idle) sqlite3_finalize(statement);
    }
}

StatementCache::Idle* StatementCache::of(std::string_view sql) {
    std::string text(sql);
    if (idle_.size() >= kTextsMax && !idle_.contains(text)) return nullptr;
    return &idle_[std::move(text)];
}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)),
      idle_(other.idle_),
      bind_error_(other.bind_error_) {}

Statement& Statement::operator=(Statement&& other) noexcept {
    std::swap(database_, other.database_);
    std::swap(statement_, other.statement_);
    std::swap(idle_, other.idle_);
    std::swap(bind_error_, other.bind_error_);
    return *this;
}

Statement::~Statement() {
    if (statement_ == nullptr) return;
    if (idle_ == nullptr) {
        sqlite3_finalize(statement_);
        return;
    }
    sqlite3_reset(statement_);  // says once more what the last step has said
    sqlite3_clear_bindings(statement_);
    idle_->push_back(statement_);
}

Statement& Statement::bind(int index, std::string_view text) {
    const char* bytes = text.data() == nullptr ? "" : text.data();
    int code = sqlite3_bind_text64(statement_, index, bytes, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    if (bind_error_ == 0) bind_error_ = code;
    return *this;
}

Statement& Statement::bind(int index, std::int64_t number) {
    int code = sqlite3_bind_int64(statement_, index, number);
    if (bind_error_ == 0) bind_error_ = code;
    return *this;
}

Statement& Statement::bind_null(int index) {
    int code = sqlite3_bind_null(statement_, index);
    if (bind_error_ == 0) bind_error_ = code;
    return *this;
}

Result<bool> Statement::step() {
    if (int code = std::exchange(bind_error_, 0); code != 0) return failed(database_, code, "bind");
    int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    auto error = failed(database_, code, "step");
    sqlite3_reset(statement_);
    return error;
}

Result<void> Statement::run() {
    while (true) {
        TRY(bool row, step());
        if (!row) break;
    }
    reset();
    return {};
}

void Statement::reset() {
    sqlite3_reset(statement_);
}

std::string Statement::text(int column) const {
    const unsigned char* bytes = sqlite3_column_text(statement_, column);
    if (bytes == nullptr) return {};
    auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
    return {reinterpret_cast<const char*>(bytes), size};
}

std::int64_t Statement::integer(int column) const {
    return sqlite3_column_int64(statement_, column);
}

bool Statement::is_null(int column) const {
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

Database::Database(Database&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), cache_(std::move(other.cache_)) {}

Database& Database::operator=(Database&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(cache_, other.cache_);
    return *this;
}

Database::~Database() {
    cache_.reset();
    sqlite3_close_v2(handle_);
}

Result<Database> Database::open(const std::string& path, const std::vector<std::string_view>& migrations) {
    sqlite3* handle = nullptr;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
    Database database(handle);  // closes it, also after an error
    if (code != SQLITE_OK) return failed(handle, code, "open " + path);
    sqlite3_busy_timeout(handle, kBusyTimeoutMs);
    TRY_VOID(database.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"));
    TRY_VOID(database.migrate(migrations));
    return database;
}

Result<void> Database::migrate(const std::vector<std::string_view>& migrations) {
    TRY(std::int64_t version, user_version());
    auto known = static_cast<std::int64_t>(migrations.size());
    if (version < 0 || version > known)
        return fail(Errc::unsupported, "the database has schema version " + std::to_string(version) +
                                           ", this program knows up to " + std::to_string(known));
    for (; version < known; ++version) {
        TRY(auto transaction, Transaction::begin(*this));
        TRY_VOID(execute(migrations[static_cast<std::size_t>(version)]));
        TRY_VOID(execute("PRAGMA user_version=" + std::to_string(version + 1)));
        TRY_VOID(transaction.commit());
    }
    return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
    StatementCache::Idle* idle = cache_->of(sql);
    if (idle != nullptr && !idle->empty()) {
        sqlite3_stmt* kept = idle->back();
        idle->pop_back();
        return Statement(handle_, kept, idle);
    }
    sqlite3_stmt* statement = nullptr;
    int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                  &statement, nullptr);
    if (code != SQLITE_OK) return failed(handle_, code, "prepare");
    return Statement(handle_, statement, idle);
}

Result<void> Database::execute(std::string_view sql) {
    int code = sqlite3_exec(handle_, std::string(sql).c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return failed(handle_, code, "execute");
    return {};
}

std::int64_t Database::changes() const {
    return sqlite3_changes64(handle_);
}

Result<std::int64_t> Database::user_version() {
    TRY(auto statement, prepare("PRAGMA user_version"));
    TRY(bool row, statement.step());
    return row ? statement.integer(0) : 0;
}

Result<Transaction> Transaction::begin(Database& database) {
    TRY(auto begin, database.prepare("BEGIN IMMEDIATE"));
    TRY_VOID(begin.run());
    return Transaction(&database);
}

Transaction::Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
    // A failed rollback leaves nothing to do here: closing the connection rolls back too.
    if (database_ != nullptr) static_cast<void>(database_->execute("ROLLBACK"));
}

Result<void> Transaction::commit() {
    TRY(auto commit, database_->prepare("COMMIT"));
    TRY_VOID(commit.run());
    database_ = nullptr;
    return {};
}

}  // namespace sheaf::store
