-- `flame-graph` alone on a terminal: what can be profiled on this machine, to choose from.

local log = require "flamegraph.log"
local op = require "flamegraph.op"
local process = require "flamegraph.process"
local system = require "flamegraph.system"
local terminal = require "flamegraph.terminal"

local picker = {}

local look_seconds = 0.3 -- how long CPU use is watched for
local most = 30 -- rows

-- ---- what there is ----------------------------------------------------------------------------------------------

local function ports_by_pid()
  local ports = {}
  for _, one in ipairs(process.listeners()) do
    ports[one.pid] = (ports[one.pid] and ports[one.pid] .. " " or "") .. ":" .. one.port
  end
  return ports
end

-- CPU seconds by process that has not changed its identity since `before`.
local function watch()
  local before = {}
  for _, found in ipairs(process.all()) do before[found.pid] = found end
  local start = op.now()
  terminal.key(-1, look_seconds) -- a descriptor of -1 never has anything to read: this waits
  local passed, list = op.now() - start, {}
  for _, found in ipairs(process.all()) do
    local old = before[found.pid]
    found.load = old and old.started == found.started and (found.cpu - old.cpu) / passed or 0
    list[#list + 1] = found
  end
  return list
end

-- Worth a row: it runs something of ours to look at, it works, or somebody can send it requests.
local function of_interest(found, ports)
  return found.runtime ~= "native" or found.load > 0.01 or ports[found.pid] ~= nil
end

-- The command line; of the program its name alone, as what tells processes apart is behind it.
local function command_text(found)
  local words = table.move(found.command, 1, #found.command, 1, {})
  words[1] = words[1] and words[1]:match "[^/]+$" or words[1]
  local text = table.concat(words, " ")
  return text ~= "" and text or found.name
end

--- What can be profiled here, busiest first.
-- @treturn {table,...} process, collector, ports (":3000" or ""), text
function picker.choices()
  local list = watch()
  local ports, rows = ports_by_pid(), {}
  for _, found in ipairs(list) do
    if found.state ~= "Z" and of_interest(found, ports) then
      rows[#rows + 1] = { process = found, collector = process.collector(found.runtime), ports = ports[found.pid] or "",
        text = command_text(found) }
    end
  end
  table.sort(rows, function(a, b)
    if a.process.load ~= b.process.load then return a.process.load > b.process.load end
    return a.process.pid < b.process.pid
  end)
  return table.move(rows, 1, most, 1, {})
end

-- ---- choosing ---------------------------------------------------------------------------------------------------

local function fitted(text, columns)
  text = log.clean(text):gsub("\n", " ")
  local cut = utf8.len(text) and utf8.offset(text, columns) or #text > columns and columns
  return cut and text:sub(1, cut - 1) or text
end

local function row_text(i, row)
  return ("%3d  %-7s %8d %4.0f %%  %-12s %s"):format(i, row.process.runtime, row.process.pid, 100 * row.process.load,
    row.ports, row.text)
end

-- The rows that fit between head and prompt, the chosen one among them: from which, to which.
local function window(count, at, height)
  local shown = math.max(1, math.min(count, height - 3))
  local first = math.max(1, math.min(at - shown // 2, count - shown + 1))
  return first, first + shown - 1
end

-- `drawn`: how many lines were drawn before, which these take the place of. Gives how many these are.
local function draw(rows, at, typed, drawn)
  local columns, height = log.columns()
  columns, height = columns or 80, height or 24
  local lines = { drawn > 0 and ("\27[%dA\r\27[J"):format(drawn) or "" }
  lines[1] = lines[1] .. fitted("     runtime      pid    CPU  port         command", columns)
  local first, last = window(#rows, at, height)
  for i = first, last do
    local text = fitted(row_text(i, rows[i]), columns)
    lines[#lines + 1] = i == at and "\27[7m" .. text .. "\27[0m" or text
  end
  local prompt = "arrow keys or a number, Enter profiles it for 30 s, q leaves: " .. typed
  io.stderr:write(table.concat(lines, "\n"), "\n", fitted(prompt, columns), "\n")
  io.stderr:flush()
  return #lines + 1
end

local keys = { ["\27[A"] = "up", ["\27OA"] = "up", k = "up", ["\27[B"] = "down", ["\27OB"] = "down", j = "down",
  ["\n"] = "enter", ["\r"] = "enter", q = "leave", ["\27"] = "leave", ["\4"] = "leave", ["\127"] = "erase" }

-- The next state after a key: the chosen row, what was typed.
local function moved(key, at, typed, count)
  local what = keys[key]
  if what == "up" then return math.max(1, at - 1), "" end
  if what == "down" then return math.min(count, at + 1), "" end
  if what == "erase" then typed = typed:sub(1, -2) elseif key:find "^%d$" then typed = typed .. key end
  local number = tonumber(typed)
  return number and number >= 1 and number <= count and number or at, typed
end

local function choose(rows)
  local raw <close> = terminal.raw(0) -- luacheck: ignore raw
  local at, typed, drawn = 1, "", 0
  while op.interrupts() == 0 do
    drawn = draw(rows, at, typed, drawn)
    local key
    repeat key = terminal.key(0, 0.2) until key ~= "" or op.interrupts() > 0
    if not key or keys[key] == "leave" then return nil end
    if keys[key] == "enter" then return rows[at] end
    at, typed = moved(key, at, typed, #rows)
  end
end

--- Whether there is somebody to ask.
function picker.possible()
  return system.columns(0) ~= nil and log.columns() ~= nil and os.getenv "TERM" ~= "dumb"
end

--- Ask what is to be profiled.
-- @treturn string|nil the collector; nil: nothing was chosen
-- @treturn string|nil the process, as a word of the command line
function picker.ask()
  local rows = picker.choices()
  if #rows == 0 then
    log.info "nothing to profile is running here that may be seen; `flame-graph help` lists all there is"
    return nil
  end
  local row = choose(rows)
  if row then return row.collector, tostring(row.process.pid) end
end

return picker
