-- fg.sample: the samplers that are built in.

local check = require "flamegraph.check"
local loop = require "flamegraph.loop"
local op = require "flamegraph.op"

local function check_name(name)
  if type(name) ~= "string" then check.fail("fg.sample: `sampler` is the name of a sampler, not a %s", type(name)) end
  local names = op.samplers()
  for _, known in ipairs(names) do
    if known == name then return end
  end
  local hint = check.nearest(name, names)
  check.fail("fg.sample: there is no sampler '%s'%s", name, hint and (" (is '%s' meant?)"):format(hint)
    or " (there are " .. table.concat(names, ", ") .. ")")
end

-- What a finished or stopped sampler gives.
local function results(o)
  if o:finished() then return o:result() end
  op.stop(o) -- Ctrl-C: what was sampled until now is a profile as well
  local ok, message, code = loop.wait(o)
  if not ok then return nil, message, code end
  return o:result()
end

--- Watch a target with a built-in sampler. Which options a sampler takes is in the collector that uses it
-- (`flame-graph source perf`).
-- @tparam table options and those of the sampler:
-- @tparam string options.sampler its name
-- @tparam[opt] number|string options.duration seconds, or a text such as `"30s"`; otherwise until the target ends
-- @tparam[opt] integer options.pid the process to watch
-- @tparam[opt] number options.rate samples per second
-- @treturn Profile|nil nil, message, code where it was refused. After Ctrl-C: what was sampled until then.
-- @treturn integer|nil the exit status of the command that the sampler ran, if it ran one
-- @usage local p = assert(fg.sample { sampler = "perf", pid = 4242, duration = "10s" })
local function sample(options)
  if type(options) ~= "table" then check.fail("fg.sample takes a table of options, not a %s", type(options)) end
  local given = {}
  for key, value in pairs(options) do
    if key ~= "sampler" then given[key] = value end
  end
  check_name(options.sampler)
  if given.duration ~= nil then
    local seconds, why = check.seconds(given.duration)
    if not seconds then check.fail("fg.sample: duration: %s", why) end
    given.duration = seconds
  end
  if loop.interrupted() then return nil, "interrupted", "INTERRUPTED" end
  local started, o, message, code = pcall(op.sample, options.sampler, given)
  if not started then check.fail("%s", tostring(o):gsub("^[^:]*:%d+: ", "")) end
  if not o then return nil, message, code end
  local closing <close> = o -- luacheck: ignore closing
  loop.wait(o)
  return results(o)
end

return sample
