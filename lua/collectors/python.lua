local fg = require "flamegraph"

-- How a source path is shown: from the last folder of packages on, or the file in its folder.
local function shorten(path)
  return path:match "/site%-packages/(.+)$" or path:match "/dist%-packages/(.+)$"
    or path:match "/lib/python3[%d.]*/(.+)$" or path:match "([^/]+)$" or path
end

-- How a frame is called: `function (file:line)`.
local function label(name, frame)
  if not frame.file or frame.file == "" then return name end
  local place = shorten(frame.file)
  if frame.line and frame.line > 0 then place = ("%s:%d"):format(place, frame.line) end
  return ("%s (%s)"):format(name, place)
end

-- Whether a child of the process is a Python program.
local function has_python_children(pid)
  for _, one in ipairs(fg.processes()) do
    if one.ppid == pid and one.runtime == "python" then return true end
  end
  return false
end

local function nothing_seen(args)
  local hint = not args.subprocesses and has_python_children(args.pid)
    and "it has children that are Python programs: --subprocesses looks at them as well"
    or "drive load and try again, or --idle shows what its threads wait for"
  return nil, ("process %d did nothing in Python while it was watched: %s"):format(args.pid, hint), "EMPTY"
end

local function sample(args)
  if args.gil and args.idle then
    return nil, "--gil and --idle exclude each other: who holds the GIL is not idle", "INVAL"
  end
  local process, message, code = fg.process(args.pid)
  if process and process.exe then process, message, code = fg.expect_runtime(args.pid, "python") end
  if not process then return nil, message, code end -- one that may not be looked at: the sampler says which right lacks
  local p
  p, message, code = fg.sample {
    sampler = "python", pid = args.pid, duration = args.duration, rate = args.rate,
    subprocesses = args.subprocesses, gil = args.gil, idle = args.idle, lines = args.lines,
    threads = args.threads, blocking = args.blocking, native = args.native,
    slices = args.slices,
  }
  if not p then return nil, message, code end
  if p:total() == 0 then return nothing_seen(args) end
  return p:filter { rename = label }
end

local function py_spy(args)
  local file = os.tmpname()
  local command = { "py-spy", "record", "--pid", tostring(args.pid), "--duration", tostring(math.ceil(args.duration)),
    "--rate", tostring(math.floor(args.rate)), "--format", "speedscope", "--output", file }
  if not args.blocking then command[#command + 1] = "--nonblocking" end
  if not args.lines then command[#command + 1] = "--function" end
  for _, flag in ipairs { "subprocesses", "gil", "idle", "threads", "native" } do
    if args[flag] then command[#command + 1] = "--" .. flag end
  end
  local done, message, code = fg.spawn(command)
  local p
  if done and done.status == 0 then
    p, message, code = fg.read(file)
    if p then p, message, code = p:filter { rename = label } end
  elseif done then
    message, code = "py-spy: " .. (done.stderr:match "Error: ([^\n]+)" or done.stderr), "IO"
  end
  os.remove(file)
  return p, message, code
end

return fg.collector {
  name = "python",
  summary = "Profile a running Python program from outside: CPython 3.8 to 3.15, nothing installed in it",
  examples = {
    "flame-graph python --pid 4242 --duration 30",
    "flame-graph python 4242",
    "flame-graph python --pid 4242 --subprocesses --rate 250 --output workers.svg",
    "flame-graph python --pid 4242 --idle --threads --output waiting.svg",
  },
  args = {
    { "pid", type = "pid", required = true, positional = true, help = "the process" },
    fg.arg.duration "30s",
    { "rate", type = "number", default = 100, min = 1, help = "samples per second" },
    { "subprocesses", type = "boolean", help = "its child processes as well, a tower for each" },
    { "threads", type = "boolean", help = "a tower for each thread" },
    { "idle", type = "boolean", help = "threads that wait as well" },
    { "gil", type = "boolean", help = "only the thread that holds the global interpreter lock" },
    { "lines", type = "boolean", help = "source lines apart; otherwise a frame is a function" },
    { "blocking", type = "boolean", help = "stop the program for each sample: exact, and it is slowed" },
    { "native", type = "boolean", help = "native frames too, of extensions and built-in functions; stops it likewise" },
    fg.arg.slices(),
    fg.arg.output(),
  },
  engines = {
    { name = "builtin", summary = "built in, reads the memory of the process", collect = sample,
      -- A process that refuses is refused by the sampler, which knows why.
      check = function(args) return args ~= nil or fg.right "memory" end },
    { name = "py-spy", summary = "py-spy record", needs = { "py-spy", "pip install py-spy" },
      collect = py_spy },
  },
}
