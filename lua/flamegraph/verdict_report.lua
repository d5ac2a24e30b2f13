-- A verdict for people and machines: text, Markdown for a pull request, JSON, JUnit XML.

local json = require "flamegraph.json"
local markdown = require "flamegraph.markdown"
local sides = require "flamegraph.sides"

local report = {}

local function percent(x)
  if x ~= x or x == math.huge or x > 99 then return "new" end
  return ("%+.1f %%"):format(100 * x)
end

local function interval(f)
  local high = f.high > 99 and "∞" or percent(f.high)
  return ("%s … %s"):format(percent(f.low), high)
end

local function title_of(f, show)
  if f.kind == "whole" then return "the whole" end
  return ("%s (%s)"):format(show and show(f.name, true) or f.name, f.kind)
end

-- Below this dispersion, chance in sampling is most of the noise.
local function noise_of(f)
  return f.dispersion > 2 and "run-to-run" or "sampling"
end

-- Runs a side from which on the detectable effect is what is found; fewer promise too much (docs/verdicts.md).
local enough = 7

--- A detectable effect, in words.
-- @tparam number growth 0.1: 10 % more
-- @tparam integer runs of each side, the smaller number
-- @treturn string
function report.detectable(growth, runs)
  local most = 99 -- beyond, something that is new is all that would be found
  return (runs < enough and growth <= most and "more than " or "") .. percent(growth)
end

