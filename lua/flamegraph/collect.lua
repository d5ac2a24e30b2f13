-- fg.collect: run a collector, from its declaration's arguments to a profile that says how it was taken.

local args = require "flamegraph.args"
local check = require "flamegraph.check"
local commands = require "flamegraph.commands"
local config = require "flamegraph.config"
local loop = require "flamegraph.loop"
local profile = require "flamegraph.profile"
local progress = require "flamegraph.progress"
local system = require "flamegraph.system"
local words = require "flamegraph.words"

local collect = {}

-- The target as it may be shown: a URL without user, password and query.
local function target_of(values)
  if rawget(values, "pid") then return "process " .. values.pid end
  local address = rawget(values, "inspect") or rawget(values, "url")
  if not address then return nil end
  if not address:find "^%w+://" then address = "ws://" .. address end
  return (address:gsub("^(%w+://)[^/@]*@", "%1"):gsub("[?#].*", ""))
end

-- What may be shown of the command that is run.
local function command_of(values)
  local text = table.concat({ rawget(values, "cmd") or "", table.unpack(rawget(values, "command") or {}) }, " ")
  return words.brief(words.split(text))
end

local function host_of(target)
  local host = target and target:match("^%w+://%[?([^/%]]+)")
  host = host and host:gsub(":%d+$", "")
  if not host or host == "localhost" or host == "::1" or host:find("^127%.") then return system.host() end
  return host
end

-- What the collector did not say itself.
local function complete(p, declaration, values, start, elapsed)
  local target = target_of(values)
  local duration = rawget(values, "duration")
  local known = {
    collector = declaration.name,
    target = target,
    host = host_of(target),
    start = start,
    duration = not p:meta "snapshot" and math.floor((loop.interrupted() and elapsed or duration or elapsed) * 1e9)
      or nil,
  }
  for key, value in pairs(known) do
    if not p:meta(key) then p:meta { [key] = value } end
  end
  if loop.interrupted() then p:meta { interrupted = 1 } end
  return p
end

--- Run a collector with resolved arguments.
-- @treturn Profile|nil nil, message, code where it failed
-- @treturn integer|nil with a profile: the exit status of the command that the collector ran
function collect.run(declaration, values)
  local target = target_of(values) or command_of(values)
  local bar <close> = progress.start { -- luacheck: ignore bar
    text = declaration.name .. (target and " " .. target or ""),
    seconds = rawget(values, "duration"),
  }
  local start, clock = system.time(), system.clock()
  local p, message, code = declaration.collect(values)
  if p == nil then return nil, message or declaration.name .. " returned no profile", code end
  if not profile.is_profile(p) then
    error(("collector '%s' returned a %s, not a profile"):format(declaration.name, type(p)), 0)
  end
  return complete(p, declaration, values, start, system.clock() - clock), message
end

-- Of the arguments of a recipe: those that the collector has, too.
local function shared_with(declaration, values)
  local taken = {}
  for name, value in pairs(values) do
    if args.has(declaration.args, name) then taken[name] = value end
  end
  return taken
end

local function quoted(arg)
  return ("'%s'"):format(arg.name)
end

--- Profile something: run a collector.
-- @tparam string name the collector
-- @tparam[opt] table given its arguments by name. A recipe can hand on its own `args`: what the collector does not
--   know is left out, and what nobody chose gives way to the user's config.
-- @treturn Profile|nil nil, message, code where it failed
-- @usage local p = assert(fg.collect("api", { url = "http://localhost:8080", duration = "10s" }))
function collect.collect(name, given)
  if type(name) ~= "string" then check.fail("fg.collect: takes the name of a collector, not a %s", type(name)) end
  if given ~= nil and type(given) ~= "table" then
    check.fail("fg.collect: arguments are a table, not a %s", type(given))
  end
  local entry = commands.find(name, "collector")
  if not entry then check.fail("fg.collect: there is no collector '%s'", name) end
  local declaration = entry.declaration
  local chosen, defaults = args.chosen(given or {})
  if chosen then
    chosen, defaults = shared_with(declaration, chosen), shared_with(declaration, defaults)
  else
    local key, why = args.unknown(declaration.args, given or {})
    if key then check.fail("fg.collect: %s: %s", name, why) end
  end
  local values, why, source =
    args.resolve(declaration.args, chosen or given or {}, config.of(declaration), quoted, defaults)
  if not values and source == "given" and not chosen then check.fail("fg.collect: %s: %s", name, why) end
  if not values then return nil, ("%s: %s"):format(name, why), "INVAL" end
  return collect.run(declaration, values)
end

return collect
