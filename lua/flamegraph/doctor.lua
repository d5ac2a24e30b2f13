-- flame-graph doctor: what works on this machine, and what the rest lacks.

local commands = require "flamegraph.commands"
local engines = require "flamegraph.engines"

local doctor = {}

-- One line for an engine, a second one for what helps.
local function engine_lines(engine, lines)
  local ok, why, remedy = engines.works(engine, nil)
  local word = ok and "works  " or "missing"
  lines[#lines + 1] = ("  %s  %-14s %s"):format(word, engine.name, ok and engine.summary or why)
  if remedy then lines[#lines + 1] = (" "):rep(26) .. remedy end
  return ok
end

-- The lines for a collector, and whether one of its engines or ways works.
local function examine(entry)
  local lines = { entry.name }
  if not entry.declaration then
    lines[2] = "  broken   " .. tostring(entry.problem)
    return lines, false
  end
  local list = entry.declaration.engines or entry.declaration.ways
  if not list then
    lines[2] = "  works    needs nothing here: the service does the profiling"
    return lines, true
  end
  local works = false
  for _, engine in ipairs(list) do works = engine_lines(engine, lines) or works end
  return lines, works
end

--- Examine collectors.
-- @tparam {string,...} names which; empty: all
-- @treturn string|nil the report; nil and a message: there is no such collector
-- @treturn boolean whether each of them works in some way
function doctor.report(names)
  local wanted, blocks, all = {}, {}, true
  for _, name in ipairs(names) do wanted[name] = true end
  for _, entry in ipairs(commands.all "collector") do
    if #names == 0 or wanted[entry.name] then
      local lines, works = examine(entry)
      blocks[#blocks + 1] = table.concat(lines, "\n")
      all = all and works
    end
    wanted[entry.name] = nil
  end
  local unknown = next(wanted)
  if unknown then return nil, ("there is no collector '%s'"):format(unknown) end
  return table.concat(blocks, "\n\n"), all
end

return doctor
