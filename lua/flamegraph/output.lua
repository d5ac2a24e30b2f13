-- What is written: checked before anything runs, and told at the end.

local browser = require "flamegraph.browser"
local check = require "flamegraph.check"
local files = require "flamegraph.files"
local log = require "flamegraph.log"
local profile = require "flamegraph.profile"
local system = require "flamegraph.system"

local output = {}

local function writer_for(path)
  local best, length
  for _, row in ipairs(profile.formats()) do
    for suffix in row.suffixes:gmatch("%S+") do
      if row.writes and path:sub(-#suffix) == suffix and #suffix > (length or 0) then best, length = row, #suffix end
    end
  end
  return best
end

local function usual_suffixes()
  local list = {}
  for _, row in ipairs(profile.formats()) do
    if row.writes then list[#list + 1] = row.suffixes:match("%S+") end
  end
  return table.concat(list, " ")
end

local function format_named(name)
  for _, row in ipairs(profile.formats()) do
    if row.name == name then return row end
  end
end

--- `--output term` is the terminal: standard output, in the format of that name.
-- @tparam table values resolved arguments with `output` and `picture`, which are changed
function output.resolve(values)
  if values.output ~= "term" then return end
  values.output = "-"
  values.picture.format = values.picture.format or "term"
end

--- Whether a profile could be written to a path: a message, or nil where nothing is in the way.
-- @tparam string path
-- @tparam table picture options of p:write
function output.problem(path, picture)
  local format = picture.format
  if picture.open and path == "-" then return "--open shows a file: name one with --output" end
  local row = format and format_named(format) or writer_for(path)
  if picture.reverse and row and not row.reads then -- what is not read back is a summary
    return ("--reverse turns stacks around, and %s has none: it counts functions"):format(row.name)
  end
  if path == "-" then
    if format then return nil end
    return "--output - is standard output: choose what is written there with --format, such as --format folded"
  end
  if not format and not writer_for(path) then
    return ("--output %s: its suffix names no format (%s); or choose one with --format"):format(path,
      usual_suffixes())
  end
  return files.problem("--output", path)
end

-- How much there is, of the value type asked for: samples where nobody asked.
local function amount(p, asked)
  local types = p:types()
  if p:is_diff() then
    return ("before %s, after %s"):format(profile.value_text(p:total("before"), types[1].unit),
      profile.value_text(p:total("after"), types[2].unit))
  end
  local samples = p:quality().samples
  if samples > 0 and not asked and types[1].unit ~= "bytes" then return profile.value_text(samples, "count") end
  local default = asked or p:meta("default_type") or types[1].name
  for _, type in ipairs(types) do
    if type.name == default then
      local text = profile.value_text(p:total(default), type.unit)
      local plain = type.name == "samples" or type.name == type.unit
      return plain and text or ("%s of %s"):format(text, type.name)
    end
  end
end

-- "flamegraph.svg: 12,345 samples over 30.0 s, 1 warning"
local function summary(path, p, asked)
  local duration, warnings = p:meta("duration"), p:warnings()
  local over = duration and " over " .. profile.value_text(duration, "nanoseconds") or ""
  local parts = { amount(p, asked) .. over }
  if #warnings > 0 then parts[#parts + 1] = #warnings .. (#warnings == 1 and " warning" or " warnings") end
  local lines = { (path == "-" and "standard output" or path) .. ": " .. table.concat(parts, ", ") }
  for _, warning in ipairs(warnings) do lines[#lines + 1] = "  " .. warning end
  return table.concat(lines, "\n")
end

-- "out/api.svg", "whole" → "out/api-whole.pb.gz"
local function beside(path, word)
  if path == "-" then return word .. ".pb.gz" end
  local folder, name = path:match("^(.-)([^/]*)$")
  return folder .. (name:match("^(.+)%.[^.]*$") or name) .. "-" .. word .. ".pb.gz"
end

--- Keep a profile that took time to take, where what should have been made of it cannot be: it is written beside the
-- output, as pprof.
-- @tparam Profile p
-- @tparam string path what should have been written
-- @tparam string word which profile it is: `fg.keep(p, "out/diff.svg", "before")` writes `out/diff-before.pb.gz`
-- @treturn string what to tell of it, whether that worked or not: "the profile is kept in …"
function output.keep(p, path, word)
  if not profile.is_profile(p) then check.fail("fg.keep takes a profile, not a %s", type(p)) end
  if type(path) ~= "string" or type(word) ~= "string" then
    check.fail("fg.keep takes a profile, a path and a word that tells its file from others")
  end
  local file = beside(path, word)
  local ok, why = p:write(file)
  if not ok then return ("the profile is lost: %s"):format(why) end
  return ("the profile is kept in %s"):format(file)
end

-- The picture's flags as options of p:write. What stands in a terminal is as wide as that, and plain where it is none.
local function write_options(picture)
  local options = {}
  for key, value in pairs(picture) do
    if key ~= "open" then options[key] = value end
  end
  if options.format ~= "term" then return options end
  local columns = system.columns(1)
  local wished = columns or tonumber(os.getenv "COLUMNS")
  options.width = options.width or wished and math.max(40, math.min(wished, 1000))
  options.plain = not columns or os.getenv "NO_COLOR" ~= nil or os.getenv "TERM" == "dumb"
  return options
end

local function open(path)
  local ok, why = browser.open(path)
  if not ok then log.info(("%s is not opened: %s"):format(path, why)) end
end

--- Let each write be told, and let the picture's flags go to what they are meant for.
-- @tparam string|nil path where the flags apply
-- @tparam table|nil picture options of p:write
function output.prepare(path, picture)
  profile.outputs {
    options = path and { [path] = write_options(picture) } or {},
    written = function(written, p, asked)
      log.info(summary(written, p, asked))
      if path and picture.open and written == path then open(path) end
    end,
  }
end

return output
