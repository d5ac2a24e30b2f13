-- fg.devtools: profiles over the DevTools protocol, of Node and of what else speaks V8's half of it.

local check = require "flamegraph.check"
local inprocess = require "flamegraph.inprocess"
local inspector = require "flamegraph.inspector"
local op = require "flamegraph.op"
local profile = require "flamegraph.profile"
local session = require "flamegraph.session"

local devtools = {}

--- Connect to a DevTools endpoint.
-- @tparam string address `HOST:PORT` (of `node --inspect`), or the URL of its WebSocket
-- @treturn Session|nil nil, message, code
-- @usage local session <close> = assert(fg.devtools.connect "127.0.0.1:9229")
function devtools.connect(address)
  if type(address) ~= "string" then check.fail("fg.devtools.connect takes HOST:PORT or the URL of a WebSocket") end
  if address:find "^wss?://" then return session.open(address) end
  local host, port = address:gsub("^https?://", ""):gsub("/$", ""):match "^(.-):?(%d+)$"
  if not host then
    return nil, ("'%s' is no address: HOST:PORT, or ws://… as the process printed it"):format(address), "INVAL"
  end
  host = host:gsub("^%[(.*)%]$", "%1")
  local url, message, code = inspector.at(host ~= "" and host or "127.0.0.1", tonumber(port), 10)
  if not url then return nil, message, code end
  return session.open(url)
end

--- Attach to a running Node process. Where its inspector is not open, Node is asked to open it by SIGUSR1, which is
-- sent only after a look at the process has shown that the handler is Node's own; it is closed again with the session.
-- @tparam integer pid
-- @treturn Session|nil nil, message, code: "UNSUPPORTED" where it cannot be done safely, with the reason
-- @usage local session <close> = assert(fg.devtools.attach(4242))
-- print(session:evaluate "process.version")
function devtools.attach(pid)
  return inspector.attach(pid)
end

-- ---- threads ----------------------------------------------------------------------------------------------------

