-- flame-graph run cycles.lua: attaches to a process and lets it go again, N times.
local fg = require "flamegraph"

return fg.recipe {
  name = "cycles",
  summary = "Attach and detach",
  args = {
    { "pid", type = "pid", required = true },
    { "url", type = "string" },
    { "count", type = "integer", default = 10 },
  },
  run = function(args)
    for i = 1, args.count do
      local session, message
      if args.url then
        session, message = fg.devtools.connect(args.url)
      else
        session, message = fg.devtools.attach(args.pid)
      end
      if not session then return nil, ("cycle %d: %s"):format(i, message) end
      local closing <close> = session -- luacheck: ignore closing
      if i % 10 == 1 then
        local p
        p, message = fg.devtools.cpu(session, { duration = "200ms", interval_us = 1000 })
        if not p then return nil, ("cycle %d: %s"):format(i, message) end
      elseif session:evaluate "process.pid" ~= args.pid then
        return nil, ("cycle %d: another process answers"):format(i)
      end
    end
    print(("%d cycles"):format(args.count))
    return true
  end,
}
