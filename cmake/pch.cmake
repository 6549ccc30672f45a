# One precompiled header for everything: the standard library's and Boost.JSON's templates cost more than our own code.
# A file still includes what it uses; scripts/tidy reads each without it.
set(sheaf_pch_headers
    <algorithm> <array> <charconv> <chrono> <cstdint> <deque> <expected> <functional> <map> <memory> <optional> <regex> <set>
    <span> <string> <string_view> <unordered_map> <utility> <variant> <vector> <boost/json.hpp> <fmt/format.h>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # Without a time stamp in it, a compiler cache can tell two equal ones.
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
else()
  add_compile_options(-fpch-preprocess)
endif()

# sheaf_pch_target(NAME OPTION…): a library that holds the header compiled with these options, for REUSE_FROM.
function(sheaf_pch_target name)
  add_library(${name} STATIC ${CMAKE_SOURCE_DIR}/cmake/pch.cpp)
  target_compile_options(${name} PRIVATE ${ARGN})
  target_link_libraries(${name} PUBLIC Boost::json fmt::fmt)
  target_precompile_headers(${name} PRIVATE ${sheaf_pch_headers})
endfunction()
sheaf_pch_target(sheaf_pch)

# Rooms most of whose files include this one header have it precompiled, too.
set(sheaf_pch_of_exchange exchange/state.h)
set(sheaf_pch_of_b2bua b2bua/core.h)
function(sheaf_precompile target room)
  if(NOT DEFINED sheaf_pch_of_${room})
    target_precompile_headers(${target} REUSE_FROM sheaf_pch)
  elseif(target STREQUAL sheaf_${room})
    target_precompile_headers(${target} PRIVATE ${sheaf_pch_headers} ${CMAKE_SOURCE_DIR}/src/${sheaf_pch_of_${room}})
  else()
    target_precompile_headers(${target} REUSE_FROM sheaf_${room})
  endif()
endfunction()
