-- Making runs: two variants in a balanced random order, one after the other.

local args = require "flamegraph.args"
local collect = require "flamegraph.collect"
local commands = require "flamegraph.commands"
local files = require "flamegraph.files"
local loop = require "flamegraph.loop"
local profile = require "flamegraph.profile"
local profiling = require "flamegraph.profiling"
local sides = require "flamegraph.sides"
local spawn = require "flamegraph.spawn"
local system = require "flamegraph.system"
local words = require "flamegraph.words"

local trial = {}

-- A generator of its own, so that a printed seed gives the same order anywhere: Park and Miller's.
function trial.random(seed)
  local state = seed % 2147483647
  if state == 0 then state = 1 end
  return function(n)
    state = state * 48271 % 2147483647
    return state % n + 1
  end
end

--- Pairs in which each variant is first equally often (one more often where their number is odd), in random order.
-- @treturn {boolean,...} for each pair, whether `before` comes first
function trial.order(pairs_, random)
  local list = {}
  for i = 1, pairs_ do list[i] = i % 2 == 1 end
  for i = pairs_, 2, -1 do
    local k = random(i)
    list[i], list[k] = list[k], list[i]
  end
  return list
end

-- A command may go to another folder before it uses a path.
local function absolute(path)
  if path:find "^/" then return path end
  local folder, why = system.readlink "/proc/self/cwd"
  return folder and folder .. "/" .. path, why
end

-- A command that profiles itself: into the file that FG_PROFILE names.
local function run_itself(command, path)
  local file, wrong = absolute(path)
  if not file then return nil, wrong, "IO" end
  local ended, why, code = spawn { "sh", "-c", command, stdout = "null", env = { FG_PROFILE = file } }
  if not ended then return nil, why, code end
  if ended.status ~= 0 then
    local how = ended.signal and "signal " .. ended.signal or "status " .. tostring(ended.status)
    local said = ended.stderr:sub(-400):gsub("%s+$", "")
    return nil, ("'%s' ended with %s%s"):format(command, how, said ~= "" and ": " .. said or ""), "REMOTE"
  end
  local p, message, failed = profile.read(path)
  if p then return p end
  return nil, ("'%s' left no profile in the file that $FG_PROFILE names (%s); or choose a --collector that takes a "
    .. "command"):format(command, message), failed
end

-- The collector runs the command; what that writes is nobody's, the reports are ours.
local function run_by_collector(name, command, values)
  values.cmd = "exec >/dev/null\n" .. command
  local p, status, code = collect.collect(name, values)
  if not p then return nil, status, code end
  if math.tointeger(status) and status ~= 0 then
    return nil, ("'%s' ended with status %d"):format(command, status), "REMOTE"
  end
  return p
end

local tries, pause, longest = 40, 0.05, 24 * 3600 -- a runtime is attached to when it is there: within two seconds

-- A collector that attaches: the command is started, and profiled until it ends. A shell is taken only where it needs
-- one: the shell would be the process that is attached to.
local function attach(name, command, values)
  local how = words.of(command) or { "sh", "-c", command }
  how.stdout, how.wait = "null", false
  local child <close>, why, code = spawn(how)
  if not child then return nil, why, code end
  values.pid, values.duration = child.pid, longest
  local p
  for _ = 1, tries do
    loop.sleep(pause)
    if not child:running() then
      why = "it ended before it could be profiled" .. (why and "; at last: " .. why or "")
      break
    end
    p, why, code = collect.collect(name, values)
    if p or code == "INTERRUPTED" then break end
  end
  if not p then
    return nil, ("'%s' (process %d): %s"):format(command, child.pid, why), code or "REMOTE"
  end
  local ended = child:wait()
  if not ended or ended.status ~= 0 then
    return nil, ("'%s' ended with status %s"):format(command, ended and tostring(ended.status)), "REMOTE"
  end
  return p
end

-- A service, under load where that is asked for: what it answered is the run's units of work.
local function serve(what, values)
  values.url = what.url
  if not (what.load and what.load.load) then return collect.collect(what.collector, values) end
  local got, failed = loop.all {
    profile = function() return collect.collect(what.collector, values) end,
    load = function() return profiling.drive(what.load, values.duration, what.url) end,
  }
  local failure = failed.profile or failed.load
  if failure then return nil, failure.message, failure.code end
  return got.profile:meta { units = got.load.requests - got.load.failed }
end

local function with_label(arg) return "--with " .. arg.name end

