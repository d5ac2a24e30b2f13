local fg = require "flamegraph"

local function remote(args)
  return fg.fetch {
    url = args.url .. "/admin/profile",
    query = { seconds = math.ceil(args.duration) },
    headers = { ["x-api-key"] = args.api_key },
    timeout = args.duration + 30,
    hints = {
      [401] = "give the key in $RESQ_API_KEY",
      [403] = "give the key in $RESQ_API_KEY",
      [404] = "the service lacks this endpoint: docs/flamegraph_endpoint.py adds it to FastAPI, Flask and http.server",
      [409] = "another profile is being taken: wait for it and try again",
    },
  }
end

return fg.collector {
  name = "pdie",
  summary = "Profile a Python service: a local one from outside, with its workers; a remote one by /admin/profile",
  examples = {
    "flame-graph pdie --url http://localhost:8000 --duration 30",
    "RESQ_API_KEY=… flame-graph pdie --url https://pdie.example --output pdie.svg",
  },
  args = {
    fg.arg.url "http://localhost:8000",
    { "pid", type = "pid", help = "this process, whoever listens" },
    fg.arg.api_key(),
    fg.arg.duration "30s",
    { "rate", type = "number", default = 100, min = 1, help = "samples per second of a local process" },
    fg.arg.output(),
  },
  ways = {
    { name = "local", summary = "the process that listens at --url, with its workers: as `python`",
      check = function() return fg.right "memory" end },
    { name = "remote", summary = "the service does the profiling, at /admin/profile" },
  },
  collect = function(args)
    local pid = args.pid
    if not pid then
      local process, message, code = fg.serving(args.url)
      if code == "INVAL" then return remote(args) end
      if not process then return nil, message, code end
      pid = process.pid
    end
    return fg.collect("python", { pid = pid, duration = args.duration, rate = args.rate, subprocesses = true })
  end,
}
