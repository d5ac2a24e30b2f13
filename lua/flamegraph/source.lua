-- Where a profile comes from, by name: a file, or a collector and its target.
--
--   before.svg    api    api:http://localhost:8080    python:4242    perf:4242,rate=99
--
-- and, for recipes whose --collector is chosen on the command line, a target alone: http://localhost:8080, 4242.

local args = require "flamegraph.args"
local collect = require "flamegraph.collect"
local commands = require "flamegraph.commands"
local config = require "flamegraph.config"
local profile = require "flamegraph.profile"

local source = {}

-- `,name=value` at the end of a text, as long as there are such arguments: what is left, and the values.
local function split_values(declaration, text)
  local values = {}
  while true do
    local rest, name, value = text:match "^(.*),([%l%d_]+)=([^,]*)$"
    if not rest or not args.has(declaration.args, name) then return text, values end
    text, values[name] = rest, values[name] or value
  end
end

-- The argument that a target alone is: a URL is `url`, what is left is `pid`.
local function target_argument(declaration, target)
  if target == "" then return nil end
  local name = target:find "^https?://" and "url" or "pid"
  if not args.has(declaration.args, name) then
    return nil, ("%s takes no %s: %s"):format(declaration.name, name, target), "INVAL"
  end
  return name
end

local function of_collector(name, text, label)
  local declaration = commands.find(name, "collector").declaration
  local target, values = split_values(declaration, "," .. text)
  target = target:gsub("^,", "")
  local argument, why, code = target_argument(declaration, target)
  if why then return nil, why, code end
  if argument then values[argument] = target end
  return { label = label, collector = name, declaration = declaration, values = values }
end

--- Take a source apart; nothing is read yet.
-- @tparam string text
-- @tparam[opt] string collector the collector for a target alone
-- @treturn table|nil `label` for people, `path` or `collector` with its `values`; nil, message, code
function source.parse(text, collector)
  local name, rest = text:match "^(%l[%l%d_]*):(.+)$"
  if name and commands.find(name, "collector") then return of_collector(name, rest, text) end
  if commands.find(text, "collector") then return of_collector(text, "", text) end
  local target = text:find "^https?://" or text:find "^%d+$"
  if collector and target then return of_collector(collector, text, text) end
  if target then return nil, ("%s: which collector? write COLLECTOR:%s"):format(text, text), "INVAL" end
  return { label = text, path = text }
end

local function known_of(declaration, values)
  local known = {}
  for key, value in pairs(values) do
    if args.has(declaration.args, key) then known[key] = value end
  end
  return known
end

--- Run a collector with values of which it need not know all.
-- @tparam string name
-- @tparam table own values that it has to know
-- @tparam table others values by name, of which those that it does not know are left out; a recipe's own `args` can be
--   handed on: what nobody chose gives way to the user's config
function source.collect(name, own, others)
  local declaration = commands.find(name, "collector").declaration
  local chosen, defaults = args.chosen(others)
  local given = known_of(declaration, chosen or others)
  for key, value in pairs(own) do
    if not args.has(declaration.args, key) then
      local _, why = args.unknown(declaration.args, { [key] = value })
      return nil, ("%s: %s"):format(name, why), "INVAL"
    end
    given[key] = value
  end
  defaults = known_of(declaration, defaults or {})
  local values, why = args.resolve(declaration.args, given, config.of(declaration), nil, defaults)
  if not values then return nil, ("%s: %s"):format(name, why), "INVAL" end
  return collect.run(declaration, values)
end

--- The profile of a source: a file is read, anything else is collected.
-- @tparam table one what source.parse returned
-- @tparam table others values for a collector, as for source.collect
-- @tparam[opt] table reading options of fg.read
function source.profile(one, others, reading)
  if one.path then return profile.read(one.path, reading) end
  return source.collect(one.collector, one.values, others)
end

return source
