// SPDX-License-Identifier: Apache-2.0
#include "edge/store/catalogue_sqlite.h"

#include <boost/json.hpp>
#include <set>
#include <tuple>
#include <utility>

#include "base/json.h"
#include "edge/store/sqlite.h"

namespace sheaf::store {
namespace {

namespace json = boost::json;

constexpr std::string_view kSchema1 = R"sql(
CREATE TABLE facts (
    number INTEGER PRIMARY KEY,
    id     TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    site   TEXT NOT NULL,
    node   TEXT NOT NULL,
    seq    INTEGER NOT NULL,
    at     TEXT NOT NULL,
    mono   INTEGER NOT NULL,
    type   TEXT NOT NULL,
    data   TEXT NOT NULL);
CREATE INDEX facts_by_node ON facts (tenant, site, node, seq);
CREATE TABLE nodes (
    tenant TEXT NOT NULL,
    site   TEXT NOT NULL,
    node   TEXT NOT NULL,
    up_to  INTEGER NOT NULL,
    PRIMARY KEY (tenant, site, node));
CREATE TABLE objects (
    tenant     TEXT NOT NULL,
    segment    TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    path       TEXT NOT NULL,
    PRIMARY KEY (tenant, segment));
)sql";

class CatalogueSqlite final : public archive::CatalogueStore {
public:
    static Result<std::unique_ptr<archive::CatalogueStore>> open(const std::string& path) {
        TRY(auto database, Database::open(path, {kSchema1}));
        TRY(auto insert, database.prepare("INSERT INTO facts (id, tenant, site, node, seq, at, mono, type, data) "
                                          "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING"));
        TRY(auto has, database.prepare("SELECT 1 FROM facts WHERE tenant=?1 AND site=?2 AND node=?3 AND seq=?4"));
        TRY(auto reached, database.prepare("SELECT up_to FROM nodes WHERE tenant=?1 AND site=?2 AND node=?3"));
        TRY(auto reach, database.prepare("INSERT INTO nodes VALUES (?1, ?2, ?3, ?4) "
                                         "ON CONFLICT (tenant, site, node) DO UPDATE SET up_to=excluded.up_to"));
        TRY(auto find, database.prepare("SELECT sha256, bytes, media_type, path FROM objects "
                                        "WHERE tenant=?1 AND segment=?2"));
        return std::unique_ptr<archive::CatalogueStore>(new CatalogueSqlite(std::move(database), std::move(insert),
                                                                            std::move(has), std::move(reached),
                                                                            std::move(reach), std::move(find)));
    }

    Result<std::vector<bool>> add(const std::vector<Fact>& facts) override {
        TRY(auto transaction, Transaction::begin(database_));
        TRY(auto is_new, insert(facts));
        TRY_VOID(transaction.commit());
        return is_new;
    }

    Result<void> load(const std::string& tenant, const std::function<bool(Fact)>& each) override {
        TRY(auto select, database_.prepare("SELECT id, site, node, seq, at, mono, type, data FROM facts "
                                           "WHERE tenant=?1 ORDER BY number"));
        select.bind(1, tenant);
        while (true) {
            TRY(const bool row, select.step());
            if (!row) return {};
            Fact fact;
            fact.id = select.text(0);
            fact.tenant = tenant;
            fact.site = select.text(1);
            fact.node = select.text(2);
            fact.seq = static_cast<std::uint64_t>(select.integer(3));
            TRY(fact.at, wall_from_rfc3339(select.text(4)));
            fact.mono = select.integer(5);
            fact.type = select.text(6);
            TRY(const json::value data, json_from_text(select.text(7)));
            if (!data.is_object()) return fail(Errc::malformed, "fact " + fact.id + " in the database has no object");
            fact.data = data.get_object();
            if (!each(std::move(fact))) return {};
        }
    }

    Result<std::vector<std::string>> tenants() override {
        TRY(auto select, database_.prepare("SELECT DISTINCT tenant FROM facts ORDER BY tenant"));
        std::vector<std::string> list;
        while (true) {
            TRY(const bool row, select.step());
            if (!row) return list;
            list.push_back(select.text(0));
        }
    }

    Result<std::uint64_t> up_to(const std::string& tenant, const std::string& site, const std::string& node) override {
        reached_.bind(1, tenant).bind(2, site).bind(3, node);
        TRY(const bool row, reached_.step());
        const auto seq = row ? static_cast<std::uint64_t>(reached_.integer(0)) : 0;
        reached_.reset();
        return seq;
    }

