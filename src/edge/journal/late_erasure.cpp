// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/late_erasure.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/fact.h"
#include "base/json.h"
#include "base/match.h"
#include "edge/journal/file.h"
#include "media/journal_format.h"
#include "media/pack.h"
#include "media/segment_format.h"

namespace sheaf::journal {
namespace {

namespace json = boost::json;

constexpr std::size_t kPlaceFields = 6;

template <typename T>
Result<T> number_from(const json::value& value) {
    boost::system::error_code error;
    if (value.is_double() || !value.is_number()) return fail(Errc::malformed, "an erasure note without a number");
    const T number = value.to_number<T>(error);
    if (error) return fail(Errc::malformed, "an erasure note with a wrong number");
    return number;
}

Result<media::ErasedPlace> place_from(const json::value& value) {
    if (!value.is_array() || value.get_array().size() != kPlaceFields)
        return fail(Errc::malformed, "an erasure note with a wrong place");
    const json::array& fields = value.get_array();
    media::ErasedPlace place;
    TRY(place.file, number_from<std::uint64_t>(fields[0]));
    TRY(place.offset, number_from<std::uint64_t>(fields[1]));
    TRY(place.bytes, number_from<std::uint32_t>(fields[2]));
    TRY(place.said, number_from<std::uint32_t>(fields[3]));
    TRY(place.heard, number_from<std::uint32_t>(fields[4]));
    TRY(const std::int64_t when, number_from<std::int64_t>(fields[5]));
    place.when = Instant(Duration(when));
    if (!media::is_place(place)) return fail(Errc::malformed, "an erasure note with a wrong place");
    return place;
}

bool is_text(const std::string& text, std::size_t bytes_max) {
    return !text.empty() && text.size() <= bytes_max;
}

// Copies a segment file but for what is erased.
class Copy {
public:
    Copy(media::SegmentWriter& writer, Duration after, Duration to, const media::Silence& silence)
        : writer_(writer), after_(after), to_(to), silence_(silence), has_stretch_(to <= after) {}

    Result<void> add(const media::SegmentItem& item) {
        return std::visit(Match{[&](const media::StoredPacket& p) -> Result<void> {
                                    if (p.after < after_ || p.after >= to_) return writer_.packet(p);
                                    ++(p.channel == media::Channel::said ? erased_.said : erased_.heard);
                                    return {};
                                },
                                [&](const media::Stretch& s) -> Result<void> {
                                    has_stretch_ = has_stretch_ || (s.label == silence_.label && s.from <= after_);
                                    return writer_.stretch(s);
                                },
                                [&](const media::LostStretch& l) -> Result<void> { return writer_.lost(l); },
                                [&](const media::StoredTail& t) -> Result<void> { return finish(t); }},
                          item);
    }
    [[nodiscard]] bool is_sealed() const { return tail_.has_value(); }
    [[nodiscard]] bool has_changed() const { return erased_.said + erased_.heard != 0 || !has_stretch_; }
    [[nodiscard]] Duration end() const { return std::min(to_, tail_->duration); }

private:
    Result<void> finish(const media::StoredTail& tail) {
        tail_ = tail;
        if (has_changed()) {
            TRY_VOID(writer_.stretch({.from = std::min(after_, end()),
                                      .to = end(),
                                      .channels = media::kBothChannels,
                                      .label = silence_.label,
                                      .by = silence_.by}));
        }
        media::count_erased(tail_->tail, erased_);
        return writer_.finish(tail_->tail);
    }

