// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <fstream>
#include <iterator>
#include <string>

#include "base/json.h"

// For tests: a folder of torture messages and its index.
namespace sheaf::sip {

inline std::string file_text(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    REQUIRE_MESSAGE(file, path);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline boost::json::array messages_of(const std::string& folder) {
    const auto index = json_from_text(file_text(folder + "/index.json"));
    REQUIRE(index);
    return index->as_object().at("messages").as_array();
}

}  // namespace sheaf::sip
