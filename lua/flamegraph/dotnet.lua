-- fg.dotnet: .NET programs that run, the sockets of their diagnostics, and how their methods are called.

local check = require "flamegraph.check"
local process = require "flamegraph.process"
local readable = require "flamegraph.dotnet_names"
local system = require "flamegraph.system"

local dotnet = { readable = readable }

-- ---- sockets ----------------------------------------------------------------------------------------------------

-- Variables that switch the socket off where they are 0.
local switches = { "DOTNET_EnableDiagnostics", "COMPlus_EnableDiagnostics", "DOTNET_EnableDiagnostics_IPC",
  "COMPlus_EnableDiagnostics_IPC" }

-- What the process was started with; nil: we may not know.
local function environment(pid)
  local file = io.open(("/proc/%d/environ"):format(pid), "rb")
  local text = file and file:read "a"
  if file then file:close() end
  if not text then return nil end
  local found = {}
  for name, value in text:gmatch "([^=%z]+)=([^%z]*)" do found[name] = value end
  return found
end

-- The folder of its sockets as the process sees it, and as we do: in a container they differ.
local function folders(found)
  local env = environment(found.pid)
  local own = env and env.TMPDIR and env.TMPDIR ~= "" and env.TMPDIR or "/tmp"
  return own, { ("/proc/%d/root%s"):format(found.pid, own), own }, env
end

-- The socket bears the number of the process in its own namespace and the moment of its start: one that a former
-- process left behind is never taken for it.
local function find_socket(found)
  local own, seen, env = folders(found)
  local name = ("dotnet-diagnostic-%d-%d-socket"):format(found.nspid, found.started)
  for _, folder in ipairs(seen) do
    for _, entry in ipairs(system.folder(folder) or {}) do
      if entry == name then return folder:gsub("/$", "") .. "/" .. name end
    end
  end
  return nil, own, env
end

local function why_no_socket(found, folder, env)
  for _, name in ipairs(env and switches or {}) do
    if env[name] and tonumber(env[name], 16) == 0 then
      return ("process %d was started with %s=%s, which switches its diagnostics off: start it without"):format(
        found.pid, name, env[name]), "UNSUPPORTED"
    end
  end
  if not env then
    return ("process %d may not be looked at, and so not its diagnostics socket; it belongs to another user or is shut "
      .. "off from here: run as that user (uid %s), or with sudo"):format(found.pid, found.uid or "not known"),
      "UNSUPPORTED"
  end
  return ("process %d has no diagnostics socket in its %s: it has only just begun, the folder was cleaned (start the "
    .. "program again), or it is older than .NET Core 3.0"):format(found.pid, folder), "IO"
end

--- The socket of a .NET process's diagnostics.
-- @tparam integer pid
-- @treturn string|nil its path, through /proc/PID/root where that may be seen; nil, message, code: there is none and
--   why ("UNSUPPORTED": it is switched off or another user's), or the process is of another kind and what to try
--   ("INVAL")
-- @usage local path = assert(fg.dotnet.socket(4242))
function dotnet.socket(pid)
  if math.type(pid) ~= "integer" or pid < 1 then check.fail("fg.dotnet.socket takes the number of a process") end
  local found, message, code = process.find(pid)
  if not found then return nil, message, code end
  local path, folder, env = find_socket(found)
  if path then return path end
  if found.exe then
    found, message, code = process.expect(pid, "dotnet")
    if not found then return nil, message, code end
  end
  return nil, why_no_socket(found, folder, env)
end

-- ---- processes --------------------------------------------------------------------------------------------------

--- The .NET processes that run and that may be seen, by number: those with a diagnostics socket, and those that are of
-- this runtime without.
-- @treturn {table,...} as fg.process gives them
function dotnet.processes()
  local list = {}
  for _, found in ipairs(process.all()) do
    if found.state ~= "Z" and (find_socket(found) or found.runtime == "dotnet") then list[#list + 1] = found end
  end
  return list
end

return dotnet
