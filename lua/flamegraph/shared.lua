-- fg.arg: the arguments that collectors and recipes have in common, so that one thing has one name everywhere.
-- `fg.arg.url "http://localhost:8080"` gives the default, `fg.arg.url { required = true, help = "…" }` changes more.

local args = require "flamegraph.args"
local check = require "flamegraph.check"
local profile = require "flamegraph.profile"

local shared = {}

local least_width, most_width = profile.widths()

local singles = {
  { "url", type = "url", help = "base URL of the service" },
  { "token", env = "RESQ_TOKEN", secret = true, help = "bearer token; a flag shows in ps, so prefer the variable" },
  { "api_key", env = "RESQ_API_KEY", secret = true, help = "API key; a flag shows in ps, so prefer the variable" },
  { "duration", type = "duration", default = "30s", help = "how long to profile: 30 (seconds), 500ms, 2m" },
  { "pid", type = "pid", help = "process to profile" },
  { "input", type = "path", help = "profile to read; - is standard input" },
  { "output", type = "output", default = "flamegraph.svg",
    help = "file to write, its suffix chooses the format; - is standard output, term the terminal" },
  { "slices", type = "boolean", help = "keep what each slice of time gave: a diff of two such profiles tells noise" },
  { "normalize", type = "enum", choices = { "auto", "absolute", "share", "per-unit", "rate" },
    default = "auto", help = "values as measured, shares of the whole, by unit of work, or by second; auto: as "
      .. "measured where both lasted alike or until the program ended, else by second" },
}

local groups = {
  filter = {
    title = "Filters",
    { "focus", type = "pattern", list = true, help = "keep the stacks that have a matching frame" },
    { "ignore", type = "pattern", list = true, help = "drop the stacks that have a matching frame" },
    { "hide", type = "pattern", list = true, help = "take matching frames out of their stacks" },
    { "rename", type = "rename", list = true, help = "replace what matches in frame names; $1 is a group" },
  },
  comparing = { -- what flamegraph.compared takes
    title = "How to compare",
    "normalize",
    { "units_before", type = "number", min = 1e-9,
      help = "units of work in a run of before (requests, iterations); otherwise those of the load test" },
    { "units_after", type = "number", min = 1e-9, help = "units of work in a run of after" },
    { "no_canonical", type = "boolean", help = "match names as they are" },
    { "no_templates", type = "boolean", help = "match C++ names without their template arguments" },
  },
  profiling = { -- what fg.collect_as takes
    title = "How to profile",
    { "collector", type = "collector", default = "api", help = "any collector" },
    "url", "token", "api_key", "pid",
    { "path", help = "profile endpoint, for a collector that takes one (api)" },
    { "interval_us", type = "integer", help = "sampling interval in microseconds, for a collector that takes one" },
    { "engine", help = "engine, for a collector that has some" },
    { "with", metavar = "NAME=VALUE", list = true, help = "any other argument of the collector" },
  },
  load = { -- what fg.drive takes
    title = "Load",
    { "load", metavar = "URL", list = true, help = "what to request, in turn; a path alone is one of --url" },
    { "rps", type = "number", min = 0.001,
      help = "requests per second, whatever becomes of them; otherwise a new one follows each answer" },
    { "concurrency", type = "integer", min = 1, max = 10000,
      help = "requests under way at once, at most; otherwise 8, or a quarter of --rps" },
    { "load_method", metavar = "METHOD", help = "otherwise GET, or POST with a body" },
    { "load_body", metavar = "TEXT", help = "body of each request" },
    { "load_header", metavar = "'NAME: VALUE'", list = true,
      help = "header of each request; $NAME in it is that environment variable" },
    { "load_timeout", type = "duration", help = "for one answer; otherwise 10 s" },
  },
  reading = {
    title = "Reading",
    { "expect", metavar = "FORMAT", help = "insist on a format instead of recognising it" },
    { "max_input", type = "size", help = "cap on what a compressed input unpacks to; otherwise 1G" },
    { "lines", type = "boolean", help = "keep source lines apart" },
    { "idle", type = "boolean", help = "keep stacks that say the program did nothing" },
    { "pid", type = "boolean", help = "perf: put the process id in the outermost frame" },
    { "tid", type = "boolean", help = "perf: put process and thread id in the outermost frame" },
    { "addrs", type = "boolean", help = "perf: addresses for what has no symbol" },
    { "inline", type = "boolean", help = "perf.data: calls that the compiler inlined are frames" },
    { "no_demangle", type = "boolean", help = "perf.data: names as the linker has them" },
    { "event_filter", metavar = "EVENT", help = "perf: only this event" },
    { "slices", type = "boolean",
      help = "keep what each slice of time gave, for a diff that tells noise: perf, cpuprofile, nettrace, speedscope" },
    { "kernel", type = "boolean", help = "perf: mark kernel frames with _[k]" },
    { "jit", type = "boolean", help = "perf: mark JIT frames with _[j]" },
  },
}

