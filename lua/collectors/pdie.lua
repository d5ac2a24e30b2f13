local fg = require "flamegraph"

local function local_port(url)
  local scheme, host, port = url:match "^(https?)://([^/:]+):?(%d*)"
  if not host then scheme, host, port = url:match "^(https?)://(%[[%x:]+%]):?(%d*)" end
  if not host or not (host == "localhost" or host:find "^127%." or host == "[::1]") then return nil end
  return tonumber(port) or (scheme == "https" and 443 or 80)
end

-- Who listens: of several that share the socket, the one that started the others.
local function listener(port)
  local pids = {}
  for _, one in ipairs(fg.listeners(port)) do pids[one.pid] = true end
  for pid in pairs(pids) do
    local process = fg.process(pid)
    if process and not pids[process.ppid] then return pid end
  end
end

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
    { "rate", type = "number", default = 100, help = "samples per second of a local process" },
    fg.arg.output(),
  },
  collect = function(args)
    local pid = args.pid
    if not pid then
      local port = local_port(args.url)
      if not port then return remote(args) end
      pid = listener(port)
      if not pid then
        return nil, ("nobody listens on port %d of this machine, or it is another user's: --pid names the process")
          :format(port), "IO"
      end
    end
    return fg.collect("python", { pid = pid, duration = args.duration, rate = args.rate, subprocesses = true })
  end,
}
