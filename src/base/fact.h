// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace sheaf {

inline constexpr std::size_t kFactBytesMax = 64 * 1024;  // of one fact's JSON text

// Something that happened, said once by one node and never changed. Types and data: docs/formats/facts.md.
struct Fact {
    std::string id;  // SHA-256 (hex) of the RFC 8785 form of the other fields
    std::string tenant;
    std::string site;
    std::string node;
    std::uint64_t seq = 0;  // of that node, from 1, without gaps
    WallTime at{};          // the node's wall clock when it happened
    std::int64_t mono = 0;  // the same moment on the node's monotonic clock, whole milliseconds
    std::string type;
    boost::json::object data;
    friend bool operator==(const Fact&, const Fact&) = default;
};

// A fact before its node has stamped it: what a room says has happened.
struct FactDraft {
    Stamp stamp;
    std::string type;
    boost::json::object data;
    friend bool operator==(const FactDraft&, const FactDraft&) = default;
};

[[nodiscard]] Result<std::string> fact_id(const Fact& fact);
// The JSON text of what has happened as the sender's fact of that seq, with its id: fact_from_json reads it. Of the
// sender count tenant, site and node.
[[nodiscard]] Result<std::string> sealed(const Fact& sender, std::uint64_t seq, const FactDraft& draft);
[[nodiscard]] boost::json::object to_json(const Fact& fact);
// Checks shape, field types and the id; not who may say it.
[[nodiscard]] Result<Fact> fact_from_json(const boost::json::value& value);

// Fields of a fact's data, an API body or any JSON object from outside.
[[nodiscard]] Result<std::string> string_field(const boost::json::object& object, std::string_view name);
[[nodiscard]] Result<std::int64_t> integer_field(const boost::json::object& object, std::string_view name);
// Empty when absent or null; an error when there and not a string.
[[nodiscard]] Result<std::string> optional_string_field(const boost::json::object& object, std::string_view name);

}  // namespace sheaf
