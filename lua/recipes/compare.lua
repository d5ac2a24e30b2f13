local fg = require "flamegraph"
local compared = require "flamegraph.compared"
local source = require "flamegraph.source"

-- What is collected is collected at the same time: the two see the same minutes.
local function take(args, sources)
  local others = { duration = args.duration }
  local got, failed = fg.all {
    before = function() return source.profile(sources.before, others, args.reading) end,
    after = function() return source.profile(sources.after, others, args.reading) end,
  }
  for _, side in ipairs { "before", "after" } do
    if failed[side] then
      local other = side == "before" and "after" or "before"
      local kept = got[other] and not sources[other].path
        and (" (%s)"):format(fg.keep(got[other], args.output, other)) or ""
      return nil, ("%s: %s%s"):format(sources[side].label, failed[side].message, kept), failed[side].code
    end
  end
  return got
end

return fg.recipe {
  name = "compare",
  summary = "Compare any two sources, each a file or a collector with its target",
  description = "A source is a file, or COLLECTOR, COLLECTOR:URL or COLLECTOR:PID, with further arguments of the "
    .. "collector behind commas (perf:4242,rate=99). Both are collected at the same time: two hosts, a canary and the "
    .. "rest, today and the profile kept from yesterday.",
  examples = {
    "flame-graph compare api:http://canary:8080 api:http://stable:8080 --duration 30 --output canary.svg",
    "flame-graph compare yesterday.svg hce:http://localhost:3000",
    "flame-graph compare python:4242 python:4243",
  },
  args = {
    { "before", metavar = "SOURCE", required = true, positional = true, help = "source to compare with" },
    { "after", metavar = "SOURCE", required = true, positional = true, help = "source to compare" },
    fg.arg.duration "30s",
    fg.arg.output { default = "diff.svg", view = "diff" },
    fg.arg.comparing(),
    { "type", metavar = "TYPE", help = "value type to compare (cpu, alloc_space, …)" },
    fg.arg.filter(),
    fg.arg.reading(),
  },
  run = function(args)
    local sources = { before = assert(source.parse(args.before)), after = assert(source.parse(args.after)) }
    local got = assert(take(args, sources))
    local diff = assert(compared.diff({ got.before }, { got.after }, args.comparing, {
      type = args.type, lines = args.reading.lines }))
    if next(args.filter) then diff = assert(diff:filter(args.filter)) end
    return diff:write(args.output)
  end,
}
