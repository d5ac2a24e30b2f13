local fg = require "flamegraph"
local arguments = require "flamegraph.args"
local canonical = require "flamegraph.canonical"
local files = require "flamegraph.files"
local judge = require "flamegraph.judge"
local pattern = require "flamegraph.pattern"
local report = require "flamegraph.verdict_report"
local runs = require "flamegraph.runs"
local sides = require "flamegraph.sides"
local system = require "flamegraph.system"
local trial = require "flamegraph.trial"
local verdict = require "flamegraph.verdict"

-- ---- what is judged ---------------------------------------------------------------------------------------------

local function mean_whole(side)
  local sum = 0
  for _, run in ipairs(side) do sum = sum + run.whole end
  return sum / #side
end

-- Units of work in a run of a side, in the mean: as given, or as a load recorded them. nil: not known.
local function mean_units(args, profiles, side)
  if args["units_" .. side] then return args["units_" .. side] end
  local sum = 0
  for _, p in ipairs(profiles) do
    local units = p:meta "units"
    if not units then return nil end
    sum = sum + units
  end
  return sum / #profiles
end

local function units_of(args, taken, side)
  local profiles = {}
  for i, run in ipairs(taken[side]) do profiles[i] = run.profile end
  return mean_units(args, profiles, side)
end

local function factor_of(args, taken)
  if args.normalize == "share" then return mean_whole(taken.before) / mean_whole(taken.after) end
  if args.normalize ~= "per-unit" then return 1 end
  local before, after = units_of(args, taken, "before"), units_of(args, taken, "after")
  if before and after then return before / after end
  return nil, "--normalize per-unit needs --units-before and --units-after, or runs of services under --load"
end

local function options_of(args, level)
  local expect = {}
  for i, text in ipairs(args.expect or {}) do expect[i] = pattern.compile(text) end
  return { budgets = assert(judge.budgets(args.budget)), budget = args.budget,
    level = level or args.level, floor = args.floor,
    expect = expect, type = args.type, normalize = args.normalize,
    names = runs.namer { canonical = not args.no_canonical, templates = args.no_templates } }
end

-- Profiles that must not decide anything end the gate.
local function refusal(args, taken)
  for _, side in ipairs(sides.names) do
    for i, run in ipairs(taken[side]) do
      local why = runs.refusal(run, args.min_samples)
      if why then return ("run %d of %s cannot be judged by: %s"):format(i, side, why) end
    end
  end
end

local function same_counts(a, b)
  for name, n in pairs(a.self) do
    if b.self[name] ~= n then return false end
  end
  return a.whole == b.whole
end

