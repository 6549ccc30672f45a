// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/late_eraser.h"

#include <algorithm>
#include <utility>

#include "edge/journal/file.h"
#include "edge/journal/publish.h"
#include "media/segment_format.h"

namespace sheaf::journal {
namespace {

using Clock = std::chrono::steady_clock;

Stamp now() {
    return {Instant(std::chrono::duration_cast<Duration>(Clock::now().time_since_epoch())),
            std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now())};
}

}  // namespace

std::vector<PendingErasure> LateEraser::take_up() {
    std::vector<PendingErasure> out;
    auto names = files_in(folders_.erasing, ".json");
    if (!names) on_trouble_({}, names.error());
    for (const std::string& name : names.value_or(std::vector<std::string>{})) {
        const std::string path = folders_.erasing + "/" + name;
        auto note = read_note(path);
        if (!note) {
            on_trouble_({}, note.error());
            continue;
        }
        PendingErasure one;
        one.asked = {note->segment, note->silence, {}, 0};
        one.until = Clock::now() + kLateErasureMax;
        one.note = std::move(*note);
        one.note_path = path;
        one.left_behind = true;
        auto done = overwrite(one);
        if (!done) on_trouble_(one.asked.segment, done.error());
        out.push_back(std::move(one));
    }
    return out;
}

void LateEraser::forget_notes(const std::string& name) {
    auto names = files_in(folders_.erasing, ".json");
    for (const std::string& note : names.value_or(std::vector<std::string>{})) {
        if (!note.starts_with(name + "~")) continue;
        auto removed = remove_file(folders_.erasing + "/" + note);
        if (!removed) on_trouble_(SegmentId(name), removed.error());
    }
}

Result<std::optional<ErasedSegment>> LateEraser::erase(PendingErasure& one, const EndedSegment& ended) {
    const std::string name = media::file_name_of(ended.head.segment);
    const std::string path = folders_.segments + "/" + name + ".seg";
    const std::string delivered = folders_.done + "/" + name + ".seg";
    const bool was_delivered = !file_exists(path) && file_exists(delivered);
    if (was_delivered) TRY_VOID(rename_durably(delivered, path));
    if (one.asked.is_over && !ended.is_cut) return std::nullopt;  // its file tells where it was silent
    if (!one.note) TRY_VOID(plan(one, ended, path));
    if (!one.is_journal_done) TRY_VOID(overwrite(one));
    if (!ended.is_cut) return std::nullopt;
    TRY(const auto erased, erase_in_file(path, one.note->after, one.note->to, one.note->silence));
    if (!erased && !one.left_behind) {
        TRY_VOID(remove_file(one.note_path));
        if (was_delivered) TRY_VOID(rename_durably(path, delivered));
        return ErasedSegment{};
    }
    return publish(name, path, *one.note, erased);
}

// An earlier run's notes stay until the archive has the file: their names are not free.
std::string LateEraser::free_note_path(const SegmentId& segment) {
    while (true) {
        std::string path =
            folders_.erasing + "/" + media::file_name_of(segment) + "~" + std::to_string(++notes_) + ".json";
        if (!file_exists(path)) return path;
    }
}

// Planned once, then carried out until it is done: what was overwritten in part no later plan would find.
Result<void> LateEraser::plan(PendingErasure& one, const EndedSegment& ended, const std::string& path) {
    ErasureNote note{ended.head.segment, one.asked.silence, after_opening(ended.head.opened, one.asked.from), {}, {}};
    const auto unreadable = [&](const Error& error) {
        // A file that is gone holds nothing of it.
        if (error.code != Errc::not_found) on_trouble_(note.segment, error);
    };
    const Instant opened = ended.head.opened.mono;
    std::optional<Instant> to;
    if (one.asked.is_over) {
        TRY(note.to, silent_from(path, note.after, note.silence.label));
        to = opened + *note.to;
    }
    TRY(note.journal, plan_erasure(files_, ended.slot, ended.extents, opened + note.after, to, unreadable));
    if (one.note_path.empty()) one.note_path = free_note_path(note.segment);
    TRY_VOID(write_note(one.note_path, note));
    one.note = std::move(note);
    return {};
}

Result<void> LateEraser::overwrite(PendingErasure& one) {
    auto done = carry_out(files_, one.note->journal);
    // A journal that has gone since an earlier run, and another in its place, is not ours to erase in.
    const bool is_foreign = one.left_behind && !done && done.error().code == Errc::conflict;
    if (!done && !is_foreign) return done;
    one.is_journal_done = true;
    return {};
}

// The note stays until the archive has the file: after a crash all of this is done and told again.
Result<std::optional<ErasedSegment>> LateEraser::publish(const std::string& name, const std::string& path,
                                                         const ErasureNote& note,
                                                         const std::optional<FileErasure>& erased) {
    for (const AudioFormat format : {AudioFormat::wav, AudioFormat::flac})
        TRY_VOID(erase_file(folders_.encoded + "/" + name + std::string(suffix_of(format))));
    const std::string target = folders_.encoded + "/" + name + std::string(suffix_of(format_));
    TRY(SealedSegment sealed, publish_segment(path, target, format_, false));
    const auto last = std::ranges::find(sealed.facts, "segment.sealed", &FactDraft::type);
    const std::int64_t length_ms = last->data.at("duration_ms").as_int64();
    const Duration length = std::chrono::milliseconds{length_ms};
    ErasedSegment out;
    out.facts.push_back({now(),
                         "segment.erased",
                         {{"segment", note.segment.text()},
                          {"calluuid", last->data.at("calluuid")},
                          {"connection", last->data.at("connection")},
                          {"from_ms", std::min(to_ms(erased ? erased->from : note.after), length_ms)},
                          {"to_ms", std::min(to_ms(erased ? erased->to : note.to.value_or(length)), length_ms)},
                          {"label", note.silence.label},
                          {"by", note.silence.by},
                          {"sha256", sealed.file.sha256}}});
    out.file = std::move(sealed.file);
    return out;
}

}  // namespace sheaf::journal
