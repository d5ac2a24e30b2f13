-- What is shown while something takes time: one line, redrawn in place, on a terminal; elsewhere a line at the start
-- and one at the end.
--
--   api http://localhost:8080  12.0 s left of 30 s · 1.2 MiB · time-out in 42.0 s

local check = require "flamegraph.check"
local log = require "flamegraph.log"
local loop = require "flamegraph.loop"
local profile = require "flamegraph.profile"
local system = require "flamegraph.system"

local progress = {
  --- Whether anything is shown; the command says so. Stock Lua is left in peace.
  shown = false,
}

-- Between two looks at what is under way, and where all was told and there is no line to redraw: each wakes the process
-- up, which costs as much as a sample.
local redraw_seconds, look_seconds = 0.25, 1

local bars = {} -- open ones, oldest first

local function seconds_text(seconds)
  return ("%.1f s"):format(math.max(seconds, 0))
end

-- A number that somebody chose: "30 s".
local function whole_text(seconds)
  return ("%g s"):format(seconds)
end

-- ---- a bar ------------------------------------------------------------------------------------------------------

--- What is under way.
-- @type Progress
local Progress = {}
Progress.__index = Progress

-- "left of 30 s", size and time-out, as far as they are known.
local function facts(bar, now)
  local parts = {}
  local elapsed = now - bar.start
  if not bar.seconds then
    parts[1] = seconds_text(elapsed)
  elseif elapsed <= bar.seconds then
    parts[1] = ("%s left of %s"):format(seconds_text(bar.seconds - elapsed), whole_text(bar.seconds))
  else
    parts[1] = "waiting for the answer"
  end
  if bar.bytes > 0 then parts[#parts + 1] = profile.value_text(bar.bytes, "bytes") end
  if bar.timeout then parts[#parts + 1] = "time-out in " .. seconds_text(bar.timeout - elapsed) end
  return table.concat(parts, " · ")
end

local function draw()
  if not progress.shown or log.quiet or not log.columns() then return end
  local bar = bars[#bars]
  if not bar then return log.line(nil) end
  local more = #bars > 1 and (" (and %d more)"):format(#bars - 1) or ""
  log.line(("%s%s  %s"):format(bar.text, more, facts(bar, system.clock())))
end

-- Bytes that the operations a bar's coroutine waits for have brought so far.
local function count_bytes(waiting, threads)
  for _, bar in ipairs(bars) do
    local bytes = 0
    for _, o in ipairs(waiting) do
      local done, _, unit = o:progress()
      if threads[o] == bar.thread and unit == "bytes" then bytes = bytes + done end
    end
    bar.bytes = math.max(bar.bytes, bytes)
  end
end

local function is_covered(bar)
  for _, other in ipairs(bars) do
    if other == bar then return false end
    if other.covers then return true end
  end
end

local function announce(bar)
  if bar.announced or not progress.shown or log.columns() or is_covered(bar) then return end
  bar.announced = true
  local parts = {}
  if bar.seconds then parts[#parts + 1] = "for " .. whole_text(bar.seconds) end
  if bar.timeout then parts[#parts + 1] = "time-out after " .. whole_text(bar.timeout) end
  log.info(bar.text .. (#parts > 0 and ": " or "") .. table.concat(parts, ", "))
end

local function tick(waiting, threads)
  count_bytes(waiting, threads)
  for _, bar in ipairs(bars) do announce(bar) end
  draw()
  if progress.shown and (log.quiet or not log.columns()) then loop.tick = look_seconds end
end

--- Change what is shown.
-- @tparam table changes `text`, `seconds`, `timeout`, `bytes`
function Progress:update(changes)
  changes = check.options("progress:update", changes,
    { text = "string", seconds = "number", timeout = "number", bytes = "number" })
  for key, value in pairs(changes) do self[key] = value end
  announce(self)
end

--- Take it away. It also goes when its variable is `<close>` and leaves its scope.
function Progress:close()
  if self.closed then return end
  self.closed = true
  for i, bar in ipairs(bars) do
    if bar == self then table.remove(bars, i) end
  end
  if #bars == 0 then loop.ticker = nil end
  draw()
end

Progress.__close = Progress.close

--- Show that something is under way, until it is closed. On a terminal the line is redrawn while the script waits.
-- @tparam table fields `text`; `seconds` (how long it is to take); `timeout` (seconds until it is given up);
--   `covers`: where there is no terminal, what begins while this is shown is not told besides
-- @treturn Progress
-- @usage local bar <close> = fg.progress { text = "warming up", seconds = 10 }
-- fg.sleep(10)
function progress.start(fields)
  fields = check.options("fg.progress", fields,
    { text = "!string", seconds = "number", timeout = "number", covers = "boolean" })
  local bar = setmetatable({
    text = fields.text, seconds = fields.seconds, timeout = fields.timeout, covers = fields.covers,
    bytes = 0, start = system.clock(), thread = coroutine.running(),
  }, Progress)
  bars[#bars + 1] = bar
  loop.tick, loop.ticker = redraw_seconds, tick
  return bar
end

--- The bar of the running coroutine, or nil.
function progress.current()
  local thread = coroutine.running()
  for i = #bars, 1, -1 do
    if bars[i].thread == thread then return bars[i] end
  end
end

return progress
