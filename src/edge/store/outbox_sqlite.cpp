// SPDX-License-Identifier: Apache-2.0
#include "edge/store/outbox_sqlite.h"

#include <unordered_map>
#include <utility>

#include "base/json.h"
#include "edge/store/sqlite.h"

namespace sheaf::store {
namespace {

using link::OutboxFile;

constexpr std::size_t kOthersPassedMax = 10'000;  // facts of other owners, in search of more to deliver together

// `refused` is null while the row waits. Delivered rows are deleted; the node's seq stays.
constexpr std::string_view kSchema = R"sql(
CREATE TABLE node (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    tenant TEXT NOT NULL,
    site   TEXT NOT NULL,
    name   TEXT NOT NULL,
    seq    INTEGER NOT NULL
);
CREATE TABLE fact (
    seq     INTEGER PRIMARY KEY,
    id      TEXT NOT NULL UNIQUE,
    owner   TEXT NOT NULL,
    body    TEXT NOT NULL,
    refused TEXT
);
CREATE INDEX fact_waiting ON fact (owner, seq) WHERE refused IS NULL;
CREATE TABLE file (
    number     INTEGER PRIMARY KEY,
    segment    TEXT NOT NULL UNIQUE,
    owner      TEXT NOT NULL,
    path       TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    refused    TEXT
);
CREATE INDEX file_waiting ON file (owner, number) WHERE refused IS NULL;
)sql";

// Calls in progress, and when their owner was heard of last: Unix ms, and ms of the monotonic clock.
constexpr std::string_view kOpenCalls = R"sql(
CREATE TABLE open_call (
    owner    TEXT NOT NULL,
    calluuid TEXT NOT NULL,
    PRIMARY KEY (owner, calluuid)
) WITHOUT ROWID;
CREATE TABLE alive (
    owner TEXT PRIMARY KEY,
    at    INTEGER NOT NULL,
    mono  INTEGER NOT NULL
) WITHOUT ROWID;
)sql";

// A fact's id is a hash: an index by it would be written to all over for each one. Rows are found by their seq.
constexpr std::string_view kFactsBySeq = R"sql(
CREATE TABLE fact_by_seq (
    seq     INTEGER PRIMARY KEY,
    id      TEXT NOT NULL,
    owner   TEXT NOT NULL,
    body    TEXT NOT NULL,
    refused TEXT
);
INSERT INTO fact_by_seq SELECT seq, id, owner, body, refused FROM fact ORDER BY seq;
DROP TABLE fact;
ALTER TABLE fact_by_seq RENAME TO fact;
CREATE INDEX fact_waiting ON fact (owner, seq) WHERE refused IS NULL;
)sql";

// A row is written once and removed once, at the ends of the table: no index pays for itself. Its id is in its body.
constexpr std::string_view kFactsInOrder = R"sql(
CREATE TABLE fact_in_order (
    seq     INTEGER PRIMARY KEY,
    owner   TEXT NOT NULL,
    body    TEXT NOT NULL,
    refused TEXT
);
INSERT INTO fact_in_order SELECT seq, owner, body, refused FROM fact ORDER BY seq;
DROP TABLE fact;
ALTER TABLE fact_in_order RENAME TO fact;
)sql";

class SqliteOutbox final : public link::Outbox {
public:
    SqliteOutbox(Database database, Fact sender, std::string owner)
        : database_(std::move(database)), sender_(std::move(sender)), owner_(std::move(owner)) {}

