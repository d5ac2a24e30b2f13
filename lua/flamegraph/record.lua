-- `perf record` as an engine: run, ended early by Ctrl-C, and what it wrote read.

local process = require "flamegraph.process"
local read = require "flamegraph.profile".read
local spawn = require "flamegraph.spawn"
local words = require "flamegraph.words"

--- Words for how stacks are walked, from a collector's `unwind` and `stack`.
-- @treturn string for --call-graph
local function call_graph(args)
  return args.unwind == "dwarf" and ("dwarf,%d"):format(args.stack or 8192) or args.unwind
end

-- "nginx (process 42)"; of a command what may be shown.
local function target_of(how)
  if not how.command then
    local target = process.find(how.pid)
    return target and ("%s (process %d)"):format(target.name, how.pid)
  end
  return words.brief { tostring(how.command[1]):match "[^/]*$", how.command[2] and tostring(how.command[2]) }
end

--- Run `perf record` with these words and read what it recorded.
-- @tparam {string,...} list the words behind `perf record --quiet --output FILE`
-- @tparam table how `call_graph`'s `unwind` and `stack`; `pid`, or `command`, the words that perf runs, which then has
--   our standard error; `read`: how to read the file
-- @treturn Profile|nil nil, message, code
-- @treturn integer|nil the exit status of the command
local function record(list, how)
  local file, target = os.tmpname(), target_of(how)
  local all = { "perf", "record", "--quiet", "--output", file, "--call-graph", call_graph(how) }
  table.move(list, 1, #list, #all + 1, all)
  all.wait, all.stdin, all.stdout, all.stderr = false, true, "inherit", how.command and "inherit" or "capture"
  local child <close>, message, code = spawn(all) -- luacheck: ignore child
  if not child then
    os.remove(file)
    return nil, message, code
  end
  local done = child:wait()
  if not done then -- Ctrl-C: perf then writes what it has
    child:kill "INT"
    done = child:wait "10s"
  end
  local p
  p, message, code = read(file, how.read)
  os.remove(file)
  if not p then
    local said = done and done.stderr or ""
    return nil, said ~= "" and ("perf record: " .. said:gsub("%s+$", "")) or message, code
  end
  if target then p:meta { target = target } end
  return p, how.command and done and done.status or nil
end

return record
