-- fg.process: what /proc says of running processes, and which runtime is in them. Nothing is attached, no signal sent.

local check = require "flamegraph.check"
local system = require "flamegraph.system"

local process = {}

-- ---- runtimes ---------------------------------------------------------------------------------------------------

-- How a runtime is told, in this order: by the name of the executable, by a library that is mapped, by a section of the
-- executable; all are Lua patterns. `collector`: what profiles it best.
local runtimes = {
  { name = "bun", exe = "^bun$", collector = "bun" },
  { name = "node", exe = "^node%a*$", library = "/libnode%.so", collector = "hce" },
  { name = "python", exe = "^python[%d.]*%a*$", library = "/libpython%d[%d.]*%a*%.so", section = "^%.PyRuntime$",
    collector = "python" },
  { name = "dotnet", exe = "^dotnet$", library = "/libcoreclr%.so", collector = "dotnet" },
  { name = "java", exe = "^java$", library = "/libjvm%.so", collector = "perf" },
  { name = "go", section = "^%.go%.buildinfo$", collector = "perf" },
  { name = "native", collector = "perf" },
}

local by_name = {}
for _, runtime in ipairs(runtimes) do by_name[runtime.name] = runtime end

local function read(path, format)
  local file = io.open(path, "rb")
  if not file then return nil end
  file:setvbuf("full", 1 << 16) -- the table of sockets is searched anew for each read
  local text = file:read(format or "a")
  file:close()
  return text
end

local most_sections, most_names = 4096, 1 << 20

-- The names of the sections of a 64-bit little-endian ELF file, one a line; nil where it is none.
local function sections(file)
  local head = file:read(64)
  if not head or #head < 64 or not head:find("^\x7fELF\2\1") then return nil end
  local offset = ("<I8"):unpack(head, 41)
  local size, count, names = ("<I2I2I2"):unpack(head, 59)
  if size < 64 or count == 0 or count > most_sections or names >= count then return nil end
  if not file:seek("set", offset) then return nil end
  local table_of = file:read(size * count)
  if not table_of or #table_of < size * count then return nil end
  local at, length = ("<I8I8"):unpack(table_of, names * size + 25)
  if length > most_names or not file:seek("set", at) then return nil end
  local text = file:read(length)
  return text and text:gsub("\0", "\n")
end

-- A program that `bun build --compile` made ends with this mark.
local function has_bun_trailer(file)
  local size = file:seek("end")
  if not size or size < 64 or not file:seek("set", size - 64) then return false end
  return (file:read(64) or ""):find("\n---- Bun! ----\n", 1, true) ~= nil
end

