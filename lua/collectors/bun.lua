local fg = require "flamegraph"
local hold = require "flamegraph.hold"
local words = require "flamegraph.words"

-- The command that starts it so that it can be profiled; without its arguments, which may be secrets. BUN_INSPECT, as a
-- program that `bun build --compile` made takes no --inspect.
local function how_to_start(process)
  local list = process and process.command or {}
  local command = (words.brief(list) or "bun") .. (#list > 2 and " …" or "")
  return ("start it as `BUN_INSPECT=ws://localhost:6499/flame-graph %s`, or with BUN_JSC_useJITDump=1 "
    .. "BUN_JSC_jitDumpDirectory=/tmp in place of that, which native code is seen with as well"):format(command)
end

-- ---- the inspector ----------------------------------------------------------------------------------------------

local usual = { host = "localhost", port = 6499 }

-- HOST:PORT/PATH as --inspect and BUN_INSPECT take it, any part left out → ws://HOST:PORT, /PATH or nil.
local function address_of(value)
  value = value:gsub("^wss?://", "")
  local place, path = value:match "^([^/]*)(/?.*)$"
  local host, port = place:match "^(.-):?(%d*)$"
  if host == "" then host = usual.host end
  return ("ws://%s:%s"):format(host, port ~= "" and port or usual.port), path ~= "" and path ~= "/" and path or nil
end

local function inspect_flag(list)
  local found
  for _, word in ipairs(list) do
    local value = word:match "^%-%-inspect=(.+)$" or word:match "^%-%-inspect%-%a+=(.+)$"
    found = value or (word:find "^%-%-inspect$" or word:find "^%-%-inspect%-%a+$") and "" or found
  end
  return found
end

-- What was asked for when it was started.
local function configured(process)
  local environment = process.environment
  return inspect_flag(process.command) or inspect_flag(words.split(environment.BUN_OPTIONS or ""))
    or environment.BUN_INSPECT
end

-- A path that nobody chose is random; Bun prints it. What went to a file can be read again.
local function printed(process, base)
  local port = base:match ":(%d+)$"
  for url in process.printed:gmatch "ws://[%w%.%-:%[%]]+/[%w%-_/]+" do
    if url:match ":(%d+)/" == port then return url end
  end
end

-- Port 0: which one became of it?
local function chosen(process, base)
  if not base:find ":0$" then return base end
  for _, socket in ipairs(process.sockets) do
    local place = ("%s:%d"):format(base:match "^ws://(.*):0$", socket.port)
    local answer = fg.http { url = ("http://%s/json/version"):format(place), timeout = "2s", max_body = "64k" }
    if answer and answer.body:find('"Bun%-Version"') then return "ws://" .. place end
  end
  return base
end

local function find(pid)
  local process = fg.process(pid)
  local value = process and configured(process)
  if not value then return nil, "it was started without --inspect and BUN_INSPECT" end
  local base, path = address_of(value)
  base = chosen(process, base)
  if path then return base .. path end
  local url = printed(process, base)
  if url then return url end
  return nil, ("its inspector at %s has a random path: give --inspect with the ws:// URL that it printed"):format(base)
end

-- A mistake is told by `inspector`, which is then taken.
local function mistake(args)
  if args.inspect then return nil end
  if not args.pid then return "which one? give --pid, or --inspect" end
  local process, message = fg.expect_runtime(args.pid, "bun")
  return not process and message or nil
end

local function has_inspector(args)
  if not args or args.inspect or mistake(args) then return true end
  local url, why = find(args.pid)
  if url then return true end
  return nil, why
end

-- Whether it is the process that was asked for.
local function prove(session, args)
  if not args.pid then return true end
  local number = session:evaluate("process.pid", "10s")
  if number == nil then
    return nil, "its inspector answers nothing within 10 s: is it in a loop that never ends?", "UNSUPPORTED"
  end
  local process = fg.process(args.pid)
  if process and (number == process.pid or number == process.nspid) then return true end
  return nil, ("the inspector that answered is that of process %d, not of %d"):format(number, args.pid), "REMOTE"
end

local function inspector(args)
  local why = mistake(args)
  if why then return nil, why, "INVAL" end
  local url = args.inspect or find(args.pid)
  local session, message, code = fg.devtools.connect(url:find "^wss?://" and url or "ws://" .. url)
  if not session then
    local process = not args.inspect and fg.process(args.pid)
    local takes_flags = not process or not process.exe or process.exe:find "/bun$"
    return nil, message .. (takes_flags and "" or ": of a program that `bun build --compile` made, BUN_INSPECT=ws://… "
      .. "opens it, and neither --inspect nor BUN_OPTIONS"), code
  end
  local closing <close> = session -- luacheck: ignore closing
  local ok
  ok, message, code = prove(session, args)
  if not ok then return nil, message, code end
  return fg.devtools.cpu(session, { duration = args.duration, interval_us = args.interval_us,
    slices = args.slices })
end

-- ---- jitdump ----------------------------------------------------------------------------------------------------

local yes = { ["1"] = true, ["true"] = true, ["yes"] = true }

local function has_jitdump(args)
  if not args then return true end
  if not args.pid then return nil, "it takes a --pid" end
  local process = fg.process(args.pid)
  local value = process and process.environment.BUN_JSC_useJITDump
  if yes[value or ""] then return true end
  return nil, "it was started without BUN_JSC_useJITDump=1", args.engine == "jitdump" and how_to_start(process) or nil
end

-- The tiers of JavaScriptCore have a name each for one function: "JSC-FTL: hotLoop#D61XW4".
local function without_tier(name)
  return name:match "^JSC%-%w+: (.-)#%w+$" or name:match "^JSC%-%w+: (.+)$"
end

local function jitdump(args)
  local p, message, code = fg.collect("perf", { pid = args.pid, duration = args.duration, rate = args.rate,
    slices = args.slices })
  if not p then return nil, message, code end
  p, message, code = p:filter { rename = without_tier, ignore = "^JSC PerfLog$" } -- it writes the dump
  if not p then return nil, message, code end
  p:note "[bun]: Bun's own code, and functions that the JIT has not compiled yet"
  p:note "[unknown]: functions that it compiled last, as it writes its dump in blocks"
  return p:meta { collector = "bun", engine = "jitdump" }
end

-- ---- inject -----------------------------------------------------------------------------------------------------

local function profiles_itself(process)
  for _, list in ipairs { process.command, words.split(process.environment.BUN_OPTIONS or "") } do
    for _, word in ipairs(list) do
      if word:find "^%-%-cpu%-prof" then return true end
    end
  end
  return false
end

local function may_inject(args)
  if not args then return fg.right "ptrace" end
  if not args.pid then return nil, "it takes a --pid" end
  local process = fg.process(args.pid)
  if args.slices then return nil, "it does not know when: --slices needs one of the others", how_to_start(process) end
  if args.no_inject then return nil, "it puts code into the program, which is ruled out here", how_to_start(process) end
  if process and profiles_itself(process) then
    return nil, "it is being profiled already (--cpu-prof), and the end of one profile would be that of the other"
  end
  return fg.right "ptrace"
end

local function inject(args)
  local why = mistake(args)
  if why then return nil, why, "INVAL" end
  fg.log("process %d: code is put into it, which turns its own profiler on for the while, and is removed again; "
    .. "--no-inject rules that out", args.pid)
  local p, message, code = hold.sample {
    sampler = "bun", pid = args.pid, duration = args.duration, interval_us = args.interval_us,
  }
  if not p then
    if code == "UNSUPPORTED" or code == "TIMEOUT" then
      message = ("%s; or %s"):format(message, how_to_start(fg.process(args.pid)))
    end
    return nil, message, code
  end
  p:note "functions that the compiler has put into their callers count as those; what follows a wait may be off"
  p:note "the main thread only, without native code; lines are those where functions begin"
  return p:meta { collector = "bun", engine = "inject" }
end

return fg.collector {
  name = "bun",
  summary = "Profile a running Bun program",
  description = "Through its inspector where it was started with one (sampled by JavaScriptCore, lines of the source), "
    .. "else by the native sampler with the names of a jitdump (native code as well; of functions only those that were "
    .. "compiled). A Bun (1.4.4 or later, x86-64) that was started with neither gets its own profiler turned on from "
    .. "outside, which is told before it is done and which --no-inject rules out: its main thread is stopped for less "
    .. "than a millisecond while it runs JavaScript, and made to ask its event loop to call code that was put into it; "
    .. "that turns the profiler on, off again at the end, and is removed. Workers and native code are not seen, and "
    .. "neither is a program that does not get back to its event loop.",
  examples = {
    "flame-graph bun --pid 4242",
    "flame-graph bun --inspect ws://localhost:6499/flame-graph",
    "flame-graph bun --pid 4242 --engine jitdump --rate 999",
    "flame-graph bun --pid 4242 --no-inject",
  },
  args = {
    { "pid", type = "pid", positional = true, help = "the process" },
    { "inspect", help = "HOST:PORT/PATH or the ws:// URL of its inspector, as it printed it" },
    fg.arg.duration "30s",
    { "interval_us", type = "integer", default = 1000, min = 1,
      help = "sampling interval of its own profiler in microseconds" },
    { "rate", type = "number", default = 99, min = 1, help = "samples per second of CPU time, with a jitdump" },
    fg.arg.slices(),
    { "no_inject", type = "boolean", help = "put nothing into a process that was started with neither" },
    fg.arg.output(),
  },
  engines = {
    { name = "inspector", summary = "its inspector", check = has_inspector, collect = inspector },
    { name = "jitdump", summary = "native sampler, names from a jitdump", check = has_jitdump, collect = jitdump },
    { name = "inject", summary = "its own profiler, turned on from outside", check = may_inject, collect = inject },
  },
}
