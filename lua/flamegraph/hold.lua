-- Whose turn it is with a process that is changed for the while: see src/sys/hold.h.

local loop = require "flamegraph.loop"
local op = require "flamegraph.op"
local process = require "flamegraph.process"
local rights = require "flamegraph.rights"
local sample = require "flamegraph.sample"
local words = require "flamegraph.words"

local hold = {}

local patience, pause = 5, 0.1 -- seconds: who only takes a look is gone by then

local function holder_text(pid)
  local found = pid > 0 and process.find(pid)
  if not found then return "somebody" end
  return ("process %d (%s)"):format(pid, words.brief(found.command))
end

--- Hold a process, alone. Where another holds it, wait a little while for that to end.
-- @tparam integer pid
-- @tparam[opt=false] boolean sharing be content with others who change nothing
-- @treturn userdata|nil to be closed, `share` lets in others who change nothing; nil, message, code: "TIMEOUT",
--   "INTERRUPTED"
function hold.take(pid, sharing)
  local ends = op.now() + patience
  while true do
    local held, holder = rights.hold(pid)
    if not held and sharing then held = rights.hold(pid, true) end
    if held then return held end
    if op.now() >= ends then
      local text = "process %d is being profiled by %s, and two would undo what the other needs: try again when that "
        .. "has ended"
      return nil, text:format(pid, holder_text(holder)), "TIMEOUT"
    end
    local ok, message, code = loop.sleep(pause)
    if not ok then return nil, message, code end
  end
end

--- Sample what has to be turned on for the while: alone, as another's sampling would turn it off.
-- @tparam table options of fg.sample, with `pid`
-- @return what fg.sample returns; nil, message, code as hold.take
function hold.sample(options)
  local held <close>, message, code = hold.take(options.pid)
  if not held then return nil, message, code end
  return sample(options)
end

return hold
