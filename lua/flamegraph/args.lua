-- Arguments: declared as data, then resolved, every value checked before anything runs.
--
--   { "url", type = "url", default = "http://localhost:8080", env = "SERVICE_URL", help = "base URL" }
--
-- `positional = true`: a word without a flag can be it; `rest = true` (with `list`): all words behind `--` are it.
-- A value comes from the first that has one: what was given, the environment, the user's config, the default.

local check = require "flamegraph.check"
local secrets = require "flamegraph.secrets"
local types = require "flamegraph.types"

local args = {}

local fields = {
  "string", type = "string", default = "any", env = "string", help = "string", metavar = "string",
  choices = "table", min = "number", max = "number", view = "string", secret = "boolean", list = "boolean",
  required = "boolean", positional = "boolean", rest = "boolean",
}

local function infer_type(default)
  if default == nil then return "string" end
  return math.type(default) == "integer" and "integer" or type(default)
end

local function type_names()
  local names = {}
  for name in pairs(types) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function checked_default(what, arg)
  if arg.default == nil then return nil end
  local value, why = types[arg.type].check(arg.default, arg)
  if value == nil then check.fail("%s: the default %s", what, why) end
  return value
end

--- Check the declaration of one argument; a mistake is raised at its author's line.
-- @treturn table a copy, with `name` and `type` filled in
local function declare(owner, arg)
  if type(arg) ~= "table" then
    check.fail('%s: an argument is a table such as { "path", default = "/" }, not a %s', owner, type(arg))
  end
  if arg.group then return arg end
  local what = ("%s: argument '%s'"):format(owner, tostring(arg[1] or "?"))
  if type(arg[1]) ~= "string" or not arg[1]:find("^%l[%l%d_]*$") then
    check.fail("%s: its name comes first, in small letters, digits and _", what)
  end
  arg = check.options(what, arg, fields)
  arg.name = arg[1]
  arg.type = arg.type or infer_type(arg.default)
  if not types[arg.type] then
    check.fail("%s: there is no type '%s' (there are %s)", what, arg.type, table.concat(type_names(), ", "))
  end
  if arg.type == "enum" and not arg.choices then check.fail("%s: an enum has choices = { … }", what) end
  arg.default = checked_default(what, arg)
  return arg
end

