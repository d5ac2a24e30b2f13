local fg = require "flamegraph"

local just_begun, look_again = 2, 0.1 -- seconds

-- The command without the folders of its files, which say little and are long.
local function command_of(process)
  local words = {}
  for i, word in ipairs(process.command) do words[i] = word:match "^/.*/([^/]+)$" or word end
  local text = table.concat(words, " ")
  return #text > 100 and text:sub(1, 97) .. "…" or text
end

-- The process that is meant where none is named: the only one.
local function only_one()
  local list = fg.dotnet.processes()
  if #list == 1 then return list[1].pid end
  if #list == 0 then
    return nil, "no .NET process runs that may be looked at: start one, or, if it is another user's, run as that "
      .. "user or with sudo", "INVAL"
  end
  local lines = { ("%d .NET processes run; name one:"):format(#list) }
  for _, process in ipairs(list) do
    lines[#lines + 1] = ("  flame-graph dotnet --pid %-8d # %s"):format(process.pid, command_of(process))
  end
  return nil, table.concat(lines, "\n"), "INVAL"
end

-- A process that has just begun makes its socket in a moment.
local function await_socket(pid)
  for _ = 1, just_begun / look_again do
    local path, message, code = fg.dotnet.socket(pid)
    if path or code ~= "IO" or not fg.process(pid) then return path, message, code end
    if not fg.sleep(look_again) then break end
  end
  return fg.dotnet.socket(pid)
end

local function label(name, frame)
  return frame.kind == "dotnet" and fg.dotnet.readable(name) or name
end

local function readable(args, p, message, code)
  if not p or args.raw then return p, message, code end
  return p:filter { rename = label }
end

local function sample(args)
  local pid, message, code = args.pid, nil, nil
  if not pid then pid, message, code = only_one() end
  if not pid then return nil, message, code end
  local socket
  socket, message, code = await_socket(pid)
  if not socket then return nil, message, code end
  local p
  p, message, code = fg.sample {
    sampler = "dotnet", pid = pid, socket = socket, duration = args.duration, wall = args.wall, threads = args.threads,
    slices = args.slices,
  }
  if p and p:total() == 0 then
    return nil, ("process %d took no CPU time while it was watched: drive load and try again, or --wall shows what its "
      .. "threads wait for"):format(pid), "EMPTY"
  end
  return readable(args, p, message, code)
end

local function time_span(seconds)
  seconds = math.max(1, math.ceil(seconds))
  return ("%02d:%02d:%02d:%02d"):format(seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60)
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

-- What it wrote: the trace itself, else what it made of it.
local function read_trace(file, args)
  for _, path in ipairs { file, file .. ".nettrace", (file:gsub("%.nettrace$", "") .. ".speedscope.json") } do
    if exists(path) then
      return fg.read(path, { tid = args.threads, slices = args.slices })
    end
  end
  return nil, "dotnet-trace wrote no trace", "IO"
end

local function dotnet_trace(args)
  local pid, message, code = args.pid, nil, nil
  if not pid then pid, message, code = only_one() end
  if not pid then return nil, message, code end
  local base = os.tmpname()
  local file = base .. ".nettrace"
  local done
  done, message, code = fg.spawn { "dotnet-trace", "collect", "--process-id", tostring(pid), "--duration",
    time_span(args.duration), "--providers", "Microsoft-DotNETCore-SampleProfiler", "--output", file }
  local p
  if done and done.status == 0 then
    p, message, code = readable(args, read_trace(file, args))
  elseif done then
    local said = done.stderr ~= "" and done.stderr or done.stdout
    message, code = "dotnet-trace: " .. (said:match "([^\n]+)%s*$" or "status " .. done.status), "IO"
  end
  for _, path in ipairs { base, file, base .. ".speedscope.json" } do os.remove(path) end
  return p, message, code
end

return fg.collector {
  name = "dotnet",
  summary = "Profile a running .NET program: .NET Core 3.0 to .NET 10, nothing installed in it",
  examples = {
    "flame-graph dotnet",
    "flame-graph dotnet --pid 4242 --duration 30",
    "flame-graph dotnet --pid 4242 --wall --threads --output waiting.svg",
  },
  args = {
    { "pid", type = "pid", positional = true, help = "the process; the only .NET process where none is given" },
    fg.arg.duration "30s",
    { "wall", type = "boolean", help = "time by the clock on the wall, waiting included; otherwise CPU time" },
    { "threads", type = "boolean", help = "a tower for each thread" },
    { "raw", type = "boolean", help = "names as the runtime has them" },
    fg.arg.slices(),
    fg.arg.output(),
  },
  engines = {
    { name = "builtin", summary = "built in, over the socket of its diagnostics", collect = sample },
    { name = "dotnet-trace", summary = "dotnet-trace collect, wall-clock time", collect = dotnet_trace,
      needs = { "dotnet-trace", "dotnet tool install --global dotnet-trace" } },
  },
}
