// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value_ref.hpp>
#include <initializer_list>
#include <utility>

namespace sheaf {

using JsonFields = std::initializer_list<std::pair<boost::json::string_view, boost::json::value_ref>>;

// An object whose memory is one piece, taken and given back as one: for what is made in one thread and let go in
// another. Moved it keeps that, and what is added goes there too; assigned it is copied.
[[nodiscard]] boost::json::object object_in_one_piece(JsonFields fields);

}  // namespace sheaf