local function detectable_of(f)
  return report.detectable(f.detectable, math.min(#f.before, #f.after))
end

-- What would settle a feature: more runs than there were, whatever a lucky estimate says.
local function settles(f)
  local least = math.min(#f.before, #f.after) + 1
  local runs = f.settled > 0 and f.settled < 1e6 and ("%d runs a side"):format(math.max(f.settled, least))
    or "no number of runs"
  if noise_of(f) == "sampling" then return runs .. ", or a higher rate or longer runs by as much" end
  return runs .. " (a higher rate does not help)"
end

local function lines_of(result)
  local o, lines = result.options, {}
  local function say(...) lines[#lines + 1] = (...):format(select(2, ...)) end
  say("%s: %d run%s before, %d after; compared by %s (after × %.6g); false discovery rate %g %%", result.answer,
    result.runs.before, result.runs.before == 1 and "" or "s", result.runs.after, o.normalize or "absolute", o.factor,
    100 * o.level)
  for _, side in ipairs(result.quality and sides.names or {}) do
    say("%s: %s", side, sides.text(result.quality[side]))
  end
  if o.budget then say("budget: %s; %d of %d counts judged by it", o.budget, result.guarded, #result.features) end
  if result.environment then say("environment: %s", (result.environment:gsub("\n$", ""):gsub("\n", ", "))) end
  for _, note in ipairs(result.notes or {}) do say("note: %s", note) end
  return lines, say
end

local function table_of(result)
  local rows, most = {}, 20
  local function add(f, word)
    rows[#rows + 1] = { f = f, word = word }
  end
  for _, f in ipairs(result.failed) do add(f, f.carried and "grew with what it calls" or "beyond the budget") end
  for _, f in ipairs(result.changed) do
    if f.moved then add(f, "moved")
    elseif f.expected then add(f, "expected")
    elseif not (f.beyond <= result.options.level and f.growth > 0 and f.budget) then add(f, "changed") end
  end
  for _, f in ipairs(result.open) do
    if #rows >= most then break end
    add(f, "open")
  end
  return rows
end

-- ---- formats ----------------------------------------------------------------------------------------------------

local writers = {}

-- What a row of the table says, as text.
local function row_text(row)
  local f = row.f
  return ("  %-24s %s: %.1f → %.1f samples a run, %s (%s), adjusted p %.2g"):format(row.word, title_of(f),
    f.before_mean, f.after_mean, percent(f.growth), interval(f), f.adjusted)
end

function writers.text(result)
  local lines, say = lines_of(result)
  for _, row in ipairs(table_of(result)) do
    local f = row.f
    say("%s", row_text(row))
    if row.word == "open" then
      say("  %-24s %s noise; growth of %s would be found; settled by %s", "", noise_of(f), detectable_of(f),
        settles(f))
    end
  end
  for _, m in ipairs(result.moved) do
    local how = m.renamed and ", a rename by its looks" or ""
    say("  moved%s: %s → %s (%.1f samples a run)", how, m.from, m.to, m.samples)
  end
  if result.made then say("made by: %s", result.made) end
  if result.again then say("again: %s", result.again) end
  return table.concat(lines, "\n") .. "\n"
end

local icons = { pass = "✅ Performance", fail = "❌ Performance", inconclusive = "❔ Performance" }

function writers.md(result)
  local lines = lines_of(result)
  lines[1] = ("### %s: %s"):format(icons[result.answer] or "Profile diff", markdown.plain(lines[1])) .. "\n"
  for i = 2, #lines do lines[i] = "- " .. markdown.plain(lines[i]) end
  if #lines > 1 then lines[#lines + 1] = "" end
  local rows = table_of(result)
  if #rows > 0 then
    lines[#lines + 1] = "| | function | samples a run | change | interval | adjusted p | detectable |"
    lines[#lines + 1] = "|---|---|---:|---:|---:|---:|---:|"
  end
  for _, row in ipairs(rows) do
    local f = row.f
    lines[#lines + 1] = ("| %s | %s | %.1f → %.1f | %s | %s | %.2g | %s |"):format(row.word, title_of(f, markdown.span),
      f.before_mean, f.after_mean, percent(f.growth), interval(f), f.adjusted, detectable_of(f))
  end
  for _, m in ipairs(result.moved) do
    local how = m.renamed and ", a rename by its looks" or ""
    lines[#lines + 1] = ("\nmoved%s: %s → %s (%.1f samples a run)"):format(how,
      markdown.span(m.from), markdown.span(m.to), m.samples)
  end
  if result.made then lines[#lines + 1] = "\nMade by: " .. markdown.span(result.made) end
  if result.again then lines[#lines + 1] = "\nAgain: " .. markdown.span(result.again) end
  return table.concat(lines, "\n") .. "\n"
end

local function finite(x)
  if x == nil or x ~= x or x == math.huge or x == -math.huge then return json.null() end
  return x
end

local function as_json(f)
  return { name = f.name, kind = f.kind, before = f.before_mean, after = f.after_mean, growth = finite(f.growth),
    low = finite(f.low), high = finite(f.high), p = f.p, adjusted = f.adjusted, beyond = f.beyond,
    dispersion = f.dispersion, df = finite(f.df), detectable = finite(f.detectable), settled = finite(f.settled),
    noise = noise_of(f), budget = finite(f.budget), judged = f.judged, expected = f.expected or false,
    carried = f.carried or false, moved = f.moved or false }
end

local function list_of(features)
  local list = {}
  for i, f in ipairs(features) do list[i] = as_json(f) end
  return #list > 0 and list or json.null()
end

function writers.json(result)
  local o = result.options
  return json.encode { version = 1, verdict = result.answer, runs = result.runs, level = o.level, floor = o.floor,
    factor = o.factor, normalize = o.normalize or "absolute", failed = list_of(result.failed),
    open = list_of(result.open), changed = list_of(result.changed), features = list_of(result.features),
    moved = #result.moved > 0 and result.moved or json.null(), notes = result.notes and #result.notes > 0
    and result.notes or json.null(), quality = result.quality or json.null(),
    environment = result.environment or json.null(), made = result.made or json.null(),
    reproduce = result.again or json.null() } .. "\n"
end

local function xml(text)
  return (text:gsub("[%z\1-\8\11\12\14-\31]", "?"):gsub('[&<>"]', { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;",
    ['"'] = "&quot;" }))
end

-- A test case for each judged feature: failed, skipped where it is open, else passed.
function writers.junit(result)
  local failed, open, cases, without_budgets = {}, {}, {}, #result.options.budgets == 0
  local what = without_budgets and "diff" or "gate"
  for _, f in ipairs(result.failed) do failed[f] = not f.carried end
  for _, f in ipairs(result.open) do open[f] = true end
  local counts = { tests = 0, failures = 0, skipped = 0 }
  for _, f in ipairs(result.features) do
    if f.judged and (f.budget or without_budgets) then
      local said = ("%s (%s)"):format(percent(f.growth), interval(f))
      local inner = ""
      counts.tests = counts.tests + 1
      if failed[f] then
        counts.failures = counts.failures + 1
        inner = ('<failure message="%s"/>'):format(xml(said))
      elseif open[f] then
        counts.skipped = counts.skipped + 1
        inner = ('<skipped message="inconclusive: %s"/>'):format(xml(said))
      end
      cases[#cases + 1] = ('  <testcase classname="flame-graph.%s.%s" name="%s">%s</testcase>'):format(what,
        f.kind, xml(f.name), inner)
    end
  end
  return ('<?xml version="1.0" encoding="UTF-8"?>\n<testsuite name="flame-graph %s" tests="%d" failures="%d" '
    .. 'skipped="%d">\n%s\n  <system-out>%s</system-out>\n</testsuite>\n'):format(what, counts.tests, counts.failures,
    counts.skipped, table.concat(cases, "\n"), xml(writers.text(result)))
end

local suffixes = { txt = "text", md = "md", json = "json", xml = "junit" }

--- Which format a path asks for; nil where its suffix is none of txt, md, json, xml.
function report.format(path)
  return path == "-" and "text" or suffixes[path:match "%.(%w+)$" or ""]
end

local function quoted(text)
  return text:find "^[%w_./:@%%+,=-]+$" and text or "'" .. text:gsub("'", "'\\''") .. "'"
end

--- The command line that gives the same again.
-- @tparam string name of the command
-- @tparam {table,...} values { name of an argument, value or list }, in order; false and nil are left out
-- @treturn string
function report.command(name, values)
  local words = { "flame-graph", name }
  for _, row in ipairs(values) do
    local flag, value = "--" .. row[1]:gsub("_", "-"), row[2]
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      if one == true then
        words[#words + 1] = flag
      elseif one then
        words[#words + 1] = flag .. " " .. quoted(tostring(one))
      end
    end
  end
  return table.concat(words, " ")
end

--- What is beyond the budget, a line for each.
-- @treturn {string,...}
function report.offenders(result)
  local lines = {}
  for _, row in ipairs(table_of(result)) do
    if row.word == "beyond the budget" then lines[#lines + 1] = row_text(row) end
  end
  return lines
end

--- The report as a text.
-- @tparam table result of judge.runs, with `notes`, `quality` (of sides.quality, by side), `environment` (of
--   trial.environment), `made` and `again` (commands) where there are
-- @tparam string format "text", "md", "json" or "junit"
-- @treturn string
function report.of(result, format)
  return writers[format](result)
end

return report
