// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/extent_reader.h"

#include <algorithm>

#include "media/journal_format.h"

namespace sheaf::journal {

Result<Bytes> ExtentReader::read(const Extent& extent) {
    if (!file_.is_open() || number_ != extent.file) {
        TRY(file_, File::open_read(files_.path_of(extent.file)));
        number_ = extent.file;
        FileSource source(file_);
        auto reader = media::JournalReader::open(source);
        if (!reader) {
            file_.close();
            return std::unexpected(reader.error());
        }
        seed_ = reader->seed();
    }
    wipe();
    buffer_.resize(extent.bytes);
    TRY(const std::size_t got, file_.read_at(extent.offset, buffer_));
    return Bytes(buffer_).first(got);
}

// Voices that are erased on disk do not stay here.
void ExtentReader::wipe() {
    std::ranges::fill(buffer_, std::uint8_t{0});
}

}  // namespace sheaf::journal
