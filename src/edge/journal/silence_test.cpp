// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <thread>

#include "edge/journal/eraser.h"
#include "edge/journal/journal_appender.h"
#include "edge/journal/journal_fixture.h"
#include "edge/journal/journal_intake.h"
#include "edge/journal/journal_scan.h"

using namespace sheaf;
using namespace sheaf::journal;
using namespace sheaf::journal::fixture;
using namespace std::chrono_literals;
using media::Channel;

namespace {

template <typename Condition>
bool comes_true(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + 20s;
    while (std::chrono::steady_clock::now() < until) {
        if (condition()) return true;
        std::this_thread::sleep_for(2ms);
    }
    return false;
}

media::SegmentTail counted(std::uint64_t stored, std::uint64_t excluded, Duration length) {
    media::SegmentTail t = tail(stored, stored, length);
    for (media::ChannelCounts* c : {&t.said, &t.heard}) {
        c->received += excluded;
        c->excluded = excluded;
    }
    return t;
}

std::int16_t sample(const std::vector<std::uint8_t>& wav, std::size_t i, std::size_t channel) {
    return static_cast<std::int16_t>(read_u16le(&wav[44 + i * 4 + channel * 2]));
}

// A recorder's end without threads: what is written, is written when `write` is called.
struct Bench {
    explicit Bench(const std::string& path) : folder(path) {
        auto opened = JournalFiles::open(folder + "/journal/0");
        REQUIRE(opened);
        files = std::move(*opened);
        appender.emplace(options(kFileBytesMin), *files,
                         JournalWriter::Hooks{[this](ClosedSegment s) { closed.push_back(std::move(s)); },
                                              [this](const Error& e) { troubles.push_back(e); }});
    }
    void write() {
        std::vector<std::uint8_t> batch(ring.readable());
        ring.take(batch);
        clock += 1s;
        appender->append({clock, kOpened.wall}, batch);
    }
    // Both segments speak from one frame to another, a write every few frames.
    void speak(int from, int to, const std::string& word) {
        for (int i = from; i < to; ++i) {
            REQUIRE(intake.packet(0, Channel::said, at(i), worded(word, 1, i)));
            REQUIRE(intake.packet(1, Channel::said, at(i), worded(kOther, 2, i)));
            REQUIRE(intake.packet(0, Channel::heard, at(i), worded(word, 3, i)));
            if (i % 6 == 5) write();
        }
        write();
    }
    [[nodiscard]] std::vector<std::uint8_t> journal(std::uint64_t number = 1) const {
        return bytes_of(files->path_of(number));
    }

    std::string folder;
    std::unique_ptr<JournalFiles> files;
    ByteRing ring{1 << 20};
    Intake intake{ring, 4};
    std::vector<ClosedSegment> closed;
    std::vector<Error> troubles;
    std::optional<Appender> appender;
    Instant clock{1h};
};

}  // namespace

