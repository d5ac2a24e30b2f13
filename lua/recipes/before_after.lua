local fg = require "flamegraph"

return fg.recipe {
  name = "before_after",
  summary = "Profile, wait for the change, profile again, compare",
  examples = {
    "flame-graph before_after --url http://localhost:8080 --duration 30",
    "flame-graph before_after --collector hce --url http://localhost:3000 --output change.svg",
    "flame-graph before_after --url http://localhost:6060 --path /debug/pprof/profile",
  },
  args = {
    { "collector", type = "collector", default = "api", help = "how to profile: any collector" },
    fg.arg.url "http://localhost:8080",
    fg.arg.token(),
    fg.arg.api_key(),
    fg.arg.duration "30s",
    { "path", help = "profile endpoint, for a collector that takes one (api)" },
    { "interval_us", type = "integer",
      help = "sampling interval in microseconds, for a collector that takes one (hce)" },
    fg.arg.output { default = "diff.svg", view = "diff" },
    fg.arg.normalize(),
    { "type", metavar = "TYPE", help = "value type to compare (cpu, alloc_space, …)" },
  },
  run = function(args)
    local before = assert(fg.collect(args.collector, args))
    local ok, message, code = fg.prompt "Restart the service with the change, then press Enter"
    local after, diff
    if ok then after, message, code = fg.collect(args.collector, args) end
    if after then diff, message, code = fg.diff(before, after, { type = args.type, normalize = args.normalize }) end
    ok = nil
    if diff then ok, message, code = diff:write(args.output) end
    if ok then return ok end
    local kept = { fg.keep(before, args.output, "before"), after and fg.keep(after, args.output, "after") }
    return nil, ("%s (%s)"):format(message, table.concat(kept, "; ")), code
  end,
}
