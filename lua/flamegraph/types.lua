-- The types of arguments: one row each. A row checks a value, be it the text of a flag or a Lua value:
--
--   describe  what it takes, for the reference
--   metavar   what help calls the value; nil: a flag without a value
--   check     (value, arg) → the value to use, or nil and what is wrong ("takes …"): it follows the argument's name

local check = require "flamegraph.check"
local pattern = require "flamegraph.pattern"
local profile = require "flamegraph.profile"
local scripts = require "flamegraph.scripts"
local system = require "flamegraph.system"
local thresholds = require "flamegraph.thresholds"

local types = {}

local function shown(value)
  return type(value) == "string" and ("'%s'"):format(value) or tostring(value)
end

local function whole(value)
  return math.tointeger(value) or value
end

-- A number that may have to lie between `min` and `max`.
local function within(number, arg)
  local min, max = arg.min or -math.huge, arg.max or math.huge
  if number >= min and number <= max then return number end
  if max == math.huge then return nil, ("is at least %s, not %s"):format(min, number) end
  return nil, ("is between %s and %s, not %s"):format(min, max, number)
end

local function text(value)
  if type(value) ~= "string" then return nil, "takes a text, not " .. shown(value) end
  return value
end

types.string = { describe = "any text", metavar = "TEXT", check = text }

types.boolean = {
  describe = "a flag; from the environment or the config 1, true, yes, 0, false, no",
  check = function(value)
    local words = { ["1"] = true, ["true"] = true, yes = true, ["0"] = false, ["false"] = false, no = false }
    if type(value) == "boolean" then return value end
    if words[value] ~= nil then return words[value] end
    return nil, "is true or false, not " .. shown(value)
  end,
}

types.number = {
  describe = "a number, from `min` to `max`",
  metavar = "N",
  check = function(value, arg)
    local number = tonumber(value)
    if not number or number ~= number then return nil, "takes a number, not " .. shown(value) end
    return within(number, arg)
  end,
}

types.integer = {
  describe = "a whole number from 0, or from `min` to `max`",
  metavar = "N",
  check = function(value, arg)
    local number = math.tointeger(tonumber(value))
    if not number or number < 0 then return nil, "takes a whole number from 0, not " .. shown(value) end
    return within(number, arg)
  end,
}

types.duration = {
  describe = 'seconds, or a text such as `"500ms"`, `"30s"`, `"2m"`; scripts see seconds',
  metavar = "TIME",
  check = function(value)
    local seconds = check.seconds(value)
    if not seconds or seconds <= 0 then
      return nil, "takes a time such as 30 (seconds), 500ms or 2m, not " .. shown(value)
    end
    return whole(seconds)
  end,
}

types.size = {
  describe = 'bytes, or a text such as `"500M"`, `"2G"` (powers of 1024); scripts see bytes',
  metavar = "SIZE",
  check = function(value)
    local bytes = check.bytes(value)
    if not bytes then return nil, "takes a size such as 500M or 2G, not " .. shown(value) end
    return bytes
  end,
}

types.url = {
  describe = "an http or https URL; slashes at its end are taken off",
  metavar = "URL",
  check = function(value)
    if type(value) ~= "string" then return nil, "takes a URL, not " .. shown(value) end
    if value:find("^https?://[^/?#]") and not value:find("[%s%c]") then return (value:gsub("/+$", "")) end
    if value:find("^[%w.-]+:%d+") then
      return nil, ("has no scheme: is 'http://%s' meant?"):format(value)
    end
    return nil, "takes a URL such as http://localhost:8080, not " .. shown(value)
  end,
}

types.path = {
  describe = "a file that is read",
  metavar = "FILE",
  check = function(value)
    if type(value) ~= "string" or value == "" then return nil, "takes a path, not " .. shown(value) end
    return value
  end,
}

--- What is written; what the command line says of pictures goes there (flamegraph.output).
types.output = {
  describe = "a file that is written; it brings the picture's flags with it. `view` says what is drawn (`flame`, "
    .. "`diff`, `hotcold`), and with it which colours there are",
  metavar = "FILE",
  check = types.path.check,
}

types.pid = {
  describe = "the id of a process that exists",
  metavar = "PID",
  check = function(value)
    local pid = math.tointeger(tonumber(value))
    if not pid or pid <= 0 then return nil, "takes a process id, not " .. shown(value) end
    if not system.folder("/proc/" .. pid) then
      return nil, ("takes the id of a process that runs: there is no process %d"):format(pid)
    end
    return pid
  end,
}

types.collector = {
  describe = "the name of a collector",
  metavar = "NAME",
  check = function(value)
    local names = scripts.names "collectors"
    for _, name in ipairs(names) do
      if name == value then return value end
    end
    return nil, ("is one of %s, not %s"):format(table.concat(names, ", "), shown(value))
  end,
}

types.enum = {
  describe = "one of `choices`",
  metavar = "WORD",
  check = function(value, arg)
    for _, choice in ipairs(arg.choices) do
      if value == choice then return value end
    end
    return nil, ("is one of %s, not %s"):format(table.concat(arg.choices, ", "), shown(value))
  end,
}

types.pattern = {
  describe = "a regular expression (PCRE2)",
  metavar = "REGEX",
  check = function(value)
    if type(value) ~= "string" then return nil, "takes a regular expression, not " .. shown(value) end
    local ok, why = pattern.check(value)
    if not ok then return nil, "takes a regular expression: " .. why end
    return value
  end,
}

types.rename = {
  describe = "`PATTERN=REPLACEMENT`",
  metavar = "REGEX=TEXT",
  check = function(value)
    if type(value) ~= "string" then return nil, "takes PATTERN=REPLACEMENT, not " .. shown(value) end
    local ok, why = pattern.check_rename(value)
    if not ok then return nil, "takes PATTERN=REPLACEMENT: " .. why end
    return value
  end,
}

types.share = {
  describe = 'a share of the whole: `"0.1%"`, or 0.001; scripts see 0.001',
  metavar = "SHARE",
  check = function(value)
    local share = thresholds.parse_percent(value)
    if not share then return nil, "takes a share such as 0.1% or 0.001, not " .. shown(value) end
    return share
  end,
}

types.limit = {
  describe = "`REGEX=SHARE`: a limit to what matches; scripts see { pattern, share }",
  metavar = "REGEX=SHARE",
  check = function(value)
    if type(value) ~= "string" then return nil, "takes REGEX=SHARE, not " .. shown(value) end
    return thresholds.parse_share(value)
  end,
}

types.format = {
  describe = "the name of a format that is written",
  metavar = "FORMAT",
  check = function(value)
    local names = {}
    for _, row in ipairs(profile.formats()) do
      if row.writes and row.name == value then return value end
      if row.writes then names[#names + 1] = row.name end
    end
    return nil, ("is one of %s, not %s"):format(table.concat(names, ", "), shown(value))
  end,
}

return types
