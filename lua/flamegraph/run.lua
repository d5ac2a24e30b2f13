-- Running declarations.

local args = require "flamegraph.args"
local config = require "flamegraph.config"
local output = require "flamegraph.output"

local run = {}

--- The values for a declaration, all checked; nil and a message where something is wrong.
function run.prepare(declaration, given)
  local values, why = args.resolve(declaration.args, given, config.of(declaration))
  if not values then return nil, why end
  if declaration.args.picture then
    why = output.problem(values.output, values.picture.format)
    if why then return nil, why end
  end
  return values
end

local actions = {}

function actions.recipe(declaration, values)
  return declaration.run(values)
end

--- Run a declaration with prepared values. Returns what the recipe does, or true, or nil, message, code.
function run.declaration(declaration, values)
  if declaration.args.picture then output.prepare(values.output, values.picture) else output.prepare() end
  return actions[declaration.kind](declaration, values)
end

function run.interrupted()
  return false
end

return run
