// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/match.h"
#include "media/control.h"
#include "mediactl/msml.h"

// Any text is refused or becomes elements within every limit, and nothing in it breaks out of what is written back.
namespace sheaf::mediactl {
namespace {

bool is_plain(const std::string& text) {
    return !text.empty() && text.size() <= kIdMax &&
           std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F; });
}

void check_silence(const media::Silence& silence) {
    ASSERT(is_plain(silence.label) && silence.label.size() <= media::kLabelTextMax);
    ASSERT(silence.by.empty() || (is_plain(silence.by) && silence.by.size() <= media::kByTextMax));
}

void check(const MsmlElement& element) {
    std::visit(Match{[](const CreateRoom& e) { ASSERT(is_room_name(e.room.text())); },
                     [](const DestroyRoom& e) { ASSERT(is_room_name(e.room.text())); },
                     [](const Join& e) { ASSERT(is_room_name(e.room.text()) && is_plain(e.leg.text())); },
                     [](const Unjoin& e) { ASSERT(is_room_name(e.room.text()) && is_plain(e.leg.text())); },
                     [](const StartDialog& e) {
                         ASSERT(is_plain(e.leg.text()) && is_plain(e.name));
                         ASSERT(!e.prompts.empty() && e.prompts.size() <= media::kPromptsOfPlayMax);
                         for (const auto& prompt : e.prompts) ASSERT(prompt.find('/') == std::string::npos);
                     },
                     [](const EndDialog& e) { ASSERT(is_plain(e.leg.text()) && is_plain(e.name)); },
                     [](const StartRecord& e) {
                         ASSERT(is_plain(e.leg.text()) && is_plain(e.segment.text()));
                         ASSERT(is_plain(e.calluuid.text()) && is_plain(e.connection.text()));
                         ASSERT(e.silences.size() <= media::kSilencesMax);
                         for (const media::Silence& silence : e.silences) check_silence(silence);
                     },
                     [](const SilenceRecord& e) {
                         ASSERT(is_plain(e.segment.text()));
                         ASSERT(e.back >= Duration::zero() && e.back <= media::kErasedBackMax);
                         check_silence(e.silence);
                     },
                     [](const ResumeRecord& e) { ASSERT(is_plain(e.segment.text()) && is_plain(e.label)); },
                     [](const Collect& e) { ASSERT(is_plain(e.leg.text())); },
                     [](const Release& e) { ASSERT(is_plain(e.owner) && is_plain(e.boot)); },
                     [](const StopRecord& e) { ASSERT(is_plain(e.segment.text()) && is_plain(e.cause)); },
                     [](const Refused& e) { ASSERT(e.code >= 400 && !e.why.empty()); }},
               element);
}

}  // namespace
}  // namespace sheaf::mediactl

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sheaf::mediactl;
    const std::string_view text = sheaf::as_text({data, size});
    if (const auto elements = msml_from_text(text)) {
        ASSERT(!elements->empty() && elements->size() <= kMsmlElementsMax);
        for (const auto& element : *elements) check(element);
    }
    const std::string event = msml_event("e", text, text, text);
    ASSERT(std::ranges::count(event, '<') == 9);  // ours, and not one more
    ASSERT(std::ranges::count(event, '"') == 10);
    return 0;
}
