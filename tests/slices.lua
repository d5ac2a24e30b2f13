-- slices.lua FILE…: what the slices of time of pictures sum up to, against the pictures' own values, stack by stack. For each
-- a line: slices, the length of one (s), the sums of both (s), and what the stack lacks that is furthest off (s; less
-- than nothing: its slices have more than it has). What is behind the last whole slice is in none.
local fg = require "flamegraph"

local function by_stack(p, column)
  local values = {}
  for frames, _, all in p:stacks() do
    local names = {}
    for i, frame in ipairs(frames) do names[i] = frame.name end
    local key = table.concat(names, ";")
    values[key] = (values[key] or 0) + all[column]
  end
  return values
end

for _, path in ipairs(arg) do
  local p = assert(fg.read(path))
  local n, seconds = p:slices()
  local column = 1
  for i, kind in ipairs(p:types()) do
    if kind.name == p:meta "default_type" then column = i end
  end
  local whole, sliced = by_stack(p, column), n > 0 and by_stack(assert(p:slice(1, n)), 1) or {}
  local total, of_slices, off = 0, 0, 0
  for stack, value in pairs(whole) do
    local lack = value - (sliced[stack] or 0)
    total, of_slices = total + value, of_slices + (sliced[stack] or 0)
    if math.abs(lack) > math.abs(off) then off = lack end
    sliced[stack] = nil
  end
  assert(not next(sliced), "slices have a stack that the picture does not")
  print(n, seconds or 0, total / 1e9, of_slices / 1e9, off / 1e9)
end