TEST_CASE("what a silence takes back is nowhere any more, its time is silent to the sample, and others lose nothing") {
    const Folder folder;
    Recorder recorder(folder.path, options(kFileBytesMin));
    REQUIRE(recorder.writer->open(0, head("seg")));
    REQUIRE(recorder.writer->open(1, head("other")));
    const auto speak = [&](int from, int to, const std::string& word) {
        for (int i = from; i < to; ++i) {
            for (const Channel c : {Channel::said, Channel::heard}) {
                if (!word.empty()) REQUIRE(recorder.writer->packet(0, c, at(i), worded(word, 1, i)));
                REQUIRE(recorder.writer->packet(1, c, at(i), worded(kOther, 2, i)));
            }
            if (i % 5 == 0) std::this_thread::sleep_for(1ms);
        }
    };
    const std::string journal = folder.path + "/journal";
    speak(0, 100, "BEFORE");
    speak(100, 300, kSecret);
    REQUIRE(comes_true([&] { return count_below(journal, kSecret) > 10'000; }));
    REQUIRE(recorder.writer->silence(0, {"paused", "1001"}, at(100), at(300), 0));
    CHECK(comes_true([&] { return count_below(journal, kSecret) == 0; }));
    CHECK(count_below(journal, "ECRE") == 0);
    speak(300, 350, "");
    REQUIRE(recorder.writer->resume(0, "paused", at(350)));
    speak(350, 400, "BEHIND");
    REQUIRE(comes_true([&] { return count_below(journal, "BEHIND") > 2'000; }));
    const auto running = verify_path(journal);
    REQUIRE(running);
    CHECK_MESSAGE(running->ok(), to_text(*running));
    recorder.writer->close(0, counted(350, 50, 8s));  // as a tap counts: what was erased was stored
    recorder.writer->close(1, tail(400, 400, 8s));
    const auto sealed = recorder.inbox.wait_for(2);
    CHECK(count_below(folder.path, kSecret) == 0);

    const auto content = read_segment(find_segment_file(folder.path, SegmentId("seg")));
    REQUIRE((content && content->tail));
    CHECK(content->said.packets() == 150);
    CHECK(content->said.lost() == 0);
    CHECK(content->tail->duration == 8s);
    CHECK(content->tail->tail.said == media::ChannelCounts{.received = 400, .stored = 150, .excluded = 250});
    CHECK(content->tail->tail.heard == content->tail->tail.said);
    REQUIRE(content->stretches.size() == 1);
    CHECK(content->stretches[0].from == 2s);
    CHECK(content->stretches[0].to == 7s);
    CHECK(content->stretches[0].channels == media::kBothChannels);
    CHECK(content->stretches[0].label == "paused");
    CHECK(content->stretches[0].by == "1001");
    const auto report = verify_path(folder.path + "/segments");
    REQUIRE(report);
    CHECK_MESSAGE(report->ok(), to_text(*report));

    const auto found =
        std::ranges::find(sealed, SegmentId("seg"), [](const SealedSegment& s) { return s.file.segment; });
    const auto wav = bytes_of(found->file.path);
    REQUIRE(wav.size() == 44 + 64'000 * 4);
    for (std::size_t i = 0; i < 64'000; ++i) {
        for (const std::size_t channel : {0U, 1U})
            REQUIRE((sample(wav, i, channel) == 0) == (i >= 16'000 && i < 56'000));
    }
    const auto other = read_segment(find_segment_file(folder.path, SegmentId("other")));
    REQUIRE(other);
    CHECK(other->said.packets() == 400);
    CHECK(other->heard.packets() == 400);
    CHECK(count_below(folder.path + "/segments", kOther) == 2 * 400 * 26);
}

TEST_CASE("a silence that was over before it was known from when takes back what came before it and nothing behind") {
    const Folder folder;
    Bench bench(folder.path);
    REQUIRE(bench.intake.open(0, head("seg")));
    REQUIRE(bench.intake.open(1, head("other")));
    bench.speak(0, 30, "BEFORE");
    bench.speak(30, 60, kSecret);
    REQUIRE(bench.intake.silence(0, {"paused", "x"}, at(60), at(60)));
    REQUIRE(bench.intake.resume(0, "paused", at(61)));
    bench.speak(61, 90, "BEHIND");
    REQUIRE(bench.intake.silence(0, {"paused", "x"}, at(30), at(90), at(60)));
    REQUIRE(bench.intake.silence(0, {"paused", "x"}, at(30), at(90), at(30)));  // nothing more
    bench.write();
    CHECK(bench.troubles.empty());
    CHECK(count_in(bench.journal(), kSecret) == 0);
    bench.speak(90, 100, "BEHIND");
    bench.intake.close(0, counted(99, 1, 2s));
    bench.write();
    bench.appender->sync();
    REQUIRE(bench.closed.size() == 1);
    REQUIRE(cut_segment(bench.closed[0], *bench.files, folder.path + "/seg.seg", kOpened.wall));
    const auto content = read_segment(folder.path + "/seg.seg");
    REQUIRE((content && content->tail));
    CHECK(content->said.packets() == 30 + 39);
    CHECK(content->heard.packets() == 30 + 39);
    CHECK(content->said.lost() == 0);
    CHECK(content->tail->tail.said == media::ChannelCounts{.received = 100, .stored = 69, .excluded = 31});
    REQUIRE(content->stretches.size() == 2);
    CHECK(content->stretches[0].from == 1'200ms);
    CHECK(content->stretches[0].to == 1'220ms);
    CHECK(content->stretches[1].from == 600ms);
    CHECK(content->stretches[1].to == 1'200ms);
    CHECK(content->stretches[1].label == "paused");
    CHECK(content->stretches[1].by == "x");
    const auto report = verify_path(folder.path + "/seg.seg");
    REQUIRE(report);
    CHECK_MESSAGE(report->ok(), to_text(*report));
}

TEST_CASE("each of several labels has its own stretch, and only outside of all of them something is heard") {
    const Folder folder;
    Recorder recorder(folder.path);
    REQUIRE(recorder.writer->open(0, head("seg")));
    REQUIRE(recorder.writer->silence(0, {"waiting", ""}, at(0), at(0), 0));  // from its first moment
    REQUIRE(recorder.writer->resume(0, "waiting", at(10)));
    const auto speak = [&](int from, int to) {
        for (int i = from; i < to; ++i)
            REQUIRE(recorder.writer->packet(0, Channel::said, at(i), worded("VOICES", 1, i)));
    };
    speak(10, 51);  // the last reaches into the silence
    REQUIRE(recorder.writer->silence(0, {"hold", "customer"}, at(50) + 7ms, at(50) + 7ms, 0));
    REQUIRE(recorder.writer->silence(0, {"paused", "1001"}, at(100), at(100), 0));
    REQUIRE(recorder.writer->silence(0, {"paused", "1001"}, at(90), at(120), 0));  // once more, reaching further back
    REQUIRE(recorder.writer->resume(0, "hold", at(150)));
    REQUIRE(recorder.writer->resume(0, "unheard-of", at(160)));
    REQUIRE(recorder.writer->resume(0, "paused", at(200)));
    speak(200, 250);
    REQUIRE(recorder.writer->silence(0, {"hold", "agent"}, at(250), at(250), 0));
    recorder.writer->close(0, [] {
        auto t = tail(91, 0, 6s);
        t.said.received = 300;
        t.said.excluded = 209;
        return t;
    }());
    const auto sealed = recorder.inbox.wait_for(1);
    const auto report = verify_path(folder.path + "/segments");
    REQUIRE(report);
    CHECK_MESSAGE(report->ok(), to_text(*report));
    const auto& stretches = report->files[0].segments[0].stretches;
    REQUIRE(stretches.size() == 4);
    const auto is = [&](std::size_t i, const char* label, Duration from, Duration to) {
        return stretches[i].label == label && stretches[i].from == from && stretches[i].to == to;
    };
    CHECK(is(0, "waiting", 0s, 200ms));
    CHECK(is(1, "hold", 1'007ms, 3s));
    CHECK(is(2, "paused", 1'800ms, 4s));
    CHECK(is(3, "hold", 5s, 6s));  // in force to the end
    CHECK(stretches[3].by == "agent");
    const auto wav = bytes_of(sealed[0].file.path);
    REQUIRE(wav.size() == 44 + 48'000 * 4);
    for (std::size_t i = 0; i < 48'000; ++i) {
        const bool is_heard = (i >= 1'600 && i < 8'056) || (i >= 32'000 && i < 40'000);
        REQUIRE((sample(wav, i, 0) != 0) == is_heard);
    }
}

TEST_CASE("wherever an overwrite was broken off, recovery finishes it and touches nothing else") {
    const Folder made;
    Bench bench(made.path);
    REQUIRE(bench.intake.open(0, head("seg")));
    REQUIRE(bench.intake.open(1, head("other")));
    bench.speak(0, 30, "BEFORE");
    bench.speak(30, 60, kSecret);
    const auto before = bench.journal();
    REQUIRE(count_in(before, kSecret) > 1'000);
    REQUIRE(bench.intake.silence(0, {"paused", "x"}, at(30), at(60)));
    bench.write();
    const auto after = bench.journal();
    REQUIRE(count_in(after, "ECRE") == 0);
    CHECK(bench.troubles.empty());

    std::vector<media::ErasedPlace> places;
    media::MemorySource source(after);
    auto reader = media::JournalReader::open(source);
    REQUIRE(reader);
    for (auto one = reader->next(); one && *one; one = reader->next()) {
        if ((*one)->record.type == media::RecordType::erasure) places = media::places_from((*one)->record).value();
    }
    REQUIRE(places.size() >= 5);
    std::size_t all = 0;
    for (const auto& place : places) all += place.bytes;
    for (std::size_t done = 0; done <= all; done += done % 3 == 0 ? 211 : 8) {
        CAPTURE(done);
        // The first `done` bytes had been overwritten when the recorder was killed.
        auto torn = after;
        std::size_t passed = 0;
        std::ranges::sort(places, {}, &media::ErasedPlace::offset);
        for (const auto& place : places) {
            for (std::size_t i = 0; i < place.bytes; ++i, ++passed) {
                const auto offset = static_cast<std::size_t>(place.offset) + i;
                if (passed >= done) torn[offset] = before[offset];
            }
        }
        const Folder folder;
        REQUIRE(make_folders(folder.path + "/journal/0"));
        {
            auto file = File::create(folder.path + "/journal/0/000000000001.jnl");
            REQUIRE(file);
            REQUIRE(file->write_at(0, torn));
        }
        auto files = JournalFiles::open(folder.path + "/journal/0");
        REQUIRE(files);
        const JournalScan scan = scan_journals(**files);
        CHECK(scan.troubles.empty());
        REQUIRE(bytes_of((*files)->path_of(1)) == after);
        REQUIRE(scan.segments.size() == 2);
        if (done != 0 && done != 211) continue;
        for (const ClosedSegment& segment : scan.segments) {
            const bool is_other = segment.head.segment == SegmentId("other");
            const std::string path = folder.path + "/" + segment.head.segment.text() + ".seg";
            REQUIRE(cut_segment(segment, **files, path, kOpened.wall + 10s));
            const auto content = read_segment(path);
            REQUIRE((content && content->tail));
            CHECK(content->said.packets() == (is_other ? 60 : 30));
            CHECK(content->stretches.size() == (is_other ? 0 : 1));
            if (is_other) continue;
            CHECK(content->tail->tail.said == media::ChannelCounts{.received = 60, .stored = 30, .excluded = 30});
            CHECK(content->stretches[0].from == 600ms);
            CHECK(content->stretches[0].to == 1'200ms);  // the last that is known
        }
    }
}

TEST_CASE("killed at any moment of a pause, a recorder's next start brings nothing back that was silent") {
    std::mt19937 chance(3);
    int silenced = 0;
    for (int round = 0; round < 16; ++round) {
        const Folder folder;
        const bool is_told = round % 2 == 1;  // killed after the silence was told as done, else at any moment
        int acknowledged[2];
        REQUIRE(::pipe(acknowledged) == 0);
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            auto files = JournalFiles::open(folder.path + "/journal/0");
            const auto tell = [&](std::uint64_t) { static_cast<void>(::write(acknowledged[1], "x", 1)); };
            auto writer = JournalWriter::start(options(kFileBytesMin), **files, {[](ClosedSegment) {}, {}, tell});
            if (!(*writer)->open(0, head("seg"))) ::_exit(1);
            if (!(*writer)->open(1, head("other"))) ::_exit(1);
            for (int i = 0; i < 400; ++i) {
                const std::string word = i < 200 ? "BEFORE" : kSecret;
                if (!(*writer)->packet(0, Channel::said, at(i), worded(word, 1, i))) ::_exit(2);
                if (!(*writer)->packet(1, Channel::said, at(i), worded(kOther, 2, i))) ::_exit(2);
                if (i % 20 == 0) std::this_thread::sleep_for(4ms);
            }
            while ((*writer)->counters().bytes < 800 * media::record_bytes(172)) std::this_thread::sleep_for(1ms);
            if (!(*writer)->silence(0, {"paused", ""}, at(200), at(400), is_told ? 1 : 0)) ::_exit(3);
            if (!is_told && ::write(acknowledged[1], "x", 1) != 1) ::_exit(4);
            for (;;) ::pause();
        }
        ::close(acknowledged[1]);
        char byte = 0;
        REQUIRE(::read(acknowledged[0], &byte, 1) == 1);
        if (!is_told) std::this_thread::sleep_for(std::chrono::microseconds{chance() % (round < 10 ? 4'000 : 80'000)});
        REQUIRE(::kill(child, SIGKILL) == 0);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
        ::close(acknowledged[0]);

        Recorder recorder(folder.path);
        recorder.inbox.wait_for(2);
        const auto content = read_segment(find_segment_file(folder.path, SegmentId("seg")));
        const auto other = read_segment(find_segment_file(folder.path, SegmentId("other")));
        REQUIRE((content && other));
        CHECK(other->said.packets() == 400);
        CHECK(content->said.lost() == 0);
        // The word of the silence was in no file yet when the recorder died, or all of it is carried out.
        if (!is_told && content->stretches.empty() && content->said.packets() == 400) continue;
        ++silenced;
        CHECK(content->said.packets() == 200);
        CHECK(count_below(folder.path, "ECRE") == 0);
    }
    CHECK(silenced >= 4);
}

TEST_CASE("a disk that refuses delays an erasure, and no segment is handed out before it is done") {
    const Folder folder;
    Bench bench(folder.path);
    REQUIRE(bench.intake.open(0, head("seg")));
    REQUIRE(bench.intake.open(1, head("other")));
    bench.speak(0, 60, kSecret);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit none{4'096, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &none) == 0);
    REQUIRE(bench.intake.silence(0, {"paused", ""}, at(10), at(60)));
    bench.intake.close(0, counted(60, 0, 2s));
    bench.write();
    bench.appender->sync();
    CHECK(bench.appender->owes());
    CHECK(bench.closed.empty());
    CHECK_FALSE(bench.troubles.empty());
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    bench.write();
    bench.appender->sync();
    CHECK_FALSE(bench.appender->owes());
    REQUIRE(bench.closed.size() == 1);
    REQUIRE(cut_segment(bench.closed[0], *bench.files, folder.path + "/seg.seg", kOpened.wall));
    const auto content = read_segment(folder.path + "/seg.seg");
    REQUIRE(content);
    CHECK(content->said.packets() == 10);
    REQUIRE(content->stretches.size() == 1);
    CHECK(content->stretches[0].from == 200ms);
    CHECK(count_in(bench.journal(), kSecret) == 2 * 10 * 26);
}

TEST_CASE("a place that holds something else is left alone") {
    const Folder folder;
    Bench bench(folder.path);
    REQUIRE(bench.intake.open(0, head("seg")));
    REQUIRE(bench.intake.open(1, head("other")));
    bench.speak(0, 6, kSecret);
    const auto before = bench.journal();
    const auto refused = [&](std::uint64_t offset, std::uint32_t bytes, media::SegmentSlot slot) {
        const Erasure erasure{.slot = slot, .places = {{.file = 1, .offset = offset, .bytes = bytes}}};
        const auto done = carry_out(*bench.files, erasure);
        return !done && done.error().code == Errc::conflict && bench.journal() == before;
    };
    CHECK(refused(media::kJournalHeaderBytes, 400, 0));    // an opening
    CHECK(refused(media::kJournalHeaderBytes, 4'000, 1));  // and what follows
    CHECK(refused(bench.journal().size() - 8, 64, 0));     // not within the file
    CHECK(carry_out(*bench.files, {.slot = 0, .places = {{.file = 77, .offset = 2'048, .bytes = 64}}}));  // gone
}

TEST_CASE("a silence finds room in a buffer that packets have filled") {
    ByteRing ring(16'384);
    Intake intake(ring, 4);
    REQUIRE(intake.open(0, head("seg")));
    int i = 0;
    while (intake.packet(0, Channel::said, at(i), worded(kSecret, 1, i))) ++i;
    CHECK(intake.silence(0, {"paused", "1001"}, at(0), at(i)));
    CHECK(intake.resume(0, "paused", at(i)));
    int marks = 0;
    while (intake.silence(0, {"paused", std::string(media::kByTextMax, 'x')}, at(0), at(i))) ++marks;
    CHECK(marks > 0);
    CHECK(marks < 20);  // then it is full for them, too
    intake.close(0, tail(0, 0, 1s));

    // And nothing of what was taken out stays in it.
    std::vector<std::uint8_t> out(ring.readable());
    ring.take(out);
    CHECK(count_in(out, kSecret) > 100);
    ring.skip(ring.capacity());
    ring.publish();
    std::vector<std::uint8_t> again(ring.readable());
    ring.take(again);
    CHECK(std::ranges::all_of(again, [](std::uint8_t b) { return b == 0; }));
}
