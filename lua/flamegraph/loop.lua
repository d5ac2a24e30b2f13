-- The scheduler. What waits looks blocking and is not: a function of fg.all is a task, a coroutine that
-- parks while its operation is under way. Whoever waits outside a task (a script's main part, a coroutine of
-- its own, a callback from C) turns the loop itself until it has what it waits for; other tasks go on
-- meanwhile.
--
--   wait(op) ─┬─ in a task: park ───────────────▶ resumed by turn()
--   when the op has finished           └─ elsewhere: turn() until it has

local check = require "flamegraph.check"
local op = require "flamegraph.op"

local loop = {
  --- Called now and then while something is waited for, with the list of operations and, by operation,
  --- the coroutine that waits for it; for progress displays.
  ticker = nil,
  --- Seconds between two calls of the ticker. No step is longer, so that a host's own handler of Ctrl-C, such as
  --- that of lua5.4, gets its turn while something is waited for.
  tick = 0.1,
}

local tasks = setmetatable({}, { __mode = "k" }) -- coroutine → task
local waiters = {} -- op → list of those who wait for it
local ready = {} -- tasks to resume
local told = 0 -- interrupts that a wait has returned
local noticed = 0 -- interrupts that those who wait were woken for
local ticked = 0
local PARKED = {}

-- What the second Ctrl-C raises. A table, so that no handler takes it for an ordinary message.
local abort = setmetatable({ code = "INTERRUPTED" }, { __tostring = function() return "interrupted" end })

-- ---- tasks ----------------------------------------------------------------------------------------------

