# cmake --install: the command, the C library with pkg-config and a CMake package, the Lua module, the Lua files.
install(TARGETS flame-graph RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS flamegraph EXPORT flamegraph LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS lua_module LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/lua/5.4)
install(FILES include/flamegraph.h include/flamegraph_lua.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY lua/collectors lua/recipes DESTINATION ${CMAKE_INSTALL_DATADIR}/flame-graph)
install(EXPORT flamegraph NAMESPACE flamegraph:: FILE flamegraph-config.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/flamegraph)
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/flamegraph-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/flamegraph-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/flamegraph)
file(RELATIVE_PATH FG_PC_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /) # so that the tree can be moved
configure_file(cmake/flamegraph.pc.in flamegraph.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/flamegraph.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# What the command says of itself: the manual page and completions, made by the command that was just built.
foreach(made "man;;flame-graph.1;man/man1" "completion;bash;flame-graph;bash-completion/completions"
             "completion;fish;flame-graph.fish;fish/vendor_completions.d" "completion;zsh;_flame-graph;zsh/site-functions")
  list(GET made 0 command)
  list(GET made 1 shell)
  list(GET made 2 name)
  list(GET made 3 folder)
  set(file ${CMAKE_BINARY_DIR}/share/${command}${shell}/${name})
  add_custom_command(OUTPUT ${file} DEPENDS flame-graph VERBATIM
    COMMAND ${CMAKE_COMMAND} -DCOMMAND=$<TARGET_FILE:flame-graph> "-DWORDS=${command};${shell}" -DOUT=${file}
            -P ${CMAKE_SOURCE_DIR}/cmake/say.cmake)
  list(APPEND said ${file})
  install(FILES ${file} DESTINATION ${CMAKE_INSTALL_DATADIR}/${folder})
endforeach()
add_custom_target(said ALL DEPENDS ${said})

# cpack -G DEB: what it depends on is read from the binaries
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME flame-graph)
set(CPACK_PACKAGE_CONTACT "The flame-graph developers")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "profile running programs, compare and draw flame graphs")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libcurl4 | libcurl4t64") # loaded when it is needed
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "lua5.4, lua-cjson")
include(CPack)