    media::SegmentWriter& writer_;
    const Duration after_;
    const Duration to_;
    const media::Silence& silence_;
    media::ErasedRecord erased_;
    bool has_stretch_;
    std::optional<media::StoredTail> tail_;
};

// Nothing of a file that another has taken the place of stays on its blocks, as far as a file can say so.
Result<void> overwrite(File& file) {
    TRY(const std::uint64_t size, file.size());
    const std::vector<std::uint8_t> zeros(std::size_t{1} << 16U, 0);
    for (std::uint64_t at = 0; at < size; at += zeros.size()) {
        TRY_VOID(file.write_at(at, Bytes(zeros).first(std::min<std::uint64_t>(zeros.size(), size - at))));
    }
    return file.sync();
}

}  // namespace

Result<std::string> to_text(const ErasureNote& note) {
    json::array places;
    for (const media::ErasedPlace& p : note.journal.places) {
        places.push_back(json::array{p.file, p.offset, p.bytes, p.said, p.heard, p.when.time_since_epoch().count()});
    }
    json::object object{{"segment", note.segment.text()}, {"label", note.silence.label}, {"by", note.silence.by},
                        {"after_ns", note.after.count()}, {"slot", note.journal.slot},   {"places", std::move(places)}};
    if (note.to) object["to_ns"] = note.to->count();
    std::string text = json::serialize(object);
    if (text.size() > kNoteBytesMax) return fail(Errc::exhausted, "an erasure of too many places");
    return text;
}

Result<void> write_note(const std::string& path, const ErasureNote& note) {
    TRY(const std::string text, to_text(note));
    const std::string part = path + ".part";
    TRY(File file, File::create(part));
    TRY_VOID(file.write_at(0, Bytes(reinterpret_cast<const std::uint8_t*>(text.data()), text.size())));
    TRY_VOID(file.sync());
    return rename_durably(part, path);
}

Result<ErasureNote> read_note(const std::string& path) {
    TRY(const File file, File::open_read(path));
    TRY(const std::uint64_t size, file.size());
    if (size > kNoteBytesMax) return fail(Errc::malformed, path + " is too long");
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
    TRY_VOID(file.read_at(0, bytes));
    auto note = note_from_text(as_text(bytes));
    if (!note) return fail(note.error().code, path + ": " + note.error().what);
    return note;
}

Result<ErasureNote> note_from_text(std::string_view text) {
    if (text.size() > kNoteBytesMax) return fail(Errc::malformed, "an erasure note that is too long");
    TRY(const json::value value, json_from_text(text));
    if (!value.is_object()) return fail(Errc::malformed, "no erasure note");
    const json::object& object = value.get_object();
    ErasureNote note;
    TRY(const std::string segment, string_field(object, "segment"));
    note.segment = SegmentId(segment);
    TRY(note.silence.label, string_field(object, "label"));
    TRY(note.silence.by, optional_string_field(object, "by"));
    TRY(const std::int64_t after, integer_field(object, "after_ns"));
    note.after = Duration(after);
    if (object.contains("to_ns")) {
        TRY(const std::int64_t to, integer_field(object, "to_ns"));
        if (!media::is_moment(to) || to < after) return fail(Errc::malformed, "an erasure note that ends too early");
        note.to = Duration(to);
    }
    TRY(const std::int64_t slot, integer_field(object, "slot"));
    // Negative, it would take the whole segment; a label that the segment file has no room for would be cut.
    const bool is_note = is_text(segment, media::kIdTextMax) && is_text(note.silence.label, media::kLabelTextMax) &&
                         note.silence.by.size() <= media::kByTextMax && after >= 0 && media::is_moment(after) &&
                         slot >= 0 && static_cast<std::size_t>(slot) < media::kSegmentsRunningMax;
    if (!is_note) return fail(Errc::malformed, "an erasure note out of its limits");
    note.journal.slot = static_cast<media::SegmentSlot>(slot);
    const json::value* places = object.if_contains("places");
    if (places == nullptr || !places->is_array()) return fail(Errc::malformed, "an erasure note that names no places");
    for (const json::value& each : places->get_array()) {
        TRY(const media::ErasedPlace place, place_from(each));
        note.journal.places.push_back(place);
    }
    return note;
}

Duration after_opening(const Stamp& opened, const Stamp& from) {
    const Duration by_wall = from.wall - opened.wall;
    const bool is_restarted = from.mono < opened.mono && by_wall > std::chrono::seconds{1};
    return std::max(is_restarted ? by_wall : from.mono - opened.mono, Duration{0});
}

std::uint64_t last_noted_file(const std::string& folder) {
    std::uint64_t last = 0;
    const auto names = files_in(folder, ".json");
    for (const std::string& name : names.value_or(std::vector<std::string>{})) {
        const auto note = read_note(folder + "/" + name);
        if (!note) continue;
        for (const media::ErasedPlace& place : note->journal.places) last = std::max(last, place.file);
    }
    return last;
}

Result<void> erase_file(const std::string& path) {
    if (!file_exists(path)) return {};
    TRY(File file, File::open_write(path));
    TRY_VOID(overwrite(file));
    return remove_file(path);
}

Result<Duration> silent_from(const std::string& path, Duration after, const std::string& label) {
    TRY(File file, File::open_read(path));
    FileSource source(file);
    TRY(media::SegmentReader reader, media::SegmentReader::open(source));
    std::optional<Duration> from;
    while (true) {
        TRY(const auto item, reader.next());
        if (!item) break;
        const auto* stretch = std::get_if<media::Stretch>(&*item);
        if (stretch == nullptr || stretch->label != label || stretch->to <= after) continue;
        from = std::min(from.value_or(stretch->from), stretch->from);
    }
    return std::max(from.value_or(after), after);
}

Result<std::optional<FileErasure>> erase_in_file(const std::string& path, Duration after, std::optional<Duration> to,
                                                 const media::Silence& silence) {
    TRY(File old, File::open_write(path));
    FileSource source(old);
    TRY(media::SegmentReader reader, media::SegmentReader::open(source));
    const std::string part = path + ".part";
    TRY(File fresh, File::create(part));
    FileSink sink(fresh);
    media::SegmentWriter writer(sink);
    Copy copy(writer, after, to.value_or(Duration::max()), silence);
    TRY_VOID(writer.begin(reader.header()));
    while (true) {
        TRY(const auto item, reader.next());
        if (!item) break;
        TRY_VOID(copy.add(*item));
    }
    if (!copy.is_sealed() || reader.state().damaged_chunks != 0)
        return fail(Errc::malformed, path + " is damaged: nothing of it can be erased safely");
    if (!copy.has_changed()) {
        TRY_VOID(remove_file(part));
        return std::nullopt;
    }
    TRY_VOID(sink.flush());
    TRY_VOID(fresh.sync());
    TRY_VOID(rename_durably(part, path));
    TRY_VOID(overwrite(old));
    return FileErasure{reader.header().head, std::min(after, copy.end()), copy.end()};
}

}  // namespace sheaf::journal
