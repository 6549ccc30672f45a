// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "apps/config/node_settings.h"
#include "apps/config/tree.h"

namespace sheaf::config {

// What reading a whole file gathers: every problem, and every key that was asked for (the accepted ones).
struct Findings {
    std::string file;                          // as given by the operator
    std::string folder;                        // relative paths start here
    std::multimap<int, std::string> problems;  // by line
    std::set<std::string> asked;
};

// One table being read: each key is asked for by its type; a wrong one is a problem and gives the default. Keys nobody
// asked for are reported by finish().
class Reader {
public:
    // `table` null: nothing is there; then asking only gathers the keys.
    Reader(Findings& findings, std::string path, const Table* table)
        : findings_(findings), path_(std::move(path)), table_(table) {}

    [[nodiscard]] std::string text(const std::string& key, std::string otherwise = {});
    [[nodiscard]] std::string required(const std::string& key);
    [[nodiscard]] bool flag(const std::string& key, bool otherwise);
    [[nodiscard]] std::int64_t number(const std::string& key, std::int64_t otherwise, std::int64_t least,
                                      std::int64_t most);
    [[nodiscard]] std::vector<std::string> texts(const std::string& key);
    // A secret: plain, file:PATH or env:NAME; the secret itself comes out.
    [[nodiscard]] std::string secret(const std::string& key);
    [[nodiscard]] std::string path(const std::string& key);  // absolute; empty when absent
    // One of these words.
    [[nodiscard]] std::string choice(const std::string& key, const std::vector<std::string>& words,
                                     std::string otherwise, const std::vector<std::string>& not_built = {});
    // Each table of [[path.key]]; where only keys are gathered, once with nothing.
    void each(const std::string& key, std::size_t most, const std::function<void(Reader&)>& read);
    // The table [path.key].
    [[nodiscard]] Reader table(const std::string& key);

    [[nodiscard]] bool is_there() const { return table_ != nullptr; }
    [[nodiscard]] bool has(std::string_view key) const { return table_ != nullptr && table_->find(key) != nullptr; }
    void problem(const std::string& key, const std::string& what);  // the first of a key is kept
    void finish();

private:
    [[nodiscard]] const Value* ask(const std::string& key);
    [[nodiscard]] std::string name_of(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

    Findings& findings_;
    std::string path_;
    const Table* table_;
    std::set<std::string, std::less<>> known_;
    std::set<std::string> bad_;
};

}  // namespace sheaf::config
