-- Run by the build: lua5.4 compile.lua OUT BASE FILE… writes the table `fg__embedded_compiled` (core/embedded.h) as C:
-- the files as Lua compiles them, lines and names kept for messages. NAME is the path below BASE, wherever the file is.

local out, base = arg[1], arg[2]

local function hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%d,"):format(byte:byte()) end):gsub(("[^,]*,"):rep(24), "%0\n"))
end

local arrays, rows = {}, {}
for i = 3, #arg do
  local file <close> = assert(io.open(arg[i], "rb"))
  local name = arg[i]:gsub("^" .. base .. "/", ""):gsub("^.*/" .. base .. "/", "")
  local bytes = string.dump(assert(load(file:read "a", "=" .. name, "t")))
  arrays[#arrays + 1] = ("static const unsigned char file_%d[] = {\n%s0};\n"):format(i, hex(bytes))
  rows[#rows + 1] = ('    {"%s", (const char *)file_%d, sizeof file_%d - 1},\n'):format(name, i, i)
end

local file <close> = assert(io.open(out, "wb"))
assert(file:write('#include "core/embedded.h"\n', table.concat(arrays),
  "\nconst struct fg__embedded fg__embedded_compiled[] = {\n", table.concat(rows), "    {0, 0, 0}};\n"))
