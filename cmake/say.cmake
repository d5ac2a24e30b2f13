# -DCOMMAND=… -DWORDS=… -DOUT=… -P say.cmake: write what a command prints to a file. No user's files shadow anything.
execute_process(COMMAND ${CMAKE_COMMAND} -E env HOME=/nonexistent XDG_CONFIG_HOME=/nonexistent FLAME_GRAPH_PATH=
                        ${COMMAND} ${WORDS} OUTPUT_VARIABLE text RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${COMMAND} ${WORDS}: exit status ${status}")
endif()
file(WRITE ${OUT} "${text}")
