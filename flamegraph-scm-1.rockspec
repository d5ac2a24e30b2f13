-- `luarocks make` in this folder builds and installs the Lua module. It needs what `./dev build` installs.
rockspec_format = "3.0"
package = "flamegraph"
version = "scm-1"
source = { url = "." } -- this folder
description = {
  summary = "Profile running programs, read any profile, compare and draw flame graphs",
  license = "MIT",
}
dependencies = { "lua ~> 5.4", "lua-cjson" }
build = {
  type = "command",
  build_command = "cmake -G Ninja -S . -B build-rock -DFG_TESTS=OFF && cmake --build build-rock --target lua_module",
  install = { lib = { flamegraph = "build-rock/lua/flamegraph.so" } },
}
