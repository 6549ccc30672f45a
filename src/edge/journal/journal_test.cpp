// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <random>

#include "base/mutex.h"
#include "edge/journal/file.h"
#include "edge/journal/journal_appender.h"
#include "edge/journal/journal_fixture.h"
#include "edge/journal/journal_intake.h"
#include "edge/journal/sealer.h"
#include "edge/journal/segment_reading.h"
#include "edge/journal/verify.h"
#include "media/segment_format.h"
#include "rtp/g711.h"
#include "rtp/packet.h"
#include "rtp/tone.h"

using namespace sheaf;
using namespace sheaf::journal;
using namespace sheaf::journal::fixture;
using namespace std::chrono_literals;
using media::Channel;

TEST_CASE("a call goes from packets to a playable file with every sample in its place") {
    const Folder folder;
    Recorder recorder(folder.path);
    Voice agent(467, 1);
    Voice customer(853, 2);
    REQUIRE(recorder.writer->open(3, head("seg")));
    std::uint64_t heard = 0;
    for (int i = 0; i < 500; ++i) {  // 10 s
        REQUIRE(recorder.writer->packet(3, Channel::said, kOpened.mono + i * 20ms, agent.next()));
        const auto packet = customer.next();
        if (i >= 100 && i < 120) continue;  // lost on the way
        ++heard;
        REQUIRE(recorder.writer->packet(3, Channel::heard, kOpened.mono + i * 20ms + 3ms, packet));
    }
    recorder.writer->close(3, tail(500, heard, 10s));
    const auto sealed = recorder.inbox.wait_for(1);
    CHECK(sealed[0].file.media_type == "audio/wav");
    CHECK(sealed[0].file.sha256 == sha256_of_file(sealed[0].file.path));
    const auto wav = bytes_of(sealed[0].file.path);
    REQUIRE(wav.size() == 44 + 80'000 * 4);
    CHECK(read_u32le(&wav[4]) == wav.size() - 8);
    CHECK(read_u32le(&wav[40]) == 80'000 * 4);
    for (std::size_t i = 0; i < 80'000; ++i) {
        REQUIRE(static_cast<std::int16_t>(read_u16le(&wav[44 + i * 4])) == agent.spoken[i]);
        if (i < 24) continue;  // heard came 3 ms later
        const bool missing = i - 24 >= 100 * 160 && i - 24 < 120 * 160;
        REQUIRE(static_cast<std::int16_t>(read_u16le(&wav[46 + i * 4])) == (missing ? 0 : customer.spoken[i - 24]));
    }
    const auto& said = fact(sealed[0], "segment.sealed");
    CHECK(said.at("duration_ms").as_int64() == 10'000);
    CHECK(said.at("heard").at("lost").to_number<int>() == 20);
    CHECK(said.at("heard").at("stored").to_number<std::uint64_t>() == heard);
    CHECK(said.at("calluuid").as_string() == "call-seg");

    const auto report = verify_path(folder.path + "/segments");
    REQUIRE(report);
    CHECK_MESSAGE(report->ok(), to_text(*report));
    CHECK(report->files[0].segments[0].heard.lost == 20);
}

TEST_CASE("the same call as FLAC holds the same samples in fewer bytes") {
    const Folder folder;
    Recorder recorder(folder.path, options(), AudioFormat::flac);
    Voice agent(467, 1);
    REQUIRE(recorder.writer->open(0, head("seg")));
    for (int i = 0; i < 100; ++i) {
        REQUIRE(recorder.writer->packet(0, Channel::said, kOpened.mono + i * 20ms, agent.next()));
    }
    recorder.writer->close(0, tail(100, 0, 2s));
    const auto sealed = recorder.inbox.wait_for(1);
    CHECK(sealed[0].file.media_type == "audio/flac");
    const auto flac = bytes_of(sealed[0].file.path);
    CHECK(as_text(Bytes(flac).first(4)) == "fLaC");
    CHECK(flac.size() < 16'000 * 4 / 2);
    // STREAMINFO: 20 bits of rate, 3 of channels - 1, 5 of bits - 1, 36 of samples.
    CHECK((read_u32be(&flac[18]) >> 12) == 8'000);
    CHECK(((flac[20] >> 1) & 7) == 1);
    CHECK(read_u32be(&flac[22]) == 16'000);
}

TEST_CASE("a segment is freed only after the archive has it, and its file is kept as long as asked") {
    const Folder folder;
    {
        Recorder recorder(folder.path, options(kFileBytesMin), AudioFormat::wav, 0ms);
        Voice agent(467, 1);
        for (int n = 0; n < 4; ++n) {
            REQUIRE(recorder.writer->open(7, head("seg" + std::to_string(n))));
            for (int i = 0; i < 200; ++i) {
                REQUIRE(recorder.writer->packet(7, Channel::said, kOpened.mono + i * 20ms, agent.next()));
            }
            recorder.writer->close(7, tail(200, 0, 4s));
        }
        const auto all = recorder.inbox.wait_for(4);
        CHECK(files_with(folder.path + "/segments", ".seg") == 4);
        CHECK(files_with(folder.path + "/encoded", ".wav") == 4);
        for (std::size_t n = 0; n < 3; ++n) recorder.sealer->delivered(all[n].file.segment, all[n].file.sha256);
        recorder.writer->stop();
        recorder.sealer->stop(20s);
        CHECK(files_with(folder.path + "/segments", ".seg") == 1);
        CHECK(find_segment_file(folder.path, SegmentId("seg3")) == folder.path + "/segments/seg3.seg");
        CHECK(files_with(folder.path + "/encoded", ".wav") == 1);
        CHECK(files_with(folder.path + "/journal/0", ".jnl") == 0);
    }
    // After a restart the one that was not acknowledged is handed out again, the others are not; then they go.
    Recorder again(folder.path, options(), AudioFormat::wav, 0ms);
    const auto sealed = again.inbox.wait_for(1);
    CHECK(sealed[0].file.segment.text() == "seg3");
    again.sealer->delivered(SegmentId("seg3"), sealed[0].file.sha256);
    again.sealer->stop(20s);
    CHECK(files_with(folder.path + "/segments", ".seg") == 0);
    CHECK(files_with(folder.path + "/encoded", ".wav") == 0);
}

TEST_CASE("a long call runs over many journal files and comes out whole") {
    const Folder folder;
    auto wide = options(kFileBytesMin);
    wide.ring_bytes = 4 << 20;  // a minute in a moment: the disk may take a while
    Recorder recorder(folder.path, wide);
    Voice agent(467, 1);
    Voice other(619, 9);
    REQUIRE(recorder.writer->open(0, head("long")));
    for (int i = 0; i < 3'000; ++i) {
        REQUIRE(recorder.writer->packet(0, Channel::said, kOpened.mono + i * 20ms, agent.next()));
        if (i % 500 == 0) REQUIRE(recorder.writer->open(1, head("short" + std::to_string(i))));
        REQUIRE(recorder.writer->packet(1, Channel::said, kOpened.mono + i * 20ms, other.next()));
        if (i % 500 == 499) recorder.writer->close(1, tail(500, 0, 60s));
    }
    recorder.inbox.wait_for(6);
    CHECK(recorder.files->count() >= 15);  // the long call still needs them all
    recorder.writer->close(0, tail(3'000, 0, 60s));
    recorder.inbox.wait_for(7);
    recorder.writer->stop();
    CHECK(recorder.files->count() == 0);
    const auto report = verify_path(folder.path);
    REQUIRE(report);
    CHECK(report->files.size() == 7);
    CHECK_MESSAGE(report->ok(), to_text(*report));
}

TEST_CASE("a full buffer is counted, said in the file, and costs no more than what did not fit") {
    ByteRing ring(4'096);
    Intake intake(ring, 4);
    CHECK_FALSE(intake.open(4, head("one-too-many")));
    REQUIRE(intake.open(0, head("seg")));
    Voice agent(467, 1);
    int stored = 0;
    int refused = 0;
    for (int i = 0; i < 40; ++i) {
        ++(intake.packet(0, Channel::said, kOpened.mono + i * 20ms, agent.next()) ? stored : refused);
    }
    CHECK(stored > 10);
    CHECK(refused > 10);
    CHECK(intake.overflow.load() == static_cast<std::uint64_t>(refused));
    CHECK_FALSE(intake.packet(0, Channel::said, kOpened.mono, std::vector<std::uint8_t>(media::kRtpBytesMax + 1)));
    intake.close(0, tail(static_cast<std::uint64_t>(stored), 0, 800ms));  // there is always room for a close
    std::vector<std::uint8_t> out(ring.readable());
    ring.take(out);
    std::vector<media::RecordType> types;
    std::uint64_t lost = 0;
    for (Bytes rest = out; !rest.empty();) {
        const auto record = media::peek_record(rest);
        types.push_back(record.type);
        if (record.type == media::RecordType::lost) lost += media::lost_from(record).value().packets;
        rest = rest.subspan(media::record_bytes(record.payload.size()));
    }
    CHECK(types.size() == static_cast<std::size_t>(stored) + 3);
    CHECK(types.back() == media::RecordType::close);
    CHECK(lost == static_cast<std::uint64_t>(refused) + 1);
}

TEST_CASE("a disk that refuses costs the packets of that time, says so, and never the call") {
    const Folder folder;
    auto opened = JournalFiles::open(folder.path + "/journal/0");
    REQUIRE(opened);
    std::vector<ClosedSegment> closed;
    std::vector<Error> troubles;
    Appender appender(
        options(kFileBytesMin), **opened,
        {[&](ClosedSegment s) { closed.push_back(std::move(s)); }, [&](const Error& e) { troubles.push_back(e); }});
    ByteRing ring(1 << 20);
    Intake intake(ring, 4);
    Instant clock{1h};
    const auto write = [&] {
        std::vector<std::uint8_t> batch(ring.readable());
        ring.take(batch);
        clock += 1s;
        appender.append({clock, kOpened.wall}, batch);
    };
    Voice agent(467, 1);
    const auto speak = [&](int from, int to) {
        for (int i = from; i < to; ++i) {
            REQUIRE(intake.packet(0, Channel::said, kOpened.mono + i * 20ms, agent.next()));
        }
    };
    REQUIRE(intake.open(0, head("seg")));
    speak(0, 200);
    write();
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit none{4'096, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &none) == 0);
    speak(200, 300);
    write();
    write();
    speak(300, 400);
    write();
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(troubles.size() >= 2);
    CHECK(appender.unwritten == 200);
    speak(400, 500);
    write();
    intake.close(0, tail(500, 0, 10s));
    write();
    appender.sync();
    REQUIRE(closed.size() == 1);
    REQUIRE(cut_segment(closed[0], **opened, folder.path + "/seg.seg", kOpened.wall));
    const auto content = read_segment(folder.path + "/seg.seg");
    REQUIRE(content);
    CHECK(content->said.packets() == 300);
    REQUIRE(content->lost.size() == 1);
    CHECK(content->lost[0].cause == "disk");
    CHECK(content->lost[0].packets == 200);
    CHECK(content->lost[0].from == 4s);
    CHECK(content->lost[0].to == 399 * 20ms);
    const auto report = verify_path(folder.path + "/seg.seg");
    REQUIRE(report);
    CHECK_FALSE(report->ok());
}

TEST_CASE("a packet dropped at a segment's end is visible as received but not stored") {
    const Folder folder;
    Recorder recorder(folder.path);
    Voice agent(467, 1);
    REQUIRE(recorder.writer->open(0, head("seg")));
    for (int i = 0; i < 9; ++i) {
        REQUIRE(recorder.writer->packet(0, Channel::said, kOpened.mono + i * 20ms, agent.next()));
    }
    media::SegmentTail wrong = tail(9, 0, 200ms);
    wrong.said.received = 10;
    recorder.writer->close(0, wrong);
    recorder.inbox.wait_for(1);
    const auto report = verify_path(folder.path + "/segments");
    REQUIRE(report);
    CHECK_FALSE(report->ok());
    CHECK(report->files[0].problems[0] == "said: 10 packets received, 9 accounted for");
    CHECK(to_json(*report).at("files").at(0).at("segments").at(0).at("channels").at("said").at("received") == 10);
}

TEST_CASE("whatever moment a recorder is killed at, all that was written comes out as a file, once and again") {
    std::mt19937 chance(7);
    for (int round = 0; round < 12; ++round) {
        const Folder folder;
        int acknowledged[2];
        REQUIRE(::pipe(acknowledged) == 0);
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            auto files = JournalFiles::open(folder.path + "/journal/0");
            auto writer = JournalWriter::start(options(kFileBytesMin), **files, {[](ClosedSegment) {}, {}});
            Voice agent(467, 1);
            if (!(*writer)->open(0, head("seg"))) ::_exit(1);
            for (int i = 0;; ++i) {
                const std::uint64_t before = (*writer)->counters().bytes;
                if (!(*writer)->packet(0, Channel::said, kOpened.mono + i * 20ms, agent.next())) ::_exit(2);
                // Now and then wait until it is known to have been written: that may not be lost any more.
                if (i % 7 != 0) continue;
                while ((*writer)->counters().bytes == before) std::this_thread::yield();
                const auto n = static_cast<std::uint32_t>((*writer)->counters().bytes / media::record_bytes(172));
                if (::write(acknowledged[1], &n, sizeof n) != sizeof n) ::_exit(3);
            }
        }
        ::close(acknowledged[1]);
        std::uint32_t written = 0;
        const int until = static_cast<int>(chance() % 120) + 1;
        for (int i = 0; i < until; ++i) REQUIRE(::read(acknowledged[0], &written, sizeof written) == sizeof written);
        REQUIRE(::kill(child, SIGKILL) == 0);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
        ::close(acknowledged[0]);

        std::string sha256;
        for (int start = 0; start < 3; ++start) {  // nothing is acknowledged, so each start hands it out again
            Recorder recorder(folder.path);
            const auto sealed = recorder.inbox.wait_for(1);
            CHECK(sealed.size() == 1);
            const auto content = read_segment(find_segment_file(folder.path, SegmentId("seg")));
            REQUIRE(content);
            REQUIRE(content->tail);
            CHECK(content->said.packets() + 4 >= written);  // heads of files and the opening count as bytes, too
            CHECK(content->said.lost() == 0);
            CHECK(content->tail->tail.cause == "lost-control");
            CHECK(fact(sealed[0], "segment.lost").at("cause").as_string() == "lost-control");
            CHECK(fact(sealed[0], "segment.opened").at("segment").as_string() == "seg");
            if (start > 0) CHECK(sealed[0].file.sha256 == sha256);
            sha256 = sealed[0].file.sha256;
            recorder.writer->stop();
            recorder.sealer->stop(20s);
            CHECK(files_with(folder.path + "/journal/0", ".jnl") == 0);
        }
    }
}

TEST_CASE("a journal damaged in the middle costs a stretch, and the segment says so") {
    const Folder folder;
    {
        auto files = JournalFiles::open(folder.path + "/journal/0");
        auto writer = JournalWriter::start(options(), **files, {[](ClosedSegment) {}, {}});
        REQUIRE(writer);
        Voice agent(467, 1);
        REQUIRE((*writer)->open(0, head("seg")));
        for (int i = 0; i < 100; ++i) {
            REQUIRE((*writer)->packet(0, Channel::said, kOpened.mono + i * 20ms, agent.next()));
        }
        (*writer)->close(0, tail(100, 0, 2s));
        (*writer)->stop();
    }
    const std::string path = folder.path + "/journal/0/000000000001.jnl";
    auto bytes = bytes_of(path);
    for (std::size_t i = 5'000; i < 6'000; ++i) bytes[i] = 0;
    {
        auto file = File::create(path);
        REQUIRE(file->write_at(0, bytes));
    }
    const auto report = verify_path(folder.path);
    REQUIRE(report);
    CHECK_FALSE(report->ok());
    CHECK(report->files[0].damaged_bytes >= 1'000);
    Recorder recorder(folder.path);
    const auto sealed = recorder.inbox.wait_for(1);
    const auto content = read_segment(find_segment_file(folder.path, SegmentId("seg")));
    REQUIRE(content);
    CHECK(content->said.packets() >= 92);
    CHECK(content->said.packets() < 100);
    CHECK(content->tail->tail.cause == "normal");
    REQUIRE(content->lost.size() == 1);
    CHECK(content->lost[0].cause == "damaged");
    CHECK(fact(sealed[0], "segment.lost").at("cause").as_string() == "damaged");
}

TEST_CASE("a journal left without a header is removed, one with a broken header is told and left") {
    const Folder folder;
    REQUIRE(make_folders(folder.path + "/journal/0"));
    REQUIRE(File::create(folder.path + "/journal/0/000000000001.jnl")->write_at(0, std::vector<std::uint8_t>(70'000)));
    REQUIRE(
        File::create(folder.path + "/journal/0/000000000002.jnl")->write_at(0, std::vector<std::uint8_t>(70'000, 1)));
    Recorder recorder(folder.path);
    CHECK(recorder.inbox.wait_for_trouble().code == Errc::malformed);
    CHECK_FALSE(file_exists(folder.path + "/journal/0/000000000001.jnl"));
    CHECK(file_exists(folder.path + "/journal/0/000000000002.jnl"));
    CHECK(recorder.files->next_number() == 3);
}

TEST_CASE("settings of a journal that cannot work are refused") {
    const Folder folder;
    auto files = JournalFiles::open(folder.path);
    JournalOptions small = options(kFileBytesMin - 8);
    CHECK(JournalWriter::start(small, **files, {}).error().code == Errc::malformed);
    JournalOptions odd = options();
    odd.ring_bytes = 5'000;
    CHECK(JournalWriter::start(odd, **files, {}).error().code == Errc::malformed);
    CHECK(verify_path(folder.path + "/nowhere").error().code == Errc::not_found);
    CHECK(verify_path(folder.path).error().code == Errc::not_found);
}
