-- fg.right: may we?

local check = require "flamegraph.check"
local rights = require "flamegraph.rights"

--- Whether the kernel lets us do something, as far as that shows without trying; for the `check` of an engine.
-- @tparam string name "ptrace" (attach), "memory" (read another's memory), "perf" (perf_event_open), "perf_kernel"
--   (with what happens in the kernel), "perf_trace" (with what tracepoints tell), "bpf" (BPF
--   programs), "tracefs" (tracepoints' descriptions)
-- @tparam[opt] integer pid to which process
-- @treturn true|nil nil, which right is missing, and the command that grants it
-- @usage check = function(args) return fg.right("ptrace", args and args.pid) end
local function right(name, pid)
  if type(name) ~= "string" then check.fail("fg.right: takes the name of a right, not a %s", type(name)) end
  if pid ~= nil and math.type(pid) ~= "integer" then check.fail("fg.right: takes the number of a process") end
  local ok, why, remedy = rights.foreseen(name, pid)
  if ok then return true end
  if not why then check.fail("fg.right: there is no right '%s'", name) end
  return nil, why, remedy ~= "" and remedy or nil
end

return right