--- What is wrong with further arguments of a collector: a message, or nil.
-- @tparam string collector
-- @tparam table values by name
function trial.problem(collector, values)
  local declared, given = commands.find(collector, "collector").declaration.args, {}
  local key, why = args.unknown(declared, values)
  if key then return ("--with %s: %s: %s"):format(key, collector, why) end
  for arg in args.each(declared) do
    if values[arg.name] ~= nil then given[#given + 1] = arg end
  end
  local _, wrong = args.resolve(given, values, nil, with_label)
  return wrong
end

--- Profile one variant once.
-- @tparam table what `command` or `url`, `collector`, `path` (where the run is kept), `values` (more for the
--   collector), `load` (of fg.arg.load, for a service)
-- @treturn Profile|nil nil, message, code
function trial.run(what)
  if not what.collector then return run_itself(what.command, what.path) end
  local found = commands.find(what.collector, "collector")
  if not found then return nil, ("there is no collector %s"):format(what.collector), "INVAL" end
  local function has(name) return args.has(found.declaration.args, name) end
  local values = {}
  for key, value in pairs(what.values or {}) do values[key] = value end
  local p, why, code
  if not what.command then
    p, why, code = serve(what, values)
  elseif has "cmd" then
    p, why, code = run_by_collector(what.collector, what.command, values)
  elseif has "pid" then
    p, why, code = attach(what.collector, what.command, values)
  else
    why, code = ("the collector %s takes neither a command nor a process"):format(what.collector), "INVAL"
  end
  if not p then return nil, why, code end
  local bytes
  bytes, why, code = p:format { format = "pprof" } -- p:write would tell of each
  if not bytes then return nil, why, code end
  local ok
  ok, why = files.write(what.path, bytes)
  if not ok then return nil, why, "IO" end
  return p
end

local function first_line(path, match)
  local file = io.open(path)
  if not file then return nil end
  for line in file:lines() do
    local found = line:match(match)
    if found then
      file:close()
      return found
    end
  end
  file:close()
end

--- What the runs were made on, as a text of `name: value` lines.
function trial.environment()
  local rows = {
    { "cpu", first_line("/proc/cpuinfo", "^model name%s*:%s*(.*)") },
    { "governor", first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "(.*)") },
    { "load", first_line("/proc/loadavg", "^(%S+)") },
    { "kernel", first_line("/proc/version", "^Linux version (%S+)") },
    { "flame-graph", profile.version },
  }
  local lines = {}
  for _, row in ipairs(rows) do lines[#lines + 1] = row[1] .. ": " .. (row[2] or "not known") .. "\n" end
  return table.concat(lines)
end

-- As many more tasks that want a CPU are more than chance.
local busier = 1

local function load_note(a, b)
  local x, y = tonumber(a), tonumber(b)
  if x and y and math.abs(x - y) > busier then return ("load differs: %.2g %%s, %.2g %%s"):format(x, y) end
end

--- What differs between two environments.
-- @tparam string a
-- @tparam string b
-- @tparam[opt="before"] string first what a is called
-- @tparam[opt="after"] string second what b is called
-- @treturn {string,...}
function trial.differences(a, b, first, second)
  first, second = first or "before", second or "after"
  local found, of_b = {}, {}
  for name, value in b:gmatch "([^\n:]+): ([^\n]*)" do of_b[name] = value end
  for name, value in a:gmatch "([^\n:]+): ([^\n]*)" do
    local load = name == "load" and load_note(value, of_b[name])
    if load then
      found[#found + 1] = load:format(first, second)
    elseif name ~= "load" and of_b[name] ~= value then
      found[#found + 1] = ("%s differs: %s %s, %s %s"):format(name, value, first, of_b[name] or "not known", second)
    end
  end
  return found
end

--- The environment that runs in a folder were made in; nil where it was not recorded.
function trial.recorded(folder)
  local file = io.open(folder .. "/.environment")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

--- Make the folder of a side and record the environment in it.
function trial.folder(path)
  local ok, why, code = files.make_folder(path)
  if not ok then return nil, why, code end
  return files.write(path .. "/.environment", trial.environment())
end

-- What is in a folder of a side, hidden files included.
local function entries(path)
  local list = {}
  for _, name in ipairs(system.folder(path) or {}) do
    if name ~= "." and name ~= ".." then list[#list + 1] = name end
  end
  return list
end

--- Whether a folder with a folder for each side has any run.
function trial.has_runs(path)
  for _, side in ipairs(sides.names) do
    for _, name in ipairs(entries(path .. "/" .. side)) do
      if not name:find "^%." then return true end
    end
  end
  return false
end

--- Remove such a folder: the files of its sides, and what is empty then.
function trial.remove(path)
  for _, side in ipairs(sides.names) do
    for _, name in ipairs(entries(path .. "/" .. side)) do os.remove(("%s/%s/%s"):format(path, side, name)) end
    os.remove(path .. "/" .. side)
  end
  os.remove(path)
end

return trial