-- Profilers of the threads of a process, each `start`ed as soon as it is seen.
local function start_new(threads, workers, start)
  for _, worker in ipairs(workers or {}) do
    if not threads[worker] and not worker.gone then
      threads[worker] = true
      local ok, _, code = start(worker)
      if ok then threads[#threads + 1] = worker elseif code ~= "NET" then threads.failed = true end
    end
  end
end

-- A Node program that ends waits until its inspector is let go, and says so to who asked. That wait is not its work,
-- and not to be made longer: what is recorded is taken then, and the program goes its way.
local function notice_end(opened)
  local noticed = { began = op.now() }
  opened:on("NodeRuntime.waitingForDisconnect", function() noticed.after = op.now() - noticed.began end)
  opened:call("NodeRuntime.notifyWhenWaitingForDisconnect", { enabled = true })
  return noticed
end

-- Wait for the time, or for the program's end; workers that come meanwhile are profiled as well.
local function watch(opened, threads, seconds, start, noticed)
  local ends = op.now() + seconds
  while op.now() < ends and not noticed.after do
    local known = opened.list and #opened.list or 0
    local ok, message, code = opened:sleep(math.max(0, ends - op.now()),
      function() return noticed.after or opened.list and #opened.list > known end)
    if not ok then
      if code == "INTERRUPTED" then return true end
      return nil, message, code
    end
    start_new(threads, opened.list, start)
  end
  return true
end

local function types_of(p)
  local types = {}
  for i, kind in ipairs(p:types()) do types[i] = { kind.name, kind.unit } end
  return types
end

-- The same stacks, below a frame where one is given, with other value types where those are.
local function remade(p, root, types)
  local made = profile.new(types or types_of(p))
  for frames, _, values in p:stacks() do
    made:add(root and table.move(frames, 1, #frames, 2, { root }) or frames, values)
  end
  return made:meta { samples = p:quality().samples }
end

local function stop_all(threads, how, options)
  local parts, ended, message, code = {}, 0, nil, nil
  for _, thread in ipairs(threads) do
    local text, why, kind = how.stop(thread)
    local p
    if text then
      p, why, kind = profile.parse(text, { expect = how.format, name = thread.title, slices = options.slices })
    end
    if p then
      parts[#parts + 1] = options.threads and remade(p, thread.title) or p
    elseif kind ~= "EMPTY" and thread.gone then
      ended = ended + 1
    elseif kind ~= "EMPTY" then
      message, code = message or why, code or kind
    end
  end
  if message then return nil, message, code end
  if #parts == 0 then
    return nil, "the profile is empty: give the process something to do while it is profiled, and try again", "EMPTY"
  end
  local whole = #parts > 1 and profile.merge_threads(table.unpack(parts)) or parts[1]
  if ended > 0 then
    whole:note(("%d worker thread%s ended while they were profiled: their part is missing"):format(ended,
      ended > 1 and "s" or ""))
  end
  return whole
end

-- What is recorded is in the process, and gone with it.
local function or_lost(who, p, message, code)
  if code == "NET" then message = ("%s; a %s takes what it has recorded with it"):format(message, who) end
  return p, message, code
end

local function record_to_end(opened, how, options)
  local threads, noticed = { opened }, notice_end(opened)
  local ok, message, code = how.start(opened)
  if not ok then return nil, message, code end
  if options.workers ~= false then start_new(threads, opened:workers(), how.start) end
  ok, message, code = watch(opened, threads, options.duration, how.start, noticed)
  if not ok then return nil, message, code end
  local p
  p, message, code = stop_all(threads, how, options)
  if p and noticed.after then
    p:note(("the program ended after %.1f s of %g s"):format(noticed.after, options.duration))
  end
  return p, message, code
end

local function record(...)
  return or_lost("runtime that is killed", record_to_end(...))
end

local function calls(opened, list)
  for _, one in ipairs(list) do
    local ok, message, code = opened:call(one[1], one[2])
    if not ok then return nil, message, code end
  end
  return true
end

-- The last of a recording: the profile, as text, of a call that may take its time; then the domain is turned off.
local function ending(stop, disable)
  return function(thread)
    local text, message, code = thread:ask(stop, nil, 60)
    thread:call(disable)
    return text, message, code
  end
end

--- Profile the time of a process, Node or Bun.
-- @tparam Session opened
-- @tparam table options
-- @tparam number|string options.duration how long
-- @tparam[opt=100] integer options.interval_us time between two samples, in microseconds; of Bun: 1000
-- @tparam[opt=true] boolean options.workers Node's worker threads as well
-- @tparam[opt=false] boolean options.threads a tower for each thread
-- @tparam[opt=false] boolean options.slices keep what each slice of time gave (Profile:slices); not with `threads`
-- @treturn Profile|nil nil, message, code; "EMPTY" where nothing was done meanwhile, "UNSUPPORTED" where a Bun
--   answers nothing, as it does not get back to its event loop. After Ctrl-C: what came until then
-- @usage local p = assert(fg.devtools.cpu(session, { duration = "10s" }))
function devtools.cpu(opened, options)
  options = check.options("fg.devtools.cpu", options,
    { duration = "!seconds", interval_us = "integer", workers = "boolean", threads = "boolean",
      slices = "boolean" })
  if opened:evaluate "typeof Bun" == "object" then
    return or_lost("Bun that ends", inprocess.cpu(opened, options))
  end
  return record(opened, {
    format = "cpuprofile",
    start = function(thread)
      return calls(thread, { { "Profiler.enable" },
        { "Profiler.setSamplingInterval", { interval = options.interval_us or 100 } }, { "Profiler.start" } })
    end,
    stop = ending("Profiler.stop", "Profiler.disable"),
  }, options)
end

-- Node before 20 takes no notice of being asked for objects that were collected.
local function knows_collected(opened)
  local version = opened:evaluate "process.version"
  local major = tonumber(tostring(version):match "^v(%d+)%.")
  if not major or major >= 20 then return true end
  return nil, ("what was collected meanwhile needs Node 20; this is %s"):format(version), "UNSUPPORTED"
end

--- Profile what a process allocates.
-- @tparam Session opened
-- @tparam table options
-- @tparam number|string options.duration how long
-- @tparam[opt="32k"] integer|string options.interval bytes between two samples, on average
-- @tparam[opt=false] boolean options.allocated all that was allocated (Node 20 and later); otherwise what of it is
--   still there at the end
-- @tparam[opt=true] boolean options.workers Node's worker threads as well
-- @tparam[opt=false] boolean options.threads a tower for each thread
-- @treturn Profile|nil bytes by stack; nil, message, code
-- @usage local p = assert(fg.devtools.heap(session, { duration = "30s" }))
function devtools.heap(opened, options)
  options = check.options("fg.devtools.heap", options, { duration = "!seconds", interval = "bytes",
    allocated = "boolean", workers = "boolean", threads = "boolean" })
  if options.allocated then
    local ok, why, code = knows_collected(opened)
    if not ok then return nil, why, code end
  end
  local asked = { samplingInterval = options.interval or 32768 }
  if options.allocated then
    asked.includeObjectsCollectedByMajorGC, asked.includeObjectsCollectedByMinorGC = true, true
  end
  local p, message, code = record(opened, {
    format = "heapprofile",
    start = function(thread)
      return calls(thread, { { "HeapProfiler.enable" }, { "HeapProfiler.startSampling", asked } })
    end,
    stop = ending("HeapProfiler.stopSampling", "HeapProfiler.disable"),
  }, options)
  if not p then return nil, message, code end
  return options.allocated and remade(p, nil, { { "alloc_space", "bytes" } }) or p
end

return devtools