-- Runs that are the same to the sample are copies, and tell nothing of how runs differ.
local function note_copies(notes, taken)
  for _, side in ipairs(sides.names) do
    local first = taken[side][1]
    for i = 2, #taken[side] do
      if same_counts(first, taken[side][i]) then
        notes[#notes + 1] = ("runs 1 and %d of %s are the same: copies do not tell what runs differ by"):format(i, side)
        break
      end
    end
  end
end

local function judged(args, profiles, level)
  local problem = sides.type_problem(profiles.before, args.type) or sides.type_problem(profiles.after, args.type)
  if problem then return nil, problem, "INVAL" end
  local options = options_of(args, level)
  local taken = runs.count_all(profiles, options)
  local why = refusal(args, taken)
  if why then return nil, why, "INVAL" end
  options.factor, why = factor_of(args, taken)
  if not options.factor then return nil, why, "INVAL" end
  local result, message, code = judge.runs(taken, options)
  if not result then return nil, message, code end
  result.notes = sides.notes(profiles.before, profiles.after)
  note_copies(result.notes, taken)
  result.quality = { before = sides.quality(profiles.before), after = sides.quality(profiles.after) }
  return result
end

-- ---- how to do it again -----------------------------------------------------------------------------------------

-- What the verdict on runs that are there depends on.
local judging = { "budget", "expect", "level", "floor", "min_samples", "normalize", "units_before", "units_after",
  "no_canonical", "no_templates", "type" }

-- The command that judges the runs of these files in the same way; `changes` has values that nobody gave.
local function judge_again(args, before, after, changes)
  local given, list = {}, { { "before", before }, { "after", after } }
  for _, row in ipairs(arguments.given(args)) do given[row[1]] = row[2] end
  for _, name in ipairs(judging) do list[#list + 1] = { name, changes[name] or given[name] } end
  return report.command("gate", list)
end

-- The command that makes such runs again, in the same order.
local function make_again(args, seed)
  local list = arguments.given(args)
  if not args.seed then list[#list + 1] = { "seed", seed } end
  return report.command("gate", list)
end

-- ---- making runs ------------------------------------------------------------------------------------------------

-- Further arguments of the collector, NAME=VALUE.
local function more_values(args)
  local values = {}
  for _, text in ipairs(args.with or {}) do
    local name, value = text:match "^([%w_-]+)=(.*)$"
    if not name then return nil, ("--with takes NAME=VALUE, not '%s'"):format(text), "INVAL" end
    values[(name:gsub("-", "_"))] = value
  end
  return values
end

local function variant(args, side)
  local values = assert(more_values(args))
  if not (args[side .. "_cmd"] or args.cmd) then values.duration = args.duration end
  return { command = args[side .. "_cmd"] or args.cmd, url = args[side .. "_url"] or args.url,
    collector = args.collector, values = values, load = args.load }
end

-- One pair; profiles go to the end of the lists unless it warms up.
local function take_pair(args, folder, number, before_first, profiles)
  for _, side in ipairs(before_first and { "before", "after" } or { "after", "before" }) do
    local what = variant(args, side)
    what.path = ("%s/%s/%s%03d.pb.gz"):format(folder, side, profiles and "run" or ".warm", number)
    if not args.collector then what.path = what.path:gsub("%.pb%.gz$", "") end
    local p, why, code = trial.run(what)
    if not p then return nil, ("%s, %s %d: %s"):format(side, profiles and "run" or "warm-up", number, why), code end
    local problem = sides.type_problem({ p }, args.type)
    if problem then return nil, problem, "INVAL" end
    if profiles then table.insert(profiles[side], p) else os.remove(what.path) end
  end
  return true
end

-- A folder for the runs. What nobody named goes away again where nobody misses it: after a pass, or empty.
local function prepare_folder(args)
  local folder = { path = args.keep or ("%s/flame-graph-gate-%d"):format(os.getenv "TMPDIR" or "/tmp", system.time()),
    kept = args.keep ~= nil }
  for _, side in ipairs(sides.names) do assert(trial.folder(folder.path .. "/" .. side)) end
  return setmetatable(folder, {
    __close = function(self)
      if self.kept then return end
      if not self.passed and trial.has_runs(self.path) then
        fg.log("the runs are kept in %s", self.path)
      else
        trial.remove(self.path)
      end
    end,
  })
end

-- Runs until the number is reached or, with --max-runs, the answer is settled: looks at 1/k, 2/k … of the runs.
local function make(args)
  local made <close> = prepare_folder(args)
  local folder, seed = made.path, args.seed or system.time() % 1000000
  local most = args.max_runs or args.runs
  local order, profiles = trial.order(most, trial.random(seed)), { before = {}, after = {} }
  fg.log(args.keep and "seed %d; the runs are kept in %s" or "seed %d", seed, folder)
  local making = most > args.runs and ("making %d to %d runs a side"):format(args.runs, most)
    or ("making %d runs a side"):format(most)
  local bar <close> = fg.progress { text = making, covers = true }
  bar:update {} -- where there is no terminal, it is told now
  for i = 1, args.warmup do assert(take_pair(args, folder, i, true, nil)) end
  local spent, at_first = 0, trial.environment()
  local function finished(result, level)
    local units = args.normalize == "per-unit"
    result.environment = at_first
    for _, note in ipairs(trial.differences(at_first, trial.environment(), "at first", "at last")) do
      table.insert(result.notes, note)
    end
    result.made = make_again(args, seed)
    made.passed = result.answer == "pass"
    if made.passed and not args.keep then return result end
    result.again = judge_again(args, folder .. "/before/*", folder .. "/after/*", { level = level,
      units_before = units and mean_units(args, profiles.before, "before") or nil,
      units_after = units and mean_units(args, profiles.after, "after") or nil })
    return result
  end
  for i = 1, most do
    bar:update { text = ("pair %d of %d"):format(i, most) }
    assert(take_pair(args, folder, i, order[i], profiles))
    if args.max_runs and i >= args.runs and (i % args.runs == 0 or i == most) then
      local allowed = verdict.spent(args.level, i / most)
      local level = allowed - spent
      if level > 1e-12 then
        local result = assert(judged(args, profiles, level))
        if result.answer ~= "inconclusive" or i == most then return finished(result, level) end
        spent = allowed
      end
    end
  end
  return finished(assert(judged(args, profiles)))
end

-- ---- calibration ------------------------------------------------------------------------------------------------

-- Runs of one program, split at random into two sides many times: whatever is found then is a false alarm.
local function calibrate(args)
  local list, random = {}, trial.random(args.seed or 1)
  if args.before then
    list = assert(runs.read(args.before))
  else
    local made <close> = prepare_folder(args)
    local folder = made.path
    for i = 1, args.runs do
      local what = variant(args, "before")
      what.path = ("%s/before/run%03d%s"):format(folder, i, args.collector and ".pb.gz" or "")
      list[i] = assert(trial.run(what))
    end
    made.passed = true -- they are read, and nobody asked for them
  end
  local wrong = sides.type_problem(list, args.type)
  assert(not wrong, wrong, "INVAL")
  local options = options_of(args)
  local all, half, alarms, detectable = runs.count_all({ list }, options)[1], #list // 2, 0, {}
  options.factor = 1
  for _ = 1, args.trials do
    for i = #all, 2, -1 do
      local k = random(i)
      all[i], all[k] = all[k], all[i]
    end
    local split = { before = table.move(all, 1, half, 1, {}), after = table.move(all, half + 1, 2 * half, 1, {}) }
    local result = assert(judge.runs(split, options))
    if result.answer == "fail" then alarms = alarms + 1 end
    for _, f in ipairs(result.features) do
      if f.judged then
        local key = f.kind .. " " .. f.name
        detectable[key] = detectable[key] or { name = f.name, kind = f.kind, sum = 0, n = 0, most = f.most }
        detectable[key].sum, detectable[key].n = detectable[key].sum + f.detectable, detectable[key].n + 1
      end
    end
  end
  local lines = { ("%d comparisons of the program with itself, %d runs a side: %d false alarms (%.2f %%)"):format(
    args.trials, half, alarms, 100 * alarms / args.trials) }
  local rows = {}
  for _, row in pairs(detectable) do rows[#rows + 1] = row end
  table.sort(rows, function(a, b) return a.most > b.most or a.most == b.most and a.name < b.name end)
  for i, row in ipairs(rows) do
    if i > 20 then break end
    lines[#lines + 1] = ("  %-6s %-40s detectable from %s"):format(row.kind, row.name,
      report.detectable(row.sum / row.n, half))
  end
  return table.concat(lines, "\n") .. "\n"
end

-- ---- the recipe -------------------------------------------------------------------------------------------------

-- The folder of the first runs of a side.
local function folder_of(paths)
  return (assert(runs.files(paths[1]))[1]:match "^(.-)/?[^/]*$")
end

local function add_environment(result, before, after)
  local a, b = trial.recorded(folder_of(before)), trial.recorded(folder_of(after))
  result.environment = a or b
  for _, note in ipairs(a and b and trial.differences(a, b) or {}) do table.insert(result.notes, note) end
end

-- A file that is on both sides says nothing of a change, and its runs are not independent of each other.
local function must_differ(before, after)
  local seen, same, files_after = {}, {}, assert(runs.all_files(after))
  for _, path in ipairs(assert(runs.all_files(before))) do seen[system.identity(path) or path] = true end
  for _, path in ipairs(files_after) do
    if seen[system.identity(path) or path] then same[#same + 1] = path end
  end
  if #same == 0 then return true end
  local text = "%d of the %d files of after are files of before as well (%s): a change is judged by runs of its own; "
    .. "how much runs of one program differ is what --calibrate --before tells"
  return nil, text:format(#same, #files_after, same[1]), "INVAL"
end

local function saved(args)
  local before = args.baseline and { args.baseline } or args.before
  assert(must_differ(before, args.after))
  local profiles = { before = assert(runs.read(before)), after = assert(runs.read(args.after)) }
  local result = assert(judged(args, profiles))
  add_environment(result, before, args.after)
  result.again = judge_again(args, before, args.after, {})
  return result
end

local function makes_runs(args)
  return (args.before_cmd and args.after_cmd) or (args.before_url and args.after_url and args.collector)
end

local function problem(args)
  local ok, why = judge.budgets(args.budget)
  if not ok then return "--budget " .. why end
  for _, path in ipairs(args.report or {}) do
    if not report.format(path) then return ("--report %s: ends in .txt, .md, .json or .xml"):format(path) end
    why = files.problem("--report", path)
    if why then return why end
  end
  local values
  values, why = more_values(args)
  why = why or args.collector and trial.problem(args.collector, values)
  if why then return why end
  if args.calibrate then
    if not (args.cmd or args.before or args.url) then return "--calibrate needs --cmd, --before or --url" end
  elseif not makes_runs(args) and not ((args.before or args.baseline) and args.after) then
    return "give --before and --after, or --before-cmd and --after-cmd, or --before-url, --after-url and --collector"
  end
end

local answers = { fail = "regression", inconclusive = "inconclusive" }

return fg.recipe {
  name = "gate",
  summary = "Judge whether a change made a program slower: pass, fail or inconclusive",
  description = "Compares many runs of each side and knows how noisy they are. Exit status: 0 the budget is kept, 1 it "
    .. "is exceeded, 3 the runs cannot tell (the report says what would settle it), 2 trouble, profiles of poor "
    .. "quality included."
    .. " A command that is run without --collector writes its profile into the file that $FG_PROFILE names.",
  examples = {
    "flame-graph gate --before 'runs/a/*' --after 'runs/b/*' --budget 2%",
    "flame-graph gate --before-cmd ./old --after-cmd ./new --runs 20 --collector perf --budget 'total=1%,parse_.*=5%'",
    "flame-graph gate --calibrate --before 'runs/a/*'",
  },
  args = {
    { "before", type = "path", list = true, metavar = "RUNS", help = "runs to compare with: files, folder, pattern" },
    { "after", type = "path", list = true, metavar = "RUNS", help = "runs to judge" },
    { "baseline", type = "path", metavar = "DIR", help = "folder of runs to compare with: the last good ones" },
    { "budget", metavar = "SHARE", default = "2%", help = "growth that is allowed: 2%, or 'total=1%,REGEX=5%'" },
    { "expect", type = "pattern", list = true, help = "functions that are meant to change" },
    { "level", type = "number", default = 0.01, min = 1e-6, max = 0.2, help = "false discovery rate" },
    { "floor", type = "number", default = 10, min = 1, help = "functions with fewer samples a run are not judged" },
    { "min_samples", type = "integer", default = 100, help = "samples that each run must have" },
    { "normalize", type = "enum", choices = { "absolute", "share", "per-unit" }, default = "absolute",
      help = "values as measured, shares of the whole, or by units of work" },
    { "units_before", type = "number", min = 1e-9,
      help = "units of work in a run of before; otherwise those of --load" },
    { "units_after", type = "number", min = 1e-9, help = "units of work in a run of after" },
    { "no_canonical", type = "boolean", help = "match names as they are" },
    { "no_templates", type = "boolean", help = "match C++ names without their template arguments" },
    { "show_rules", type = "boolean", help = "print the rules that make names canonical, and end" },
    { "report", type = "path", list = true, metavar = "FILE",
      help = "report to write: .txt, .md, .json, .xml (JUnit); otherwise a text on standard output" },
    { "type", metavar = "TYPE", help = "value type to compare (cpu, alloc_space, …)" },
    { "before_cmd", metavar = "COMMAND", help = "makes a run of before" },
    { "after_cmd", metavar = "COMMAND", help = "makes a run of after" },
    { "cmd", metavar = "COMMAND", help = "makes a run, for --calibrate" },
    { "before_url", type = "url", help = "service to compare with" },
    { "after_url", type = "url", help = "service to judge" },
    fg.arg.url { help = "service to calibrate with" },
    { "collector", type = "collector", help = "what makes the profiles" },
    { "with", metavar = "NAME=VALUE", list = true, help = "any other argument of the collector: rate=999" },
    fg.arg.duration { default = "10s", help = "how long a run of a service is profiled" },
    { "runs", type = "integer", min = 2, default = 20, help = "runs a side; with --max-runs, runs between two looks" },
    { "max_runs", type = "integer", min = 2, help = "go on until it is settled, at most so many runs a side" },
    { "warmup", type = "integer", default = 1, help = "pairs of runs that are not counted" },
    { "keep", type = "path", metavar = "DIR", help = "folder for the runs that are made" },
    { "seed", type = "integer", help = "of the order of the runs" },
    { "calibrate", type = "boolean", help = "compare a program with itself, and say how often that fails" },
    fg.arg.load(),
    { "trials", type = "integer", default = 500, min = 1, help = "comparisons of --calibrate" },
  },
  run = function(args)
    if args.show_rules then return files.write("-", canonical.show()) end
    local why = problem(args)
    if why then return nil, why, "INVAL" end
    if args.calibrate then return files.write("-", calibrate(args)) end
    local result = (makes_runs(args) and make or saved)(args)
    for _, path in ipairs(args.report or { "-" }) do
      assert(files.write(path, report.of(result, report.format(path))))
    end
    local answer = answers[result.answer]
    for _, line in ipairs(args.report and report.offenders(result) or {}) do fg.log("%s", line) end
    if answer then
      return answer, ("%s: %d beyond the budget, %d open"):format(result.answer, result.offenders, #result.open)
    end
    return true
  end,
}