    Result<void> claim();
    Result<std::uint64_t> add(const std::vector<FactDraft>& drafts) override;
    Result<void> add_file(const OutboxFile& file) override;
    Result<std::vector<Fact>> pending(std::size_t count, std::size_t bytes) override;
    Result<std::vector<OutboxFile>> pending_files(std::size_t count) override;
    Result<void> delivered(const std::vector<std::string>& fact_ids) override;
    Result<void> refused(const std::string& fact_id, const std::string& reason) override {
        const auto given = given_.find(fact_id);
        if (given == given_.end()) return {};
        TRY_VOID(keep_apart(given->second, reason));
        given_.erase(given);
        return {};
    }
    Result<void> file_delivered(const std::string& segment, const std::string& sha256) override;
    Result<void> file_refused(const std::string& segment, const std::string& sha256,
                              const std::string& reason) override {
        TRY(auto update, database_.prepare("UPDATE file SET refused = ? WHERE segment = ? AND sha256 = ?"));
        return update.bind(1, reason).bind(2, segment).bind(3, sha256).run();
    }
    Result<Unfinished> unfinished() override;
    Result<void> alive(const Stamp& now) override;
    Result<std::uint64_t> first_pending() override;
    Result<Counts> counts() override;

private:
    [[nodiscard]] Result<void> follow_calls(const std::vector<FactDraft>& drafts);
    [[nodiscard]] Result<void> heard_of(const Stamp& now);
    [[nodiscard]] Result<void> keep_apart(std::int64_t seq, const std::string& reason);
    [[nodiscard]] Result<std::uint64_t> last_seq();

    Database database_;
    Fact sender_;  // tenant, site and node of every fact
    std::string owner_;
    std::unordered_map<std::string, std::int64_t> given_;  // seqs of what `pending` has given, by id
    std::int64_t from_ = 0;                                // no fact of the owner's waits before it
};

// A new file takes this node's name, and keeps it.
Result<void> SqliteOutbox::claim() {
    TRY(auto insert, database_.prepare("INSERT OR IGNORE INTO node VALUES (1, ?, ?, ?, 0)"));
    TRY_VOID(insert.bind(1, sender_.tenant).bind(2, sender_.site).bind(3, sender_.node).run());
    TRY(auto select, database_.prepare("SELECT tenant, site, name FROM node"));
    TRY(const bool found, select.step());
    if (!found) return fail(Errc::io, "the outbox has no node");
    if (select.text(0) == sender_.tenant && select.text(1) == sender_.site && select.text(2) == sender_.node) return {};
    return fail(Errc::conflict, "the outbox belongs to node " + select.text(2) + " of site " + select.text(1) +
                                    ", tenant " + select.text(0));
}

Result<std::uint64_t> SqliteOutbox::last_seq() {
    TRY(auto select, database_.prepare("SELECT seq FROM node"));
    TRY_VOID(select.step());
    return static_cast<std::uint64_t>(select.integer(0));
}

Result<std::uint64_t> SqliteOutbox::add(const std::vector<FactDraft>& drafts) {
    if (drafts.empty()) {
        TRY(const auto seq, last_seq());
        return seq + 1;
    }
    TRY(auto transaction, Transaction::begin(database_));
    TRY(const std::uint64_t last, last_seq());
    std::uint64_t seq = last;
    TRY(auto insert, database_.prepare("INSERT INTO fact (seq, owner, body) VALUES (?, ?, ?)"));
    insert.bind(2, owner_);
    for (const auto& draft : drafts) {
        TRY(const std::string body, sealed(sender_, ++seq, draft));
        if (body.size() > kFactBytesMax) return fail(Errc::exhausted, "a fact of type " + draft.type + " is too large");
        TRY_VOID(insert.bind(1, static_cast<std::int64_t>(seq)).bind(3, body).run());
    }
    TRY_VOID(follow_calls(drafts));
    TRY(auto update, database_.prepare("UPDATE node SET seq = ?"));
    TRY_VOID(update.bind(1, static_cast<std::int64_t>(seq)).run());
    TRY_VOID(transaction.commit());
    return last + 1;
}

