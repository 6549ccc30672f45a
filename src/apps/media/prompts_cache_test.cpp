// SPDX-License-Identifier: Apache-2.0
#include "apps/media/prompts_cache.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <fstream>
#include <vector>

namespace sheaf::media_role {
namespace {

struct Folder {
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "sheaf-prompts-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path = name;
        std::filesystem::create_directories(path / "say");
        std::filesystem::create_directories(path / "music");
        std::filesystem::create_directories(path / "tone");
    }
    ~Folder() { std::filesystem::remove_all(path); }
    void write(const std::string& name, const std::vector<std::uint8_t>& bytes) const {
        std::ofstream file(path / name, std::ios::binary);
        file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
    std::filesystem::path path;
};

void put(std::vector<std::uint8_t>& to, std::string_view text) {
    to.insert(to.end(), text.begin(), text.end());
}
void put32(std::vector<std::uint8_t>& to, std::size_t v) {
    to.resize(to.size() + 4);
    write_u32le(to.data() + to.size() - 4, static_cast<std::uint32_t>(v));
}
void put16(std::vector<std::uint8_t>& to, int v) {
    to.resize(to.size() + 2);
    write_u16le(to.data() + to.size() - 2, static_cast<std::uint16_t>(v));
}

std::vector<std::uint8_t> wav(std::size_t samples, std::size_t rate = 8'000, int channels = 1, int bits = 16) {
    std::vector<std::uint8_t> file;
    put(file, "RIFF");
    put32(file, 36 + samples * 2);
    put(file, "WAVEfmt ");
    put32(file, 16);
    put16(file, 1);
    put16(file, channels);
    put32(file, rate);
    put32(file, rate * 2);
    put16(file, 2);
    put16(file, bits);
    put(file, "LIST");  // a chunk of odd size is padded
    put32(file, 3);
    put(file, std::string_view("abc\0", 4));
    put(file, "data");
    put32(file, samples * 2);
    for (std::size_t i = 0; i < samples; ++i) put16(file, static_cast<int>(i) - 5);
    return file;
}

TEST_CASE("prompts are found by their uri, and only those that were there") {
    Folder folder;
    folder.write("say/welcome.wav", wav(100));
    folder.write("music/default.wav", wav(200));
    folder.write("tone/beep.wav", wav(100));
    folder.write("say/notes.txt", {1, 2, 3});
    const auto cache = PromptCache::load(folder.path);
    REQUIRE(cache);
    CHECK(cache->size() == 3);
    const auto prompt = cache->find("say:welcome");
    REQUIRE(prompt);
    CHECK((*prompt)->samples.size() == 100);
    CHECK((*prompt)->samples[0] == -5);
    CHECK((*prompt)->name == "say:welcome");
    CHECK((*cache->find("music:default"))->samples.size() == 200);
    CHECK((*cache->find("tone:beep"))->samples.size() == 100);
    CHECK(cache->find("music:welcome").error().code == Errc::not_found);
    for (const auto* uri : {"welcome", "say:", "say:../welcome", "say:a/b", "file:welcome", "say:a.wav", ""}) {
        CHECK(cache->find(uri).error().code == Errc::malformed);
    }
    CHECK(cache->find("say:" + std::string(kPromptNameMax, 'a')).error().code == Errc::not_found);
    CHECK(cache->find("say:" + std::string(kPromptNameMax + 1, 'a')).error().code == Errc::malformed);
}

TEST_CASE("a wrong file stops the start, by name") {
    Folder folder;
    folder.write("say/welcome.wav", wav(100, 44'100));
    const auto cache = PromptCache::load(folder.path);
    REQUIRE_FALSE(cache);
    CHECK(cache.error().code == Errc::unsupported);
    CHECK(cache.error().what.find("say/welcome.wav") != std::string::npos);
    CHECK(PromptCache::load(folder.path / "nowhere").error().code == Errc::not_found);
    Folder other;
    other.write("say/bad name.wav", wav(100));
    CHECK(PromptCache::load(other.path).error().code == Errc::malformed);
}

TEST_CASE("without a folder there is silence") {
    const auto cache = PromptCache::load({});
    REQUIRE(cache);
    CHECK((*cache->find("say:anything"))->samples.size() == 8'000);
    CHECK(cache->find("anything").error().code == Errc::malformed);
}

TEST_CASE("a WAVE file is read whole or refused") {
    CHECK(samples_from_wav(wav(8)).value().size() == 8);
    const auto file = wav(8);
    for (std::size_t size = 0; size < file.size(); ++size) {
        const std::vector<std::uint8_t> cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
        CHECK_FALSE(samples_from_wav(cut));
    }
    CHECK(samples_from_wav(wav(8, 8'000, 2)).error().code == Errc::unsupported);
    CHECK(samples_from_wav(wav(8, 8'000, 1, 8)).error().code == Errc::unsupported);
    CHECK(samples_from_wav(wav(0)).error().code == Errc::malformed);
    CHECK(samples_from_wav(wav(kPromptSamplesMax)));
    CHECK(samples_from_wav(wav(kPromptSamplesMax + 1)).error().code == Errc::exhausted);
}

}  // namespace
}  // namespace sheaf::media_role
