local fg = require "flamegraph"

return fg.collector {
  name = "api",
  summary = "Profile a Rust service with pprof-rs behind /admin/profile, or any server of pprof profiles",
  examples = {
    "flame-graph api --url http://localhost:8080 --duration 30",
    "flame-graph api --url http://localhost:6060 --path /debug/pprof/profile --output go.svg",
  },
  args = {
    fg.arg.url "http://localhost:8080",
    fg.arg.api_key(),
    fg.arg.duration "30s",
    { "path", default = "/admin/profile", help = "profile endpoint; Go's is /debug/pprof/profile" },
    fg.arg.output(),
  },
  collect = function(args)
    return fg.fetch {
      url = args.url .. (args.path:find "^/" and "" or "/") .. args.path,
      query = { seconds = math.ceil(args.duration) },
      headers = { ["x-api-key"] = args.api_key },
      timeout = args.duration + 30,
      expect = "pprof",
      hints = {
        [409] = "another profile is being taken: wait for it and try again",
        [401] = "give the key in $RESQ_API_KEY",
        [403] = "give the key in $RESQ_API_KEY",
        [404] = "there is no profile endpoint at this path: --path names another (Go's is /debug/pprof/profile)",
      },
    }
  end,
}
