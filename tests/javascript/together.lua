-- together.lua FILE FUNCTION…: in how many slices of time each of the functions was seen, and how many slices there are
local fg = require "flamegraph"

local p = assert(fg.read(arg[1]))
local n, together = p:slices(), 0
for i = 1, n do
  local missing = {}
  for f = 2, #arg do missing[arg[f]] = true end
  for frames in p:slice(i, 1):stacks() do
    for _, frame in ipairs(frames) do missing[frame.name] = nil end
  end
  together = together + (next(missing) and 0 or 1)
end
print(together, n)
