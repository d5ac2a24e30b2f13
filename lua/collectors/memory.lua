local fg = require "flamegraph"
local costs = require "flamegraph.costs"
local engines = require "flamegraph.engines"
local hold = require "flamegraph.hold"

-- What each runtime's memory is asked of, where nobody says.
local languages = { python = "python", node = "node", bun = "node", go = "go", native = "native" }

-- The language of a run: what --lang says, or the process's own.
local function language(args)
  if args.lang ~= "auto" then return args.lang end
  local process, message, code = fg.process(args.pid)
  if not process then return nil, message, code end
  local found = languages[process.runtime]
  if found then return found end
  return nil, ("process %d is %s, whose memory is not profiled here"):format(args.pid, process.runtime), "UNSUPPORTED"
end

-- What is paid, told before it is: by how much the engine slows the program, as measured.
local function warn(args, text)
  fg.log("process %d: %s", args.pid, text)
end

local function tracemalloc(args)
  warn(args, ("%s (%d now)"):format(costs.tracemalloc(), args.depth))
  return hold.sample {
    sampler = "tracemalloc", pid = args.pid, duration = args.duration, depth = args.depth, growth = args.growth,
    timeout = args.timeout,
  }
end

local function jemalloc(args)
  if args.live then return nil, "--live is of malloc: jemalloc's own profile is what is in use already", "INVAL" end
  return hold.sample {
    sampler = "jemalloc", pid = args.pid, duration = args.duration, growth = args.growth, timeout = args.timeout,
  }
end

local function malloc(args)
  if args.growth and not args.live then
    return nil, "what malloc gives is seen, not what is freed: --growth takes --live, jemalloc, Python or --url",
      "INVAL"
  end
  warn(args, args.live and costs.live() or costs.malloc())
  return fg.sample {
    sampler = "malloc", pid = args.pid, duration = args.duration, period = args.period, live = args.live,
    growth = args.growth,
  }
end

-- ---- over HTTP --------------------------------------------------------------------------------------------------

-- The address of the profile: --url alone names the service, and with a path the endpoint.
local function endpoint(args)
  if args.url:find "^%w+://[^/]+/." then return args.url end
  return args.url:gsub("/$", "") .. args.path
end

local function fetch(args)
  return fg.fetch {
    url = endpoint(args),
    headers = { authorization = args.token and "Bearer " .. args.token, ["x-api-key"] = args.api_key },
    timeout = 60,
    hints = {
      [401] = "give the key in $RESQ_API_KEY, or a token in $RESQ_TOKEN",
      [404] = "there is no heap profile at this path: --path names another (Go's are /debug/pprof/heap and "
        .. "/debug/pprof/allocs)",
    },
  }
end

-- The value type that the picture is of: what is in use, unless another was asked for or there is none.
local function prefer_in_use(p)
  if p and not p:is_diff() then
    for _, type in ipairs(p:types()) do
      if type.name == "inuse_space" then p:meta { default_type = "inuse_space" } end
    end
  end
  return p
end

local function over_http(args)
  local before, message, code = fetch(args)
  if before and not args.growth and not before:meta "duration" then before:meta { snapshot = 1 } end
  if not before or not args.growth then return prefer_in_use(before), message, code end
  fg.sleep(args.duration)
  local after
  after, message, code = fetch(args)
  if not after then return nil, message, code end
  return fg.diff(before, after, { normalize = "absolute" })
end

-- ---- the ways ---------------------------------------------------------------------------------------------------

local native = engines.declare("memory", {
  { name = "jemalloc", summary = "the heap profile that jemalloc keeps by itself", collect = jemalloc },
  { name = "malloc", summary = "probes on malloc and its like: what is allocated from now on", collect = malloc },
})

local function no_way(args)
  local text = "process %d is %s: its heap profile comes from itself, over HTTP: give --url (Go: net/http/pprof)"
  return nil, text:format(args.pid, language(args)), "INVAL"
