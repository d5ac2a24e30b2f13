-- What a script hands in is checked here, and a mistake is blamed on the script's own line: the innermost
-- function on the stack that does not belong to this library.

local check = {}

local library = debug.getinfo(1, "S").source:gsub("check%.lua$", "")

-- The level, seen from the caller of this function's caller, of the script that is to blame; 0: no position.
local function blamed()
  for level = 3, 100 do
    local info = debug.getinfo(level, "S")
    if not info then return 0 end
    if info.what ~= "C" and info.source:sub(1, #library) ~= library then return level - 1 end
  end
  return 0
end

--- Raise an error at the line of the script that called into the library.
-- @tparam string format as for string.format
-- @param ... what the format asks for
function check.fail(format, ...)
  error(select("#", ...) > 0 and format:format(...) or format, blamed())
end

-- How many slips of the finger lie between two short words: a letter too many, missing or wrong, two exchanged.
local function distance(a, b)
  local rows = { [0] = {} }
  for j = 0, #b do rows[0][j] = j end
  for i = 1, #a do
    local row, above = { [0] = i }, rows[i - 1]
    for j = 1, #b do
      row[j] = math.min(above[j - 1] + (a:byte(i) == b:byte(j) and 0 or 1), above[j] + 1, row[j - 1] + 1)
      local exchanged = i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j)
      if exchanged then row[j] = math.min(row[j], rows[i - 2][j - 2] + 1) end
    end
    rows[i] = row
  end
  return rows[#a][#b]
end

--- The candidate that looks most like a word that was not found.
-- @tparam string word
-- @tparam {string,...} candidates
-- @treturn string|nil nil where none is near enough to be meant
function check.nearest(word, candidates)
  local best, least
  for _, candidate in ipairs(candidates) do
    local d = distance(word, candidate)
    if d <= math.max(1, #word // 3) and (not least or d < least) then best, least = candidate, d end
  end
  return best
end

local seconds_in = { ms = 1e-3, s = 1, m = 60, min = 60, h = 3600 }

--- A duration in seconds.
-- @tparam number|string value seconds, or a text such as `"500ms"`, `"30s"`, `"2m"`, `"1h"`
-- @treturn number|nil nil and a message where it is none
function check.seconds(value)
  if type(value) == "string" then
    local number, unit = value:match("^%s*(%d*%.?%d*)%s*(%a*)%s*$")
    local scale = seconds_in[unit == "" and "s" or unit]
    number = tonumber(number)
    value = number and scale and number * scale
  end
  if type(value) == "number" and value >= 0 and value < math.huge then return value end
  return nil, 'takes seconds, or a text such as "500ms", "30s", "2m"'
end

local bytes_in = { [""] = 1, B = 1, k = 1 << 10, M = 1 << 20, G = 1 << 30 }

--- A size in bytes.
-- @tparam integer|string value bytes, or a text such as `"64k"`, `"16MiB"`, `"1G"` (powers of 1024)
-- @treturn integer|nil nil and a message where it is none
function check.bytes(value)
  if type(value) == "string" then
    local number, unit = value:match("^%s*(%d+)%s*(%a?)i?B?%s*$")
    local scale = bytes_in[unit == "K" and "k" or unit]
    value = number and scale and math.tointeger(number) and math.tointeger(number) * scale
  end
  value = math.tointeger(value)
  if value and value > 0 and value <= 1 << 53 then return value end
  return nil, 'takes bytes, or a text such as "64k", "16M", "1G"'
end

local function type_of(value)
  if math.type(value) == "integer" then return "integer" end
  return type(value)
end

-- The types that a specification can name beside Lua's own: value → checked value, or nil and why not.
local special = {
  any = function(value) return value end,
  integer = math.tointeger,
  seconds = check.seconds,
  bytes = check.bytes,
}

local function convert(value, types)
  local why
  for name in types:gmatch("[^|]+") do
    if special[name] then
      local converted, message = special[name](value)
      if converted ~= nil then return converted end
      why = message
    elseif type(value) == name or value == false and name == "false" then
      return value
    end
  end
  return nil, why or ("must be %s, not %s"):format(types:gsub("|", " or "), type_of(value))
end

local function keys_of(spec)
  local keys = {}
  for key in pairs(spec) do keys[#keys + 1] = tostring(key) end
  table.sort(keys)
  return keys
end

local function unknown(what, key, spec)
  local hint = type(key) == "string" and check.nearest(key, keys_of(spec))
  check.fail("%s: unknown option '%s'%s", what, tostring(key),
    hint and (" (is '%s' meant?)"):format(hint) or " (there are " .. table.concat(keys_of(spec), ", ") .. ")")
end

--- Check a table of options. A mistake is raised at the script's line.
-- @tparam string what the function that takes them ("fg.http"), for messages
-- @tparam table options what the script gave
-- @tparam table spec the type of each option by its name: Lua's own names, "integer", "seconds", "bytes",
--   "any", "false"; "a|b" is either; a leading "!": it must be given. `[1]` describes the list part.
-- @treturn table a copy, durations in seconds and sizes in bytes
-- @usage options = check.options("fg.http", options, { url = "!string", timeout = "seconds" })
function check.options(what, options, spec)
  if type(options) ~= "table" then
    check.fail("%s takes a table of options, not %s", what, type_of(options))
  end
  local checked = {}
  for key, value in pairs(options) do
    local types = spec[key] or math.type(key) == "integer" and spec[1]
    if not types then unknown(what, key, spec) end
    local converted, why = convert(value, types:gsub("^!", ""))
    if converted == nil then check.fail("%s: %s: %s", what, tostring(key), why) end
    checked[key] = converted
  end
  for key, types in pairs(spec) do
    if types:find("^!") and checked[key] == nil then
      check.fail("%s: '%s' is missing", what, tostring(key))
    end
  end
  return checked
end

return check
