-- A session of the DevTools protocol: calls with answers, and events, over one WebSocket. Worker threads of Node have
-- sessions of their own, whose messages travel inside those of the first.
--
--   root session ── WebSocket ──▶ main thread
--     └─ worker's session ── NodeWorker.sendMessageToWorker / receivedMessageFromWorker ──▶ worker
--
-- Whoever waits for an answer takes whatever has come from the socket and hands it out.

local check = require "flamegraph.check"
local json = require "flamegraph.json"
local loop = require "flamegraph.loop"
local op = require "flamegraph.op"
local websocket = require "flamegraph.websocket"

local session = {}

local call_seconds = 30

--- A session of the DevTools protocol: what fg.devtools.connect and fg.devtools.attach return. It is closed when the
-- variable that holds it is `<close>` and goes out of scope, and then leaves the process as it found it.
-- @type Session
local Session = {}
Session.__index = Session

-- ---- what comes -------------------------------------------------------------------------------------------------

-- Answers begin (V8) or end (WebKit) with the number of the call; they can be long and are not decoded here.
local function number_of(text)
  return tonumber(text:match('^{"id":(%d+)') or text:match('"id":(%d+)}$'))
end

local function on_text(self, text)
  local number = number_of(text)
  if number and self.pending[number] then
    self.pending[number] = text
    return
  end
  local event = json.decode(text)
  if type(event) ~= "table" then return end
  for _, handler in ipairs(self.handlers[event.method] or {}) do handler(event.params or {}) end
end

local function take_all(root)
  for text in function() return root.socket:poll() end do on_text(root, text) end
end

-- Where the session is over: why.
local function over(self)
  if self.closed then return "the session is closed" end
  if self.gone then return ("%s has ended"):format(self.title) end
end

-- Hand out what comes until `done()`, or until `ends` on op.now's clock.
local function pump(self, done, ends)
  local root = self.root
  while true do
    take_all(root)
    if done() then return true end
    if over(self) then return nil, over(self), "NET" end
    local left = ends - op.now()
    if left <= 0 then return nil, "no answer", "TIMEOUT" end
    local ok, message, code = root.socket:wait(left)
    if not ok then return nil, message, code end
  end
end

-- ---- calls ------------------------------------------------------------------------------------------------------

local function send(self, text)
  if self == self.root then return self.socket:send(text) end
  return self.root:call("NodeWorker.sendMessageToWorker", { sessionId = self.worker, message = text })
end

--- Call a method of the protocol; the answer as it was sent, which fg.parse takes where it holds a profile.
-- @tparam string method
-- @tparam[opt] table params
-- @tparam[opt=30] number|string limit how long to wait for the answer
-- @treturn string|nil nil, message, code: as for `call`
-- @usage local p = assert(fg.parse(assert(session:ask "Profiler.stop")))
function Session:ask(method, params, limit)
  local seconds, why = check.seconds(limit or call_seconds)
  if not seconds then check.fail("session:ask: %s", why) end
  if over(self) then return nil, ("%s: %s"):format(method, over(self)), "NET" end
  local root = self.root
  local number = root.number + 1
  root.number = number
  local text = json.encode { id = number, method = method, params = params or {} }
  if not text then check.fail("session:ask: %s: params cannot be sent as JSON", method) end
  self.pending[number] = true
  local ok, message, code = send(self, text)
  local function answered() return self.pending[number] ~= true end
  if ok then ok, message, code = pump(self, answered, op.now() + seconds) end
  local answer = self.pending[number]
  self.pending[number] = nil
  if ok then return answer end
  if code == "TIMEOUT" then message = ("no answer within %g s"):format(seconds) end
  return nil, ("%s: %s"):format(method, message), code
end

--- Call a method of the protocol.
-- @tparam string method
-- @tparam[opt] table params
-- @tparam[opt=30] number|string limit how long to wait for the answer
-- @treturn table|nil the result; nil, message, code: it was refused ("REMOTE"), did not come ("TIMEOUT"), the
--   connection ended ("NET"), or Ctrl-C ("INTERRUPTED")
-- @usage assert(session:call("Profiler.setSamplingInterval", { interval = 1000 }))
function Session:call(method, params, limit)
  local text, message, code = self:ask(method, params, limit)
  if not text then return nil, message, code end
  local answer
  answer, message = json.decode(text)
  if type(answer) ~= "table" then return nil, ("%s: %s"):format(method, message or "no answer"), "FORMAT" end
  if answer.error then
    local said = type(answer.error) == "table" and answer.error.message or "refused"
    return nil, ("%s: %s"):format(method, tostring(said)), "REMOTE"
  end
  return type(answer.result) == "table" and answer.result or {}
