-- Judging: from two sets of counted runs to pass, fail or inconclusive. The statistics are those of core/verdict.h.

local pattern = require "flamegraph.pattern"
local verdict = require "flamegraph.verdict"

local judge = {}

-- ---- budgets ----------------------------------------------------------------------------------------------------

-- "2%" or 0.02. Nobody means 200 % by 2.
local function parse_share(text)
  local number = tonumber((text:gsub("%%$", "")))
  if text:find "%%$" then return number and number / 100 end
  return number and number < 1 and number or nil
end

--- `2%`, or `total=1%,serde_json::.*=5%`, as a list of { pattern or "total" or nil, share }.
-- @treturn table|nil nil, what is wrong
function judge.budgets(text)
  local list = {}
  for part in (text .. ","):gmatch "([^,]*)," do
    local name, share = part:match "^(.+)=([%d.]+%%?)$"
    local number = parse_share(share or part)
    if not number then return nil, ("takes 2%%, or 'total=1%%,REGEX=5%%', not '%s'"):format(text) end
    local ok, why = true, nil
    if name and name ~= "total" then ok, why = pattern.check(name) end
    if not ok then return nil, why end
    list[#list + 1] = { total = name == "total", share = number, text = part,
      pattern = name and name ~= "total" and pattern.compile(name) or nil }
  end
  return list
end

-- Whether a budget names the feature; the whole is also called as the functions that are in every stack.
local function names_it(one, feature)
  if one.total then return feature.kind == "whole" end
  for _, name in ipairs(feature.kind == "whole" and feature.everywhere or { feature.name }) do
    if pattern.matches(one.pattern, name) then return true end
  end
  return false
end

-- The budget of a feature: the first that names it, else the one without a name. nil: it is told, but not judged.
local function budget_of(budgets, feature)
  local rest
  for _, one in ipairs(budgets) do
    if not one.total and not one.pattern then
      rest = one.share
    elseif names_it(one, feature) then
      return one.share
    end
  end
  return rest
end

-- A budget for what is not there guards nothing, as where a name is misspelt. nil: each names something.
local function idle_budget(budgets, features)
  for _, one in ipairs(budgets) do
    local used = not one.pattern
    for _, feature in ipairs(used and {} or features) do used = used or names_it(one, feature) end
    if not used then return one.text end
  end
end

-- ---- features ---------------------------------------------------------------------------------------------------

local function vector(side, get)
  local list, sum = {}, 0
  for i, run in ipairs(side) do
    list[i] = get(run) or 0
    sum = sum + list[i]
  end
  return list, sum / #side
end

local function same(a, b)
  for i, x in ipairs(a) do
    if x ~= b[i] then return false end
  end
  return true
end

local function feature_of(sides, kind, name, get)
  local before, x = vector(sides.before, get)
  local after, y = vector(sides.after, get)
  return { kind = kind, name = name, before = before, after = after, most = math.max(x, y), get = get }
end

