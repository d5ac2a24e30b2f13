-- What the gate's verdicts are worth, measured on recorded runs: the table of docs/verdicts.md.
--
--   ./dev bench verdicts [TRIALS] [--write]       or, in a built tree: lua5.4 tests/bench/verdicts.lua [TRIALS [CSV]]
--
-- A CSV of tests/data has a row for each run: variant, run, then samples by function. Runs are drawn at random without
-- replacement, again and again. `a` against `a` shows false alarms; a growth that is put into one side shows what is
-- detected at the detectable effect; `a` against `b`, where there is a `b`, shows power beside a paired t test.

local root = arg[0]:match "^(.-)tests/bench/[^/]*$" or "./"
local build = os.getenv "FG_BUILD" or root .. "build"
package.cpath = build .. "/lua/?.so;" .. package.cpath
require "flamegraph"
local judge = require "flamegraph.judge"
local trial = require "flamegraph.trial"
local verdict = require "flamegraph.verdict"

local trials = tonumber(arg[1]) or 2000
local level, floor = 0.01, 10
local random = trial.random(20)

local function read(name)
  local sides, functions = { a = {}, b = {} }, {}
  for line in io.lines(root .. "tests/data/" .. name) do
    local variant, rest = line:match "^(%w+),%w+,(.*)$"
    if sides[variant] then
      local run = { self = {}, total = {}, parents = {}, whole = 0, counts = {} }
      for n in rest:gmatch "%d+" do run.counts[#run.counts + 1] = tonumber(n) end
      table.insert(sides[variant], run)
    else
      for f in rest:gmatch "[^,]+" do functions[#functions + 1] = f end
    end
  end
  return sides, functions
end

-- The stacks of a run: each function by itself.
local function stacks_of(run, functions)
  return function()
    local i = 0
    return function()
      i = i + 1
      if functions[i] then return { { name = functions[i] } }, run.counts[i] end
    end
  end
end

local function named(run, functions)
  local out = { self = {}, total = {}, parents = {}, whole = 0, scale = 1,
    profile = { stacks = stacks_of(run, functions), callers = function() return {} end },
    names = function(name) return name end }
  for i, name in ipairs(functions) do
    out.self[name], out.total[name] = run.counts[i], run.counts[i]
    out.whole = out.whole + run.counts[i]
  end
  return out
end

local function shuffled(list)
  local out = table.move(list, 1, #list, 1, {})
  for i = #out, 2, -1 do
    local k = random(i)
    out[i], out[k] = out[k], out[i]
  end
  return out
end

local function counts_of(runs)
  local rows = {}
  for i, run in ipairs(runs) do rows[i] = run.counts end
  return rows
end

local budget = 0.02
local function changes_of(before, after)
  local budgets = {}
  for i = 1, #before[1].counts do budgets[i] = budget end
  return assert(verdict.judge(counts_of(before), counts_of(after), budgets, 1, floor, level))
end

-- ---- random numbers --------------------------------------------------------------------------------------------

local function share() return (random(1000000) - 0.5) / 1000000 end

-- A share of `n` samples, as even as they are: rounded up as often as the fraction says. Tossing a coin for each would
-- make a timer that ticks evenly into one that ticks at random.
local function part_of(n, portion) return math.floor(n * portion + share()) end

local function normal() return math.sqrt(-2 * math.log(share())) * math.cos(2 * math.pi * share()) end

-- Marsaglia and Tsang (2000), for a shape of 1 and more.
local function gamma(shape)
  local d = shape - 1 / 3
  while true do
    local x = normal()
    local v = (1 + x / math.sqrt(9 * d)) ^ 3
    if v > 0 and math.log(share()) < x * x / 2 + d - d * v + d * math.log(v) then return d * v end
  end
end

-- By multiplication; of a large mean, halves of it together (Knuth's way, and the normal one beyond).
local function poisson(mean)
  if mean > 500 then return math.max(0, math.floor(mean + math.sqrt(mean) * normal() + 0.5)) end
  local limit, product, n = math.exp(-mean), share(), 0
  while product > limit do product, n = product * share(), n + 1 end
  return n
end

-- Variance over mean of a function in all runs, and the mean.
local function dispersion_of(runs, f)
  local sum, squares = 0, 0
  for _, run in ipairs(runs) do sum, squares = sum + run.counts[f], squares + run.counts[f] ^ 2 end
  local mean = sum / #runs
  return (squares / #runs - mean ^ 2) / math.max(mean, 1e-9), mean
end

-- What a function with more work counts. Where its dispersion is above 1, each run has its own speed: the count
-- tells it as far as a count can (a negative binomial's posterior), and the growth is sampled at that speed. Where it
-- is not, more samples, as even as those that it has: drawn from other runs.
local function grown(runs, f, growth, pool)
  local out = {}
  local dispersion, mean = dispersion_of(pool, f)
  for i, run in ipairs(runs) do
    local counts = table.move(run.counts, 1, #run.counts, 1, {})
    if dispersion > 1.05 then
      local prior = 1 / (dispersion - 1)
      counts[f] = counts[f] + poisson(growth * gamma(math.max(1, mean * prior + counts[f])) / (prior + 1))
    else
      local left = growth
      if left > 20 then counts[f], left = counts[f] + poisson(growth * mean), 0 end
      while left > 0 do
        counts[f] = counts[f] + part_of(pool[random(#pool)].counts[f], math.min(left, 1))
        left = left - 1
      end
    end
    out[i] = { counts = counts }
  end
  return out
end

-- ---- the simple method: paired t, Benjamini and Hochberg --------------------------------------------------------

local function t_tail(t, df)
  return verdict.t_tail(t, df)
end

local function paired(before, after)
  local found, ps = {}, {}
  for f = 1, #before[1].counts do
    local n, sum, squares, size = #before, 0, 0, 0
    for i = 1, n do
      local d = after[i].counts[f] - before[i].counts[f]
      sum, squares = sum + d, squares + d * d
      size = size + (after[i].counts[f] + before[i].counts[f]) / 2
    end
    local mean = sum / n
    local sd = math.sqrt(math.max(0, squares - n * mean * mean) / (n - 1))
    if size / n >= floor then
      local p = sd > 0 and 2 * t_tail(math.abs(mean) / (sd / math.sqrt(n)), n - 1) or 1
      ps[#ps + 1] = { f = f, p = p }
    end
  end
  table.sort(ps, function(x, y) return x.p < y.p end)
  local last = 0
  for rank, one in ipairs(ps) do
    if one.p <= level * rank / #ps then last = rank end
  end
  for rank = 1, last do found[ps[rank].f] = true end
  return found
end

-- ---- measurements -----------------------------------------------------------------------------------------------

-- A against A: verdicts that fail, and how often the most often reported function is reported.
local function false_alarms(runs, functions, n)
  local options = { budgets = assert(judge.budgets "2%"), level = level, floor = floor, factor = 1,
    names = function(name) return name end }
  local failed, reported, most = 0, {}, 0
  for _ = 1, trials do
    local drawn = shuffled(runs)
    local sides = { before = {}, after = {} }
    for i = 1, n do
      sides.before[i], sides.after[i] = named(drawn[i], functions), named(drawn[n + i], functions)
    end
    local result = assert(judge.runs(sides, options))
    if result.answer == "fail" then failed = failed + 1 end
    for _, f in ipairs(result.changed) do
      reported[f.name] = (reported[f.name] or 0) + 1
      most = math.max(most, reported[f.name])
    end
  end
  return failed, most
end

local function two_sides(runs, n)
  local drawn = shuffled(runs)
  return table.move(drawn, 1, n, 1, {}), table.move(drawn, n + 1, 2 * n, 1, {})
end

-- The share found of growths as large as the detectable effect that was printed: other runs are drawn, and have it.
local function detection(runs, n)
  local found, tried = 0, 0
  for _ = 1, trials do
    local changes, judged = changes_of(two_sides(runs, n)), {}
    for f, c in ipairs(changes) do
      if c.judged and c.detectable < 1e3 then judged[#judged + 1] = f end
    end
    if #judged > 0 then
      local f = judged[random(#judged)]
      local before, after = two_sides(runs, n)
      local c = changes_of(before, grown(after, f, changes[f].detectable, runs))[f]
      tried = tried + 1
      if c.beyond <= level and c.growth > 0 then found = found + 1 end
    end
  end
  return found, tried
end

-- How many of the judged functions that do change (`changed`: their columns) are found: ours, paired t, of how many.
local function power(sides, changed, n)
  local ours, theirs, of = 0, 0, 0
  for _ = 1, trials do
    local before = table.move(shuffled(sides.a), 1, n, 1, {})
    local after = table.move(shuffled(sides.b), 1, n, 1, {})
    local changes, found = changes_of(before, after), paired(before, after)
    for f in pairs(changed) do
      of = of + 1
      if changes[f].judged and changes[f].adjusted <= level then ours = ours + 1 end
      if found[f] then theirs = theirs + 1 end
    end
  end
  return ours, theirs, of
end

-- How often paired t finds anything at all where nothing changed.
local function paired_alarms(runs, n)
  local any = 0
  for _ = 1, trials do
    if next(paired(two_sides(runs, n))) then any = any + 1 end
  end
  return any
end

local programs = {
  { file = "gate-runs.csv", name = "one thread, memory", changed = { "fn03", "fn10", "fn22" } },
  { file = "gate-threads.csv", name = "four threads" },
  { file = "gate-service.csv", name = "Node service" },
  { file = "gate-python.csv", name = "Python service", changed = { "hashed ", "ordered ", "match " } },
  { file = "gate-go.csv", name = "Go service",
    changed = { "main.sums", "slices.partitionOrdered", "regexp.(*Regexp).tryBacktrack" } },
  { file = "gate-itself.csv", name = "flame-graph diff, held out" },
  { file = "gate-starved.csv", name = "Node, starved, held out" },
}

-- The columns whose names begin so.
local function columns(functions, names)
  local set = {}
  for i, name in ipairs(functions) do
    for _, begin in ipairs(names) do
      if name:sub(1, #begin) == begin then set[i] = true end
    end
  end
  return set
end

-- Wilson's (1927) interval of 95 % for a share.
local function interval(hits, n)
  local z = 1.96
  local share_, wide = hits / n, z * math.sqrt(hits * (n - hits) / n + z * z / 4)
  local middle = (hits + z * z / 2) / (n + z * z)
  return math.min(share_, middle - wide / (n + z * z)), math.max(share_, middle + wide / (n + z * z))
end

local function percent(hits, n)
  if not n or n == 0 then return "–" end
  local low, high = interval(hits, n)
  return ("%.1f (%.1f–%.1f)"):format(100 * hits / n, 100 * low, 100 * high)
end

-- The rows of a program.
local function measure(program)
  local sides, functions = read(program.file)
  for _, n in ipairs { 3, 4, 5, 7, 10, 15, 20, 30 } do
    if 2 * n <= #sides.a then
      local failed, most = false_alarms(sides.a, functions, n)
      local cells = { program.name, n, percent(failed, trials), percent(most, trials) }
      cells[5], cells[6], cells[7] = percent(detection(sides.a, n)), "–", "–"
      cells[8] = percent(paired_alarms(sides.a, n), trials)
      if program.changed then
        local ours, theirs, of = power(sides, columns(functions, program.changed), n)
        cells[6], cells[7] = percent(ours, of), percent(theirs, of)
      end
      print("| " .. table.concat(cells, " | ") .. " |")
      io.stdout:flush()
    end
  end
end

-- Each program in a process of its own.
local function measure_all()
  print(("%d trials for each figure, in %%, with intervals of 95 %%; level %g %%, budget %g %%, floor %d samples "
    .. "a run\n"):format(trials, 100 * level, 100 * budget, floor))
  print("| program | runs a side | whole verdict false | most reported function | found at the detectable effect "
    .. "| power | power, paired t | paired t: any false |")
  print "|---|---:|---:|---:|---:|---:|---:|---:|"
  local running = {}
  for i, program in ipairs(programs) do
    running[i] = assert(io.popen(("'%s' '%s' %d %s"):format(arg[-1], arg[0], trials, program.file)))
  end
  for _, pipe in ipairs(running) do
    io.write(pipe:read "a")
    io.stdout:flush()
    if not pipe:close() then os.exit(1) end
  end
end

if not arg[2] then return measure_all() end
for _, program in ipairs(programs) do
  if program.file == arg[2] then measure(program) end
end
