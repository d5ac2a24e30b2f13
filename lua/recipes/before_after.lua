local fg = require "flamegraph"

-- "out/diff.svg" → "out/diff-before.svg"
local function beside(output)
  if output == "-" then return "before.svg" end
  local folder, stem, suffix = output:match("^(.-)([^/]+)(%.[^./]+)$")
  return folder and folder .. stem .. "-before" .. suffix or output .. "-before"
end

return fg.recipe {
  name = "before_after",
  summary = "Profile, wait for the change, profile again, compare",
  examples = {
    "flame-graph before_after --url http://localhost:8080 --duration 30",
    "flame-graph before_after --collector hce --url http://localhost:3000 --output change.svg",
  },
  args = {
    { "collector", default = "api", help = "how to profile: any collector" },
    fg.arg.url "http://localhost:8080",
    fg.arg.token(),
    fg.arg.api_key(),
    fg.arg.duration "30s",
    fg.arg.output "diff.svg",
    fg.arg.normalize(),
    { "type", metavar = "TYPE", help = "value type to compare (cpu, alloc_space, …)" },
  },
  run = function(args)
    local before = assert(fg.collect(args.collector, args))
    local ok, message, code = fg.prompt "Restart the service with the change, then press Enter"
    local after
    if ok then after, message, code = fg.collect(args.collector, args) end
    if not after then
      local kept = beside(args.output)
      assert(before:write(kept))
      return nil, ("%s (the first profile is kept in %s)"):format(message, kept), code
    end
    return assert(fg.diff(before, after, { type = args.type, normalize = args.normalize })):write(args.output)
  end,
}
