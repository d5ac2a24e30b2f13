local fg = require "flamegraph"
local process = require "flamegraph.process"
local record = require "flamegraph.record"
local words = require "flamegraph.words"

-- ---- what to run ------------------------------------------------------------------------------------------------

-- --cmd and what is behind `--` as one list.
local function command_of(args)
  local rest = args.command or {}
  if not args.cmd then return #rest > 0 and rest or nil end
  local list = words.of(args.cmd)
  if not list then
    list = { "sh", "-c", args.cmd .. (#rest > 0 and ' "$@"' or ""), "sh" }
    if #rest == 0 then list[4] = nil end
  end
  return table.move(rest, 1, #rest, #list + 1, list)
end

-- The command, or nil for a process; or nil and what is wrong.
local function target_of(args)
  local command = command_of(args)
  if command and args.pid then return nil, "profile a process (--pid) or a command (--cmd), one at a time" end
  if command and #command == 0 then return nil, "--cmd is empty" end
  if not command and not args.pid then
    return nil, 'what is to be profiled? a process, --pid 4242, or a command, --cmd "make test"'
  end
  return command
end

-- A process is watched for half a minute unless told otherwise, a command until it ends.
local function seconds_of(args, command)
  return args.duration or not command and 30 or nil
end

-- ---- engines ----------------------------------------------------------------------------------------------------

-- Of a program that another one runs, the functions of that one are seen: who knows its own is told.
local function hint(pid)
  local found = fg.process(pid)
  local collector = found and process.collector(found.runtime)
  if not collector or collector == "perf" then return end
  fg.log("process %d is %s: flame-graph %s --pid %d shows its own functions, this those of the runtime", pid,
    found.runtime, collector, pid)
end

local function sample(args)
  local command, why = target_of(args)
  if why then return nil, why, "INVAL" end
  if args.pid then hint(args.pid) end
  return fg.sample {
    sampler = "perf",
    pid = args.pid,
    command = command,
    duration = seconds_of(args, command),
    rate = args.rate,
    event = args.event,
    unwind = args.unwind,
    stack = args.stack,
    no_inherit = args.no_inherit,
    inline = args.inline,
    lines = args.lines,
    slices = args.slices,
    mangled = args.no_demangle,
  }
end

-- The words of perf record.
local function recording(args, command)
  local list = { "--freq", args.rate }
  local function add(...)
    for _, word in ipairs { ... } do list[#list + 1] = word end
  end
  if args.event then add("--event", args.event) end
  if args.no_inherit then add "--no-inherit" end
  if command then
    add("--", table.unpack(command))
  else
    add("--pid", args.pid, "--", "sleep", seconds_of(args))
  end
  return list
end

local function recorded(args)
  local command, why = target_of(args)
  if why then return nil, why, "INVAL" end
  return record(recording(args, command), { unwind = args.unwind, stack = args.stack, pid = args.pid, command = command,
    read = { lines = args.lines, inline = args.inline, no_demangle = args.no_demangle, slices = args.slices } })
end

return fg.collector {
  name = "perf",
  summary = "Profile a native program, or any command: where is CPU time spent?",
  description = "Samples the stacks of all threads, and of the processes they start, in user space and in the kernel. "
    .. "What --cmd runs has our standard streams and gives its exit status.",
  examples = {
    "flame-graph perf --pid 4242 --duration 30",
    "flame-graph perf 4242",
    'flame-graph perf --cmd "cargo bench" --output bench.svg',
    "flame-graph perf --rate 999 --unwind dwarf -- ./server --port 8080",
  },
  args = {
    fg.arg.pid { positional = true },
    { "cmd", metavar = "COMMAND", help = "run this and profile it; a shell reads it where it takes one" },
    { "command", list = true, rest = true, help = "the command to run, or more words for --cmd" },
    { "duration", type = "duration", help = "how long; otherwise 30 s, and a command until it ends" },
    { "rate", type = "number", default = 99, min = 1, metavar = "HZ", help = "samples per second of CPU time" },
    { "event", metavar = "EVENT", help = "what is sampled: cycles, cpu-clock, page-faults, cache-misses, "
      .. "GROUP:TRACEPOINT …; otherwise cycles, or cpu-clock where the machine cannot count them" },
    { "unwind", type = "enum", choices = { "fp", "dwarf" }, default = "fp",
      help = "how stacks are walked: frame pointers, or call frame information, which needs none and costs more" },
    { "stack", type = "size", help = "with --unwind dwarf: how much of each stack is copied; otherwise 8k" },
    { "no_inherit", type = "boolean", help = "leave out the processes that it starts" },
    { "inline", type = "boolean", help = "show inlined calls as frames (needs debug information)" },
    { "lines", type = "boolean", help = "keep source lines apart (needs debug information)" },
    { "no_demangle", type = "boolean", help = "names of C++ and Rust as the linker has them" },
    fg.arg.slices(),
    fg.arg.output(),
  },
  engines = {
    { name = "events", summary = "built in, perf_event_open", collect = sample,
      check = function() return fg.right "perf" end }, -- a process that refuses is refused by the sampler
    { name = "perf", summary = "perf record", collect = recorded,
      check = function(args) return fg.right("perf", args and args.pid) end,
      needs = { "perf", "sudo apt install linux-perf" } },
  },
}