local function of_file(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local names = sections(file)
  local bun = has_bun_trailer(file)
  file:close()
  if bun then return "bun" end
  for name in (names or ""):gmatch("[^\n]+") do
    if name == ".bun" then return "bun" end
    for _, runtime in ipairs(runtimes) do
      if runtime.section and name:find(runtime.section) then return runtime.name end
    end
  end
end

local function of_maps(pid)
  local maps = read(("/proc/%d/maps"):format(pid))
  for _, runtime in ipairs(maps and runtimes or {}) do
    if runtime.library and maps:find(runtime.library) then return runtime.name end
  end
end

local function runtime_of(found)
  local base = found.exe and found.exe:gsub(" %(deleted%)$", ""):match("[^/]+$") or ""
  for _, runtime in ipairs(runtimes) do
    if runtime.exe and base:find(runtime.exe) then return runtime.name end
  end
  return of_maps(found.pid) or of_file(("/proc/%d/exe"):format(found.pid)) or "native"
end

-- ---- one process ------------------------------------------------------------------------------------------------

local function words(text)
  local list = {}
  for word in (text or ""):gmatch("([^%z]*)%z") do list[#list + 1] = word end
  return list
end

-- /proc/PID/stat: the name is in parentheses and may contain some itself.
local function read_stat(pid)
  local name, rest = (read(("/proc/%d/stat"):format(pid)) or ""):match("^%d+ %((.*)%) (.*)$")
  if not name then return nil end
  local fields = {}
  for field in rest:gmatch("%S+") do fields[#fields + 1] = tonumber(field) or field end
  return {
    pid = pid, name = name, state = fields[1], ppid = fields[2], threads = fields[18], started = fields[20],
    cpu = (fields[12] + fields[13]) / system.ticks(),
  }
end

local function environment_of(found)
  local variables = {}
  for _, word in ipairs(words(read(("/proc/%d/environ"):format(found.pid)))) do
    local name, value = word:match "^([^=]+)=(.*)$"
    if name then variables[name] = value end
  end
  return variables
end

local most_printed = 1 << 20

-- Only of files: what is read of a pipe is gone for whom it was meant.
local function printed_by(found)
  local parts = {}
  for _, fd in ipairs { 1, 2 } do
    local path = ("/proc/%d/fd/%d"):format(found.pid, fd)
    local target = system.readlink(path) or ""
    local is_file = target:find "^/" and not target:find "^/dev/" and not target:find "^/proc/"
    parts[#parts + 1] = is_file and read(path, most_printed) or nil
  end
  return table.concat(parts, "\n")
end

local sockets_listening

-- Fields that cost more are found when they are first asked for: a list of all processes stays cheap.
local lazy = {
  runtime = runtime_of,
  environment = environment_of,
  printed = printed_by,
  sockets = function(found) return sockets_listening(found.pid) end,
  version = function(found)
    if found.runtime ~= "python" then return nil end
    local exe = (found.exe or ""):match("python(%d+%.%d+)%a*$")
    return exe or (read(("/proc/%d/maps"):format(found.pid)) or ""):match("/libpython(%d+%.%d+)")
  end,
}

local Process = {
  __index = function(found, key)
    local value = lazy[key] and lazy[key](found)
    if value ~= nil then rawset(found, key, value) end
    return value
  end,
}

local function read_process(pid)
  local found = read_stat(pid)
  if not found then return nil end
  local status = read(("/proc/%d/status"):format(pid)) or ""
  found.uid = tonumber(status:match("\nUid:%s*(%d+)"))
  found.nspid = tonumber(status:match("\nNSpid:[^\n]-(%d+)\n")) or pid
  found.exe = system.readlink(("/proc/%d/exe"):format(pid))
  found.command = words(read(("/proc/%d/cmdline"):format(pid)))
  return setmetatable(found, Process)
end

--- What is known of a running process.
-- @tparam integer pid
-- @treturn table|nil `pid`, `ppid`, `name`, `state` ("R", "S", …), `exe` (nil where it may not be seen), `command` (a
--   list), `runtime` ("node", "bun", "python", "dotnet", "go", "java", "native"), `version` (of Python), `uid`,
--   `threads`, `started` (ticks since boot), `nspid` (its number in its own namespace), `cpu` (seconds used so far),
--   `environment` (variables by name, as it was started), `printed` (the first MiB of what it wrote to files as its
--   standard output and error), `sockets` (TCP sockets that it listens on: a list of { port =, address = });
--   nil, message, code: there is none ("IO")
-- @usage local process = assert(fg.process(4242))
-- if process.runtime ~= "python" then return nil, "not a Python program" end
function process.find(pid)
  if math.type(pid) ~= "integer" or pid < 1 then check.fail("fg.process takes the number of a process") end
  local found = read_process(pid)
  if not found then return nil, ("there is no process %d"):format(pid), "IO" end
  return found
end

--- All processes that can be seen, ours and kernel threads left out; as fg.process gives them, by number.
-- @treturn {table,...}
function process.all()
  local own = tonumber((read "/proc/self/stat" or ""):match "^%d+")
  local list = {}
  for _, name in ipairs(system.folder "/proc" or {}) do
    local pid = math.tointeger(tonumber(name:match "^%d+$"))
    local found = pid and pid ~= own and read_process(pid)
    if found and (found.exe or #found.command > 0) then list[#list + 1] = found end
  end
  table.sort(list, function(a, b) return a.pid < b.pid end)
  return list
end

-- ---- who is it --------------------------------------------------------------------------------------------------

local function advice(found)
  local collector = by_name[found.runtime].collector
  return ("try `flame-graph %s --pid %d`"):format(collector, found.pid)
end

--- A process that has to be of some runtime.
-- @tparam integer pid
-- @tparam string ... the runtimes that will do
-- @treturn table|nil as fg.process gives it; nil, message, code: there is none, it has ended, or it is of another kind,
--   and then the message says what to try
-- @usage local process = assert(fg.expect_runtime(args.pid, "node", "bun"))
function process.expect(pid, ...)
  local found, message, code = process.find(pid)
  if not found then return nil, message, code end
  if found.state == "Z" or found.state == "X" then
    return nil, ("process %d (%s) has ended: its parent, process %d, has not collected it yet"):format(pid, found.name,
      found.ppid), "IO"
  end
  for _, runtime in ipairs { ... } do
    if found.runtime == runtime then return found end
  end
  local wanted = table.concat({ ... }, " or ")
  return nil, ("pid %d is %s, not %s: %s"):format(pid, found.runtime, wanted, advice(found)), "INVAL"
end

-- ---- who listens ------------------------------------------------------------------------------------------------

-- An address as the kernel writes it: words of 32 bits, each in the machine's own order of bytes.
local function address_of(hex)
  if #hex == 8 then
    local bytes = table.pack(("BBBB"):unpack(("=I4"):pack(tonumber(hex, 16))))
    return table.concat(bytes, ".", 1, 4)
  end
  if hex:find "^0+$" then return "::" end
  local parts = {}
  for word in hex:gmatch "%x%x%x%x%x%x%x%x" do
    local high, low = (">I2I2"):unpack(("=I4"):pack(tonumber(word, 16)))
    parts[#parts + 1] = ("%x:%x"):format(high, low)
  end
  local text = table.concat(parts, ":")
  return text == "0:0:0:0:0:0:0:1" and "::1" or text
end

-- Listening TCP sockets of the network of a process: inode → { port =, address = }.
local function listening(pid)
  local sockets = {}
  for _, name in ipairs { "tcp", "tcp6" } do
    for line in (read(("/proc/%s/net/%s"):format(pid or "self", name)) or ""):gmatch("[^\n]+") do
      local address, port, inode = line:match("^%s*%d+: (%x+):(%x+) %x+:%x+ 0A %S+ %S+ %S+%s+%d+%s+%d+ (%d+)")
      if port then sockets[inode] = { port = tonumber(port, 16), address = address_of(address), inode = inode } end
    end
  end
  return sockets
end

local function sockets_of(pid, visit)
  local folder = ("/proc/%d/fd"):format(pid)
  for _, name in ipairs(system.folder(folder) or {}) do
    local inode = (system.readlink(folder .. "/" .. name) or ""):match("^socket:%[(%d+)%]$")
    if inode then visit(inode) end
  end
end

--- Which processes listen on TCP ports of this machine.
-- @tparam[opt] integer port only on this one
-- @treturn {table,...} { port =, pid = }, sorted; one for each process that holds the socket, so that workers which
--   share it are all there. Those of other users are seen with the right to look at them only.
-- @usage for _, one in ipairs(fg.listeners(8000)) do print(one.pid) end
function process.listeners(port)
  local sockets, list, seen = listening(), {}, {}
  for _, name in ipairs(system.folder "/proc" or {}) do
    local pid = math.tointeger(tonumber(name:match "^%d+$"))
    if pid then
      sockets_of(pid, function(inode)
        local found = sockets[inode] and sockets[inode].port
        local key = found and pid .. ":" .. found
        if not found or port and found ~= port or seen[key] then return end
        seen[key] = true
        list[#list + 1] = { port = found, pid = pid }
      end)
    end
  end
  table.sort(list, function(a, b)
    if a.port ~= b.port then return a.port < b.port end
    return a.pid < b.pid
  end)
  return list
end

-- Those of one process, in its own network, by port.
function sockets_listening(pid)
  local sockets, list = listening(pid), {}
  sockets_of(pid, function(inode) list[#list + 1] = sockets[inode] end)
  table.sort(list, function(a, b) return a.port < b.port end)
  return list
end

--- The TCP sockets that a process listens on now.
process.sockets = sockets_listening

--- Whether a process still has a socket that it listened on; much cheaper than to list them.
function process.has_socket(pid, socket)
  local found = false
  sockets_of(pid, function(inode) found = found or inode == socket.inode end)
  return found
end

-- The port of a URL of this machine; nil: it is of another.
local function local_port(url)
  local scheme, host, port = url:match "^(https?)://([^/:]+):?(%d*)"
  if not host then scheme, host, port = url:match "^(https?)://(%[[%x:]+%]):?(%d*)" end
  if not host or not (host == "localhost" or host:find "^127%." or host == "[::1]") then return nil end
  return tonumber(port) or (scheme == "https" and 443 or 80)
end

--- The process of this machine that serves a URL: of several that share the socket, the one that started the others.
-- @tparam string url
-- @treturn table|nil as fg.process gives it; nil, message, code: nobody that we can see listens there ("IO"), or the
--   URL is not one of this machine ("INVAL")
-- @usage local process = fg.serving("http://localhost:3000")
function process.serving(url)
  if type(url) ~= "string" then check.fail("fg.serving takes a URL, not a %s", type(url)) end
  local port = local_port(url)
  if not port then return nil, ("%s is not on this machine"):format(url:match "^%w+://[^/?#]*" or "this"), "INVAL" end
  local pids = {}
  for _, one in ipairs(process.listeners(port)) do pids[one.pid] = true end
  for pid in pairs(pids) do
    local found = read_process(pid)
    if found and not pids[found.ppid] then return found end
  end
  return nil, ("nobody listens on port %d of this machine, or it is another user's: --pid names the process")
    :format(port), "IO"
end

--- The collector that profiles a runtime best.
function process.collector(runtime)
  return by_name[runtime].collector
end

return process
