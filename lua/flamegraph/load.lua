-- fg.load: drive load. Sending and counting is C's (src/sys/load.c); here options are checked and results get words.

local check = require "flamegraph.check"
local loop = require "flamegraph.loop"
local op = require "flamegraph.op"
local request = require "flamegraph.request"

local spec = { requests = "table", rps = "number", concurrency = "integer", duration = "!seconds", timeout = "seconds" }
for key, types in pairs(request.spec) do spec[key] = types:gsub("^!", "") end

-- As many connections as requests that a rate makes at once, where nobody said how many: enough that a service which
-- answers within a quarter of a second never keeps one waiting, and not so many that they are an attack.
local function usual_concurrency(rps)
  if not rps then return 8 end
  return math.max(8, math.min(1000, math.ceil(rps / 4)))
end

local function requests_of(options)
  local one = {}
  for key in pairs(request.spec) do one[key] = options[key] end
  if not options.requests then return { request.build("fg.load", one) } end
  if next(one) then
    check.fail("fg.load: give either `requests` or the one request, not both (%s)", tostring(next(one)))
  end
  local list = {}
  for i, each in ipairs(options.requests) do
    if type(each) == "string" then each = { url = each } end
    list[i] = request.build(("fg.load: request %d"):format(i), each)
  end
  if #list == 0 then check.fail("fg.load: `requests` is an empty list") end
  return list
end

-- What went wrong, by kind: a status from 400 on, and what kept an answer from coming.
local function errors_of(result)
  local errors = {}
  for kind, count in pairs(result.failures) do errors[kind] = count end
  for status, count in pairs(result.statuses) do
    if status >= 400 or status == 0 then errors[("status %d"):format(status)] = count end
  end
  return errors
end

local function sum(counts)
  local all = 0
  for _, count in pairs(counts) do all = all + count end
  return all
end

local function finished(result, rps, shown)
  local answered = sum(result.statuses)
  if answered == 0 then
    return nil, ("no request was answered by %s: %s"):format(shown, result.first_failure or "there was no time"), "NET"
  end
  result.requests = answered + sum(result.failures)
  result.errors = errors_of(result)
  result.failures = nil
  result.failed = sum(result.errors)
  result.error_rate = result.failed / result.requests
  result.asked_rps = rps
  result.rps = answered / result.elapsed
  return result
end

--- Send requests for a time and measure the answers.
--
-- With `rps`, requests fall due at that rate, whatever became of those before (open loop), and a request that had to
-- wait for a free connection is measured from when it fell due: a service that stalls is not spared the requests which
-- it kept from being sent. Without, each of `concurrency` connections sends again when it has its answer. After Ctrl-C
-- the result is that of what was sent until then.
-- @tparam table options one request, as for fg.http (`url`, `method`, `query`, `headers`, `body`, `json`, `ca`), and
-- @tparam[opt] {table|string,...} options.requests in place of the one request: several, sent in turn; a text is a URL
-- @tparam[opt] number options.rps requests per second
-- @tparam[opt] integer options.concurrency how many are under way at once, at most; default: 8, or a quarter of `rps`
-- @tparam number|string options.duration seconds, or a text such as `"30s"`
-- @tparam[opt="10s"] number|string options.timeout for one request
-- @treturn table|nil `requests`, `failed` (statuses from 400 on included), `error_rate` (0 to 1), `errors` (counts by
--   kind: "status 503", "refused", "time-out", "broken", "unsent", "other"), `first_failure`, `statuses` (counts by
--   status), `rps` (answers per second), `asked_rps`, `elapsed`, `bytes`; `latency` and `service` (the same from when a
--   request was sent): tables with `count`, `min`, `mean`, `p50`, `p75`, `p90`, `p99`, `p999`, `max` (seconds) and
--   `buckets` ({ upto, count, … }); `late`: how many this program sent late, being busy. nil, message, "NET" where
--   nothing was answered.
-- @usage local got = fg.all {
--   load = function() return fg.load { url = args.url .. "/work", rps = 200, duration = "30s" } end,
--   profile = function() return fg.collect("api", args) end,
-- }
-- print(got.load.latency.p99, got.load.error_rate)
local function load(options)
  options = check.options("fg.load", options, spec)
  if options.rps and options.rps <= 0 then check.fail("fg.load: rps: more than 0, not %g", options.rps) end
  if options.duration <= 0 then check.fail("fg.load: duration: more than 0") end
  local requests = requests_of(options)
  if loop.interrupted() then return nil, "interrupted", "INTERRUPTED" end
  local o, message, code = op.load {
    requests = requests, rate = options.rps, duration = options.duration, timeout = options.timeout,
    concurrency = options.concurrency or usual_concurrency(options.rps),
  }
  if not o then return nil, message, code end
  local closing <close> = o -- luacheck: ignore closing
  if not loop.wait(o) then
    op.stop_load(o)
    local ok, why, interrupted = loop.wait(o)
    if not ok then return nil, why, interrupted end
  end
  local shown = op.shown_url(requests[1].url)
  return finished(o:result(), options.rps, #requests > 1 and shown .. " and others" or shown)
end

return load
