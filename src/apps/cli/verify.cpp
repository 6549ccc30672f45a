// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/verify.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>

#include "apps/cli/commands.h"

namespace sheaf::apps {
namespace {

// Of everything in a folder, the segments of one call, or one segment.
journal::VerifyReport only(journal::VerifyReport report, const std::string& id) {
    for (auto& file : report.files) {
        std::erase_if(file.segments, [&](const journal::VerifiedSegment& segment) {
            return segment.header.head.calluuid.text() != id && segment.header.head.segment.text() != id;
        });
    }
    std::erase_if(report.files, [](const journal::VerifiedFile& file) { return file.segments.empty(); });
    return report;
}

Result<journal::VerifyReport> report_of(const VerifyCommand& command) {
    std::error_code ignored;
    if (std::filesystem::exists(command.what, ignored)) return journal::verify_path(command.what);
    if (command.data.empty()) {
        return fail(Errc::not_found,
                    command.what + " is no file or folder; to look for a recording name its --data folder");
    }
    TRY(auto all, journal::verify_path(command.data));
    auto report = only(std::move(all), command.what);
    if (report.files.empty()) return fail(Errc::not_found, "nothing of " + command.what + " in " + command.data);
    return report;
}

}  // namespace

int verify(const VerifyCommand& command) {
    const auto report = report_of(command);
    if (!report) {
        fmt::print(stderr, "sheaf verify: {}\n", report.error().what);
        return 1;
    }
    const std::string text =
        command.json ? boost::json::serialize(journal::to_json(*report)) + "\n" : journal::to_text(*report);
    std::fwrite(text.data(), 1, text.size(), stdout);
    return report->ok() ? 0 : 1;
}

}  // namespace sheaf::apps
