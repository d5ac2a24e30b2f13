-- Command lines: flags made from declared arguments, read by argparse. Types are checked later, by args.resolve.

local args = require "flamegraph.args"
local argparse = require "flamegraph.argparse"
local types = require "flamegraph.types"

local parser = {}

--- Flags that every command has.
parser.common = args.declare("flame-graph", {
  { "lua_path", metavar = "DIR", list = true, help = "look for collectors and recipes here first" },
  { "quiet", type = "boolean", help = "say nothing but errors" },
  { "debug", type = "boolean", help = "add a Lua traceback to errors" },
  { "help", type = "boolean", help = "this text" },
})

--- Add the flags of declared arguments to an argparse parser or command.
function parser.add_flags(to, declared)
  for arg in args.each(declared) do
    if types[arg.type].metavar and not arg.rest then
      local option = to:option(args.flag(arg)):target(arg.name):args(1)
      option:description(arg.help or "")
      if arg.list then
        option:count("*"):action("append")
      else
        option:overwrite(false)
      end
      if arg.choices then option:argname(table.concat(arg.choices, "|")) end
    elseif not arg.rest then
      to:flag(args.flag(arg)):target(arg.name):description(arg.help or "")
    end
  end
end

-- argparse hands out an empty list for a flag that may be repeated and was not given.
local function without_empty_lists(result)
  for name, value in pairs(result) do
    if type(value) == "table" and #value == 0 then result[name] = nil end
  end
  return result
end

-- `--duration -3`: a flag's value, not a flag, so that the message is about the value.
local function with_negative_values(words)
  local joined = {}
  for _, word in ipairs(words) do
    local last = joined[#joined]
    if word:find("^%-%.?%d") and last and last:find("^%-%-[%w-]+$") then
      joined[#joined] = last .. "=" .. word
    else
      joined[#joined + 1] = word
    end
  end
  return joined
end

-- The first word at or behind `i` that is neither a flag nor a flag's value, and where it is.
local function stray(declared, words, i)
  local takes_value = {}
  for _, list in ipairs { declared, parser.common } do
    for arg in args.each(list) do takes_value[args.flag(arg)] = types[arg.type].metavar end
  end
  i = i or 1
  while words[i] and words[i]:find "^%-." do i = i + (takes_value[words[i]] and 2 or 1) end
  return words[i], i
end

local function with(declared, property)
  for arg in args.each(declared) do
    if arg[property] then return arg end
  end
end

-- The words in front of `--`, and the list of those behind it where an argument takes them.
local function split_rest(declared, words)
  for i, word in ipairs(words) do
    if word == "--" and with(declared, "rest") then
      return table.move(words, 1, i - 1, 1, {}), table.move(words, i + 1, #words, 1, {})
    end
  end
  return words
end

local function is_given(words, flag)
  for _, word in ipairs(words) do
    if word == flag or word:find(flag .. "=", 1, true) == 1 then return true end
  end
  return false
end

-- `perf 4242` is `perf --pid=4242`, `diff a b` is `diff --before=a --after=b`: words without a flag are the positional
-- arguments that have none yet, in the order of their declaration; a list that is the only one takes all that are left.
local function with_positional(declared, words)
  local given = table.move(words, 1, #words, 1, {})
  local i, count = 1, 0
  for arg in args.each(declared) do count = count + (arg.positional and 1 or 0) end
  for arg in args.each(declared) do
    local flag, all = args.flag(arg), arg.list and count == 1
    while arg.positional and (all or not is_given(given, flag)) do
      local word
      word, i = stray(declared, words, i)
      if not word then return words end
      words[i] = ("%s=%s"):format(flag, word)
      if not all then break end
    end
  end
  return words
end

-- The flag of the value in front of a word where that is a list of paths: maybe the shell has made words of a pattern.
local function flag_before(declared, words, at)
  for arg in args.each(declared) do
    local flag = args.flag(arg)
    local given = words[at - 2] == flag or (words[at - 1] or ""):find(flag .. "=", 1, true) == 1
    if given and arg.list and arg.type == "path" then return flag end
  end
end

-- argparse's message, but for a word without a flag, of which it says no more than that there are too many.
local function explain(message, declared, words)
  if not message:find "^too many arguments" then return message end
  local word, at = stray(declared, words)
  if not word then return message end
  local flag = flag_before(declared, words, at)
  local meant = declared.input and (": is '--input %s' meant?"):format(word)
    or ": a value has its flag in front of it" .. (flag and (", a pattern is quoted: %s 'FOLDER/*'"):format(flag) or "")
  return ("unexpected '%s'%s"):format(word, meant)
end

--- Read a command line.
-- @treturn table|nil what was given, by argument name; nil and a message where it is wrong
-- @treturn table the common flags that were given
function parser.parse(name, declared, words)
  local reader = argparse(name):add_help(false)
  parser.add_flags(reader, declared)
  parser.add_flags(reader, parser.common)
  local rest
  words, rest = split_rest(declared, words)
  words = with_positional(declared, with_negative_values(words))
  local ok, result = reader:pparse(words)
  if not ok then return nil, explain(result, declared, words) end
  if rest then result[with(declared, "rest").name] = rest end
  local common = {}
  for _, arg in ipairs(parser.common) do
    common[arg.name], result[arg.name] = result[arg.name], nil
  end
  return without_empty_lists(result), without_empty_lists(common)
end

return parser
