function(fg_embedded_files base_out files_out first)
  string(REGEX REPLACE "/\\*.*" "" base ${first})
  set(files)
  foreach(pattern ${first} ${ARGN})
    file(GLOB found CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} ${pattern})
    list(APPEND files ${found})
  endforeach()
  list(SORT files)
  set(${base_out} ${base} PARENT_SCOPE)
  set(${files_out} ${files} PARENT_SCOPE)
endfunction()

# fg_embed(TARGET NAME GLOB…): put files into the target as the table `fg__embedded_NAME`:
#
#   struct fg__embedded { const char *name; const char *bytes; size_t n; };   (core/embedded.h)
#
# name is the path below the folder before the first wildcard of the first pattern, wherever the file is; a NULL name
# ends the table. Bytes are NUL-terminated.
function(fg_embed target name)
  fg_embedded_files(base files ${ARGN})
  set(source ${CMAKE_BINARY_DIR}/embedded_${name}.c)
  list(JOIN files "|" joined)
  add_custom_command(OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DBASE=${base} "-DFILES=${joined}" -DOUT=${source}
            -DROOT=${CMAKE_SOURCE_DIR} -P ${CMAKE_SOURCE_DIR}/cmake/embed_files.cmake
    DEPENDS ${files} cmake/embed_files.cmake WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} VERBATIM)
  target_sources(${target} PRIVATE ${source})
endfunction()

# fg_compile(TARGET GLOB…): put Lua files into the target as the table `fg__embedded_compiled`, as Lua compiles them.
function(fg_compile target)
  fg_embedded_files(base files ${ARGN})
  set(source ${CMAKE_BINARY_DIR}/embedded_compiled.c)
  add_custom_command(OUTPUT ${source}
    COMMAND ${LUA} ${CMAKE_SOURCE_DIR}/cmake/compile.lua ${source} ${base} ${files}
    DEPENDS ${files} cmake/compile.lua WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} VERBATIM)
  target_sources(${target} PRIVATE ${source})
endfunction()