local picture = {
  title = "Picture", -- comes with every argument of the type output
  { "title", help = "otherwise made from what is known of the profile" },
  { "subtitle", help = "the line below it" },
  { "width", type = "number", metavar = "PX", min = least_width, max = most_width,
    help = "width of the picture; otherwise 1200, in a terminal its own" },
  { "min_width", type = "number", metavar = "PX", min = 0, max = most_width,
    help = "frames narrower than this are not drawn without scripts" },
  { "inverted", type = "boolean", help = "roots at the top" },
  { "reverse", type = "boolean", help = "turn stacks around: who calls this?" },
  { "colors", type = "enum", metavar = "PALETTE", help = "palette" }, -- its choices: those of the view
  { "hash", type = "boolean", help = "colours by a hash of the name alone" },
  { "count_name", metavar = "TEXT", help = "what a value is called" },
  { "type", metavar = "TYPE", help = "value type to show (cpu, alloc_space, …)" },
  { "format", type = "format", help = "instead of the one that the suffix of --output says" },
  { "open", type = "boolean", help = "show the file in the browser ($BROWSER, or the desktop's)" },
}

local function copy(from)
  local to = {}
  for key, value in pairs(from) do to[key] = value end
  return to
end

for _, template in ipairs(singles) do
  shared[template[1]] = function(changes)
    local arg = copy(template)
    if type(changes) == "table" then
      for key, value in pairs(changes) do arg[key] = value end
    elseif changes ~= nil then
      arg.default = changes
    end
    return arg
  end
end

-- In the list of a group, a text is the single argument of that name.
for name, list in pairs(groups) do
  shared[name] = function()
    local entries = {}
    for i, entry in ipairs(list) do entries[i] = type(entry) == "string" and shared[entry]() or entry end
    return args.group(name, list.title, entries)
  end
end

-- The palettes that a view can choose from; nil: of all views.
local function palettes(view)
  local seen, names = {}, {}
  for _, one in ipairs(view and { view } or { "flame", "hotcold", "diff" }) do
    for name in profile.palettes(one):gmatch("[^, ]+") do
      if not seen[name] then names[#names + 1] = name end
      seen[name] = true
    end
  end
  return names
end

--- The flags of a picture.
-- @tparam string|nil view what is drawn: "flame", "diff", "hotcold"; nil: that depends on the profile
function shared.picture(view)
  local choices = palettes(view)
  if #choices == 0 then check.fail("there is no view '%s': choose flame, hotcold or diff", view) end
  local list = {}
  for i, arg in ipairs(picture) do
    list[i] = arg[1] == "colors" and copy(arg) or arg
    if arg[1] == "colors" then list[i].choices = choices end
  end
  if view == "diff" then
    list[#list + 1] = { "widths", type = "enum", choices = { "union", "before", "after" },
      help = "how wide frames are: as before, as after, or otherwise as the larger of both" }
  end
  return args.group("picture", picture.title, list)
end

return setmetatable(shared, {
  __index = function(_, name)
    local names = {}
    for known in pairs(shared) do names[#names + 1] = known end
    table.sort(names)
    check.fail("there is no fg.arg.%s (there are %s)", tostring(name), table.concat(names, ", "))
  end,
})
