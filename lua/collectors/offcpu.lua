local fg = require "flamegraph"
local record = require "flamegraph.record"

-- A process is watched for half a minute unless told otherwise.
local function sampled(sampler)
  return function(args)
    return fg.sample {
      sampler = sampler,
      pid = args.pid,
      duration = args.duration,
      rate = args.rate,
      min = args.min,
      max = args.max,
      states = args.state,
      wakers = args.wakers,
      cpu = args.cpu,
      no_inherit = args.no_inherit,
      slices = args.slices,
      unwind = args.unwind,
      stack = args.stack,
      inline = args.inline,
      lines = args.lines,
      mangled = args.no_demangle,
    }
  end
end

-- ---- bpftrace ---------------------------------------------------------------------------------------------------

-- The bits of prev_state (trace/events/sched.h); 0: others had the CPU.
local states = { { 1, "sleeping" }, { 2, "uninterruptible" }, { 4, "stopped" }, { 8, "traced" } }

local function state_of(bits)
  for _, state in ipairs(states) do
    if bits & state[1] ~= 0 then return state[2] end
  end
  return "runnable"
end

local script = [==[
tracepoint:sched:sched_switch /pid == PID/ {
  @since[tid] = nsecs; @state[tid] = args->prev_state; @kernel[tid] = kstack; @user[tid] = ustack; @comm[tid] = comm;
}
tracepoint:sched:sched_switch /@since[args->next_pid]/ {
  $id = args->next_pid;
  $ns = nsecs - @since[$id];
  if ($ns >= MIN && $ns <= MAX) { @waits[@state[$id], @kernel[$id], @user[$id], @comm[$id]] = sum($ns); }
  delete(@since[$id]);
}
interval:ms:DURATION { exit(); }
END { clear(@since); clear(@state); clear(@kernel); clear(@user); clear(@comm); }
]==]

local function nanoseconds(seconds, otherwise)
  return seconds and math.floor(seconds * 1e9) or otherwise
end

local function script_of(args)
  local values = { PID = args.pid, DURATION = math.floor(args.duration * 1000), MIN = nanoseconds(args.min, 0),
    MAX = nanoseconds(args.max, 1 << 62) }
  return (script:gsub("%u%u%u+", function(word) return values[word] and tostring(values[word]) end))
end

-- Frames of one stack, as it is printed: innermost first, "name+offset" on a line of its own.
local function add_frames(stack, text, kind)
  for line in text:gmatch "[^\n]+" do
    local name = line:match "^%s*(.-)%s*$"
    if name ~= "" then table.insert(stack, { name = name:gsub("%+%d+$", ""), kind = kind }) end
  end
end

local function outermost_first(stack)
  for i = 1, #stack // 2 do stack[i], stack[#stack + 1 - i] = stack[#stack + 1 - i], stack[i] end
  return stack
end