-- What is tested: the whole, and each function above the floor by self and by total, once where both are the same.
local function features_of(sides, floor)
  local features = { feature_of(sides, "whole", "(whole)", function(run) return run.whole end) }
  features[1].everywhere = {}
  local names, seen = {}, {}
  for _, side in pairs(sides) do
    for _, run in ipairs(side) do
      for name in pairs(run.total) do
        if not seen[name] then seen[name], names[#names + 1] = true, name end
      end
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local total = feature_of(sides, "total", name, function(run) return run.total[name] end)
    if total.most >= floor then
      local self = feature_of(sides, "self", name, function(run) return run.self[name] end)
      if self.most >= floor then features[#features + 1] = self end
      local everything = same(total.before, features[1].before) and same(total.after, features[1].after)
      if everything then
        table.insert(features[1].everywhere, name)
      elseif not (same(self.before, total.before) and same(self.after, total.after)) then
        features[#features + 1] = total
      end
    end
  end
  return features
end

local function transposed(features, side, n)
  local rows = {}
  for r = 1, n do
    local row = {}
    for f, feature in ipairs(features) do row[f] = feature[side][r] end
    rows[r] = row
  end
  return rows
end

-- Of one run a side with slices of time: the dispersion of a feature in each side's, the mean of both.
local function known_of(features, slices)
  if not slices then return nil end
  local known = {}
  for i, feature in ipairs(features) do
    local sum, all = 0, 0
    for _, side in pairs(slices) do
      local dispersion, df = verdict.block_dispersion((vector(side, feature.get)))
      sum, all = sum + df * dispersion, all + df
    end
    known[i] = { all > 0 and sum / all or 0, all }
  end
  return known
end

-- Test features and merge what is found into them.
local function test(features, sides, options)
  local budgets = {}
  for i, feature in ipairs(features) do
    feature.budget = budget_of(options.budgets, feature)
    budgets[i] = feature.budget or 0
  end
  local changes, why, code = verdict.judge(transposed(features, "before", #sides.before),
    transposed(features, "after", #sides.after), budgets, options.factor, options.floor, options.level,
    options.sampling, known_of(features, options.slices))
  if not changes then return nil, why, code end
  for i, change in ipairs(changes) do
    for key, value in pairs(change) do
      if key == "before" or key == "after" then key = key .. "_mean" end
      features[i][key] = value
    end
  end
  return features
end

-- ---- what moved, and where it is --------------------------------------------------------------------------------

-- Who calls whom in any of the runs, where one of them is in `names`: name → set of callers.
local function callers_of(sides, names)
  local all = {}
  for _, side in pairs(sides) do
    for _, run in ipairs(side) do
      for name, callers in pairs(run.profile:callers(names, run.names)) do
        local known = all[name]
        if known then
          for caller in pairs(callers) do known[caller] = true end
        else
          all[name] = callers
        end
      end
    end
  end
  return all
end

local function related(callers, a, b)
  local of_a, of_b = callers[a] or {}, callers[b] or {}
  if of_a[b] or of_b[a] then return true end
  for caller in pairs(of_b) do
    if of_a[caller] then return true end
  end
  return false
end

local function called_by(callers, name)
  local set = {}
  for callee, of in pairs(callers) do
    if of[name] then set[callee] = true end
  end
  return set
end

-- A rename: what the one called before, the other calls; neither is on the other side.
local function renamed(callers, from, to)
  if from.after_mean ~= 0 or to.before_mean ~= 0 then return false end
  local a, b = called_by(callers, from.name), called_by(callers, to.name)
  for name in pairs(a) do
    if b[name] then return true end
  end
  return next(a) == nil and next(b) == nil
end

-- The largest changes alone are paired: each is compared with each.
local most_moves = 100
local function largest(list)
  local function size(f) return math.abs(f.after_mean - f.before_mean) end
  table.sort(list, function(a, b)
    if size(a) ~= size(b) then return size(a) > size(b) end
    return a.name .. a.kind < b.name .. b.kind
  end)
  return table.move(list, 1, math.min(#list, most_moves), 1, {})
end

local function names_of(...)
  local names = {}
  for _, list in ipairs { ... } do
    for _, f in ipairs(list) do names[f.name] = true end
  end
  return names
end

-- Cost that one function lost and another under the same parent got is not cost that grew.
local function find_moved(features, sides, options)
  local fell, grew, moved = {}, {}, {}
  for _, f in ipairs(features) do
    if f.kind ~= "whole" and f.judged and f.adjusted <= options.level then
      local list = f.growth < 0 and fell or grew
      list[#list + 1] = f
    end
  end
  if #fell == 0 or #grew == 0 then return moved end
  fell, grew = largest(fell), largest(grew)
  local callers = callers_of(sides, names_of(fell, grew))
  for _, to in ipairs(grew) do
    local best, least
    for _, from in ipairs(fell) do
      local gain, loss = to.after_mean - to.before_mean, from.before_mean - from.after_mean
      local rest = math.abs(gain - loss)
      if not from.moved and from.kind == to.kind and rest <= math.min(gain, loss) / 4 and (not least or rest < least)
        and related(callers, from.name, to.name) then
        best, least = from, rest
      end
    end
    if best then
      to.moved, best.moved = true, true
      moved[#moved + 1] =
        { from = best.name, to = to.name, samples = to.after_mean - to.before_mean,
          kind = to.kind, renamed = renamed(callers, best, to) }
    end
  end
  return moved
end

-- Counts of the stacks that contain `name` (nil: all) and end in none of the functions of `found`.
local function without(run, name, found)
  local sum = 0
  for frames, value in run.profile:stacks(run.type) do
    local has = name == nil
    local leaf = frames[#frames] and run.names(frames[#frames].name)
    if not found[leaf] then
      for i = 1, has and 0 or #frames do
        if run.names(frames[i].name) == name then
          has = true
          break
        end
      end
      if has then sum = sum + value * run.scale end
    end
  end
  return sum
end

-- The carriers without the stacks that end in one of `found`, tested. nil: there is nothing to test.
local function test_rest(carriers, found, sides, options)
  if not next(found) or #carriers == 0 then return nil end
  local rest = {}
  for i, f in ipairs(carriers) do
    rest[i] = feature_of(sides, f.kind, f.name, function(run)
      return without(run, f.kind == "total" and f.name or nil, found)
    end)
  end
  return assert(test(rest, sides, options))
end

-- A caller that grew only by what is told of a function below it, or is `meant`, is not a second regression.
local function find_carried(failed, meant, sides, options)
  local found, carriers = {}, {}
  for name in pairs(meant) do found[name] = true end
  for _, f in ipairs(failed) do
    if f.kind == "self" then found[f.name] = true else carriers[#carriers + 1] = f end
  end
  for i, f in ipairs(test_rest(carriers, found, sides, options) or {}) do
    carriers[i].carried = not f.judged or f.beyond > options.level or f.growth <= 0
  end
end

-- What is meant to grow makes its callers and the whole grow: these are judged by the rest of what they do. Returns the
-- names of what did grow.
local function forgive_carriers(features, sides, options)
  local found, carriers = {}, {}
  for _, f in ipairs(features) do
    if f.expected and f.kind == "self" and f.growth > 0 then found[f.name] = true end
    if not f.expected and f.kind ~= "self" and f.judged and f.budget and f.growth > 0 then
      carriers[#carriers + 1] = f
    end
  end
  for i, rest in ipairs(test_rest(carriers, found, sides, options) or {}) do
    local f = carriers[i]
    if not rest.judged or rest.high <= f.budget or rest.growth <= 0 then
      f.expected = true
    elseif rest.beyond > options.level then
      f.beyond = rest.beyond
    end
  end
  return found
end

-- ---- the verdict ------------------------------------------------------------------------------------------------

local function expected(options, name)
  for _, one in ipairs(options.expect or {}) do
    if pattern.matches(one, name) then return true end
  end
  return false
end

local function by_size(a, b)
  if a.most ~= b.most then return a.most > b.most end
  return a.name .. a.kind < b.name .. b.kind
end

--- Judge two sets of counted runs.
-- @tparam table sides `before` and `after`: lists of what runs.count returns
-- @tparam table options `budgets` (of judge.budgets), `level`, `floor` (samples a run), `factor`, `expect` (patterns),
--   `sampling` (one run a side will do), `slices` (of that run: counted slices of time, `before` and `after`)
-- @treturn table|nil `answer` ("pass", "fail", "inconclusive"), `failed` (`offenders` of them by themselves, the others
--   with what they call), `open` (neither within nor beyond the budget), `changed`, `moved`, `features`, `guarded` (how
--   many of them have a budget); nil, message, code: "INVAL" where a budget names nothing
function judge.runs(sides, options)
  local features = features_of(sides, options.floor)
  local idle = idle_budget(options.budgets, features)
  if idle then
    return nil, ("--budget %s: no function of %d samples a run is called so"):format(idle, options.floor), "INVAL"
  end
  local why, code
  features, why, code = test(features, sides, options)
  if not features then return nil, why, code end
  local result = { features = features, failed = {}, open = {}, changed = {}, options = options,
    moved = find_moved(features, sides, options), guarded = 0, offenders = 0,
    runs = { before = #sides.before, after = #sides.after } }
  table.sort(features, by_size)
  for _, f in ipairs(features) do f.expected = f.kind ~= "whole" and expected(options, f.name) end
  local meant = forgive_carriers(features, sides, options)
  for _, f in ipairs(features) do
    local judged = f.judged and f.budget
    if judged then result.guarded = result.guarded + 1 end
    if f.judged and f.adjusted <= options.level then result.changed[#result.changed + 1] = f end
    if judged and not f.expected and not f.moved then
      if f.beyond <= options.level and f.growth > 0 then
        result.failed[#result.failed + 1] = f
      elseif f.high > f.budget then
        result.open[#result.open + 1] = f
      end
    end
  end
  find_carried(result.failed, meant, sides, options)
  for _, f in ipairs(result.failed) do result.offenders = result.offenders + (f.carried and 0 or 1) end
  result.answer = #result.failed > 0 and "fail" or #result.open > 0 and "inconclusive" or "pass"
  return result
end

return judge
