// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "apps/cli/command_line.h"

namespace sheaf::apps {
namespace {

namespace fs = std::filesystem;

struct Folder {
    Folder() : path(fs::temp_directory_path() / ("sheaf-cli-" + std::to_string(::getpid()))) {
        fs::remove_all(path);
        fs::create_directories(path);
    }
    ~Folder() { fs::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::string write(const std::string& name, const std::string& text) const {
        std::ofstream(path / name) << text;
        return path / name;
    }
    [[nodiscard]] std::string read(const std::string& name) const {
        std::ifstream file(path / name);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    fs::path path;
};

// The program in a process of its own, its output in files of the folder. `keep`: a descriptor it gets.
pid_t start(const Folder& folder, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "sheaf");
    std::cout.flush();
    ::fflush(nullptr);
    const pid_t child = ::fork();
    if (child != 0) return child;
    const std::string out = folder.path / "out";
    const std::string err = folder.path / "err";
    ::dup2(::open(out.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600), STDOUT_FILENO);
    ::dup2(::open(err.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600), STDERR_FILENO);
    std::vector<const char*> argv;
    for (const auto& argument : arguments) argv.push_back(argument.c_str());
    argv.push_back(nullptr);
    const int status = run_command_line(static_cast<int>(argv.size()) - 1, argv.data());
    ::fflush(nullptr);
    ::_exit(status);
}

int status_of(pid_t child) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int run(const Folder& folder, std::vector<std::string> arguments) {
    return status_of(start(folder, std::move(arguments)));
}

std::string all_roles(const Folder& folder) {
    const std::string path = folder.path;
    return "[node]\nsite=\"london\"\nname=\"london-1\"\ndata=\"" + path + "/data\"\n" +
           "[switch]\nlisten=[\"udp:127.0.0.1:0\",\"tcp:127.0.0.1:0\"]\ncti=\"127.0.0.1:0\"\n" +
           "[media]\nsip=[\"udp:127.0.0.1:0\"]\nrtp=\"127.0.0.1:40000-40099\"\n" +
           "[archive]\nhttp=\"127.0.0.1:0\"\nauth=\"none\"\n";
}

TEST_CASE("help and version are good, a command line that means nothing is not") {
    const Folder folder;
    CHECK(run(folder, {"--version"}) == 0);
    CHECK(folder.read("out").starts_with("sheaf 0."));
    CHECK(run(folder, {"--help"}) == 0);
    for (const char* command : {"run", "check", "verify", "replay"}) {
        CHECK(folder.read("out").find(command) != std::string::npos);
    }
    CHECK(run(folder, {"run", "--help"}) == 0);
    CHECK(folder.read("out").find("--ready-fd") != std::string::npos);
    CHECK(run(folder, {}) == 2);
    CHECK(run(folder, {"dance"}) == 2);
    CHECK(run(folder, {"run"}) == 2);
    CHECK(run(folder, {"run", "--config", "x", "--ready-fd", "-5"}) == 2);
}

TEST_CASE("check says what a file plays, or what is wrong with it") {
    const Folder folder;
    const auto good = folder.write("good.toml", all_roles(folder));
    CHECK(run(folder, {"check", "--config", good}) == 0);
    CHECK(folder.read("out") == good + ": good; node london-1 of site london plays switch media archive\n");
    const auto bad = folder.write("bad.toml", all_roles(folder) + "speed=1\n");
    CHECK(run(folder, {"check", "--config", bad}) == 1);
    CHECK(folder.read("err") == bad + ":14: archive.speed: unknown key\n");
    CHECK(run(folder, {"run", "--config", bad}) == 1);
    CHECK(folder.read("err") == bad + ":14: archive.speed: unknown key\n");
}

TEST_CASE("run says where it listens once it is ready, and ends well on SIGTERM, again and again") {
    const Folder folder;
    const auto config = folder.write("all.toml", all_roles(folder));
    for (const int signal : {SIGTERM, SIGINT}) {
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        const pid_t child = start(folder, {"run", "--config", config, "--ready-fd", std::to_string(ends[1])});
        ::close(ends[1]);
        std::string line;
        for (char c = 0; ::read(ends[0], &c, 1) == 1;) line += c;  // to its end: the descriptor is closed
        ::close(ends[0]);
        REQUIRE_MESSAGE(line.ends_with("}\n"), folder.read("err"));
        const auto bound = boost::json::parse(line);
        CHECK(bound.at("switch").at("sip").as_array().size() == 2);
        CHECK(bound.at("switch").at("cti").as_string().starts_with("127.0.0.1:"));
        CHECK(bound.at("media").at("sip").as_array().size() == 1);
        CHECK_FALSE(bound.at("archive").at("http").as_string().ends_with(":0"));
        ::kill(child, signal);
        CHECK_MESSAGE(status_of(child) == 0, folder.read("err"));
    }
    CHECK((fs::status(folder.path / "data").permissions() & fs::perms::others_all) == fs::perms::none);
}

TEST_CASE("a role that cannot start is said in one line, and nothing stays behind") {
    const Folder folder;
    static_cast<void>(folder.write("data", "a file where the folder should be"));
    const auto config = folder.write("all.toml", all_roles(folder));
    CHECK(run(folder, {"run", "--config", config}) == 1);
    CHECK(folder.read("err").find("level=error msg=\"cannot start\"") != std::string::npos);
}

TEST_CASE("verify and replay say what they cannot find") {
    const Folder folder;
    CHECK(run(folder, {"verify", folder.path / "nothing"}) == 1);
    CHECK(run(folder, {"verify", "some-calluuid", "--data", folder.path}) == 1);
    CHECK(folder.read("err").starts_with("sheaf verify: "));
    CHECK(run(folder, {"replay", folder.path / "nothing"}) == 1);
    CHECK(folder.read("err").starts_with("sheaf replay: "));
}

}  // namespace
}  // namespace sheaf::apps
