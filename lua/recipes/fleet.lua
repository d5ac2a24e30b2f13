local fg = require "flamegraph"
local files = require "flamegraph.files"
local profiling = require "flamegraph.profiling"
local source = require "flamegraph.source"

-- What a target is called in the picture and in names of files: without scheme, user and query.
local function host_of(one)
  local label = one.values and (one.values.url or one.values.pid) or one.label
  return (label:gsub("^%w+://", ""):gsub("^[^/@]*@", ""):gsub("[?#].*", ""))
end

-- A profile under one outermost frame.
local function under(p, name)
  local types = {}
  for i, type in ipairs(p:types()) do types[i] = { type.name, type.unit } end
  local wrapped = fg.profile { types = types }
  for frames, _, values in p:stacks() do
    assert(wrapped:add(table.move(frames, 1, #frames, 2, { name }), values))
  end
  for _, key in ipairs { "default_type", "period_type", "period", "duration", "start", "collector", "engine",
    "samples", "interrupted" } do
    local value = p:meta(key)
    if value then wrapped:meta { [key] = value } end
  end
  local quality = p:quality()
  for _, key in ipairs { "lost", "failed", "truncated" } do
    if quality[key] then wrapped:meta { [key] = quality[key] } end
  end
  return wrapped
end

-- Each target's profile, or why there is none, in the order of the targets.
local function take(args, targets)
  local others = assert(profiling.with(args.profiling.with))
  for _, key in ipairs { "token", "api_key", "path", "interval_us", "engine" } do others[key] = args.profiling[key] end
  others.duration = args.duration
  local functions = {}
  for i, one in ipairs(targets) do
    functions[i] = function() return source.profile(one, others) end
  end
  return fg.all(functions)
end

-- One picture of all: each target is an outermost frame.
local function merged(targets, got)
  local list = {}
  for i, one in ipairs(targets) do
    if got[i] then list[#list + 1] = under(got[i], host_of(one)) end
  end
  local all, message, code = fg.merge(list)
  if not all then return nil, message, code end
  return all:meta { target = ("%d of %d targets"):format(#list, #targets) }
end

return fg.recipe {
  name = "fleet",
  summary = "Profile many targets at once: one picture of all, and one of each",
  description = "A target is what `compare` calls a source; with --collector, a URL or a process id alone. A target "
    .. "that fails is told and left out; the command fails where all of them do.",
  examples = {
    "flame-graph fleet --collector api http://a:8080 http://b:8080 http://c:8080 --duration 30",
    "flame-graph fleet --collector python 4242 4243 4244 --each --output workers.svg",
    "flame-graph fleet hce:http://localhost:3000 api:http://localhost:8080 --output services.svg",
  },
  args = {
    { "target", metavar = "TARGET", list = true, required = true, positional = true, help = "what to profile" },
    fg.arg.duration "30s",
    { "each", type = "boolean", help = "write a picture of each target, too, beside --output" },
    fg.arg.output "fleet.svg",
    fg.arg.profiling(),
  },
  run = function(args)
    local targets = {}
    for i, text in ipairs(args.target) do targets[i] = assert(source.parse(text, args.profiling.collector)) end
    local got, failed = take(args, targets)
    local taken = 0
    for i, one in ipairs(targets) do
      if got[i] then
        taken = taken + 1
      elseif failed[i] then
        fg.log("%s: %s", one.label, failed[i].message)
      end
    end
    if taken == 0 then return nil, ("none of the %d targets gave a profile"):format(#targets), "REMOTE" end
    local all = assert(merged(targets, got))
    for i, one in ipairs(args.each and targets or {}) do
      if got[i] then assert(got[i]:write(files.beside(args.output, (host_of(one):gsub("[^%w._-]+", "-"))))) end
    end
    fg.log("%d of %d targets", taken, #targets)
    return all:write(args.output)
  end,
}
