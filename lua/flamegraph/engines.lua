-- Engines: the ways in which a collector can do its work, best first. The first whose check passes is taken, unless
-- --engine names one.
--
--   engines = {
--     { name = "bpf", summary = "…", check = function(args) … end, collect = function(args) … end },
--     { name = "perf", … },
--   }
--
-- `needs = { PROGRAM, COMMAND }`: the engine is another program, which the command installs. A check comes behind that
-- and gets the arguments of a run, or nil: whether the engine works on this machine at all (`flame-graph doctor`).
-- An engine that finds out later that it cannot do it returns nil, message, "UNSUPPORTED": the next one is tried.

local check = require "flamegraph.check"
local log = require "flamegraph.log"
local spawn = require "flamegraph.spawn"

local engines = {}

local function declared_list(owner, list, what, collect)
  local declared = {}
  for i, one in ipairs(list) do
    declared[i] = check.options(("%s: %s %d"):format(owner, what, i), one,
      { name = "!string", summary = "!string", needs = "table", check = "function", collect = collect })
  end
  if #declared == 0 then check.fail("%s: `%ss` is a list of one at least", owner, what) end
  return declared
end

--- Check the engines of a declaration; a mistake is raised at its author's line.
-- @treturn {table,...} copies
function engines.declare(owner, list)
  return declared_list(owner, list, "engine", "!function")
end

--- Check the ways of a declaration, which are like engines that nobody chooses by name.
-- @treturn {table,...} copies
function engines.declare_ways(owner, list)
  return declared_list(owner, list, "way")
end

--- The argument that chooses one.
function engines.argument(declared)
  local names, said = {}, {}
  for i, engine in ipairs(declared) do
    names[i] = engine.name
    said[i] = ("%s (%s)"):format(engine.name, engine.summary)
  end
  return { "engine", type = "enum", choices = names,
    help = "how: " .. table.concat(said, ", ") .. "; otherwise the first of these that works" }
end

local function has(needs)
  local done = spawn { needs[1], "--version", stderr = "null" }
  if done and done.status == 0 then return true end
  return nil, ("%s is not on PATH"):format(needs[1]), needs[2]
end

--- Whether an engine works: true; nil, why not, and what helps.
function engines.works(engine, values)
  if engine.needs then
    local there, why, remedy = has(engine.needs)
    if not there then return nil, why, remedy end
  end
  if not engine.check then return true end
  local ok, why, remedy = engine.check(values)
  if ok then return true end
  return nil, why or "it does not work here", remedy
end

local function explained(why, remedy)
  return remedy and ("%s: %s"):format(why, remedy) or why
end

local function run(engine, values)
  local p, message, code = engine.collect(values)
  if p and not p:meta "engine" then p:meta { engine = engine.name } end
  return p, message, code
end

local function chosen(declared, name)
  for _, engine in ipairs(declared) do
    if engine.name == name then return engine end
  end
end

-- Refusals, each { name, why }, as a text; engines that say the same say it once.
local function said(refusals)
  local texts, at = {}, {}
  for _, refusal in ipairs(refusals) do
    local name, why = refusal[1], refusal[2]
    local i = at[why] or #texts + 1
    texts[i], at[why] = (texts[i] and texts[i]:sub(1, -#why - 3) .. ", " or "") .. name .. ": " .. why, i
  end
  return table.concat(texts, "; ")
end

--- Collect with the engine that was chosen, else with the first that works.
-- @treturn Profile|nil nil, message, code
function engines.collect(declared, values)
  if values.engine then
    local engine = chosen(declared, values.engine)
    local ok, why, remedy = engines.works(engine, values)
    if not ok then return nil, ("engine %s: %s"):format(engine.name, explained(why, remedy)), "UNSUPPORTED" end
    return run(engine, values)
  end
  local refusals, told = {}, 0
  for _, engine in ipairs(declared) do
    local ok, why, remedy = engines.works(engine, values)
    if ok then
      for i = told + 1, #refusals do log.info("engine " .. said { refusals[i] }) end -- what is taken instead is told
      told = #refusals
      local p, message, code = run(engine, values)
      if p or code ~= "UNSUPPORTED" then return p, message, code end
      why, remedy = message, nil
    end
    refusals[#refusals + 1] = { engine.name, explained(why, remedy) }
  end
  if #declared == 1 then return nil, said(refusals), "UNSUPPORTED" end
  return nil, "no engine works here: " .. said(refusals), "UNSUPPORTED"
end

return engines
