# What runs in the kernel: src/sample/bpf/*.bpf.c, compiled by clang and embedded as the table fg__embedded_bpf. Without
# clang and libbpf the engine is absent, and says so.
find_program(BPF_CLANG NAMES clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14)
find_path(BPF_HEADERS bpf/bpf_core_read.h)
pkg_check_modules(dep_libbpf IMPORTED_TARGET libbpf)
if(BPF_CLANG AND BPF_HEADERS AND dep_libbpf_FOUND)
  set(objects)
  file(GLOB programs CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/src/sample/bpf src/sample/bpf/*.bpf.c)
  foreach(program ${programs})
    string(REPLACE ".bpf.c" ".o" object bpf/${program})
    add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/${object}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/bpf
      COMMAND ${BPF_CLANG} -target bpf -O2 -g -Wall -Werror -I${BPF_HEADERS} -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
              -MD -MF ${CMAKE_BINARY_DIR}/${object}.d -c ${CMAKE_SOURCE_DIR}/src/sample/bpf/${program}
              -o ${CMAKE_BINARY_DIR}/${object}
      DEPENDS src/sample/bpf/${program} DEPFILE ${CMAKE_BINARY_DIR}/${object}.d VERBATIM)
    list(APPEND objects ${object})
  endforeach()
  list(JOIN objects "|" joined)
  list(TRANSFORM objects PREPEND ${CMAKE_BINARY_DIR}/)
  add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/embedded_bpf.c
    COMMAND ${CMAKE_COMMAND} -DNAME=bpf -DBASE=bpf "-DFILES=${joined}" -DOUT=${CMAKE_BINARY_DIR}/embedded_bpf.c
            -DROOT=${CMAKE_BINARY_DIR} -P ${CMAKE_SOURCE_DIR}/cmake/embed_files.cmake
    DEPENDS ${objects} cmake/embed_files.cmake VERBATIM)
  target_sources(fg_sample PRIVATE ${CMAKE_BINARY_DIR}/embedded_bpf.c)
  target_link_libraries(fg_sample PUBLIC PkgConfig::dep_libbpf)
  target_compile_definitions(fg_sample PRIVATE FG_BPF)
  target_compile_definitions(fg_sys PRIVATE FG_BPF)
else()
  message(STATUS "no BPF: it takes clang and libbpf-dev")
endif()
