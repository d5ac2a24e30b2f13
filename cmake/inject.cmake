# What is run inside of a target: src/sample/inject/*.c, each compiled to bare machine code that can be put anywhere (one
# section, no relocation, its entry first) and embedded as the table fg__embedded_inject. x86-64 only; else it is empty.
set(codes)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  file(GLOB programs CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/src/sample/inject src/sample/inject/*.c)
endif()
foreach(program ${programs})
  string(REPLACE ".c" "" name ${program})
  add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/inject/${name}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/inject
    COMMAND ${CMAKE_C_COMPILER} -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wconversion -Werror -ffreestanding -fno-builtin -fpie
            -fvisibility=hidden -fno-omit-frame-pointer -fno-stack-protector -fcf-protection=none -fno-jump-tables -fno-asynchronous-unwind-tables
            -fno-tree-loop-distribute-patterns -mgeneral-regs-only -nostdlib -static-pie -Wl,--no-dynamic-linker
            -Wl,-T,${CMAKE_SOURCE_DIR}/src/sample/inject/flat.ld -Wl,--build-id=none -I${CMAKE_SOURCE_DIR}/src
            -MD -MF ${CMAKE_BINARY_DIR}/inject/${name}.d ${CMAKE_SOURCE_DIR}/src/sample/inject/${program}
            -o ${CMAKE_BINARY_DIR}/inject/${name}.elf
    COMMAND ${CMAKE_OBJCOPY} -O binary -j .text ${CMAKE_BINARY_DIR}/inject/${name}.elf
            ${CMAKE_BINARY_DIR}/inject/${name}
    DEPENDS src/sample/inject/${program} src/sample/inject/flat.ld DEPFILE ${CMAKE_BINARY_DIR}/inject/${name}.d VERBATIM)
  list(APPEND codes inject/${name})
endforeach()
list(JOIN codes "|" joined)
list(TRANSFORM codes PREPEND ${CMAKE_BINARY_DIR}/)
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/embedded_inject.c
  COMMAND ${CMAKE_COMMAND} -DNAME=inject -DBASE=inject "-DFILES=${joined}" -DOUT=${CMAKE_BINARY_DIR}/embedded_inject.c
          -DROOT=${CMAKE_BINARY_DIR} -P ${CMAKE_SOURCE_DIR}/cmake/embed_files.cmake
  DEPENDS ${codes} cmake/embed_files.cmake VERBATIM)
target_sources(fg_sample PRIVATE ${CMAKE_BINARY_DIR}/embedded_inject.c)
