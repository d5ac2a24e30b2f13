-- require "flamegraph": all that a collector, a recipe or a script of one's own can use.

local activities = require "flamegraph.activities"
local canonical = require "flamegraph.canonical"
local check = require "flamegraph.check"
local collect = require "flamegraph.collect"
local declare = require "flamegraph.declare"
local devtools = require "flamegraph.devtools"
local dotnet = require "flamegraph.dotnet"
local fetch = require "flamegraph.fetch"
local http = require "flamegraph.http"
local json = require "flamegraph.json"
local load = require "flamegraph.load"
local log = require "flamegraph.log"
local loop = require "flamegraph.loop"
local output = require "flamegraph.output"
local process = require "flamegraph.process"
local profile = require "flamegraph.profile"
local profiling = require "flamegraph.profiling"
local progress = require "flamegraph.progress"
local prompt = require "flamegraph.prompt"
local right = require "flamegraph.right"
local sample = require "flamegraph.sample"
local shared = require "flamegraph.shared"
local spawn = require "flamegraph.spawn"
local summary = require "flamegraph.summary"
local websocket = require "flamegraph.websocket"

local fg = {
  activities = activities,
  all = loop.all,
  arg = shared,
  canonical = canonical,
  collect = collect.collect,
  collect_as = profiling.collect,
  collector = declare.collector,
  devtools = devtools,
  diff = profile.diff,
  dotnet = dotnet,
  drive = profiling.drive,
  expect_runtime = process.expect,
  fetch = fetch,
  formats = profile.formats,
  http = http,
  interrupted = loop.interrupted,
  json = json,
  keep = output.keep,
  listeners = process.listeners,
  load = load,
  parse = profile.parse,
  process = process.find,
  processes = process.all,
  progress = progress.start,
  prompt = prompt,
  read = profile.read,
  recipe = declare.recipe,
  right = right,
  sample = sample,
  serving = process.serving,
  sleep = loop.sleep,
  spawn = spawn,
  summarize = summary.of,
  version = profile.version,
  websocket = websocket,
}

--- Make an empty profile, to be filled with p:add.
-- @tparam table|nil fields `unit` (default "count") and `type` (default "samples") of the only value type, or
--   `types`: a list of { name, unit }
-- @treturn Profile
-- @usage local p = fg.profile { type = "cpu", unit = "nanoseconds" }
function fg.profile(fields)
  fields = check.options("fg.profile", fields or {}, { unit = "string", type = "string", types = "table" })
  if fields.types and (fields.unit or fields.type) then
    check.fail("fg.profile: give either `types` or `type` and `unit`")
  end
  return profile.new(fields.types or { { fields.type or "samples", fields.unit or "count" } })
end

--- The sum of profiles.
-- @tparam {Profile,...} profiles
-- @treturn Profile|nil nil, message, code where they cannot be summed
function fg.merge(profiles)
  if type(profiles) ~= "table" or #profiles == 0 then check.fail("fg.merge takes a list of profiles") end
  for i, p in ipairs(profiles) do
    if not profile.is_profile(p) then check.fail("fg.merge: item %d is a %s, not a profile", i, type(p)) end
  end
  return profile.merge(table.unpack(profiles))
end

--- Say something to the person at the terminal.
-- @tparam string format as for string.format
-- @param ... what the format asks for
function fg.log(format, ...)
  log.info(select("#", ...) > 0 and format:format(...) or tostring(format))
end

return fg
