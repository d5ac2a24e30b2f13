# fg_embed(TARGET NAME GLOB…): put files into the target as the table `fg__embedded_NAME`:
#
#   struct fg__embedded { const char *name; const char *bytes; size_t n; };   (core/embedded.h)
#
# name is the path below the folder before the first wildcard of the first pattern, wherever the file is; a NULL name
# ends the table. Bytes are NUL-terminated.
function(fg_embed target name)
  list(GET ARGN 0 first)
  string(REGEX REPLACE "/\\*.*" "" base ${first})
  set(files)
  foreach(pattern ${ARGN})
    file(GLOB found CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} ${pattern})
    list(APPEND files ${found})
  endforeach()
  list(SORT files)
  set(source ${CMAKE_BINARY_DIR}/embedded_${name}.c)
  list(JOIN files "|" joined)
  add_custom_command(OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DBASE=${base} "-DFILES=${joined}" -DOUT=${source}
            -DROOT=${CMAKE_SOURCE_DIR} -P ${CMAKE_SOURCE_DIR}/cmake/embed_files.cmake
    DEPENDS ${files} cmake/embed_files.cmake WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} VERBATIM)
  target_sources(${target} PRIVATE ${source})
endfunction()
