local fg = require "flamegraph"

local function credentials(args)
  if args.token then return { authorization = "Bearer " .. args.token } end
  if args.api_key then return { ["x-api-key"] = args.api_key } end
end

-- ---- the endpoint -----------------------------------------------------------------------------------------------

local missing = "the service lacks this endpoint: add POST /admin/cpu-profile, which profiles for durationMs with "
  .. "node:inspector and answers with the .cpuprofile; or start it with --inspect and give --inspect HOST:PORT"

local function endpoint(args, headers)
  return fg.fetch {
    url = args.url .. "/admin/cpu-profile",
    json = { durationMs = math.ceil(args.duration * 1000), intervalUs = args.interval_us },
    headers = headers,
    timeout = args.duration + 30,
    expect = "cpuprofile",
    slices = args.slices,
    hints = { [404] = missing },
  }
end

-- ---- the DevTools protocol --------------------------------------------------------------------------------------

local function record(args, session, message, code)
  if not session then return nil, message, code end
  local closing <close> = session -- luacheck: ignore closing
  local p
  p, message, code = fg.devtools.cpu(session,
    { duration = args.duration, interval_us = args.interval_us, threads = args.threads, slices = args.slices })
  return p and p:meta { engine = "devtools" }, message, code
end

local function process(args, pid)
  local found, message, code = fg.expect_runtime(pid, "node", "bun")
  if not found then return nil, message, code end
  if found.runtime == "bun" then
    local p, why, kind = fg.collect("bun",
      { pid = pid, duration = args.duration, interval_us = args.interval_us, no_inject = true })
    if kind == "UNSUPPORTED" then
      why = ("try `flame-graph bun --pid %d`, which puts code into it for the while; without that, %s")
        :format(pid, why)
    end
    return p, why, kind
  end
  return record(args, fg.devtools.attach(pid))
end

-- The service has no endpoint: is it a process that can be attached to?
local function instead(args)
  local found = fg.serving(args.url)
  if not found or found.runtime ~= "node" and found.runtime ~= "bun" then return false end
  fg.log("%s has no /admin/cpu-profile: process %d, which serves it, is profiled over the DevTools protocol", args.url,
    found.pid)
  local p, message, code = process(args, found.pid)
  return true, p, message, code
end

return fg.collector {
  name = "hce",
  summary = "Profile a Node or Bun service behind /admin/cpu-profile, or any running Node program",
  examples = {
    "RESQ_TOKEN=… flame-graph hce --url http://localhost:3000 --duration 30",
    "flame-graph hce --url https://hce.example --hide '^node:internal' --output hce.svg",
    "flame-graph hce --pid 4242 --threads",
    "flame-graph hce --inspect 127.0.0.1:9229",
  },
  args = {
    fg.arg.url "http://localhost:3000",
    fg.arg.token(),
    fg.arg.api_key(),
    { "pid", type = "pid", help = "this process over the DevTools protocol, which needs no endpoint: nothing is "
      .. "installed in it, and its inspector is closed again" },
    { "inspect", help = "HOST:PORT of a process that was started with --inspect, or the ws:// URL that it printed" },
    fg.arg.duration "30s",
    { "interval_us", type = "integer", default = 100, min = 1, help = "sampling interval in microseconds" },
    { "threads", type = "boolean", help = "a tower for each thread, with --pid and --inspect" },
    fg.arg.slices(),
    fg.arg.output(),
  },
  ways = {
    { name = "endpoint", summary = "the service does the profiling, at /admin/cpu-profile" },
    { name = "devtools", summary = "its inspector, by --pid or --inspect: processes of your own user, all as root" },
  },
  collect = function(args)
    if args.pid and args.inspect then return nil, "--pid and --inspect exclude each other", "INVAL" end
    if args.pid then return process(args, args.pid) end
    if args.inspect then return record(args, fg.devtools.connect(args.inspect)) end
    local headers = credentials(args)
    if not headers then
      return nil, "no credential: set $RESQ_TOKEN or $RESQ_API_KEY (or give --token or --api-key)", "INVAL"
    end
    local p, message, code, status = endpoint(args, headers)
    if status == 404 then
      local done, other, why, kind = instead(args)
      if done then return other, why, kind end
    end
    return p, message, code
  end,
}
