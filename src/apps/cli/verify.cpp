// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/verify.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>
#include <set>

#include "apps/cli/commands.h"
#include "archive/catalogue.h"
#include "edge/store/catalogue_sqlite.h"

namespace sheaf::apps {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr const char* kUsualData = "/var/lib/sheaf";

// Calls that the archive whose database lies somewhere in the folder groups with this one; without one, the call alone.
Result<std::set<std::string>> calls_of_recording(const std::string& folder, const std::string& id) {
    std::set<std::string> calls{id};
    std::error_code error;
    for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
        if (entry.path().filename() != "archive.db") continue;
        TRY(const auto store, store::open_catalogue(entry.path()));
        archive::Catalogue catalogue({});
        TRY(const auto tenants, store->tenants());
        for (const auto& tenant : tenants) {
            TRY_VOID(store->load(tenant, [&](const Fact& fact) {
                if (auto typed = archive::typed_fact(fact)) catalogue.add(std::move(*typed));
                return true;
            }));
            const auto* recording = catalogue.recording(tenant, id, 0);
            if (recording == nullptr) continue;
            for (const auto& call : recording->calls) calls.insert(call.id.text());
        }
    }
    if (error) return fail(Errc::io, folder + ": " + error.message());
    return calls;
}

// Of everything in a folder, the segments of these calls, or the one segment of that id.
journal::VerifyReport only(journal::VerifyReport report, const std::set<std::string>& calls, const std::string& id) {
    for (auto& file : report.files) {
        std::erase_if(file.segments, [&](const journal::VerifiedSegment& segment) {
            const auto& head = segment.header.head;
            return !calls.contains(head.calluuid.text()) && head.segment.text() != id;
        });
    }
    std::erase_if(report.files, [](const journal::VerifiedFile& file) { return file.segments.empty(); });
    return report;
}

Result<journal::VerifyReport> report_of(const VerifyCommand& command) {
    std::error_code ignored;
    if (fs::exists(command.what, ignored)) return journal::verify_path(command.what);
    const std::string data = command.data.empty() ? kUsualData : command.data;
    if (!fs::is_directory(data, ignored)) {
        return fail(Errc::not_found, command.what + " is no file or folder, and there is no " + data +
                                         " to look in; to look for a recording elsewhere name its --data folder");
    }
    TRY(const auto calls, calls_of_recording(data, command.what));
    TRY(auto all, journal::verify_path(data));
    auto report = only(std::move(all), calls, command.what);
    if (report.files.empty()) return fail(Errc::not_found, "nothing of " + command.what + " in " + data);
    return report;
}

// The report by file, and the segments of segment files once more in one list, their channels as a list.
json::object report_json(const journal::VerifyReport& report) {
    json::object out = journal::to_json(report);
    json::array segments;
    for (const auto& file : out.at("files").as_array()) {
        if (file.at("kind") != "segment") continue;
        for (json::value segment : file.at("segments").as_array()) {
            json::array channels;
            for (const auto& [name, channel] : segment.at("channels").as_object()) {
                json::object one = channel.as_object();
                one["channel"] = name;
                channels.push_back(std::move(one));
            }
            segment.as_object()["channels"] = std::move(channels);
            segment.as_object()["path"] = file.at("path");
            segments.push_back(std::move(segment));
        }
    }
    out["segments"] = std::move(segments);
    return out;
}

}  // namespace

int verify(const VerifyCommand& command) {
    const auto report = report_of(command);
    if (!report) {
        fmt::print(stderr, "sheaf verify: {}\n", report.error().what);
        return 1;
    }
    const std::string text = command.json ? json::serialize(report_json(*report)) + "\n" : journal::to_text(*report);
    std::fwrite(text.data(), 1, text.size(), stdout);
    return report->ok() ? 0 : 1;
}

}  // namespace sheaf::apps
