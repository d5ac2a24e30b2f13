-- cycles.lua PID COUNT [blocking]: attaches to a process and lets it go, so often.
local fg = require "flamegraph"
local pid, count, blocking = math.tointeger(tonumber(arg[1])), tonumber(arg[2]), arg[3] == "blocking"
local samples = 0
for _ = 1, count do
  local p = assert(fg.sample { sampler = "python", pid = pid, duration = 0.002, rate = 2000, idle = true,
    blocking = blocking })
  samples = samples + (p:meta "samples" or 0)
end
print(("%d cycles, %d samples"):format(count, samples))