end

local function exception_text(result)
  local details = result.exceptionDetails
  local thrown = details and details.exception or result.result
  local said = type(thrown) == "table" and (thrown.description or thrown.value)
  return said or details and details.text or "thrown"
end

--- Evaluate an expression of JavaScript in the process. Only what JSON has words for comes back.
-- @tparam string expression
-- @tparam[opt=30] number|string limit
-- @return its value; nothing for undefined and null; nil, message, code as for `call`, "REMOTE" where it threw
-- @usage local version = session:evaluate "process.version"
function Session:evaluate(expression, limit)
  local result, message, code = self:call("Runtime.evaluate", { expression = expression, returnByValue = true }, limit)
  if not result then return nil, message, code end
  if result.exceptionDetails or result.wasThrown then
    return nil, "JavaScript: " .. tostring(exception_text(result)), "REMOTE"
  end
  local value = type(result.result) == "table" and result.result.value
  if value == nil or value == json.null() then return nil end
  return value
end

--- Have a function called for each event of some kind.
-- @tparam string method the event: "NodeWorker.attachedToWorker", …
-- @tparam function handler gets the event's params; it may not wait
function Session:on(method, handler)
  local list = self.handlers[method] or {}
  self.handlers[method] = list
  list[#list + 1] = handler
end

--- Let time pass, and events come.
-- @tparam number|string duration
-- @tparam[opt] function woken asked after each event: true ends the wait
-- @treturn boolean|nil true; nil, message, code: the connection ended, or Ctrl-C
function Session:sleep(duration, woken)
  local seconds, why = check.seconds(duration)
  if not seconds then check.fail("session:sleep: %s", why) end
  if loop.interrupted() then return nil, "interrupted", "INTERRUPTED" end
  local ok, message, code = pump(self, woken or function() return false end, op.now() + seconds)
  if ok or code == "TIMEOUT" then return true end
  return nil, message, code
end

-- ---- workers ----------------------------------------------------------------------------------------------------

local function add_worker(root, params)
  local info = params.workerInfo or {}
  local file = tostring(info.url or ""):match "([^/]+)$"
  local worker = setmetatable({
    root = root, worker = params.sessionId, pending = {}, handlers = {},
    title = ("worker %s%s"):format(tostring(info.workerId or params.sessionId), file and (" (%s)"):format(file) or ""),
  }, Session)
  root.by_id[params.sessionId] = worker
  root.list[#root.list + 1] = worker
end

local function watch_workers(root)
  root.by_id, root.list = {}, {}
  root:on("NodeWorker.attachedToWorker", function(params) add_worker(root, params) end)
  root:on("NodeWorker.detachedFromWorker", function(params)
    local worker = root.by_id[params.sessionId]
    if worker then worker.gone = true end
  end)
  root:on("NodeWorker.receivedMessageFromWorker", function(params)
    local worker = root.by_id[params.sessionId]
    if worker and type(params.message) == "string" then on_text(worker, params.message) end
  end)
  return root:call("NodeWorker.enable", { waitForDebuggerOnStart = false })
end

--- The sessions of Node's worker threads, in the order in which they were seen; also of those that have ended since.
-- @treturn {Session,...}|nil nil, message, code: there are none in this runtime ("REMOTE")
-- @usage for _, worker in ipairs(session:workers() or {}) do print(worker.title) end
function Session:workers()
  local root = self.root
  if not root.list then
    local ok, message, code = watch_workers(root)
    if not ok then
      root.list = nil
      return nil, message, code
    end
  end
  return table.move(root.list, 1, #root.list, 1, {})
end

--- Whether it has not ended yet.
-- @treturn boolean
function Session:open()
  return not over(self) and self.root.socket:open()
end

--- Close it. What attaching has changed in the process is changed back.
function Session:close()
  if self.closed then return end
  local leave = self.leave
  self.leave = nil
  if leave then leave(self) end
  self.closed = true
  if self == self.root then self.socket:close() end
end

Session.__close = Session.close

--- Open a session.
-- @tparam string url of the WebSocket
-- @tparam[opt=10] number limit seconds until it is open
-- @treturn Session|nil nil, message, code
function session.open(url, limit)
  local socket, message, code = websocket { url = url, connect_timeout = limit }
  if not socket then return nil, message, code end
  local root = { socket = socket, number = 0, pending = {}, handlers = {}, title = "main thread" }
  root.root = setmetatable(root, Session)
  return root
end

return session
