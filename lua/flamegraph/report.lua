-- The report of a load test: for people (Markdown), for programs (JSON), for CI (JUnit XML).

local check = require "flamegraph.check"
local files = require "flamegraph.files"
local json = require "flamegraph.json"
local markdown = require "flamegraph.markdown"

local report = {}

local function milliseconds(seconds)
  return ("%.1f ms"):format(seconds * 1e3)
end

-- Errors as "status 503: 12, time-out: 3", the most frequent first.
local function errors_text(errors)
  local kinds = {}
  for kind in pairs(errors) do kinds[#kinds + 1] = kind end
  table.sort(kinds, function(a, b)
    if errors[a] ~= errors[b] then return errors[a] > errors[b] end
    return a < b
  end)
  for i, kind in ipairs(kinds) do kinds[i] = ("%s: %d"):format(kind, errors[kind]) end
  return table.concat(kinds, ", ")
end

--- The load in a line: "12,000 requests, 400.0 per second, p99 12.3 ms, 0.10 % failed".
function report.line(load)
  return ("%d requests, %.1f answers per second, latency p50 %s, p99 %s, longest %s, %.2f %% failed%s"):format(
    load.requests, load.rps, milliseconds(load.latency.p50), milliseconds(load.latency.p99),
    milliseconds(load.latency.max), load.error_rate * 100,
    load.failed > 0 and (" (%s)"):format(errors_text(load.errors)) or "")
end

local quantiles = { "p50", "p75", "p90", "p99", "p999", "max" }

local function load_table(load)
  local head, line = { "| |" }, { "|---|" }
  local latency, service = { "| from when it fell due |" }, { "| from when it was sent |" }
  for _, q in ipairs(quantiles) do
    head[#head + 1] = (" %s |"):format(q)
    line[#line + 1] = "---:|"
    latency[#latency + 1] = (" %s |"):format(milliseconds(load.latency[q]))
    service[#service + 1] = (" %s |"):format(milliseconds(load.service[q]))
  end
  local rows = { table.concat(head), table.concat(line), table.concat(latency) }
  if load.asked_rps then rows[#rows + 1] = table.concat(service) end
  return table.concat(rows, "\n")
end

local function verdict(result)
  if result.passed then return #result.thresholds == 0 and "measured" or "passed" end
  return "failed"
end

-- What makes the numbers less sure than they look.
local function remarks(result)
  local load, list = result.load, {}
  if load.asked_rps and load.rps < 0.95 * load.asked_rps then
    list[#list + 1] = ("%.1f requests per second were asked for, %.1f were answered"):format(load.asked_rps, load.rps)
  end
  if load.late > 0 then
    list[#list + 1] = ("%d requests were sent more than 10 ms late, this machine being busy"):format(load.late)
  end
  if result.trouble then list[#list + 1] = "there is no profile: " .. result.trouble end
  if load.first_failure then list[#list + 1] = "the first failure: " .. load.first_failure end
  return list
end

function report.md(result)
  local lines = { ("## Load test: %s"):format(verdict(result)), "", report.line(result.load) .. ".", "",
    load_table(result.load), "" }
  for _, remark in ipairs(remarks(result)) do lines[#lines + 1] = "> ⚠ " .. markdown.span(remark) .. "  " end
  if #result.thresholds > 0 then
    lines[#lines + 1] = "\n| | threshold |\n|---|---|"
    for _, row in ipairs(result.thresholds) do
      lines[#lines + 1] = ("| %s | %s |"):format(row.ok and "✓" or "✗", markdown.span(row.text, true))
    end
  end
  if result.profile then lines[#lines + 1] = "\n" .. assert(result.profile:format { format = "md", limit = 10 }) end
  return table.concat(lines, "\n")
end

function report.json(result)
  local load = {}
  for key, value in pairs(result.load) do load[key] = value end
  load.statuses = {}
  for status, count in pairs(result.load.statuses) do load.statuses[tostring(status)] = count end
  if not next(load.errors) then load.errors = nil end
  local rows = {}
  for i, row in ipairs(result.thresholds) do
    rows[i] = { name = row.name, value = row.value, limit = row.limit, ok = row.ok }
  end
  return assert(json.encode {
    passed = result.passed, load = load, thresholds = #rows > 0 and rows or nil,
    profile = result.profile and assert(json.decode(assert(result.profile:format { format = "json", limit = 20 }))),
    trouble = result.trouble,
  }) .. "\n"
end

local function xml(text)
  text = text:gsub("[%z\1-\8\11\12\14-\31]", "?")
  return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

-- One test case for each threshold; without any, one that says the load was driven.
function report.xml(result)
  local cases, failures = {}, 0
  for i, row in ipairs(result.thresholds) do
    local inner = ""
    if not row.ok then
      failures = failures + 1
      inner = ('<failure message="%s">%s</failure>'):format(xml(row.text), xml(report.line(result.load)))
    end
    cases[i] = ('    <testcase classname="load_test" name="%s" time="%.3f">%s</testcase>'):format(xml(row.name),
      result.load.elapsed, inner)
  end
  if result.trouble then
    cases[#cases + 1] = ('    <testcase classname="load_test" name="profile"><error message="%s"/></testcase>'):format(
      xml(result.trouble))
  elseif #cases == 0 then
    cases[1] = ('    <testcase classname="load_test" name="load" time="%.3f"/>'):format(result.load.elapsed)
  end
  return ('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n  <testsuite name="flame-graph load_test" tests="%d" '
    .. 'failures="%d" errors="%d" time="%.3f">\n%s\n    <system-out>%s</system-out>\n  </testsuite>\n</testsuites>\n')
    :format(#cases, failures, result.trouble and 1 or 0, result.load.elapsed, table.concat(cases, "\n"),
      xml(report.line(result.load)))
end

local function has_format(path)
  local suffix = path:match "%.(%w+)$"
  return suffix == "md" or suffix == "json" or suffix == "xml"
end

--- Whether a report can be written to a path: nil, or what is in the way.
function report.problem(path)
  if not has_format(path) then return ("--report %s: a report ends in .md, .json or .xml (JUnit)"):format(path) end
  return files.problem("--report", path)
end

--- Write a report; the suffix says which.
-- @tparam table result `load` (of fg.load), `profile` or `trouble` (why there is none), `thresholds` (rows of
--   thresholds.judge), `passed`
-- @treturn boolean|nil nil, message, code
function report.write(path, result)
  if not has_format(path) then check.fail("a report ends in .md, .json or .xml (JUnit), not %s", path) end
  return files.write(path, report[path:match "%.(%w+)$"](result))
end

return report
