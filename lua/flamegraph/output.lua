-- What is written: checked before anything runs, and told at the end.

local check = require "flamegraph.check"
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

--- Whether a profile could be written to a path: a message, or nil where nothing is in the way.
-- @tparam string path
-- @tparam table picture options of p:write
function output.problem(path, picture)
  local format = picture.format
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
  local ok, why = system.writable(path)
  if not ok then return ("--output %s: cannot write there: %s"):format(path, why) end
end

-- How much there is, of the value type asked for: samples where nobody asked.
local function amount(p, asked)
  local types = p:types()
  if p:is_diff() then
    return ("before %s, after %s"):format(profile.value_text(p:total("before"), types[1].unit),
      profile.value_text(p:total("after"), types[2].unit))
  end
  local samples = p:quality().samples
  if samples > 0 and not asked then return profile.value_text(samples, "count") end
  local default = asked or p:meta("default_type") or types[1].name
  for _, type in ipairs(types) do
    if type.name == default then
      local text = profile.value_text(p:total(default), type.unit)
      return type.name == "samples" and text or ("%s of %s"):format(text, type.name)
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

--- Let each write be told, and let the picture's flags go to what they are meant for.
-- @tparam string|nil path where the flags apply
-- @tparam table|nil picture options of p:write
function output.prepare(path, picture)
  profile.outputs {
    options = path and { [path] = picture } or {},
    written = function(written, p, asked) log.info(summary(written, p, asked)) end,
  }
end

return output
