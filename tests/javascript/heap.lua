-- flame-graph run heap.lua: what a process allocates in `grow` and in `waste`, as JSON.
local fg = require "flamegraph"

return fg.recipe {
  name = "heap",
  summary = "Bytes by function",
  args = { { "pid", type = "pid", required = true }, { "allocated", type = "boolean" } },
  run = function(args)
    local session, message = fg.devtools.attach(args.pid)
    if not session then return nil, message end
    local closing <close> = session -- luacheck: ignore closing
    local p
    p, message = fg.devtools.heap(session, { duration = "2s", interval = "8k", allocated = args.allocated })
    if not p then return nil, message end
    local told = { total = 0, grow = 0, waste = 0, type = p:types()[1].name }
    for frames, bytes in p:stacks() do
      for _, frame in ipairs(frames) do
        if frame.name == "grow" or frame.name == "waste" then
          told[frame.name], told.total = told[frame.name] + bytes, told.total + bytes
        end
      end
    end
    print(fg.json.encode(told))
    return true
  end,
}
