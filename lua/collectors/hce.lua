local fg = require "flamegraph"

local function credentials(args)
  if args.token then return { authorization = "Bearer " .. args.token } end
  if args.api_key then return { ["x-api-key"] = args.api_key } end
end

return fg.collector {
  name = "hce",
  summary = "Profile a Node or Bun service behind /admin/cpu-profile",
  examples = {
    "RESQ_TOKEN=… flame-graph hce --url http://localhost:3000 --duration 30",
    "flame-graph hce --url https://hce.example --hide '^node:internal' --output hce.svg",
  },
  args = {
    fg.arg.url "http://localhost:3000",
    fg.arg.token(),
    fg.arg.api_key(),
    fg.arg.duration "30s",
    { "interval_us", type = "integer", default = 100, help = "sampling interval in microseconds" },
    fg.arg.output(),
  },
  collect = function(args)
    local headers = credentials(args)
    if not headers then
      return nil, "no credential: set $RESQ_TOKEN or $RESQ_API_KEY (or give --token or --api-key)", "INVAL"
    end
    return fg.fetch {
      url = args.url .. "/admin/cpu-profile",
      json = { durationMs = math.ceil(args.duration * 1000), intervalUs = args.interval_us },
      headers = headers,
      timeout = args.duration + 30,
      expect = "cpuprofile",
      hints = {
        [404] = "the service lacks this endpoint: add POST /admin/cpu-profile, which profiles for durationMs with "
          .. "node:inspector and answers with the .cpuprofile",
      },
    }
  end,
}
