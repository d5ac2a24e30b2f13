-- fg.prompt: the person at the terminal does something and says so.

local check = require "flamegraph.check"
local loop = require "flamegraph.loop"
local op = require "flamegraph.op"
local system = require "flamegraph.system"

--- Show a text on standard error and wait for a line on standard input: a terminal's Enter, or the next line
-- of a pipe or file.
-- @tparam string text what is to be done
-- @treturn string|nil the line without its end; nil, "end of input", "EMPTY" where there is none; nil,
--   "interrupted", "INTERRUPTED" where Ctrl-C ended the wait, or came before
-- @usage fg.prompt "Restart the service with the change, then press Enter"
local function prompt(text)
  if type(text) ~= "string" then check.fail("fg.prompt: takes a text, not a %s", type(text)) end
  if loop.interrupted() then return nil, "interrupted", "INTERRUPTED" end
  io.stderr:write(text, system.columns(0) and " " or "\n") -- at a terminal, Enter ends the line
  io.stderr:flush()
  return loop.finish(op.line(0))
end

return prompt