end

-- What was allocated from now on and is still there at the end.
local function v8(args)
  local session, message, code = fg.devtools.attach(args.pid)
  if not session then return nil, message, code end
  local closing <close> = session -- luacheck: ignore closing
  local p
  p, message, code = fg.devtools.heap(session, { duration = args.duration })
  if not p then return nil, message, code end
  p:note "of what was allocated while it was watched"
  return p:meta { engine = "devtools" }
end

local ways = {
  python = tracemalloc,
  native = function(args)
    if args.live and not args.engine then args.engine = "malloc" end
    return engines.collect(native, args)
  end,
  go = no_way,
  node = v8,
}

local function collect(args)
  if args.url then return over_http(args) end
  if not args.pid then return nil, "whose memory? Give --pid, or --url of a service with a heap profile", "INVAL" end
  local lang, message, code = language(args)
  if not lang then return nil, message, code end
  return ways[lang](args)
end

local function may_visit()
  return fg.right "ptrace"
end

return fg.collector {
  name = "memory",
  summary = "Heap flame graphs of running programs: who allocated what is in use",
  description = "Python: tracemalloc, turned on in the running interpreter (CPython 3.8 to 3.15) and off again. C, C++ "
    .. "and Rust with jemalloc: the heap profile that it keeps, where the program was started with "
    .. "MALLOC_CONF=prof:true (Rust: _RJEM_MALLOC_CONF); prof_active:false besides keeps it off until it is watched. "
    .. "Native programs without it: what malloc and its like give from now on, by probes; with --live what of that is "
    .. "not freed again. Node: V8's sampled heap over the DevTools protocol, of what is allocated from now on. "
    .. "--url takes a heap profile over HTTP, in pprof's format or jemalloc's. With --growth, what was in use at the "
    .. "beginning (Python: at half of the time) and at the end is compared.",
  examples = {
    "flame-graph memory --pid 4242 --duration 30",
    "flame-graph memory --pid 4242 --live --duration 1m --output leaks.svg",
    "flame-graph memory --pid 4242 --lang python --depth 25 --growth --output growth.svg",
    "flame-graph memory --url http://localhost:6060 --type alloc_space --output allocated.svg",
  },
  args = {
    { "pid", type = "pid", positional = true, help = "the process" },
    { "url", type = "url", help = "service with a heap profile, instead of --pid" },
    { "path", default = "/debug/pprof/heap", help = "where that is, unless --url has a path" },
    fg.arg.token(),
    fg.arg.api_key(),
    { "lang", type = "enum", choices = { "auto", "native", "node", "python" }, default = "auto",
      help = "what the program is written in" },
    fg.arg.duration "10s",
    engines.argument(native),
    { "growth", type = "boolean", help = "compare what is in use at two moments" },
    { "live", type = "boolean", help = "malloc: what is allocated from now on and not freed again, until the end" },
    { "period", type = "integer", min = 1, max = 1 << 30,
      help = "malloc: one allocation of so many is a sample, of the next prime number of them; otherwise each, and "
        .. "fewer where that makes more than 2000 samples a second; with --live 100" },
    { "timeout", type = "duration", default = "10s",
      help = "Python, jemalloc: how long to wait for a moment at which the process can be asked safely" },
    { "depth", type = "integer", min = 1, max = 1000, default = 16, help = "Python: frames of each stack, at most" },
    fg.arg.output(),
  },
  ways = {
    { name = "python", summary = "tracemalloc, turned on in the interpreter and off again", check = may_visit },
    { name = "jemalloc", summary = "native programs: the heap profile that jemalloc keeps", check = may_visit },
    { name = "malloc", summary = "native programs: probes on malloc and its like",
      check = function() return fg.right "perf_trace" end },
    { name = "node", summary = "V8's sampled heap, over the DevTools protocol" },
    { name = "url", summary = "the service's own heap profile, over HTTP (Go, Rust)" },
  },
  collect = collect,
}
