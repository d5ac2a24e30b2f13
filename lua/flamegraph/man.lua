-- The manual page, from the declarations: `flame-graph man` prints it, the installation has it.

local args = require "flamegraph.args"
local commands = require "flamegraph.commands"
local help = require "flamegraph.help"
local parser = require "flamegraph.parser"
local profile = require "flamegraph.profile"

local man = {}

-- A text as roff has it: nothing in it is a request.
local function roff(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("\n%s*", "\n")
  return (text:gsub("^([.'])", "\\&%1"):gsub("\n([.'])", "\n\\&%1"))
end

local function options(lines, list)
  for _, arg in ipairs(list) do
    if not arg.group then
      local flag, text = help.option(arg)
      lines[#lines + 1] = ".TP\n\\fB" .. roff(flag) .. "\\fR\n" .. roff(text)
    end
  end
end

local function common_groups(seen, declared)
  for _, entry in ipairs(declared) do
    if entry.group and not seen[entry.group] then
      seen[entry.group] = entry
      seen[#seen + 1] = entry
    end
  end
end

local function command(lines, entry, groups)
  local declaration = entry.declaration
  lines[#lines + 1] = (".SS %s\n%s."):format(roff(entry.name), roff(declaration.summary))
  if declaration.description then lines[#lines + 1] = ".PP\n" .. roff(declaration.description) end
  options(lines, declaration.args)
  common_groups(groups, declaration.args)
  for _, example in ipairs(declaration.examples or {}) do
    lines[#lines + 1] = ".PP\n.nf\n    " .. roff(example) .. "\n.fi"
  end
end

local function section(lines, title, kind, groups)
  lines[#lines + 1] = ".SH " .. title
  for _, entry in ipairs(commands.all(kind)) do
    if entry.declaration then command(lines, entry, groups) end
  end
end

local function own_commands(lines, own)
  local names = {}
  for name in pairs(own) do names[#names + 1] = name end
  table.sort(names)
  lines[#lines + 1] = ".SH OTHER COMMANDS"
  for _, name in ipairs(names) do
    lines[#lines + 1] = (".TP\n\\fB%s\\fR\n%s."):format(roff(own[name].usage or name), roff(own[name].summary))
  end
end

-- The variables that arguments are taken from.
local function environment(lines)
  local names, texts = {}, { FLAME_GRAPH_PATH = "folders with collectors and recipes of your own, separated by colons" }
  for _, kind in ipairs { "collector", "recipe" } do
    for _, entry in ipairs(commands.all(kind)) do
      for arg in args.each(entry.declaration and entry.declaration.args or {}) do
        if arg.env then texts[arg.env] = arg.help end
      end
    end
  end
  for name in pairs(texts) do names[#names + 1] = name end
  table.sort(names)
  lines[#lines + 1] = ".SH ENVIRONMENT"
  for _, name in ipairs(names) do
    lines[#lines + 1] = (".TP\n\\fB%s\\fR\n%s"):format(roff(name), roff(texts[name]))
  end
end

local head = [[
.SH NAME
flame\-graph \- profile running programs and draw flame graphs
.SH SYNOPSIS
\fBflame\-graph\fR \fICOMMAND\fR [\fIOPTION\fR...]
.SH DESCRIPTION
Turns any running program and any profile file into a profile, and draws, compares, explains and gates it.
Each collector and each recipe is a command and a Lua file: \fBflame\-graph source NAME\fR prints it; a file of the
same name on the search path takes its place.
Without a command, somebody at a terminal is asked what to profile.]]

local foot = [[
.SH EXIT STATUS
0 done; 1 a regression was found (gates only); 2 trouble, usage included; 3 inconclusive (gates only);
130 interrupted with nothing to write.]]

--- The page as roff.
-- @tparam table own commands beside collectors and recipes: { name = { summary = , usage = } }
function man.page(own)
  local title = ('.TH FLAME\\-GRAPH 1 "" "flame\\-graph %s" "User Commands"'):format(profile.version)
  local lines, groups = { title, head }, {}
  section(lines, "COLLECTORS", "collector", groups)
  section(lines, "RECIPES", "recipe", groups)
  own_commands(lines, own)
  for _, group in ipairs(groups) do
    lines[#lines + 1] = ".SH " .. roff(group.title:upper())
    options(lines, group.args)
  end
  lines[#lines + 1] = ".SH COMMON OPTIONS"
  options(lines, parser.common)
  lines[#lines + 1] = foot
  environment(lines)
  return table.concat(lines, "\n")
end

return man
