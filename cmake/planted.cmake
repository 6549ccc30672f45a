# A test that no bug fails has proved nothing. sheaf_planted(BUG ROOM [CASE]) runs the tests of ROOM, or only the test
# case that is there for it, with the bug let out (src/base/planted.h) and expects them to fail; without it they pass, as
# the test ROOM shows.
function(sheaf_planted bug room)
  set(case ${ARGN})
  list(TRANSFORM case PREPEND "--test-case=")
  add_test(NAME planted_${bug} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
           COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tools/expect_caught.py $<TARGET_FILE:${room}_test> ${case})
  set_tests_properties(planted_${bug} PROPERTIES ENVIRONMENT "SHEAF_PLANT=${bug};ASAN_OPTIONS=detect_leaks=0")
endfunction()

if(SHEAF_PLANTABLE)
  sheaf_planted(fact_applied_twice archive)
  sheaf_planted(packet_dropped_at_end media)
  sheaf_planted(dialog_not_released exchange)
  sheaf_planted(recording_not_stopped exchange)
  sheaf_planted(link_dropped_when_moved exchange "as a consult is completed its link*")
  sheaf_planted(consult_link_omitted exchange "a consult call is linked from*")
  sheaf_planted(leg_leaks_when_refer_fails exchange "a transfer between two calls of one site goes back*")
  sheaf_planted(replaced_bye_is_a_hang_up exchange "the end of the leg that a trunk was asked*")
  sheaf_planted(pause_only_locally exchange "a pause is told to the other site*")
  sheaf_planted(hub_recorded_twice exchange)
  sheaf_planted(foreign_replaces_believed exchange "a Replaces from somebody who is no party*")
endif()
