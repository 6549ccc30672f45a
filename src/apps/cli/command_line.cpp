// SPDX-License-Identifier: Apache-2.0
#include "apps/cli/command_line.h"

#include <CLI/CLI.hpp>

#include "apps/cli/commands.h"

namespace sheaf::apps {
namespace {

constexpr int kUsageStatus = 2;

int parse_and_do(CLI::App& app, int argc, const char* const* argv) {
    int status = kUsageStatus;
    RunCommand run;
    auto* run_app = app.add_subcommand("run", "Play the roles that the settings file names, until SIGTERM or SIGINT");
    run_app->add_option("--config", run.config, "Settings file (TOML)")->required();
    run_app->add_option("--ready-fd", run.ready_fd, "Write one JSON line of the bound addresses here once ready")
        ->check(CLI::Range(0, 1'048'576));
    run_app->callback([&] { status = run_roles(run); });

    CheckCommand check;
    auto* check_app = app.add_subcommand("check", "Say what is wrong with a settings file");
    check_app->add_option("--config", check.config, "Settings file (TOML)")->required();
    check_app->callback([&] { status = check_config(check); });

    VerifyCommand verify_command;
    auto* verify_app = app.add_subcommand("verify", "Check what was recorded, packet by packet, without a server");
    verify_app
        ->add_option("what", verify_command.what,
                     "A file, a folder, or a recording-id, calluuid or segment id")
        ->required();
    verify_app->add_option("--data", verify_command.data,
                           "Folder to look in for it: media servers' data, and the archive's for a whole recording; "
                           "when not given /var/lib/sheaf");
    verify_app->add_flag("--json", verify_command.json, "Print JSON");
    verify_app->callback([&] { status = verify(verify_command); });

    ReplayCommand replay_command;
    auto* replay_app = app.add_subcommand("replay", "Run a switch's journalled inputs through the call model again");
    replay_app->add_option("file", replay_command.file, "Journal file")->required();
    replay_app->callback([&] { status = replay(replay_command); });

    app.require_subcommand(1);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {  // --help and --version come this way too
        return app.exit(error) == 0 ? 0 : kUsageStatus;
    }
    return status;
}

}  // namespace

int run_command_line(int argc, const char* const* argv) {
    try {
        CLI::App app("Sheaf records contact-centre calls at every site and hands each back as one recording", "sheaf");
        app.set_version_flag("--version", "sheaf " SHEAF_VERSION);
        return parse_and_do(app, argc, argv);
    } catch (const CLI::Error& error) {
        return kUsageStatus;
    }
}

}  // namespace sheaf::apps