local function wake(task)
  if task and not task.ready then
    task.ready = true
    ready[#ready + 1] = task
  end
end

-- The first results of a function, or that it failed, go to where its group collects them.
local function settle(task, ok, value, message, code)
  local group = task.group
  if not group then return end
  task.group = nil
  group.running[task] = nil
  group.count = group.count - 1
  if not ok then
    group.raised = group.raised or { value }
  elseif not value and message ~= nil then
    group.failed[task.key] = setmetatable({ message = tostring(message), code = code },
      { __tostring = function(failure) return failure.message end })
  else
    group.results[task.key] = value
  end
  if group.count == 0 or group.raised then wake(group.parent) end
end

local function resume(task)
  task.ready = false
  local thread = task.thread
  if coroutine.status(thread) ~= "suspended" then return end
  local ok, value, message, code = coroutine.resume(thread)
  if ok and coroutine.status(thread) ~= "dead" then
    if value == PARKED then return end
    coroutine.close(thread)
    ok, value = false, "a function of fg.all called coroutine.yield: only coroutines of its own can do that"
  end
  settle(task, ok, value, message, code)
end

-- ---- turning --------------------------------------------------------------------------------------------

local function call_ticker()
  if not loop.ticker or op.now() - ticked < loop.tick then return end
  ticked = op.now()
  local list, threads = {}, {}
  for waited, waiting in pairs(waiters) do
    list[#list + 1] = waited
    threads[waited] = waiting[1].thread
  end
  loop.ticker(list, threads)
end

local function wake_waiters(finished)
  for _, waiter in ipairs(waiters[finished] or {}) do wake(waiter.task) end
end

-- Everybody who waits looks at op.interrupts().
local function notice_interrupts()
  local count = op.interrupts()
  if count >= 2 then error(abort, 0) end
  if count == noticed then return end
  noticed = count
  for waited in pairs(waiters) do wake_waiters(waited) end
end

local function step()
  local finished = table.pack(op.step(op.under_way() > 0 and loop.tick or 0))
  for i = 1, finished.n do wake_waiters(finished[i]) end
  return finished.n > 0
end

-- Let something happen: resume who is ready, else wait for the outside.
local function turn()
  if #ready > 0 then
    local list = ready
    ready = {}
    for _, task in ipairs(list) do resume(task) end
    return
  end
  local waitable = op.under_way() > 0
  local progressed = step()
  notice_interrupts()
  call_ticker()
  if not waitable and not progressed then
    error("deadlock: nothing is under way, and still it is waited for", 0)
  end
end

-- Give others their turn: by parking where that is possible, else by turning the loop.
local function yield(task)
  if task then coroutine.yield(PARKED) else turn() end
end

local function current_task()
  return coroutine.isyieldable() and tasks[coroutine.running()] or nil
end

-- ---- waiting --------------------------------------------------------------------------------------------

local function forget(waiter)
  for _, waited in ipairs(waiter.ops) do
    local list = waiters[waited]
    for i = #list, 1, -1 do
      if list[i] == waiter then table.remove(list, i) end
    end
    if #list == 0 then waiters[waited] = nil end
  end
end

local function enlist(task, ops)
  local waiter = setmetatable({ task = task, thread = coroutine.running(), ops = ops }, { __close = forget })
  for _, waited in ipairs(ops) do
    local list = waiters[waited] or {}
    waiters[waited] = list
    list[#list + 1] = waiter
  end
  return waiter
end

--- Wait until an operation has finished; it stays open. Ctrl-C ends the wait, not the operation.
-- @tparam userdata o what a function of flamegraph.op returned
-- @tparam userdata|nil limit a second operation (a timer): whichever finishes first ends the wait
-- @treturn boolean|nil true; nil, "interrupted", "INTERRUPTED" after Ctrl-C
function loop.wait(o, limit)
  local since = told
  local task = current_task()
  local waiter <close> = enlist(task, { o, limit }) -- luacheck: ignore waiter
  while not o:finished() and not (limit and limit:finished()) do
    if op.interrupts() > since then
      told = op.interrupts()
      return nil, "interrupted", "INTERRUPTED"
    end
    yield(task)
  end
  return true
end

--- Wait for an operation that was just started, take its results and close it.
-- @tparam userdata|nil o the operation; nil (its start failed): message and code are returned as they are
-- @return what the operation results in; or nil, message, code
function loop.finish(o, message, code)
  if not o then return nil, message, code end
  local closing <close> = o -- luacheck: ignore closing
  local ok, why, interrupted = loop.wait(o)
  if not ok then return nil, why, interrupted end
  return o:result()
end

--- Whether Ctrl-C was pressed. What only lets time pass then returns at once; requests and commands still
-- work, so that what was measured until then can be fetched. Loops that send requests should ask.
-- @treturn boolean
-- @usage while not fg.interrupted() do fg.http { url = args.url } end
function loop.interrupted()
  return op.interrupts() > 0
end

--- Wait for a time.
-- @tparam number|string duration seconds, or a text such as `"500ms"`, `"2m"`
-- @treturn boolean|nil true; nil, "interrupted", "INTERRUPTED" where Ctrl-C ended it early, or came before
-- @usage fg.sleep "500ms"
function loop.sleep(duration)
  local seconds, why = check.seconds(duration)
  if not seconds then check.fail("fg.sleep: %s", why) end
  if loop.interrupted() then return nil, "interrupted", "INTERRUPTED" end
  return loop.finish(op.timer(seconds))
end

-- ---- side by side ---------------------------------------------------------------------------------------

-- Tasks that are still there when fg.all ends, by an error or because it is itself cancelled, end with it:
-- closing the coroutine closes what it has open, inner groups included.
local function end_group(group)
  for task in pairs(group.running) do
    task.group = nil
    if coroutine.status(task.thread) == "suspended" then coroutine.close(task.thread) end
  end
end

local function sorted_keys(functions)
  local keys = {}
  for key, f in pairs(functions) do
    if type(f) ~= "function" then
      check.fail("fg.all: takes a table of functions, but [%s] is a %s", tostring(key), type(f))
    end
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    if math.type(a) == "integer" and math.type(b) == "integer" then return a < b end
    return math.type(a) == "integer" or math.type(b) ~= "integer" and tostring(a) < tostring(b)
  end)
  return keys
end

--- Run functions side by side, until all of them have returned.
--
-- A function that returns nil and a message has failed; the others go on. An error that is raised in one of
-- them ends all others, closes what they have open, and is raised again.
-- @tparam table functions a list, or functions by name
-- @treturn table what each function returned (its first result), under the function's own key
-- @treturn table failures under the same keys: tables with `message` and `code`; empty when there are none
-- @usage local got, failed = fg.all {
--   profile = function() return fg.collect("hce", args) end,
--   load = function() return drive(args.url) end,
-- }
-- if failed.profile then return nil, failed.profile.message end
function loop.all(functions)
  if type(functions) ~= "table" then
    check.fail("fg.all: takes a table of functions, not a %s", type(functions))
  end
  local parent = current_task()
  local group <close> = setmetatable(
    { count = 0, running = {}, results = {}, failed = {}, parent = parent }, { __close = end_group })
  for _, key in ipairs(sorted_keys(functions)) do
    local task = { key = key, group = group, thread = coroutine.create(functions[key]) }
    tasks[task.thread] = task
    group.running[task] = true
    group.count = group.count + 1
    wake(task)
  end
  while group.count > 0 and not group.raised do yield(parent) end
  if group.raised then error(group.raised[1], 0) end
  return group.results, group.failed
end

return loop
