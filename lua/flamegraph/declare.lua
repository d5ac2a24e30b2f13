-- fg.collector and fg.recipe: declarations, checked when they are made. They have no effects: `list`, `help` and the
-- documentation are made from them.

local args = require "flamegraph.args"
local check = require "flamegraph.check"
local engines = require "flamegraph.engines"
local shared = require "flamegraph.shared"

local declare = {}

-- kind → the function that a declaration of this kind has
local actions = { collector = "collect", recipe = "run" }

local declarations = setmetatable({}, { __mode = "k" }) -- declaration → its kind

-- Arguments that the command adds: what is to be written, and of which frames.
local function add_common(kind, declared)
  if kind == "collector" then
    if not declared.output then
      local output = args.declare(kind, { shared.output() })[1]
      declared[#declared + 1], declared.output = output, output
    end
    args.add_group(declared, shared.filter())
  end
  local output = declared.output
  if output and output.type == "output" then
    args.add_group(declared, shared.picture(output.view or kind == "collector" and "flame" or nil))
  end
end

-- A collector with engines collects through one of them.
local function add_engines(owner, declared)
  declared.engines = engines.declare(owner, declared.engines)
  local argument = args.declare(owner, { engines.argument(declared.engines) })[1]
  table.insert(declared.args, argument)
  declared.args.engine = argument
  declared.collect = function(values) return engines.collect(declared.engines, values) end
end

local function check_flags(owner, declared)
  local seen = {}
  for arg in args.each(declared) do
    if seen[arg.name] then check.fail("%s has two arguments named '%s'", owner, arg.name) end
    seen[arg.name] = true
  end
end

local function declaration(kind, fields)
  local what = "fg." .. kind
  local spec = {
    name = "!string", summary = "!string", description = "string", examples = "table", args = "table",
    [actions[kind]] = "!function",
  }
  if kind == "collector" then spec.engines, spec.ways = "table", "table" end
  if type(fields) == "table" and fields.engines then spec.collect = nil end
  local declared = check.options(what, fields, spec)
  local owner = ("%s '%s'"):format(kind, declared.name)
  if not declared.name:find("^%l[%l%d_]*$") then
    check.fail("%s: a name has small letters, digits and _", owner)
  end
  for i, example in ipairs(declared.examples or {}) do
    if type(example) ~= "string" then check.fail("%s: example %d is not a text", owner, i) end
  end
  declared.args = args.declare(owner, declared.args or {})
  if declared.engines then add_engines(owner, declared) end
  if declared.ways then declared.ways = engines.declare_ways(owner, declared.ways) end
  add_common(kind, declared.args)
  check_flags(owner, declared.args)
  declared.kind = kind
  declarations[declared] = kind
  return declared
end

--- Declare a collector: how a target is profiled. The file `collectors/NAME.lua` returns it.
-- @tparam table fields `name`, `summary`, `description`, `examples` (a list of command lines), `args` (a list of
--   arguments) and `collect`: function(args) → profile, or nil, message; behind the profile may come the exit status of
--   a command that it ran, with which the command line then ends. In place of `collect` there can be
--   `engines`, a list of ways to do it, best first: each has `name`, `summary`, `collect`, and may have `needs`,
--   another program and the command that installs it (`{ "perf", "sudo apt install linux-perf" }`), and `check`:
--   function(args) → true, or nil, why not, and the command that helps; without args it says whether the engine works
--   on this machine. What a collector without `engines` can do in several ways, by what it is pointed at, it tells
--   `flame-graph doctor` in `ways`: a list of `name`, `summary`, and `needs` and `check` as an engine has them.
-- @treturn table the declaration
function declare.collector(fields)
  return declaration("collector", fields)
end

--- Declare a recipe: what is done with profiles. The file `recipes/NAME.lua` returns it.
-- @tparam table fields as for fg.collector, with `run`: function(args) → true, or nil, message; or a status
--   ("regression", "inconclusive") and a message
-- @treturn table the declaration
function declare.recipe(fields)
  return declaration("recipe", fields)
end

--- The kind of a declaration, or nil for any other value.
function declare.kind(value)
  return declarations[value]
end

return declare
