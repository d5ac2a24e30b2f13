-- cycles.lua PID COUNT: attaches to a process and lets it go, so often.
local fg = require "flamegraph"
local pid, count = math.tointeger(tonumber(arg[1])), tonumber(arg[2])
local samples = 0
for _ = 1, count do
  local p = assert(fg.sample { sampler = "dotnet", pid = pid, socket = assert(fg.dotnet.socket(pid)), duration = 0.02,
    wall = true })
  samples = samples + (p:meta "samples" or 0)
end
print(("%d cycles, %d samples"):format(count, samples))
