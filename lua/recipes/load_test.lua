local fg = require "flamegraph"
local report = require "flamegraph.report"
local thresholds = require "flamegraph.thresholds"

-- Load and profile at the same time. What was measured of the load stands without a profile, not the other way round.
local function measure(args)
  local got, failed = fg.all {
    load = function() return fg.drive(args.load, args.duration, args.profiling.url) end,
    profile = function() return fg.collect_as(args.profiling, { duration = args.duration }) end,
  }
  if failed.load then
    local kept = got.profile and (" (%s)"):format(fg.keep(got.profile, args.output, "profile")) or ""
    return nil, failed.load.message .. kept, failed.load.code
  end
  if got.profile then got.profile:meta { units = got.load.requests - got.load.failed } end
  got.trouble = failed.profile
  return got
end

local function judge(args, got)
  local rows = thresholds.judge(args, got.load, got.profile)
  local passed = not got.trouble
  for _, row in ipairs(rows) do
    passed = passed and row.ok
    fg.log("%s %s", row.ok and "ok    " or "BREACH", row.text)
  end
  return { load = got.load, profile = got.profile, thresholds = rows, passed = passed,
    trouble = got.trouble and got.trouble.message }
end

return fg.recipe {
  name = "load_test",
  summary = "Drive load, profile at the same time, and fail where a threshold is breached",
  description = "With --rps, requests fall due at that rate whatever the service does, and latency counts from then: a "
    .. "stall is not hidden. The exit status is 1 where a threshold is breached.",
  examples = {
    "flame-graph load_test --collector hce --url http://localhost:3000 --load /work --rps 200 --max-p99 200ms",
    "flame-graph load_test --url http://localhost:8080 --load /orders --rps 50 --duration 60 --warmup 10 "
      .. "--max-error-rate 0.1% --max-share 'serde_json::.*=15%' --report load.md --report junit.xml",
    "flame-graph load_test --collector python --pid 4242 --load http://localhost:8000/ --concurrency 16",
  },
  args = {
    fg.arg.duration "30s",
    { "warmup", type = "duration", help = "load before anything is measured" },
    { "report", metavar = "FILE", list = true, help = "report to write: .md, .json or .xml (JUnit)" },
    { "max_p50", type = "duration", help = "threshold: half of all requests are faster" },
    { "max_p90", type = "duration", help = "threshold: nine of ten requests are faster" },
    { "max_p99", type = "duration", help = "threshold: 99 of 100 requests are faster" },
    { "max_error_rate", type = "share", help = "threshold: share of requests without a good answer" },
    { "min_rps", type = "number", help = "threshold: answers per second" },
    { "max_share", type = "limit", list = true, help = "threshold: share of the profile in matching frames" },
    fg.arg.output "load_test.svg",
    fg.arg.load(),
    fg.arg.profiling(),
  },
  run = function(args)
    if not args.load.load then return nil, "what load? --load URL, or --load /path with --url", "INVAL" end
    for _, path in ipairs(args.report or {}) do
      local problem = report.problem(path)
      if problem then return nil, problem, "INVAL" end
    end
    if args.warmup then
      local bar <close> = fg.progress { text = "warming up", seconds = args.warmup } -- luacheck: ignore bar
      assert(fg.drive(args.load, args.warmup, args.profiling.url))
    end
    local got = assert(measure(args))
    fg.log("%s", report.line(got.load))
    local result = judge(args, got)
    if got.profile then assert(got.profile:write(args.output)) end
    for _, path in ipairs(args.report or {}) do assert(report.write(path, result)) end
    if got.trouble then return nil, "there is no profile: " .. got.trouble.message, got.trouble.code end
    if fg.interrupted() then return "inconclusive", "interrupted: what was measured until then is written" end
    return result.passed or "regression"
  end,
}