// Of each call what the batch leaves it at: to delete what is not there costs little.
Result<void> SqliteOutbox::follow_calls(const std::vector<FactDraft>& drafts) {
    std::unordered_map<std::string_view, bool> changes;  // is it in progress now?
    bool is_about_calls = false;
    for (const auto& draft : drafts) {
        const bool begins = draft.type == "call.started";
        const bool ends = draft.type == "call.ended" || draft.type == "call.merged";
        const auto* call = begins || ends ? draft.data.if_contains("calluuid") : nullptr;
        if (call == nullptr || !call->is_string()) continue;
        is_about_calls = true;
        changes[call->get_string()] = begins;
    }
    for (const auto& [call, begins] : changes) {
        TRY(auto change, database_.prepare(begins ? "INSERT OR IGNORE INTO open_call VALUES (?, ?)"
                                                  : "DELETE FROM open_call WHERE owner = ? AND calluuid = ?"));
        TRY_VOID(change.bind(1, owner_).bind(2, call).run());
    }
    return is_about_calls ? heard_of(drafts.back().stamp) : Result<void>{};
}

Result<void> SqliteOutbox::heard_of(const Stamp& now) {
    TRY(auto update, database_.prepare("INSERT INTO alive VALUES (?, ?, ?) ON CONFLICT (owner) DO UPDATE SET "
                                       "at = excluded.at, mono = excluded.mono"));
    return update.bind(1, owner_).bind(2, to_unix_ms(now.wall)).bind(3, to_ms(now.mono)).run();
}

Result<void> SqliteOutbox::alive(const Stamp& now) {
    {
        TRY(auto select, database_.prepare("SELECT 1 FROM open_call WHERE owner = ? LIMIT 1"));
        select.bind(1, owner_);
        TRY(const bool is_busy, select.step());
        if (!is_busy) return {};
    }
    return heard_of(now);
}

Result<link::Outbox::Unfinished> SqliteOutbox::unfinished() {
    Unfinished out;
    TRY(auto select, database_.prepare("SELECT calluuid FROM open_call WHERE owner = ?"));
    select.bind(1, owner_);
    for (;;) {
        TRY(const bool row, select.step());
        if (!row) break;
        out.calls.emplace_back(select.text(0));
    }
    TRY(auto last, database_.prepare("SELECT at, mono FROM alive WHERE owner = ?"));
    last.bind(1, owner_);
    TRY(const bool is_known, last.step());
    if (is_known) {
        out.last.wall = WallTime(std::chrono::milliseconds(last.integer(0)));
        out.last.mono = Instant(std::chrono::milliseconds(last.integer(1)));
    }
    return out;
}

Result<void> SqliteOutbox::add_file(const OutboxFile& file) {
    TRY(auto insert,
        database_.prepare("INSERT INTO file (segment, owner, path, sha256, bytes, media_type) VALUES (?, ?, ?, ?, ?, ?)"
                          "ON CONFLICT (segment) DO UPDATE SET path = excluded.path, sha256 = excluded.sha256,"
                          "bytes = excluded.bytes, media_type = excluded.media_type, refused = NULL "
                          "WHERE sha256 <> excluded.sha256 OR refused IS NOT NULL"));
    insert.bind(1, file.segment).bind(2, owner_).bind(3, file.path).bind(4, file.sha256);
    return insert.bind(5, static_cast<std::int64_t>(file.bytes)).bind(6, file.media_type).run();
}

Result<std::vector<Fact>> SqliteOutbox::pending(std::size_t count, std::size_t bytes) {
    std::vector<Fact> facts;
    std::vector<std::int64_t> unreadable;
    {
        TRY(auto select,
            database_.prepare("SELECT seq, CASE WHEN owner = ?2 AND refused IS NULL THEN body END FROM fact "
                              "WHERE seq >= ?1 ORDER BY seq"));
        select.bind(1, from_).bind(2, owner_);
        for (std::size_t taken = 0, passed = 0; facts.size() < count;) {
            TRY(const bool row, select.step());
            if (!row) break;
            const std::int64_t seq = select.integer(0);
            if (select.is_null(1)) {
                const bool is_first = facts.empty() && unreadable.empty();
                if (is_first) from_ = seq + 1;
                if (!is_first && ++passed > kOthersPassedMax) break;
                continue;
            }
            const std::string body = select.text(1);
            if (!facts.empty() && taken + body.size() > bytes) break;
            taken += body.size();
            auto value = json_from_text(body);
            auto fact = value ? fact_from_json(*value) : Result<Fact>(std::unexpected(value.error()));
            if (fact) {
                given_[fact->id] = seq;
                facts.push_back(std::move(*fact));
            } else {
                unreadable.push_back(seq);
            }
        }
    }
    for (const auto seq : unreadable) TRY_VOID(keep_apart(seq, "the outbox cannot read it any more"));
    return facts;
}

