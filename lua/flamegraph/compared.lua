-- Two sides, each a profile or several runs, made into a diff and into a report: what the recipes that compare share.

local canonical = require "flamegraph.canonical"
local judge = require "flamegraph.judge"
local profile = require "flamegraph.profile"
local runs = require "flamegraph.runs"
local sides = require "flamegraph.sides"

local compared = {}

--- A diff of two sides, their frames made canonical first.
-- @tparam {Profile,...} before
-- @tparam {Profile,...} after
-- @tparam table comparing the arguments of fg.arg.comparing
-- @tparam[opt] table more `type`: the value type; `lines`: source lines are to stay apart
-- @treturn Profile|nil nil, message, code
function compared.diff(before, after, comparing, more)
  more = more or {}
  local rename = not comparing.no_canonical
    and canonical.matcher { templates = comparing.no_templates, lines = more.lines } or nil
  return profile.diff(before, after, { type = more.type, normalize = comparing.normalize, rename = rename,
    units_before = comparing.units_before, units_after = comparing.units_after })
end

-- The factor is that of the picture; there, sums of runs are compared, here, means.
local function options_of(diff, comparing, before, after, type)
  return { budgets = {}, level = 0.01, floor = 1, sampling = true, type = type,
    factor = diff:meta "factor" * #after / #before, normalize = diff:meta "normalize",
    names = runs.namer { canonical = not comparing.no_canonical, templates = comparing.no_templates } }
end

-- One run a side: its slices of time say how noisy it is. nil: it has none.
local function slices_of(taken, options)
  local slices = {}
  for _, side in ipairs(sides.names) do
    if #taken[side] > 1 or taken[side][1].profile:slices() == 0 then return nil end
    slices[side] = assert(runs.count_slices(taken[side][1], options))
  end
  return slices
end

--- What changed, function by function, for a report (see verdict_report.of).
-- @tparam {Profile,...} before
-- @tparam {Profile,...} after
-- @tparam Profile diff of these
-- @tparam table comparing as for compared.diff
-- @tparam[opt] string type the value type
-- @treturn table|nil nil, message, code
function compared.changes(before, after, diff, comparing, type)
  local options = options_of(diff, comparing, before, after, type)
  local taken = runs.count_all({ before = before, after = after }, options)
  options.slices = slices_of(taken, options)
  local result, message, code = judge.runs(taken, options)
  if not result then return nil, message, code end
  result.answer = #result.changed > 0 and "changed" or "no change beyond noise"
  result.quality = { before = sides.quality(before), after = sides.quality(after) }
  result.notes = diff:warnings()
  return result
end

return compared
