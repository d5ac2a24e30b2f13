-- Running declarations for the command line: a recipe does what it does; a collector's profile is filtered and written.

local args = require "flamegraph.args"
local collect = require "flamegraph.collect"
local config = require "flamegraph.config"
local output = require "flamegraph.output"

local run = {}

--- The values for a declaration, all checked; nil, a message, and where the wrong value comes from.
function run.prepare(declaration, given)
  local values, why, source = args.resolve(declaration.args, given, config.of(declaration))
  if not values then return nil, why, source end
  if declaration.args.picture then
    output.resolve(values)
    why = output.problem(values.output, values.picture)
    if why then return nil, why, "given" end
  end
  return values
end

local actions = {}

function actions.recipe(declaration, values)
  return declaration.run(values)
end

function actions.collector(declaration, values)
  local whole, message, code = collect.run(declaration, values)
  if code == "INTERRUPTED" then message = "interrupted before there was a profile: nothing is written" end
  if not whole then return nil, message, code end
  local p, ok, status = whole, nil, math.tointeger(message) -- of a command that it ran
  if next(values.filter) then p, message, code = whole:filter(values.filter) end
  if p then ok, message, code = p:write(values.output) end
  if ok then return status or ok end
  return nil, ("%s (%s)"):format(message, output.keep(whole, values.output, "whole")), code
end

--- Run a declaration with prepared values. Returns what the recipe does; for a collector true, or nil, message, code.
function run.declaration(declaration, values)
  if declaration.args.picture then
    output.prepare(values.output, values.picture)
  else
    output.prepare()
  end
  return actions[declaration.kind](declaration, values)
end

return run