Result<std::vector<OutboxFile>> SqliteOutbox::pending_files(std::size_t count) {
    TRY(auto select, database_.prepare("SELECT segment, path, sha256, bytes, media_type FROM file "
                                       "WHERE owner = ? AND refused IS NULL ORDER BY number LIMIT ?"));
    select.bind(1, owner_).bind(2, static_cast<std::int64_t>(count));
    std::vector<OutboxFile> files;
    while (true) {
        TRY(const bool row, select.step());
        if (!row) break;
        files.push_back({select.text(0), select.text(1), select.text(2), static_cast<std::uint64_t>(select.integer(3)),
                         select.text(4)});
    }
    return files;
}

Result<void> SqliteOutbox::keep_apart(std::int64_t seq, const std::string& reason) {
    TRY(auto update, database_.prepare("UPDATE fact SET refused = ?2 WHERE seq = ?1"));
    return update.bind(1, seq).bind(2, reason).run();
}

Result<void> SqliteOutbox::delivered(const std::vector<std::string>& fact_ids) {
    TRY(auto transaction, Transaction::begin(database_));
    TRY(auto remove, database_.prepare("DELETE FROM fact WHERE seq = ?"));
    for (const auto& id : fact_ids) {
        const auto given = given_.find(id);
        if (given == given_.end()) continue;
        TRY_VOID(remove.bind(1, given->second).run());
    }
    TRY_VOID(transaction.commit());
    for (const auto& id : fact_ids) given_.erase(id);
    return {};
}

Result<void> SqliteOutbox::file_delivered(const std::string& segment, const std::string& sha256) {
    TRY(auto remove, database_.prepare("DELETE FROM file WHERE segment = ? AND sha256 = ?"));
    return remove.bind(1, segment).bind(2, sha256).run();
}

Result<std::uint64_t> SqliteOutbox::first_pending() {
    TRY(auto first, database_.prepare("SELECT seq, owner = ?2 AND refused IS NULL FROM fact WHERE seq >= ?1 "
                                      "ORDER BY seq"));
    first.bind(1, from_).bind(2, owner_);
    for (;;) {
        TRY(const bool row, first.step());
        if (!row) return 0;
        if (first.integer(1) != 0) return static_cast<std::uint64_t>(first.integer(0));
        from_ = first.integer(0) + 1;
    }
}

Result<link::Outbox::Counts> SqliteOutbox::counts() {
    Counts counts;
    const auto look = [&](std::string_view sql, std::uint64_t& pending, std::uint64_t& refused) -> Result<void> {
        TRY(auto select, database_.prepare(sql));
        TRY_VOID(select.bind(1, owner_).step());
        refused = static_cast<std::uint64_t>(select.integer(1));
        pending = static_cast<std::uint64_t>(select.integer(0)) - refused;
        return {};
    };
    TRY_VOID(
        look("SELECT count(*), count(refused) FROM fact WHERE owner = ?", counts.facts_pending, counts.facts_refused));
    TRY_VOID(
        look("SELECT count(*), count(refused) FROM file WHERE owner = ?", counts.files_pending, counts.files_refused));
    return counts;
}

}  // namespace

Result<std::unique_ptr<link::Outbox>> open_outbox(const std::string& path, const std::string& tenant,
                                                  const std::string& site, const std::string& node,
                                                  const std::string& owner) {
    TRY(auto database, Database::open(path, {kSchema, kOpenCalls, kFactsBySeq, kFactsInOrder}));
    Fact sender;
    sender.tenant = tenant;
    sender.site = site;
    sender.node = node;
    auto outbox = std::make_unique<SqliteOutbox>(std::move(database), std::move(sender), owner);
    TRY_VOID(outbox->claim());
    return outbox;
}

}  // namespace sheaf::store
