# The treatments' audio, made at build by tools/make_prompts.py: ${CMAKE_BINARY_DIR}/prompts/{say,music,tone}/NAME.wav.
find_program(ESPEAK_NG espeak-ng REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(prompts_made ${CMAKE_BINARY_DIR}/prompts/made)
add_custom_command(
  OUTPUT ${prompts_made}
  COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tools/make_prompts.py --espeak ${ESPEAK_NG} ${CMAKE_BINARY_DIR}/prompts
  COMMAND ${CMAKE_COMMAND} -E touch ${prompts_made}
  DEPENDS ${CMAKE_SOURCE_DIR}/tools/make_prompts.py
  COMMENT "Making the prompts"
  VERBATIM)
add_custom_target(prompts DEPENDS ${prompts_made})
add_dependencies(programs prompts)
add_test(NAME prompts
         COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tools/make_prompts.py --check ${CMAKE_BINARY_DIR}/prompts)
set_tests_properties(prompts PROPERTIES LABELS house)
