-- The inspector of a Node process: found where it is open, opened by SIGUSR1 where that is safe, proven to be that
-- process's own, and closed again.
--
--   own sockets of the process ──▶ one answers /json/list: it was open, and stays so
--        │ none does
--        ▼
--   the port is free? the handler of SIGUSR1 is Node's own? ──▶ signal ──▶ a new socket of the process ──▶ session
--
-- A port proves nothing by its number: only sockets that the process itself holds are asked, in its own network. Who
-- opens it holds the process alone (hold.lua), as closing it ends the sessions of others.

local check = require "flamegraph.check"
local hold = require "flamegraph.hold"
local http = require "flamegraph.http"
local json = require "flamegraph.json"
local loop = require "flamegraph.loop"
local op = require "flamegraph.op"
local process = require "flamegraph.process"
local rights = require "flamegraph.rights"
local session = require "flamegraph.session"
local system = require "flamegraph.system"

local inspector = {}

local usual_port = 9229
local opening_seconds, closing_seconds = 5, 10

-- ---- where it may be --------------------------------------------------------------------------------------------

local function authority(host, port)
  return host:find ":" and ("[%s]:%d"):format(host, port) or ("%s:%d"):format(host, port)
end

--- The DevTools endpoint at an address, as /json/list tells it.
-- @treturn string|nil URL of its WebSocket; nil, message, code
function inspector.at(host, port, limit)
  local where = authority(host, port)
  local answer, message, code = http { url = ("http://%s/json/list"):format(where), timeout = limit or 5,
    connect_timeout = limit or 5, max_body = "1M", follow = false }
  if not answer then return nil, message, code end
  local list = answer.status == 200 and json.decode(answer.body)
  local first = type(list) == "table" and list[1]
  local path = type(first) == "table" and tostring(first.webSocketDebuggerUrl):match "^ws://[^/]+(/.*)$"
  if not path then return nil, ("%s does not speak the DevTools protocol"):format(where), "REMOTE" end
  return ("ws://%s%s"):format(where, path)
end

