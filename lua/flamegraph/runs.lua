-- Sets of runs: many profiles of the same work, and what a verdict counts in them.

local canonical = require "flamegraph.canonical"
local profile = require "flamegraph.profile"
local system = require "flamegraph.system"

local runs = {}

local wild = { ["*"] = ".*", ["?"] = "." }

-- "*.pb.gz", "run[0-4].folded" as a Lua pattern
local function as_pattern(glob)
  local parts, at = {}, 1
  while at <= #glob do
    local negated, set, after = glob:match("^%[([!^]?)([^%]]+)%]()", at)
    local c = glob:sub(at, at)
    if set then
      parts[#parts + 1] = ("[%s%s]"):format(negated ~= "" and "^" or "", (set:gsub("[%%^]", "%%%0")))
    else
      parts[#parts + 1] = wild[c] or c:gsub("%p", "%%%0")
    end
    at = after or at + 1
  end
  return "^" .. table.concat(parts) .. "$"
end

--- The files that a path, a folder or a pattern with *, ? and [a-z] in its last part stands for, sorted. A file that is
-- called as the pattern is itself.
-- @treturn {string,...}|nil nil, message, "IO"
function runs.files(text)
  local folder, last = text:match "^(.-)([^/]*)$"
  local names = system.folder(text)
  if names then
    folder, last = text:gsub("/*$", "/"), "*"
  elseif last:find "[*?[]" and not system.identity(text) then
    local why
    names, why = system.folder(folder == "" and "." or folder)
    if not names then return nil, why, "IO" end
  else
    return { text }
  end
  local found, pattern = {}, as_pattern(last)
  for _, name in ipairs(names) do
    if name:find(pattern) and not name:find "^%." then found[#found + 1] = folder .. name end
  end
  table.sort(found)
  if #found == 0 then return nil, ("%s: no file is called so"):format(text), "IO" end
  return found
end

--- The files of several of these.
-- @treturn {string,...}|nil nil, message, "IO"
function runs.all_files(patterns)
  local list = {}
  for _, text in ipairs(patterns) do
    local paths, why, code = runs.files(text)
    if not paths then return nil, why, code end
    table.move(paths, 1, #paths, #list + 1, list)
  end
  return list
end

--- Whether a side is a single file.
function runs.is_one(patterns)
  local paths = #patterns == 1 and runs.files(patterns[1])
  return paths and #paths == 1 or false
end

--- Read all runs of a side.
-- @treturn {Profile,...}|nil nil, message, code
function runs.read(patterns, reading)
  local paths, why, code = runs.all_files(patterns)
  if not paths then return nil, why, code end
  local list = {}
  for i, path in ipairs(paths) do
    list[i], why, code = profile.read(path, reading)
    if not list[i] then return nil, why, code end
  end
  return list
end

-- Samples of a profile; where nobody counted them, values are taken for samples.
local function samples_of(p, type)
  local samples = p:quality().samples
  return samples > 0 and samples or p:total(type)
end

-- Where samples themselves are the value in all profiles: what one stands for, as they may have been taken at different
-- rates. Else a value is worth what it says.
local function worth_in(lists, type)
  local function period_of(p)
    local period = p:meta "period" or 0
    return period > 0 and p:total(type) == p:quality().samples and period
  end
  for _, list in pairs(lists) do
    for _, p in ipairs(list) do
      if not period_of(p) then return function() return 1 end end
    end
  end
  return period_of
end

-- How many samples a unit of worth is. Dispersion and floor are about samples, and changes about values: so it is one
-- figure for all runs, that of the side with fewer samples for what it is worth.
local function samples_per_unit(lists, type, worth)
  local least
  for _, list in pairs(lists) do
    local samples, value = 0, 0
    for _, p in ipairs(list) do
      samples, value = samples + samples_of(p, type), value + p:total(type) * worth(p)
    end
    if samples > 0 and value > 0 then least = math.min(least or math.huge, samples / value) end
  end
  return least or 1
end

--- Count a run: samples by function, ended in it and containing it, recursion once.
-- @tparam Profile p
-- @tparam table options `type`; `names` (name → canonical name)
-- @tparam number scale samples in a unit of the value type
-- @treturn table `self`, `total` (by name), `whole`, `samples` (that were taken), `profile`, `names`, `type`, `scale`
function runs.count(p, options, scale)
  local type = options.type or p:meta "default_type" or p:types()[1].name
  local run = { self = {}, total = {}, whole = p:total(type) * scale, samples = samples_of(p, type), profile = p,
    names = options.names, scale = scale, type = type }
  for _, row in ipairs(p:top { limit = 0, type = type, names = options.names }) do
    run.self[row.name], run.total[row.name] = row.self * scale, row.total * scale
  end
  return run
end

--- Count runs that are compared with each other: what they count is proportional to their values, whatever rates they
-- were sampled at.
-- @tparam table lists side → profiles
-- @tparam table options as of runs.count
-- @treturn table side → what runs.count returned
function runs.count_all(lists, options)
  local worth = worth_in(lists, options.type)
  local scale, counted = samples_per_unit(lists, options.type, worth), {}
  for side, list in pairs(lists) do
    counted[side] = {}
    for i, p in ipairs(list) do counted[side][i] = runs.count(p, options, scale * worth(p)) end
  end
  return counted
end

--- Count the slices of time of a run (see Profile:slices), the unit being that of the run.
-- @treturn {table,...}|nil nil, message, code
function runs.count_slices(run, options)
  local list = {}
  for i = 1, run.profile:slices() do
    local slice, why, code = run.profile:slice(i)
    if not slice then return nil, why, code end
    list[i] = runs.count(slice, options, run.scale)
  end
  return list
end

--- A function from a frame's name to the name that is matched, remembered.
function runs.namer(options)
  local known = {}
  return function(name)
    local to = known[name]
    if not to then
      to = options.canonical == false and name or canonical.name(name, options.templates)
      known[name] = to
    end
    return to
  end
end

-- What makes a verdict worthless, as rows: what it is, where its limit lies, and the remedy.
local refusals = {
  { limit = 0.1, what = "of the cost is in frames without a name", remedy = "install debug symbols, or build with -g",
    share = function(q) return q.unknown end },
  { limit = 0.05, what = "of the samples were lost", remedy = "sample at a lower rate",
    share = function(q) return (q.lost or 0) / math.max(1, (q.lost or 0) + q.samples) end },
  { limit = 0.2, what = "of the stacks are cut short",
    remedy = "give perf --with unwind=dwarf --with stack=32k, or build with frame pointers",
    share = function(q) return (q.truncated or 0) / math.max(1, q.samples) end },
}

--- Why a run must not be judged by; nil where it may.
function runs.refusal(run, least_samples)
  local quality = run.profile:quality()
  for _, row in ipairs(refusals) do
    local share = row.share(quality)
    if share > row.limit then return ("%.0f %% %s: %s"):format(100 * share, row.what, row.remedy) end
  end
  if run.samples < least_samples then
    return ("it has %.0f samples, and %d are needed: run longer, or sample at a higher rate"):format(run.samples,
      least_samples)
  end
end

return runs