-- @waits[STATE, \n kernel's stack\n, \n user's stack\n, THREAD]: NANOSECONDS
local function parsed(output, wanted)
  local p = fg.profile { type = "offcpu", unit = "nanoseconds" }
  for bits, kernel, user, comm, ns in output:gmatch "@waits%[(%d+), (.-\n), (.-\n), ([^\n]*)%]: (%d+)" do
    local state = state_of(math.tointeger(bits))
    if not wanted or wanted[state] then
      local stack = { { name = state, kind = "waiting" } }
      add_frames(stack, kernel, "kernel")
      add_frames(stack, user)
      stack[#stack + 1] = { name = comm }
      local ok, message, code = p:add(outermost_first(stack), math.tointeger(ns))
      if not ok then return nil, message, code end
    end
  end
  return p
end

-- Where the kernel numbers processes as bpftrace does (PROC_PID_INIT_INO of linux/proc_ns.h).
local first_namespace = "pid:[4026531836]"

local function traced(args)
  local wanted
  for _, state in ipairs(args.state or {}) do
    wanted = wanted or {}
    wanted[state] = true
  end
  local target, message, code = fg.process(args.pid)
  if not target then return nil, message, code end
  local done
  done, message, code = fg.spawn { "bpftrace", "-q", "-e", script_of(args), timeout = args.duration + 60,
    env = { BPFTRACE_MAP_KEYS_MAX = "16384" } }
  if not done then return nil, message, code end
  if done.status ~= 0 then return nil, "bpftrace: " .. done.stderr:gsub("%s+$", ""), "UNSUPPORTED" end
  local p
  p, message, code = parsed(done.stdout, wanted)
  if not p then return nil, message, code end
  if p:total() == 0 then
    return nil, ("%s (process %d) did not wait in a way that counts: nothing to draw"):format(target.name, args.pid),
      "EMPTY"
  end
  p:meta { target = ("%s (process %d)"):format(target.name, args.pid), duration = math.floor(args.duration * 1e9),
    engine = "bpftrace, each sched:sched_switch" }
  return p
end

-- Engines that are other programs know waits alone.
local function is_plain(args)
  if not args or not (args.cpu or args.wakers) then return true end
  return nil, "it has neither --cpu nor --wakers", "--engine tracepoints"
end

local function may_bpftrace(args)
  local plain, lacks, instead = is_plain(args)
  if not plain then return nil, lacks, instead end
  local namespace = fg.spawn { "readlink", "/proc/self/ns/pid" }
  if not namespace or not namespace.stdout:find(first_namespace, 1, true) then
    return nil, "it knows processes by their numbers outside of this container", "run it outside"
  end
  local ok, why, remedy = fg.right "tracefs" -- bpftrace finds tracepoints only there, as perf does
  if not ok then return nil, why, remedy end
  return fg.right "bpf"
end

-- ---- perf record --------------------------------------------------------------------------------------------------

-- Each sched:sched_switch of the process's threads is a sample, and a record says when the thread is back.
local function recorded(args)
  local words = { "--switch-events", "--event", "sched:sched_switch", "--count", "1", "--pid", args.pid }
  table.move({ "--", "sleep", args.duration }, 1, 3, #words + 1, words)
  local p, message, code = record(words, { unwind = args.unwind, stack = args.stack, pid = args.pid,
    read = { min_wait = args.min, max_wait = args.max, wait_states = args.state, lines = args.lines,
      inline = args.inline, no_demangle = args.no_demangle, slices = args.slices } })
  if p then p:meta { collector = "offcpu", engine = "perf record, each sched:sched_switch" } end
  return p, message, code
end

-- Where it is refused, the process may have a reason of its own.
local function may_trace(args)
  local ok, why, remedy = fg.right "perf_trace"
  if ok or not args then return ok, why, remedy end
  return fg.right("perf_trace", args.pid)
end

local function may_record(args)
  local plain, lacks, instead = is_plain(args)
  if not plain then return nil, lacks, instead end
  if args and args.no_inherit then return nil, "without children it has no threads either", "--engine tracepoints" end
  local ok, why, remedy = fg.right "tracefs" -- perf finds tracepoints only there
  if not ok then return nil, why, remedy end
  return may_trace(args)
end

-- ---- built in ---------------------------------------------------------------------------------------------------

-- The BPF program sums in the kernel and costs least, but it walks stacks by frame pointers alone: most C libraries
-- have none, and the function that waits would not be seen. So the tracepoints come first.
local function may_watch(args)
  if args and args.wakers then return nil, "it does not know who ends a wait", "--engine bpf" end
  return may_trace(args) -- it finds tracepoints where tracefs is not mounted
end

return fg.collector {
  name = "offcpu",
  summary = "Profile where a program waits: sleep, locks, disks, the network, or for a CPU",
  description = "Sums the time that the threads of a process spend off the CPU by what they were doing, in user space "
    .. "and in the kernel. The innermost frame says how: sleeping, uninterruptible (a disk, mostly), runnable (others "
    .. "had the CPU). The processes that it starts are in the picture, but for the engines bpf and bpftrace.",
  examples = {
    "flame-graph offcpu --pid 4242 --duration 30",
    "flame-graph offcpu 4242 --min 1ms --state uninterruptible",
    "flame-graph offcpu 4242 --cpu --output wall.svg",
    "flame-graph offcpu 4242 --wakers",
  },
  args = {
    fg.arg.pid { positional = true, required = true },
    fg.arg.duration "30s",
    { "min", type = "duration", help = "leave out waits that are shorter" },
    { "max", type = "duration", help = "leave out waits that are longer" },
    { "state", type = "enum", list = true, choices = { "sleeping", "uninterruptible", "runnable", "stopped", "traced" },
      help = "only waits of this kind (several: give it several times)" },
    { "wakers", type = "boolean", help = "show who ended each wait, above it and upside down (engine bpf)" },
    { "cpu", type = "boolean", help = "show the time on a CPU as well: all of the wall-clock time of each thread" },
    { "rate", type = "number", default = 99, min = 1, metavar = "HZ",
      help = "with --cpu: samples per second of CPU time" },
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
    { name = "tracepoints", summary = "built in, perf_event_open", collect = sampled "offcpu_events",
      check = may_watch },
    { name = "bpf", summary = "built in, a BPF program", collect = sampled "offcpu_bpf",
      check = function() return fg.right "bpf" end },
    { name = "bpftrace", summary = "what bpftrace prints", collect = traced, check = may_bpftrace,
      needs = { "bpftrace", "sudo apt install bpftrace" } },
    { name = "perf", summary = "perf record, each sched:sched_switch", collect = recorded, check = may_record,
      needs = { "perf", "sudo apt install linux-perf" } },
  },
}
