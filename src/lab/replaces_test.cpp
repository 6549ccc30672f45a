// SPDX-License-Identifier: Apache-2.0
#include "lab/replaces.h"

#include <doctest/doctest.h>

namespace sheaf::lab {

TEST_CASE("a dialog to replace comes back from a URI as it was put in") {
    const Replaces replaces{"a84b4c76e66710@127.0.0.1", "7743", "12x"};
    const std::string text = "sip:px@127.0.0.2:5060?Replaces=" + escaped(to_text(replaces)) + "&Require=replaces";
    const auto uri = sip::uri_from_text(text);
    REQUIRE(uri);
    CHECK(header_of(*uri, "replaces") == "a84b4c76e66710@127.0.0.1;to-tag=7743;from-tag=12x");
    CHECK(replaces_from_text(header_of(*uri, "Replaces")) == replaces);
    CHECK(header_of(*uri, "Require") == "replaces");
    CHECK(header_of(*uri, "Referred-By").empty());
}

TEST_CASE("tags come in any order, with flags between") {
    CHECK(replaces_from_text("id;early-only;from-tag=f;To-Tag=t") == Replaces{"id", "t", "f"});
}

TEST_CASE("a Replaces without call or tags is none") {
    CHECK_FALSE(replaces_from_text(""));
    CHECK_FALSE(replaces_from_text("id;to-tag=t"));
    CHECK_FALSE(replaces_from_text(";to-tag=t;from-tag=f"));
}

TEST_CASE("a broken escape stays as it is") {
    CHECK(unescaped("a%4") == "a%4");
    CHECK(unescaped("a%zzb") == "a%zzb");
    CHECK(unescaped("%3B") == ";");
}

}  // namespace sheaf::lab
