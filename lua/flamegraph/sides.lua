-- What is to be known of the two sides of a comparison: how their profiles were taken, how good they are, where they
-- differ.

local profile = require "flamegraph.profile"

local sides = { names = { "before", "after" } }

local function mean(list, get)
  local sum = 0
  for _, p in ipairs(list) do sum = sum + (get(p) or 0) end
  return sum / #list
end

-- The same, where all of them know it.
local function mean_known(list, get)
  for _, p in ipairs(list) do
    if not get(p) then return nil end
  end
  return mean(list, get)
end

--- Close a side's profiles: large ones are not to wait for the garbage collector.
-- @tparam {Profile,...} list
function sides.close(list)
  for _, p in ipairs(list) do p:close() end
end

local function most(list, get)
  local best = 0
  for _, p in ipairs(list) do best = math.max(best, get(p) or 0) end
  return best
end

-- When the first and the last of them were started; nil: not known.
local function started(list)
  local first, last
  for _, p in ipairs(list) do
    local start = p:meta "start"
    if not start then return nil end
    first, last = math.min(first or start, start), math.max(last or start, start)
  end
  return first, last
end

--- The quality of a side's profiles.
-- @tparam {Profile,...} list
-- @treturn table `runs`; `samples`, `lost`, `failed`, `truncated` and `duration` (seconds) of a run in the mean, those
--   of them that are known; `unknown`, the greatest share; `collector`, `engine`, `start` (ns) where these are known
function sides.quality(list)
  local function of(key) return function(p) return p:quality()[key] end end
  return { runs = #list, samples = mean(list, of "samples"), lost = mean_known(list, of "lost"),
    failed = mean_known(list, of "failed"), truncated = mean_known(list, of "truncated"),
    unknown = most(list, of "unknown"),
    duration = mean(list, function(p) return p:meta "duration" end) / 1e9, start = (started(list)),
    collector = list[1]:meta "collector", engine = list[1]:meta "engine" }
end

--- A side's quality for a person: "3 runs by perf, 1,600 samples a run, 0 lost, 0 cut short, 1.2 % unknown".
function sides.text(quality)
  local q, a_run = quality, quality.runs == 1 and "" or " a run"
  local by = q.collector and (" by %s%s"):format(q.collector, q.engine and " (" .. q.engine .. ")" or "") or ""
  local parts = { ("%d run%s%s"):format(q.runs, q.runs == 1 and "" or "s", by),
    q.samples > 0 and profile.value_text(q.samples, "count") .. a_run or "number of samples not known",
  }
  if q.lost then parts[#parts + 1] = ("%.0f lost"):format(q.lost) end
  if q.truncated then parts[#parts + 1] = ("%.0f cut short"):format(q.truncated) end
  parts[#parts + 1] = ("%.1f %% unknown"):format(100 * q.unknown)
  if q.duration > 0 then parts[#parts + 1] = profile.value_text(q.duration * 1e9, "nanoseconds") .. a_run end
  return table.concat(parts, ", ")
end

local function far_apart(x, y)
  return x > 0 and y > 0 and math.abs(x - y) > 0.1 * math.max(x, y)
end

--- What is wrong with a value type that is asked for: a message, or nil where all the profiles have it.
-- @tparam {Profile,...} list
-- @tparam string|nil name
function sides.type_problem(list, name)
  for _, p in ipairs(name and list or {}) do
    local names = {}
    for i, type in ipairs(p:types()) do names[i], names[type.name] = type.name, true end
    if not names[name] then
      return ("--type %s: a profile has no such value type, but %s"):format(name, table.concat(names, ", "))
    end
  end
end

--- What makes a comparison doubtful without forbidding it.
-- @tparam {Profile,...} before
-- @tparam {Profile,...} after
-- @treturn {string,...}
function sides.notes(before, after)
  local notes = {}
  for _, key in ipairs { "collector", "engine", "period" } do
    local x, y = before[1]:meta(key), after[1]:meta(key)
    if x ~= y then notes[#notes + 1] = ("%s differs: %s before, %s after"):format(key, tostring(x), tostring(y)) end
  end
  local x, y = sides.quality(before), sides.quality(after)
  if far_apart(x.duration, y.duration) then
    notes[#notes + 1] = ("duration differs: %.3g s before, %.3g s after"):format(x.duration, y.duration)
  end
  local _, last = started(after)
  if x.start and last and last < x.start then -- runs that were taken in turn are neither older nor newer
    notes[#notes + 1] = "the runs of after are older than those of before: are they swapped?"
  end
  return notes
end

return sides