-- The port that command line and environment ask for: --inspect=HOST:PORT, --inspect-port=PORT.
local function configured_port(found)
  local words = table.move(found.command, 2, #found.command, 1, {})
  for word in (found.environment.NODE_OPTIONS or ""):gmatch "%S+" do words[#words + 1] = word end
  local port
  for _, word in ipairs(words) do
    local value = word:match "^%-%-inspect[%w-]*=(.*)$" or word:match "^%-%-debug%-port=(.*)$"
    port = value and tonumber(value:match ":(%d+)$" or value:match "^(%d+)$") or port
  end
  return port or usual_port
end

-- The address to ask at for a socket that listens there.
local function reachable(address)
  if address == "0.0.0.0" then return "127.0.0.1" end
  return address == "::" and "::1" or address
end

-- Of the process's own listening sockets, the one that answers; `wanted(socket)` says which are asked.
local function answering(pid, wanted)
  for _, socket in ipairs(process.sockets(pid)) do
    if wanted(socket) then
      local url = inspector.at(reachable(socket.address), socket.port, 2)
      if url then return url, socket end
    end
  end
end

-- ---- opening ----------------------------------------------------------------------------------------------------

local function same_network(pid)
  local own, other = system.readlink "/proc/self/ns/net", system.readlink(("/proc/%d/ns/net"):format(pid))
  return not other or own == other
end

-- Who else listens on the port: then Node could not.
local function taken(found, port)
  if port == 0 then return nil end
  for _, one in ipairs(process.listeners(port)) do
    if one.pid ~= found.pid then
      local other = process.find(one.pid)
      return ("port %d, on which its inspector would open, is taken by process %d (%s): end that first, or restart "
        .. "this one with --inspect-port=0"):format(port, one.pid, other and other.name or "?")
    end
  end
end

local function pause()
  local timer <close> = op.timer(0.02)
  loop.wait(timer)
end

local function ports_of(pid)
  local ports = {}
  for _, socket in ipairs(process.sockets(pid)) do ports[socket.port] = true end
  return ports
end

local function wake(found, configured)
  local before = ports_of(found.pid)
  local why = taken(found, configured)
  if why then return nil, ("pid %d: %s"):format(found.pid, why), "UNSUPPORTED" end
  local ok, message, code = rights.wake(found.pid)
  if not ok then return nil, message, code end
  local ends = op.now() + opening_seconds
  while op.now() < ends do
    local url, opened = answering(found.pid, function(socket) return not before[socket.port] end)
    if url then return url, opened end
    if not process.find(found.pid) then return nil, ("process %d has ended meanwhile"):format(found.pid), "IO" end
    pause() -- Ctrl-C does not leave here: what was opened is to be closed
  end
  return nil, ("process %d was asked to open its inspector and did not within %g s; it tells why on its stderr")
    :format(found.pid, opening_seconds), "UNSUPPORTED"
end

-- URL, and the socket where it was opened for us; nil, message, code.
local function find_or_open(found)
  local configured = configured_port(found)
  local url = answering(found.pid, function(socket)
    return configured == 0 or socket.port == configured or socket.port == usual_port
  end)
  if url then return url end
  local woken, socket, code = wake(found, configured)
  if woken or code ~= "UNSUPPORTED" then return woken, socket, code end
  -- the program may have opened it by itself, on a port of its choice
  url = answering(found.pid, function(own) return own.address:find "^127%." or own.address == "::1" end)
  if url then return url end
  return nil, socket, code
end

-- ---- closing ----------------------------------------------------------------------------------------------------

local function gone_within(pid, socket, seconds)
  local ends = op.now() + seconds
  while process.has_socket(pid, socket) do
    if op.now() > ends then return false end
    pause()
  end
  return true
end

-- From the program's own loop, well after we have gone: a Node that closes its inspector before it has taken notice of
-- the end of a session has been seen to crash, once in some 450 times on a busy machine. Each of the timers lets the
-- loop turn at least once. At once only in a program that never gets back to its loop.
local later = [[((turns) => {
  const next = () => (turns-- > 0 ? setTimeout(next, 100) : process._debugEnd());
  next();
  return 1;
})(5)]]
local at_once = "(process._debugEnd(), 1)"

local function close_again(opened, pid, socket, url)
  opened:evaluate(later, 5)
  opened.socket:close()
  if gone_within(pid, socket, closing_seconds) then return end
  local again <close> = session.open(url, 2)
  if again then again:evaluate(at_once, 5) end
end

-- ---- attaching --------------------------------------------------------------------------------------------------

local function prove(opened, found)
  local number, message, code = opened:evaluate "process.pid"
  if number == found.pid or number == found.nspid then return true end
  if number == nil then return nil, message, code end
  return nil, ("the inspector that answered is that of process %s, not of %d"):format(tostring(number), found.pid),
    "REMOTE"
end

--- A session with a Node process, whose inspector is opened for the while where it is closed.
-- @treturn Session|nil nil, message, code
function inspector.attach(pid)
  if math.type(pid) ~= "integer" or pid < 1 then check.fail("fg.devtools.attach takes the number of a process") end
  local found, message, code = process.expect(pid, "node")
  if not found then return nil, message, code end
  if not same_network(pid) then
    return nil, ("process %d is in another network (a container?), where its inspector cannot be reached: try `nsenter "
      .. "--target %d --net flame-graph hce --pid %d`"):format(pid, pid, pid), "UNSUPPORTED"
  end
  local held
  held, message, code = hold.take(pid, true)
  if not held then return nil, message, code end
  local url, socket
  url, socket, code = find_or_open(found)
  local opened
  if url then opened, message, code = session.open(url) else message = socket end
  if not opened then
    held:close()
    return nil, message, code
  end
  if not socket then held:share() end
  opened.leave = function(self)
    if socket then close_again(self, pid, socket, url) end
    held:close()
  end
  local ok
  ok, message, code = prove(opened, found)
  if ok then return opened end
  opened:close()
  return nil, message, code
end

return inspector
