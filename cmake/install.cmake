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
