// SPDX-License-Identifier: Apache-2.0
#include "apps/config/reader.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace sheaf::config {
namespace {

constexpr std::size_t kSecretBytesMax = 4096;

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& word : words) out += (out.empty() ? "" : ", ") + ("\"" + word + "\"");
    return out;
}

}  // namespace

const Value* Reader::ask(const std::string& key) {
    known_.insert(key);
    findings_.asked.insert(name_of(key));
    return table_ == nullptr ? nullptr : table_->find(key);
}

void Reader::problem(const std::string& key, const std::string& what) {
    if (table_ == nullptr || !bad_.insert(key).second) return;
    const Value* value = table_->find(key);
    const int line = value == nullptr ? table_->line : value->line;
    findings_.problems.emplace(line, findings_.file + ":" + std::to_string(line) + ": " + name_of(key) + ": " + what);
}

void Reader::finish() {
    if (table_ == nullptr) return;
    for (const auto& [key, value] : table_->entries) {
        if (!known_.contains(key)) problem(key, "unknown key");
    }
}

std::string Reader::text(const std::string& key, std::string otherwise) {
    const Value* value = ask(key);
    if (value == nullptr) return otherwise;
    const auto* text = std::get_if<std::string>(&value->is);
    if (text == nullptr) {
        problem(key, "must be a string");
        return otherwise;
    }
    const bool is_clean = std::none_of(text->begin(), text->end(),
                                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (is_clean) return *text;
    problem(key, "must not contain control characters");
    return otherwise;
}

std::string Reader::required(const std::string& key) {
    std::string value = text(key);
    if (!has(key)) {
        problem(key, "is missing");
    } else if (value.empty() && std::holds_alternative<std::string>(table_->find(key)->is)) {
        problem(key, "must not be empty");
    }
    return value;
}

bool Reader::flag(const std::string& key, bool otherwise) {
    const Value* value = ask(key);
    if (value == nullptr) return otherwise;
    if (const auto* flag = std::get_if<bool>(&value->is)) return *flag;
    problem(key, "must be true or false");
    return otherwise;
}

std::int64_t Reader::number(const std::string& key, std::int64_t otherwise, std::int64_t least, std::int64_t most) {
    const Value* value = ask(key);
    if (value == nullptr) return otherwise;
    const auto* number = std::get_if<std::int64_t>(&value->is);
    if (number != nullptr && *number >= least && *number <= most) return *number;
    problem(key, "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    return otherwise;
}

std::vector<std::string> Reader::texts(const std::string& key) {
    const Value* value = ask(key);
    std::vector<std::string> out;
    if (value == nullptr) return out;
    const auto* list = std::get_if<List>(&value->is);
    for (const auto& item : list == nullptr ? List{} : *list) {
        const auto* text = std::get_if<std::string>(&item.is);
        if (text != nullptr && !text->empty()) out.push_back(*text);
    }
    if (list == nullptr || out.size() != list->size()) problem(key, "must be a list of strings");
    return out;
}

std::string Reader::secret(const std::string& key) {
    std::string given = text(key);
    if (given.starts_with("env:")) {
        const char* found = std::getenv(given.c_str() + 4);  // NOLINT(concurrency-mt-unsafe): nobody sets any
        if (found != nullptr && *found != 0) return found;
        problem(key, "the environment variable " + given.substr(4) + " is not set");
        return {};
    }
    if (!given.starts_with("file:")) return given;
    const auto path = std::filesystem::path(findings_.folder) / given.substr(5);
    std::ifstream file(path, std::ios::binary);
    std::string content(kSecretBytesMax + 1, '\0');
    file.read(content.data(), static_cast<std::streamsize>(content.size()));
    content.resize(static_cast<std::size_t>(file.gcount()));
    const bool too_large = content.size() > kSecretBytesMax;
    while (!content.empty() && (content.back() == '\n' || content.back() == '\r')) content.pop_back();
    if (!content.empty() && !too_large) return content;
    problem(key, path.string() + (too_large ? " is too large" : " cannot be read or is empty"));
    return {};
}

std::string Reader::path(const std::string& key) {
    const std::string given = text(key);
    if (given.empty()) return {};
    return (std::filesystem::path(findings_.folder) / given).lexically_normal().string();
}

std::string Reader::choice(const std::string& key, const std::vector<std::string>& words, std::string otherwise,
                           const std::vector<std::string>& not_built) {
    std::string given = text(key, otherwise);
    if (std::find(words.begin(), words.end(), given) != words.end()) return given;
    const bool known = std::any_of(not_built.begin(), not_built.end(),
                                   [&](const std::string& word) { return given.starts_with(word); });
    problem(key,
            known ? "\"" + given + "\" is not built yet; use " + joined(words) : "must be one of " + joined(words));
    return otherwise;
}

void Reader::each(const std::string& key, std::size_t most, const std::function<void(Reader&)>& read) {
    const Value* value = ask(key);
    const std::string name = name_of(key);
    const auto* list = value == nullptr ? nullptr : std::get_if<List>(&value->is);
    if (value != nullptr && list == nullptr) problem(key, "must be written [[" + name + "]]");
    if (table_ == nullptr) {
        Reader nothing(findings_, name, nullptr);
        return read(nothing);
    }
    if (list == nullptr) return;
    if (list->size() > most) problem(key, "there are more than " + std::to_string(most));
    for (std::size_t i = 0; i < std::min(most, list->size()); ++i) {
        const auto* table = std::get_if<Table>(&(*list)[i].is);
        if (table == nullptr) {
            problem(key, "must be written [[" + name + "]]");
            continue;
        }
        Reader one(findings_, name, table);
        read(one);
        one.finish();
    }
}

Reader Reader::table(const std::string& key) {
    const Value* value = ask(key);
    const auto* table = value == nullptr ? nullptr : std::get_if<Table>(&value->is);
    if (value != nullptr && table == nullptr) problem(key, "must be written [" + name_of(key) + "]");
    return Reader(findings_, name_of(key), table);
}

}  // namespace sheaf::config
