// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/late_erasure.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <array>
#include <thread>

#include "edge/journal/journal_fixture.h"
#include "edge/journal/journal_scan.h"

using namespace sheaf;
using namespace sheaf::journal;
using namespace sheaf::journal::fixture;
using namespace std::chrono_literals;
using media::Channel;

namespace {

Stamp stamp_at(int frame) {
    return {at(frame), kOpened.wall + frame * 20ms};
}

// Two segments; what "seg" hears and says from its hundredth frame on is to be erased later.
void record(Recorder& recorder) {
    REQUIRE(recorder.writer->open(0, head("seg")));
    REQUIRE(recorder.writer->open(1, head("other")));
    for (int i = 0; i < 200; ++i) {
        for (const Channel c : {Channel::said, Channel::heard}) {
            REQUIRE(recorder.writer->packet(0, c, at(i), worded(i < 100 ? "BEFORE" : kSecret, 1, i)));
            REQUIRE(recorder.writer->packet(1, c, at(i), worded(kOther, 2, i)));
        }
        if (i % 5 == 0) std::this_thread::sleep_for(1ms);
    }
}
void close(Recorder& recorder) {
    recorder.writer->close(0, tail(200, 200, 4s));
    recorder.writer->close(1, tail(200, 200, 4s));
}

void check_erased(const std::string& folder, const ErasedSegment& erased) {
    CHECK(count_below(folder, "ECRE") == 0);
    REQUIRE(erased.file);
    REQUIRE(erased.facts.size() == 1);
    const auto& data = erased.facts[0].data;
    CHECK(erased.facts[0].type == "segment.erased");
    CHECK(data.at("segment") == "seg");
    CHECK(data.at("calluuid") == "call-seg");
    CHECK(data.at("connection") == "conn-seg");
    CHECK(data.at("from_ms") == 2'000);
    CHECK(data.at("to_ms") == 4'000);
    CHECK(data.at("label") == "paused");
    CHECK(data.at("by") == "1001");
    CHECK(data.at("sha256").as_string() == sha256_of_file(erased.file->path).value());
    CHECK(bytes_of(erased.file->path).size() == 44 + 32'000 * 4);
    const auto content = read_segment(folder + "/segments/seg.seg");
    REQUIRE((content && content->tail));
    CHECK(content->said.packets() == 100);
    CHECK(content->heard.packets() == 100);
    CHECK(content->tail->tail.said == media::ChannelCounts{.received = 200, .stored = 100, .excluded = 100});
    REQUIRE(content->stretches.size() == 1);
    CHECK(content->stretches[0].from == 2s);
    CHECK(content->stretches[0].to == 4s);
    CHECK(content->stretches[0].by == "1001");
    const auto report = verify_path(folder + "/segments");
    REQUIRE(report);
    CHECK_MESSAGE(report->ok(), to_text(*report));
    const auto other = read_segment(find_segment_file(folder, SegmentId("other")));
    REQUIRE(other);
    CHECK(other->said.packets() == 200);
}

LateErasure late_pause(std::uint64_t ticket = 7) {
    return {SegmentId("seg"), {"paused", "1001"}, stamp_at(100), ticket};
}

std::string digest_of(const std::vector<SealedSegment>& sealed, const std::string& segment) {
    for (const SealedSegment& one : sealed)
        if (one.file.segment.text() == segment) return one.file.sha256;
    return {};
}

}  // namespace

TEST_CASE("what a late pause takes back of a segment that has ended is in no journal and no file any more") {
    const Folder folder;
    Recorder recorder(folder.path);
    record(recorder);
    SUBCASE("it ends just then") {
        recorder.sealer->erase(late_pause());
        close(recorder);
        recorder.inbox.wait_for(2);
    }
    SUBCASE("it waits for the archive") {
        close(recorder);
        recorder.inbox.wait_for(2);
        CHECK(count_below(folder.path, kSecret) > 1'000);
        recorder.sealer->erase(late_pause());
    }
    SUBCASE("the archive has it") {
        close(recorder);
        const auto files = recorder.inbox.wait_for(2);
        recorder.sealer->delivered(SegmentId("seg"), digest_of(files, "seg"));
        recorder.sealer->erase(late_pause());
    }
    const auto [ticket, erased] = recorder.inbox.wait_for_erased();
    CHECK(ticket == 7);
    REQUIRE(erased);
    check_erased(folder.path, *erased);
    // Once more there is nothing to do, and from longer ago there is.
    recorder.sealer->erase(late_pause(8));
    const auto again = recorder.inbox.wait_for_erased();
    REQUIRE(again.second);
    CHECK_FALSE(again.second->file);
    const std::string before = erased->file->sha256;
    auto longer = late_pause(9);
    longer.from = stamp_at(50);
    recorder.sealer->erase(longer);
    const auto more = recorder.inbox.wait_for_erased();
    REQUIRE((more.second && more.second->file));
    CHECK(more.second->facts[0].data.at("from_ms") == 1'000);
    // What the archive says of the file before changes nothing: it waits for this one.
    recorder.sealer->delivered(SegmentId("seg"), before);
    recorder.sealer->erase(late_pause(10));
    REQUIRE(recorder.inbox.wait_for_erased().second);
    CHECK(find_segment_file(folder.path, SegmentId("seg")) == folder.path + "/segments/seg.seg");
    CHECK(file_exists(more.second->file->path));
    recorder.sealer->delivered(SegmentId("seg"), more.second->file->sha256);
    recorder.sealer->stop(10s);
    CHECK(files_with(folder.path + "/erasing", ".json") == 0);
    CHECK(find_segment_file(folder.path, SegmentId("seg")) == folder.path + "/done/seg.seg");
}

TEST_CASE("of a segment that has ended a pause that was over takes back what came before it and nothing behind it") {
    const Folder folder;
    Recorder recorder(folder.path);
    REQUIRE(recorder.writer->open(0, head("seg")));
    const auto speak = [&](int from, int to, const std::string& word) {
        for (int i = from; i < to; ++i) REQUIRE(recorder.writer->packet(0, Channel::said, at(i), worded(word, 1, i)));
    };
    speak(0, 100, "BEFORE");
    speak(100, 150, kSecret);
    REQUIRE(recorder.writer->silence(0, {"paused", "1001"}, at(150), at(150), 0));
    REQUIRE(recorder.writer->resume(0, "paused", at(160)));
    speak(160, 190, "BEHIND");
    LateErasure late = late_pause();
    late.is_over = true;
    const auto close_it = [&] {
        auto t = tail(180, 0, 4s);
        t.said.received = 190;
        t.said.excluded = 10;
        recorder.writer->close(0, t);
    };
    SUBCASE("it ends just then") {
        recorder.sealer->erase(late);
        close_it();
        recorder.inbox.wait_for(1);
    }
    SUBCASE("it waits for the archive") {
        close_it();
        recorder.inbox.wait_for(1);
        recorder.sealer->erase(late);
    }
    const auto [ticket, erased] = recorder.inbox.wait_for_erased();
    REQUIRE((erased && erased->file));
    CHECK(erased->facts[0].data.at("from_ms") == 2'000);
    CHECK(erased->facts[0].data.at("to_ms") == 3'000);
    CHECK(count_below(folder.path, "ECRE") == 0);
    const auto content = read_segment(folder.path + "/segments/seg.seg");
    REQUIRE((content && content->tail));
    CHECK(content->said.packets() == 130);
    CHECK(content->tail->tail.said == media::ChannelCounts{.received = 190, .stored = 130, .excluded = 60});
    REQUIRE(content->stretches.size() == 2);
    CHECK(content->stretches[1].from == 2s);
    CHECK(content->stretches[1].to == 3s);
    const auto report = verify_path(folder.path + "/segments");
    REQUIRE(report);
    CHECK_MESSAGE(report->ok(), to_text(*report));
    recorder.sealer->erase(late);  // once more there is nothing to do
    const auto again = recorder.inbox.wait_for_erased();
    REQUIRE(again.second);
    CHECK_FALSE(again.second->file);
}

TEST_CASE("nothing of a segment that was never here can be erased, which is said after a while") {
    const Folder folder;
    Recorder recorder(folder.path);
    recorder.sealer->erase(late_pause());
    const auto [ticket, erased] = recorder.inbox.wait_for_erased();
    CHECK(ticket == 7);
    REQUIRE_FALSE(erased);
    CHECK(erased.error().code == Errc::not_found);
}

TEST_CASE("a disk that refuses delays a late erasure, which is noted once, and no other's note is taken for it") {
    const Folder folder;
    const std::string erasing = folder.path + "/erasing";
    Recorder recorder(folder.path);
    record(recorder);
    close(recorder);
    recorder.inbox.wait_for(2);
    {
        auto file = File::create(erasing + "/seg~1.json");  // an earlier run's
        REQUIRE(file);
    }
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit none{65'536, before.rlim_max};  // room for a note, but what is to be overwritten lies behind
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &none) == 0);
    recorder.sealer->erase(late_pause());
    static_cast<void>(recorder.inbox.wait_for_trouble());
    CHECK(count_below(folder.path, kSecret) > 1'000);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    const auto [ticket, erased] = recorder.inbox.wait_for_erased();
    REQUIRE(erased);
    check_erased(folder.path, *erased);
    CHECK(files_with(erasing, ".json") == 2);
    CHECK(bytes_of(erasing + "/seg~1.json").empty());
    CHECK(read_note(erasing + "/seg~2.json"));
}

TEST_CASE("a late erasure that a crash has broken off is done by the next start, and told") {
    const Folder folder;
    {
        Recorder recorder(folder.path);
        record(recorder);
        close(recorder);
        recorder.inbox.wait_for(2);
        recorder.writer->stop();
        recorder.sealer->stop(10s);
    }
    {
        // A record that is still open keeps the journal file.
        Recorder recorder(folder.path);
        REQUIRE(recorder.writer->open(0, head("third")));
        recorder.writer->stop();
        recorder.sealer->stop(10s);
    }
    ErasureNote note{SegmentId("seg"), {"paused", "1001"}, 2s, {}};
    {
        auto files = JournalFiles::open(folder.path + "/journal/0");
        REQUIRE(files);
        const JournalScan scan = scan_journals(**files);
        for (const ClosedSegment& segment : scan.segments) {
            if (segment.head.segment != SegmentId("seg")) continue;
            auto plan = plan_erasure(**files, segment.slot, segment.extents, at(100), {}, [](const Error&) {});
            REQUIRE(plan);
            note.journal = std::move(*plan);
        }
    }
    REQUIRE(write_note(folder.path + "/erasing/seg~1.json", note));
    const auto read = read_note(folder.path + "/erasing/seg~1.json");
    REQUIRE(read);
    CHECK(read->after == note.after);
    CHECK(read->journal.places.size() == note.journal.places.size());
    Recorder recorder(folder.path);
    const auto [ticket, erased] = recorder.inbox.wait_for_erased();
    CHECK(ticket == 0);
    REQUIRE(erased);
    check_erased(folder.path, *erased);
}

TEST_CASE("the moment of a late erasure is the monotonic clock's, unless the machine was started anew") {
    const Stamp opened{Instant(100s), WallTime(1'000'000s)};
    CHECK(after_opening(opened, {Instant(103s), WallTime(1'000'900s)}) == 3s);  // the wall clock was set
    CHECK(after_opening(opened, {Instant(99s), WallTime(1'000'000s)}) == 0s);   // before it was opened
    CHECK(after_opening(opened, {Instant(5s), WallTime(1'000'007s)}) == 7s);
}

TEST_CASE("a note is read as it was written; one that is damaged, or of what cannot be, is refused") {
    const auto note = [](const std::string& place, const std::string& after = "1", const std::string& slot = "0",
                         const std::string& label = "l", const std::string& segment = "s") {
        return R"({"segment":")" + segment + R"(","label":")" + label + R"(","by":"b","after_ns":)" + after +
               R"(,"slot":)" + slot + R"(,"places":[)" + place + "]}";
    };
    const auto read = note_from_text(note("[1,2048,64,2,1,-5]", "7", "8191"));
    REQUIRE(read);
    CHECK(read->segment == SegmentId("s"));
    CHECK(read->silence == media::Silence{"l", "b"});
    CHECK(read->after == 7ns);
    CHECK(read->journal.slot == 8'191);
    REQUIRE(read->journal.places.size() == 1);
    CHECK(read->journal.places[0].offset == 2'048);
    CHECK(read->journal.places[0].when == Instant(-5ns));
    CHECK(to_text(*read).value() == note("[1,2048,64,2,1,-5]", "7", "8191"));

    for (const std::string& text : {std::string(),
                                    std::string("{"),
                                    std::string("[]"),
                                    note("7"),
                                    note("[1,2048]"),
                                    note("[1,2048,64,2,1,5,6]"),
                                    note(R"([1,2048,64,"x",1,5])"),
                                    note("[1,2048,64,1.5,1,5]"),
                                    note("[-1,2048,64,2,1,5]"),
                                    note("[1,2048,8,0,0,5]"),            // no record is that short
                                    note("[1,2048,64,4294967296,1,5]"),  // packets that no field holds
                                    note("[1,2048,64,3,1,5]"),
                                    note("[1,2048,64,1,3,5]"),  // more packets than have room
                                    note("[1,2049,64,2,1,5]"),
                                    note("[1,0,64,2,1,5]"),                       // where no record stands
                                    note("[1,18446744073709551608,64,2,1,5]"),    // behind every end
                                    note("[1,2048,64,2,1,9223372036854775807]"),  // no moment
                                    note("", "-1"),                               // before the segment
                                    note("", "9223372036854775807"),
                                    note("", "1", "-1"),
                                    note("", "1", "8192"),
                                    note("", "1", "4294967296"),
                                    note("", "1", "0", ""),
                                    note("", "1", "0", std::string(media::kLabelTextMax + 1, 'l')),
                                    note("", "1", "0", "l", ""),
                                    note("", "1", "0", "l", std::string(129, 's')),
                                    std::string(R"({"segment":"s","label":"l","after_ns":1,"slot":0})"),
                                    std::string(kNoteBytesMax + 1, ' ')}) {
        CAPTURE(text.substr(0, 200));
        CHECK_FALSE(note_from_text(text));
    }
    const Folder folder;
    auto file = File::create(folder.path + "/n.json");
    REQUIRE(file);
    REQUIRE(file->write_at(0, Bytes(std::array<std::uint8_t, 1>{'{'})));
    CHECK_FALSE(read_note(folder.path + "/n.json"));
}