    Result<std::optional<Fact>> add_object(const archive::StoredObject& object, Fact fact) override {
        TRY(auto transaction, Transaction::begin(database_));
        TRY(const auto known, this->object(object.tenant, object.segment));
        if (known && known->sha256 != object.sha256)
            return fail(Errc::conflict, "segment " + object.segment + " is stored with another digest");
        if (known) return std::optional<Fact>();
        TRY(auto insert_object, database_.prepare("INSERT INTO objects VALUES (?1, ?2, ?3, ?4, ?5, ?6)"));
        insert_object.bind(1, object.tenant).bind(2, object.segment).bind(3, object.sha256);
        insert_object.bind(4, static_cast<std::int64_t>(object.bytes)).bind(5, object.media_type).bind(6, object.path);
        TRY_VOID(insert_object.run());
        TRY(auto last, database_.prepare("SELECT max(seq) FROM facts WHERE tenant=?1 AND site=?2 AND node=?3"));
        last.bind(1, fact.tenant).bind(2, fact.site).bind(3, fact.node);
        TRY(const bool row, last.step());
        fact.seq = row ? static_cast<std::uint64_t>(last.integer(0)) + 1 : 1;
        TRY(fact.id, fact_id(fact));
        TRY_VOID(insert({fact}));
        TRY_VOID(transaction.commit());
        return std::optional<Fact>(std::move(fact));
    }

    Result<std::optional<archive::StoredObject>> object(const std::string& tenant,
                                                        const std::string& segment) override {
        find_.bind(1, tenant).bind(2, segment);
        TRY(const bool row, find_.step());
        std::optional<archive::StoredObject> found;
        if (row)
            found = archive::StoredObject{tenant,        segment,
                                          find_.text(0), static_cast<std::uint64_t>(find_.integer(1)),
                                          find_.text(2), find_.text(3)};
        find_.reset();
        return found;
    }

    Result<void> forget_object(const std::string& tenant, const std::string& segment) override {
        TRY(auto remove, database_.prepare("DELETE FROM objects WHERE tenant=?1 AND segment=?2"));
        return remove.bind(1, tenant).bind(2, segment).run();
    }

private:
    using Sender = std::tuple<std::string, std::string, std::string>;

    CatalogueSqlite(Database database, Statement insert, Statement has, Statement reached, Statement reach,
                    Statement find)
        : database_(std::move(database)),
          insert_(std::move(insert)),
          has_(std::move(has)),
          reached_(std::move(reached)),
          reach_(std::move(reach)),
          find_(std::move(find)) {}

    // Within a transaction.
    Result<std::vector<bool>> insert(const std::vector<Fact>& facts) {
        std::vector<bool> is_new;
        std::set<Sender> senders;
        for (const Fact& fact : facts) {
            insert_.bind(1, fact.id).bind(2, fact.tenant).bind(3, fact.site).bind(4, fact.node);
            insert_.bind(5, static_cast<std::int64_t>(fact.seq)).bind(6, to_rfc3339(fact.at)).bind(7, fact.mono);
            insert_.bind(8, fact.type).bind(9, json::serialize(fact.data));
            TRY_VOID(insert_.run());
            is_new.push_back(database_.changes() > 0);
            if (is_new.back()) senders.emplace(fact.tenant, fact.site, fact.node);
        }
        for (const Sender& sender : senders) TRY_VOID(advance(sender));
        return is_new;
    }

    Result<void> advance(const Sender& sender) {
        const auto& [tenant, site, node] = sender;
        TRY(const std::uint64_t before, up_to(tenant, site, node));
        std::uint64_t seq = before;
        while (true) {
            has_.bind(1, tenant).bind(2, site).bind(3, node).bind(4, static_cast<std::int64_t>(seq + 1));
            TRY(const bool row, has_.step());
            has_.reset();
            if (!row) break;
            ++seq;
        }
        if (seq == before) return {};
        reach_.bind(1, tenant).bind(2, site).bind(3, node).bind(4, static_cast<std::int64_t>(seq));
        return reach_.run();
    }

    Database database_;  // before its statements, so that it dies after them
    Statement insert_, has_, reached_, reach_, find_;
};

}  // namespace

Result<std::unique_ptr<archive::CatalogueStore>> open_catalogue(const std::string& path) {
    return CatalogueSqlite::open(path);
}

}  // namespace sheaf::store
