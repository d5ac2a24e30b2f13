-- Help, made from declarations.

local args = require "flamegraph.args"
local log = require "flamegraph.log"
local parser = require "flamegraph.parser"
local profile = require "flamegraph.profile"
local types = require "flamegraph.types"

local help = {}

local widest, least = 110, 60

local function width()
  return math.max(least, math.min(widest, log.columns() or 100))
end

--- Break a text into lines; each but the first is indented.
local function wrap(text, indent, first)
  local lines, line, room = {}, first or "", width()
  local length = utf8.len(line) or #line
  for word in text:gmatch("%S+") do
    local n = utf8.len(word) or #word
    if length + n + 1 > room and length > indent then
      lines[#lines + 1] = line
      line, length = (" "):rep(indent), indent
    end
    local space = length > indent and " " or ""
    line, length = line .. space .. word, length + #space + n
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

--- Two columns: { label, text } each.
local function columns(rows)
  local label_width = 0
  for _, row in ipairs(rows) do label_width = math.max(label_width, #row[1]) end
  label_width = math.min(label_width, 30)
  local lines = {}
  for _, row in ipairs(rows) do
    local label = "  " .. row[1]
    if #row[1] > label_width then
      lines[#lines + 1] = label
      label = ""
    end
    label = label .. (" "):rep(label_width + 4 - #label)
    lines[#lines + 1] = wrap(row[2], label_width + 4, label)
  end
  return table.concat(lines, "\n")
end

local function default_text(arg)
  if arg.default == nil or arg.default == false then return nil end
  if arg.type == "duration" then return ("%g s"):format(arg.default) end
  return tostring(arg.default)
end

local function describe(arg)
  local notes = {}
  if arg.choices then notes[#notes + 1] = table.concat(arg.choices, ", ") end
  if arg.required then notes[#notes + 1] = "required" end
  if arg.list then notes[#notes + 1] = "repeatable" end
  local default = default_text(arg)
  if default then notes[#notes + 1] = "default: " .. default end
  if arg.env then notes[#notes + 1] = "$" .. arg.env end
  return (arg.help or "") .. (#notes > 0 and (" [%s]"):format(table.concat(notes, ", ")) or "")
end

local function metavar(arg)
  return arg.metavar or types[arg.type].metavar
end

-- How it is given: "--pid PID", "[--pid] PID", "-- TEXT...".
local function usage_of(arg)
  local flag, value = args.flag(arg), metavar(arg)
  if arg.rest then return ("%s %s..."):format(flag, value) end
  if arg.positional then flag = ("[%s]"):format(flag) end
  return flag .. (value and " " .. value or "")
end

--- An argument as it is given ("--url URL", "[--pid] PID"), and what is to be said of it.
function help.option(arg)
  return usage_of(arg), describe(arg)
end

local function option_rows(list)
  local rows = {}
  for _, arg in ipairs(list) do
    if not arg.group then rows[#rows + 1] = { help.option(arg) } end
  end
  return rows
end

local function section(blocks, title, rows)
  if #rows > 0 then blocks[#blocks + 1] = title .. ":\n" .. columns(rows) end
end

local function required_flags(declared)
  local words = {}
  for arg in args.each(declared) do
    if arg.required and arg.positional then
      words[#words + 1] = (" %s%s"):format(metavar(arg), arg.list and "..." or "")
    elseif arg.required then
      words[#words + 1] = (" %s %s"):format(args.flag(arg), metavar(arg))
    end
  end
  return table.concat(words)
end

--- The help of a collector or recipe.
-- @tparam string command how it is called: "flame-graph api"
function help.command(command, declaration)
  local blocks = {
    wrap(declaration.summary, 0),
    "Usage: " .. command .. required_flags(declaration.args) .. " [OPTION...]",
  }
  if declaration.description then blocks[#blocks + 1] = wrap(declaration.description, 0) end
  section(blocks, "Options", option_rows(declaration.args))
  for _, entry in ipairs(declaration.args) do
    if entry.group then section(blocks, entry.title, option_rows(entry.args)) end
  end
  section(blocks, "Common options", option_rows(parser.common))
  if declaration.examples then
    blocks[#blocks + 1] = "Examples:\n  " .. table.concat(declaration.examples, "\n  ")
  end
  return table.concat(blocks, "\n\n")
end

--- The help of the whole: `sections` is a list of { title, rows = { { name, summary }, … } }.
function help.overview(sections)
  local blocks = {
    "Profile running programs and draw flame graphs.",
    "Usage: flame-graph COMMAND [OPTION...]",
  }
  for _, entry in ipairs(sections) do section(blocks, entry.title, entry.rows) end
  section(blocks, "Common options", option_rows(parser.common))
  blocks[#blocks + 1] = "`flame-graph COMMAND --help` has a command's options and examples."
  return table.concat(blocks, "\n\n")
end

--- The table of formats.
function help.formats()
  local rows = {}
  for _, row in ipairs(profile.formats()) do
    local can = row.reads and row.writes and "read, written" or row.reads and "read" or "written"
    rows[#rows + 1] = { row.name, ("%s (%s; %s)"):format(row.summary, can, row.suffixes) }
  end
  return "Formats; what is read is recognised by content, what is written is chosen by the suffix:\n"
    .. columns(rows)
end

return help
