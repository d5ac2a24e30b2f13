-- slices.lua FILE…: what the slices of time of pictures sum up to, against the pictures' own values, stack by stack.
-- For each a line: how many slices, the length of one (s), the sums of both (s), what a stack has more than its slices,
-- at most and at least (s), and the largest slice. What comes behind the last whole slice is in none.
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

local function sum_of(values)
  local sum = 0
  for _, value in pairs(values) do sum = sum + value end
  return sum / 1e9
end

for _, path in ipairs(arg) do
  local p = assert(fg.read(path))
  local n, seconds = p:slices()
  local column = 1
  for i, kind in ipairs(p:types()) do
    if kind.name == p:meta "default_type" then column = i end
  end
  local whole, sliced = by_stack(p, column), n > 0 and by_stack(assert(p:slice(1, n)), 1) or {}
  local most, least, largest = 0, 0, 0
  for stack in pairs(sliced) do whole[stack] = whole[stack] or 0 end
  for stack, value in pairs(whole) do
    local lacks = (value - (sliced[stack] or 0)) / 1e9
    most, least = math.max(most, lacks), math.min(least, lacks)
  end
  for i = 1, n do largest = math.max(largest, p:slice(i, 1):total() / 1e9) end
  print(n, seconds or 0, sum_of(whole), sum_of(sliced), most, least, largest)
end
