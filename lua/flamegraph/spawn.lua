-- fg.spawn: child processes. There is no shell in between: a command is a list.

local check = require "flamegraph.check"
local loop = require "flamegraph.loop"
local op = require "flamegraph.op"

local spec = {
  "string|number",
  stdin = "string|boolean",
  stdout = "string",
  stderr = "string",
  env = "table",
  cwd = "string",
  timeout = "seconds",
  max_output = "bytes",
  group = "boolean",
  wait = "boolean",
}
local streams = { capture = true, inherit = true, null = true }

local function check_stream(options, name)
  local value = options[name]
  if value and not streams[value] then
    check.fail("fg.spawn: %s: is one of capture, inherit, null, not '%s'", name, value)
  end
  return value
end

-- { NAME = "value", GONE = false } → a flat list
local function flat_env(env)
  local flat = {}
  for name, value in pairs(env) do
    local kind = type(value)
    if type(name) ~= "string" or name == "" or name:find("[=%z]") then
      check.fail("fg.spawn: env: '%s' cannot be the name of a variable", tostring(name))
    elseif value ~= false and kind ~= "string" and kind ~= "number" then
      check.fail("fg.spawn: env: %s must be a text, a number or false, not %s", name, kind)
    end
    flat[#flat + 1] = name
    flat[#flat + 1] = value ~= false and tostring(value)
  end
  return flat
end

-- Options as a script gives them → as flamegraph.op takes them.
local function command_of(options)
  if type(options) == "string" then
    check.fail("fg.spawn: takes a list, not a text: fg.spawn { \"sh\", \"-c\", … } where a shell is meant")
  end
  options = check.options("fg.spawn", options, spec)
  if not options[1] then check.fail("fg.spawn: the command is missing") end
  local command = {
    stdin = options.stdin,
    stdout = check_stream(options, "stdout"),
    stderr = check_stream(options, "stderr"),
    env = options.env and flat_env(options.env),
    cwd = options.cwd,
    timeout = options.timeout,
    max_output = options.max_output,
    group = options.group,
  }
  for i, word in ipairs(options) do
    command[i] = tostring(word)
    if command[i]:find("\0", 1, true) then check.fail("fg.spawn: an argument cannot contain a NUL") end
  end
  return command, options.wait
end

--- A child that runs on: what fg.spawn returns with `wait = false`. `child.pid` is its process id. It is
-- ended when the variable that holds it is `<close>` and goes out of scope, when it is collected, and with
-- the program.
-- @type Child
local Child = {}
Child.__index = Child

--- Wait until the child has ended.
-- @tparam[opt] number|string limit how long at most: seconds, or a text such as `"5s"`
-- @treturn table|nil as fg.spawn returns; nil, message, code ("TIMEOUT": the child still runs, as it does
--   after "INTERRUPTED")
-- @usage child:kill "INT"
-- local ended = assert(child:wait "10s")
function Child:wait(limit)
  local seconds, why
  if limit ~= nil then
    seconds, why = check.seconds(limit)
    if not seconds then check.fail("child:wait: %s", why) end
  end
  local timer <close> = seconds and op.timer(seconds) or nil
  local ok, message, code = loop.wait(self.op, timer)
  if not ok then return nil, message, code end
  if not self.op:finished() then
    return nil, ("%s still runs after %g s"):format(self.name, seconds), "TIMEOUT"
  end
  return self.op:result()
end

--- Send a signal. A child that has ended is left in peace.
-- @tparam[opt="TERM"] string signal "TERM", "INT", "USR2", …
function Child:kill(signal)
  if not op.kill(self.op, signal or "TERM") then
    check.fail("child:kill: there is no signal '%s'", tostring(signal))
  end
end

--- Whether it has not ended yet.
-- @treturn boolean
function Child:running()
  return not self.op:finished()
end

--- What it has written so far.
-- @tparam[opt="stdout"] string stream "stdout" or "stderr"
-- @treturn string
-- @usage while not child:output():find "listening" do fg.sleep "50ms" end
function Child:output(stream)
  if stream ~= nil and stream ~= "stdout" and stream ~= "stderr" then
    check.fail("child:output: takes \"stdout\" or \"stderr\"")
  end
  return op.child(self.op)[stream or "stdout"]
end

--- End the child: TERM, and KILL two seconds later.
function Child:close()
  self.op:close()
end

Child.__close = Child.close

--- Run a command and wait for its end.
-- @tparam table options the command and its arguments as the list part, and:
-- @tparam[opt=false] string|boolean options.stdin what it reads; true: what we read, the terminal
-- @tparam[opt="capture"] string options.stdout "capture", "inherit" (it writes where we write) or "null"
-- @tparam[opt="capture"] string options.stderr the same
-- @tparam[opt] table options.env changes to the environment: texts by name, false takes a variable out
-- @tparam[opt] string options.cwd its working folder
-- @tparam[opt] number|string options.timeout seconds, or a text such as `"2m"`; then it is ended
-- @tparam[opt="1G"] integer|string options.max_output cap on each captured stream
-- @tparam[opt=false] boolean options.group a session of its own: signals reach its descendants as well,
--   Ctrl-C does not
-- @tparam[opt=true] boolean options.wait false: return a Child at once
-- @treturn table|nil `status` (nil when a signal ended it), `signal` ("TERM"), `stdout`, `stderr`, `pid`; a
--   Child with `wait = false`. nil, message, code: it could not be run ("IO"), was ended for being too slow
--   or writing too much ("TIMEOUT", "LIMIT"), or by Ctrl-C ("INTERRUPTED").
-- @usage local perf = assert(fg.spawn { "perf", "record", "-o", file, "--", table.unpack(command) })
-- if perf.status ~= 0 then return nil, perf.stderr end
local function spawn(options)
  local command, wait = command_of(options)
  local o, message, code = op.spawn(command)
  if not o or wait ~= false then return loop.finish(o, message, code) end
  return setmetatable({ op = o, pid = op.child(o).pid, name = command[1] }, Child)
end

return spawn
