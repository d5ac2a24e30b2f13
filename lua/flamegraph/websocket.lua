-- fg.websocket: a connection for messages.

local check = require "flamegraph.check"
local loop = require "flamegraph.loop"
local op = require "flamegraph.op"
local request = require "flamegraph.request"

--- A connection for messages: what fg.websocket returns. It is closed when the variable that holds it is `<close>` and
-- goes out of scope, when it is collected, and with the program. Several functions of fg.all can use one.
-- @type Websocket
local Websocket = {}
Websocket.__index = Websocket

-- Why a connection is over.
local function ending(ws)
  local _, message, code = ws.op:result()
  return nil, message or "the connection is closed", code or "NET"
end

-- Wait until it opens, has a message or ends; or until `timer` has finished.
local function arrival(ws, timer)
  local o, message, code = op.arrival(ws.op)
  if not o then return nil, message, code end
  local closing <close> = o -- luacheck: ignore closing
  return loop.wait(o, timer)
end

-- True; else it has ended, or Ctrl-C was pressed.
local function opened(ws)
  while not op.has_opened(ws.op) do
    if ws.op:finished() or not arrival(ws) then return false end
  end
  return true
end

--- Send a message.
-- @tparam string text
-- @tparam[opt=false] boolean binary send it as bytes
-- @treturn boolean|nil true; nil, message, code: the connection has ended ("NET"), or the other side does not take what
--   is sent ("LIMIT")
function Websocket:send(text, binary)
  if type(text) ~= "string" then check.fail("websocket:send takes a text, not a %s", type(text)) end
  if self.closed then return nil, "the connection is closed", "NET" end
  return op.transmit(self.op, text, binary or false)
end

--- The next message, if one has come: nothing is waited for.
-- @treturn string|nil nil: none
-- @treturn boolean whether the message was sent as bytes
function Websocket:poll()
  if self.closed then return nil end
  return op.message(self.op)
end

--- Wait until a message can be taken, the connection has ended, or the time is over.
-- @tparam[opt] number|string limit how long at most: seconds, or a text such as `"5s"`
-- @treturn boolean|nil true, also where the time is over; nil, message, code: the connection has ended and nothing is
--   left to take ("NET", "FORMAT", "LIMIT"), or Ctrl-C ("INTERRUPTED")
-- @usage while ws:wait() do handle(ws:poll()) end
function Websocket:wait(limit)
  local seconds, why
  if limit ~= nil then
    seconds, why = check.seconds(limit)
    if not seconds then check.fail("websocket:wait: %s", why) end
  end
  if self.closed then return nil, "the connection is closed", "NET" end
  local timer <close> = seconds and op.timer(seconds) or nil
  local ok, message, code = arrival(self, timer)
  if not ok then return nil, message, code end
  if self.closed then return nil, "the connection is closed", "NET" end
  if self.op:finished() and not op.has_message(self.op) then return ending(self) end
  return true
end

--- Wait for the next message.
-- @tparam[opt] number|string limit how long at most: seconds, or a text such as `"5s"`
-- @treturn string|nil nil, message, code: nothing came in time ("TIMEOUT"), the connection has ended ("NET", "FORMAT",
--   "LIMIT"), or Ctrl-C ("INTERRUPTED")
-- @treturn boolean whether the message was sent as bytes
-- @usage local answer = assert(ws:receive "5s")
function Websocket:receive(limit)
  local seconds, why = check.seconds(limit or 0)
  if not seconds then check.fail("websocket:receive: %s", why) end
  local ends = limit and op.now() + seconds
  while true do
    local text, binary = self:poll()
    if text then return text, binary end
    local left = ends and ends - op.now()
    if left and left <= 0 then
      return nil, ("nothing came from %s within %g s"):format(self.shown, seconds), "TIMEOUT"
    end
    local ok, message, code = self:wait(left)
    if not ok then return nil, message, code end
  end
end

--- Whether it has not ended yet.
-- @treturn boolean
function Websocket:open()
  return not self.closed and not self.op:finished()
end

--- Close it.
function Websocket:close()
  if self.closed then return end
  self.closed = true
  self.op:close()
end

Websocket.__close = Websocket.close

local spec = {
  url = "!string", headers = "table", query = "table", ca = "string", connect_timeout = "seconds",
  max_message = "bytes",
}

--- Connect to a WebSocket. Certificates are checked; messages come as they were sent, pings are answered.
-- @tparam table options
-- @tparam string options.url ws or wss
-- @tparam[opt] table options.query added to the URL, encoded
-- @tparam[opt] table options.headers texts by name
-- @tparam[opt=10] number|string options.connect_timeout seconds until it is open
-- @tparam[opt="1G"] integer|string options.max_message cap on a message that comes in
-- @tparam[opt] string options.ca file with the certificates to trust instead of the system's
-- @treturn Websocket|nil nil, message, code: "NET", "TIMEOUT", "REMOTE" (no WebSocket there), "FORMAT", "INVAL",
--   "INTERRUPTED"
-- @usage local ws <close> = assert(fg.websocket { url = "ws://localhost:8080/events" })
-- assert(ws:send "hello")
local function websocket(options)
  options = check.options("fg.websocket", options, spec)
  local asked = request.build("fg.websocket",
    { url = options.url, headers = options.headers, query = options.query, ca = options.ca })
  asked.connect_timeout, asked.max_message = options.connect_timeout, options.max_message
  local o, message, code = op.websocket(asked)
  if not o then return nil, message, code end
  local shown = options.url:gsub("^(%w+://)[^/@]*@", "%1"):gsub("[?#].*", "")
  local ws = setmetatable({ op = o, shown = shown }, Websocket)
  if opened(ws) then return ws end
  local closing <close> = ws -- luacheck: ignore closing
  if not o:finished() then return nil, "interrupted", "INTERRUPTED" end
  return ending(ws)
end

return websocket