--- Check a list of declarations.
-- @tparam string owner whose they are ("collector 'api'"), for messages
-- @treturn {table,...} the arguments by position and by name; those of a group are in its `args`
function args.declare(owner, list)
  local declared = {}
  for _, entry in ipairs(list) do
    local arg = declare(owner, entry)
    local name = arg.group or arg.name
    if declared[name] then check.fail("%s has two arguments named '%s'", owner, name) end
    declared[#declared + 1], declared[name] = arg, arg
  end
  return declared
end

--- A group: arguments that become one table, `args.NAME`, which holds those that were given.
-- @usage args.group("filter", "Which frames", { { "focus", type = "pattern" } })
function args.group(name, title, list)
  return { group = name, title = title, args = args.declare("group '" .. name .. "'", list) }
end

--- Add a group to declared arguments that have none of this name. An argument of their own takes the place of one of
-- the group.
function args.add_group(declared, group)
  if declared[group.group] then return end
  local left = {}
  for _, arg in ipairs(group.args) do
    if not declared[arg.name] then left[#left + 1], left[arg.name] = arg, arg end
  end
  group = { group = group.group, title = group.title, args = left }
  declared[#declared + 1], declared[group.group] = group, group
end

--- Every single argument of a list of declarations: (argument, name of its group or nil), …
function args.each(declared)
  return coroutine.wrap(function()
    for _, entry in ipairs(declared) do
      if entry.group then
        for _, arg in ipairs(entry.args) do coroutine.yield(arg, entry.group) end
      else
        coroutine.yield(entry)
      end
    end
  end)
end

--- The flag of an argument: "--api-key"; of what has none, "--".
function args.flag(arg)
  if arg.rest then return "--" end
  return "--" .. arg.name:gsub("_", "-")
end

-- ---- resolving --------------------------------------------------------------------------------------------------

-- What is known of each table that resolve returned: { sources = { name → "given" | "environment" | … } }.
local known = setmetatable({}, { __mode = "k" })

local function environment(arg)
  local value = arg.env and os.getenv(arg.env)
  if value ~= "" then return value end
end

-- The value of an argument, where it comes from, and what messages call it.
local function lookup(arg, given, config, label, defaults)
  if given[arg.name] ~= nil then return given[arg.name], "given", label(arg) end
  local value = environment(arg)
  if value ~= nil then return value, "environment", "$" .. arg.env end
  if config and config.values[arg.name] ~= nil then
    return config.values[arg.name], "config", config.label(arg.name)
  end
  if defaults and defaults[arg.name] ~= nil then return defaults[arg.name], "default", label(arg) end
  return arg.default, "default", label(arg)
end

local function check_list(arg, value)
  if type(value) ~= "table" then value = { value } end
  local list = {}
  for i, item in ipairs(value) do
    local checked, why = types[arg.type].check(item, arg)
    if checked == nil then return nil, why end
    list[i] = checked
  end
  return list
end

local function check_value(arg, value)
  if arg.list then return check_list(arg, value) end
  return types[arg.type].check(value, arg)
end

-- The checked value or nil, why it cannot be used or nil, where it comes from.
local function take(arg, given, config, label, defaults)
  local value, source, name = lookup(arg, given, config, label, defaults)
  if value == nil then return nil, arg.required and name .. " is missing" or nil, source end
  local checked, why = check_value(arg, value)
  if checked == nil then return nil, arg.secret and name .. " is not a text" or name .. " " .. why, source end
  if arg.secret then secrets.add(checked, name) end
  return checked, nil, source
end

local function unknown_key(declared, key)
  local names = {}
  for arg in args.each(declared) do names[#names + 1] = arg.name end
  local nearest = check.nearest(tostring(key), names)
  return ("there is no argument '%s'%s"):format(tostring(key),
    nearest and (" (is '%s' meant?)"):format(nearest)
      or #names == 0 and " (there are none)" or " (there are " .. table.concat(names, ", ") .. ")")
end

local function without_surprises(declared)
  return {
    __index = function(_, key)
      if type(key) == "string" and not declared[key] then check.fail("args: %s", unknown_key(declared, key)) end
    end,
  }
end

--- The values of declared arguments.
-- @tparam table declared what args.declare returned
-- @tparam table given values by name; those of groups too
-- @tparam table|nil config what config.of returned: the user's defaults
-- @tparam function|nil label arg → what messages call it; default: its flag
-- @tparam table|nil defaults values that come before the declared defaults
-- @treturn table|nil the values by name; or nil, a message, and where the wrong value comes from ("given", …)
function args.resolve(declared, given, config, label, defaults)
  label = label or args.flag
  local values, sources = {}, {}
  for arg, group in args.each(declared) do
    local value, why, source = take(arg, given, config, label, defaults)
    if why then return nil, why, source end
    local target = values
    if group then
      target = values[group] or {}
      values[group] = target
    end
    target[arg.name], sources[arg.name] = value, value ~= nil and source or nil
  end
  known[values] = { sources = sources, declared = declared }
  return setmetatable(values, without_surprises(declared))
end

--- Whether a key is that of an argument, in a group or not.
function args.has(declared, name)
  for arg in args.each(declared) do
    if arg.name == name then return true end
  end
  return false
end

--- The first key of a table of given values that is no argument, and a message; nil where there is none.
function args.unknown(declared, given)
  for key in pairs(given) do
    if not args.has(declared, key) then return tostring(key), unknown_key(declared, key) end
  end
end

--- Split a table that resolve returned into what was chosen and what are mere defaults, groups left out; nil for any
-- other table.
-- @treturn table|nil,table
function args.chosen(values)
  local about = known[values]
  if not about then return nil end
  local chosen, defaults = {}, {}
  for _, arg in ipairs(about.declared) do
    if not arg.group then
      local target = about.sources[arg.name] == "default" and defaults or chosen
      target[arg.name] = values[arg.name]
    end
  end
  return chosen, defaults
end

--- What somebody chose, in the order of the declaration, groups included; neither defaults nor secrets.
-- @tparam table values what resolve returned
-- @treturn {table,...} { name, value }
function args.given(values)
  local about, list = known[values], {}
  for arg, group in args.each(about.declared) do
    local source = about.sources[arg.name]
    local value = (group and values[group] or values)[arg.name]
    if source and source ~= "default" and not arg.secret then list[#list + 1] = { arg.name, value } end
  end
  return list
end

return args
