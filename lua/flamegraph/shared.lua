-- fg.arg: the arguments that collectors and recipes have in common, so that one thing has one name everywhere.
-- `fg.arg.url "http://localhost:8080"` gives the default, `fg.arg.url { required = true, help = "…" }` changes more.

local args = require "flamegraph.args"
local check = require "flamegraph.check"

local shared = {}

local singles = {
  { "url", type = "url", help = "base URL of the service" },
  { "token", env = "RESQ_TOKEN", secret = true, help = "bearer token; a flag shows in ps, so prefer the variable" },
  { "api_key", env = "RESQ_API_KEY", secret = true, help = "API key; a flag shows in ps, so prefer the variable" },
  { "duration", type = "duration", default = "30s", help = "how long to profile: 30 (seconds), 500ms, 2m" },
  { "pid", type = "pid", help = "process to profile" },
  { "input", type = "path", help = "profile to read; - is standard input" },
  { "output", type = "output", default = "flamegraph.svg",
    help = "file to write, its suffix chooses the format; - is standard output" },
  { "normalize", type = "enum", choices = { "auto", "absolute", "share" }, default = "auto",
    help = "values as measured, or shares of the whole; auto: shares where duration or rate differ" },
}

local groups = {
  filter = {
    title = "Filters",
    { "focus", type = "pattern", list = true, help = "keep the stacks that have a matching frame" },
    { "ignore", type = "pattern", list = true, help = "drop the stacks that have a matching frame" },
    { "hide", type = "pattern", list = true, help = "take matching frames out of their stacks" },
    { "rename", type = "rename", list = true, help = "replace what matches in frame names; $1 is a group" },
  },
  reading = {
    title = "Reading",
    { "expect", metavar = "FORMAT", help = "insist on a format instead of recognising it" },
    { "max_input", type = "size", help = "cap on the decompressed input; otherwise 1G" },
    { "lines", type = "boolean", help = "keep source lines apart" },
    { "idle", type = "boolean", help = "keep stacks that say the program did nothing" },
    { "pid", type = "boolean", help = "perf script: put the process id in the outermost frame" },
    { "tid", type = "boolean", help = "perf script: put process and thread id in the outermost frame" },
    { "addrs", type = "boolean", help = "perf script: addresses for what has no symbol" },
    { "event_filter", metavar = "EVENT", help = "perf script: only this event; otherwise the first one" },
    { "kernel", type = "boolean", help = "perf script: mark kernel frames with _[k]" },
    { "jit", type = "boolean", help = "perf script: mark JIT frames with _[j]" },
  },
  picture = {
    title = "Picture", -- comes with every argument of the type output
    { "title", help = "otherwise made from what is known of the profile" },
    { "subtitle", help = "the line below it" },
    { "width", type = "number", metavar = "PX", help = "width of the picture; otherwise 1200" },
    { "min_width", type = "number", metavar = "PX", help = "frames narrower than this are not drawn without scripts" },
    { "inverted", type = "boolean", help = "roots at the top" },
    { "reverse", type = "boolean", help = "turn stacks around: who calls this?" },
    { "colors", metavar = "PALETTE", help = "name of a palette" },
    { "hash", type = "boolean", help = "colours by a hash of the name alone" },
    { "count_name", metavar = "TEXT", help = "what a value is called" },
    { "type", metavar = "TYPE", help = "value type to show (cpu, alloc_space, …)" },
    { "format", type = "format", help = "instead of the one that the suffix of --output says" },
  },
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

for name, list in pairs(groups) do
  shared[name] = function()
    return args.group(name, list.title, list)
  end
end

return setmetatable(shared, {
  __index = function(_, name)
    local names = {}
    for known in pairs(shared) do names[#names + 1] = known end
    table.sort(names)
    check.fail("there is no fg.arg.%s (there are %s)", tostring(name), table.concat(names, ", "))
  end,
})
