# What is run inside of a target: src/sample/inject/*.c, each compiled to bare machine code that can be put anywhere (one
# section, no relocation, its entry first) and embedded as the table fg__embedded_inject. x86-64 only; else it is empty.
set(codes)
set(files)
set(inject_flags -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wconversion -Werror -I${CMAKE_SOURCE_DIR}/src
  -ffreestanding -fno-builtin -fpie -fvisibility=hidden -fno-omit-frame-pointer -fno-stack-protector -fcf-protection=none
  -fno-jump-tables -fno-asynchronous-unwind-tables -mgeneral-regs-only -nostdlib -static-pie -Wl,--no-dynamic-linker
  -Wl,--build-id=none -Wl,-T,${CMAKE_SOURCE_DIR}/src/sample/inject/flat.ld)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND inject_flags -fno-tree-loop-distribute-patterns) # no memset in place of a loop
endif()
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  file(GLOB programs CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/src/sample/inject src/sample/inject/*.c)
endif()
foreach(program ${programs})
  string(REPLACE ".c" "" name ${program})
  set(code ${CMAKE_BINARY_DIR}/inject/${name})
  add_custom_command(OUTPUT ${code}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/inject
    COMMAND ${CMAKE_C_COMPILER} ${inject_flags} -MD -MF ${code}.d -MT ${code} -o ${code}.elf
            ${CMAKE_SOURCE_DIR}/src/sample/inject/${program}
    COMMAND ${CMAKE_OBJCOPY} -O binary -j .text ${code}.elf ${code}
    DEPENDS src/sample/inject/${program} src/sample/inject/flat.ld DEPFILE ${code}.d VERBATIM)
  list(APPEND codes ${code})
  list(APPEND files inject/${name})
endforeach()
list(JOIN files "|" joined)
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/embedded_inject.c
  COMMAND ${CMAKE_COMMAND} -DNAME=inject -DBASE=inject "-DFILES=${joined}" -DOUT=${CMAKE_BINARY_DIR}/embedded_inject.c
          -DROOT=${CMAKE_BINARY_DIR} -P ${CMAKE_SOURCE_DIR}/cmake/embed_files.cmake
  DEPENDS ${codes} cmake/embed_files.cmake VERBATIM)
target_sources(fg_sample PRIVATE ${CMAKE_BINARY_DIR}/embedded_inject.c)
