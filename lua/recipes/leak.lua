local fg = require "flamegraph"
local costs = require "flamegraph.costs"
local files = require "flamegraph.files"
local hold = require "flamegraph.hold"
local profile = require "flamegraph.profile"
local system = require "flamegraph.system"

-- ---- snapshots --------------------------------------------------------------------------------------------------

local slack = 10 -- seconds for which Python's tracing outlives the last snapshot

local function collect(args)
  if args.url then return fg.collect("memory", { url = args.url, path = args.path }) end
  if args.python then
    return fg.sample { sampler = "tracemalloc", pid = args.pid, duration = 0.05, depth = args.depth, held = true }
  end
  return hold.sample { sampler = "jemalloc", pid = args.pid, duration = 0.05 }
end

-- A snapshot: `sizes` by stack, and the profile.
local function taken(p)
  local sizes = {}
  for frames, value in p:stacks() do
    local names = {}
    for i, frame in ipairs(frames) do names[i] = frame.name end
    local stack = table.concat(names, ";")
    sizes[stack] = (sizes[stack] or 0) + value
  end
  return { profile = p, sizes = sizes }
end

-- What is in use now.
local function snapshot(args)
  local p, message, code = collect(args)
  if not p then return nil, message, code end
  return taken(p)
end

-- Snapshots, an interval apart; fewer after Ctrl-C, and where they took so long that tracing is about to end.
local function watch(args)
  local list, start = {}, system.clock()
  for i = 1, args.count do
    local due = start + args.every * (args.python and i or i - 1)
    if due > system.clock() then fg.sleep(due - system.clock()) end
    if fg.interrupted() or system.clock() > start + args.every * args.count + slack / 2 then break end
    local one, message, code = snapshot(args)
    if not one and code ~= "EMPTY" then return nil, message, code end
    list[#list + 1] = one
    fg.log("snapshot %d of %d: %s in use", i, args.count,
      profile.value_text(one and one.profile:total() or 0, "bytes"))
  end
  return list
end

-- Without jemalloc's profile: one watch of what malloc gives and free takes, looked at as often.
local function watch_live(args)
  local most = 16 -- what the sampler keeps
  if args.count > most then
    return nil, ("where malloc is watched there are %d snapshots at most, not %d"):format(most, args.count), "INVAL"
  end
  fg.log("process %d: %s, for %s", args.pid, costs.live(),
    profile.value_text(args.every * args.count * 1e9, "nanoseconds"))
  local p, message, code = fg.sample {
    sampler = "malloc", pid = args.pid, live = true, snapshots = args.count, duration = args.every * args.count,
  }
  if not p then return nil, message, code end
  local list = {}
  for i, type in ipairs(p:types()) do list[i] = taken(p:select(type.name)) end
  return list
end

-- jemalloc's own profile where there is one.
local function watch_native(args)
  local list, message, code = watch(args)
  if list or code ~= "UNSUPPORTED" or not args.pid then return list, message, code end
  fg.log("%s", message)
  return watch_live(args)
end

-- Python forgets what it traced when tracing ends: it is kept on from the first snapshot to the last.
local function watch_python(args)
  local held <close>, why, code = hold.take(args.pid)
  if not held then return nil, why, code end
  fg.log("process %d: tracemalloc slows its allocations for %s", args.pid,
    profile.value_text((args.every * args.count + slack) * 1e9, "nanoseconds"))
  local got, failed = fg.all {
    list = function() return watch(args) end,
    tracing = function()
      return fg.sample { sampler = "tracemalloc", pid = args.pid, depth = args.depth,
        duration = args.every * args.count + slack }
    end,
  }
  local failure = failed.list
  if failure then return nil, failure.message, failure.code end
  return got.list
end

-- ---- ranking ----------------------------------------------------------------------------------------------------

-- The sizes of a stack in all snapshots, if it only grows: never less than before, and more in half of the steps.
local function growing(list, stack)
  local sizes, steps = {}, 0
  for i, one in ipairs(list) do
    sizes[i] = one.sizes[stack] or 0
    if i > 1 and sizes[i] < sizes[i - 1] then return nil end
    if i > 1 and sizes[i] > sizes[i - 1] then steps = steps + 1 end
  end
  return steps > 0 and steps * 2 >= #list - 1 and sizes or nil
end

local function rank(list)
  local rows = {}
  for stack in pairs(list[#list].sizes) do
    local sizes = growing(list, stack)
    if sizes then rows[#rows + 1] = { stack = stack, sizes = sizes, growth = sizes[#sizes] - sizes[1] } end
  end
  table.sort(rows, function(a, b)
    if a.growth ~= b.growth then return a.growth > b.growth end
    return a.stack < b.stack
  end)
  return rows
end

-- The innermost frames of a stack, which tell most.
local function innermost(stack, most)
  local names = {}
  for name in stack:gmatch "[^;]+" do names[#names + 1] = name end
  return table.concat(names, " › ", math.max(1, #names - most + 1))
end

-- ---- the plot ---------------------------------------------------------------------------------------------------

local colours = { "#c2410c", "#1d4ed8", "#15803d", "#7e22ce", "#a16207", "#0e7490", "#be185d", "#4d7c0f" }
local width, height, left, top, line = 1000, 320, 90, 40, 22

local function escape(text)
  return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

local function curve(row, colour, most)
  local points = {}
  for i, size in ipairs(row.sizes) do
    points[i] = ("%.1f,%.1f"):format(left + (width - left - 20) * (i - 1) / math.max(1, #row.sizes - 1),
      top + height * (1 - size / most))
  end
  return ('<polyline fill="none" stroke="%s" stroke-width="2" points="%s"><title>%s</title></polyline>'):format(colour,
    table.concat(points, " "), escape(row.stack))
end

local function plot(rows, args)
  local most, parts = 1, {}
  for _, row in ipairs(rows) do most = math.max(most, row.sizes[#row.sizes]) end
  local whole = top + height + 40 + line * #rows
  parts[1] = ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">')
    :format(width, whole)
  parts[2] = ('<rect width="%d" height="%d" fill="#fff"/><text x="%d" y="24" font-size="16">%s</text>'):format(width,
    whole, left, ("Stacks that only grew, %d snapshots every %s"):format(#rows[1].sizes,
      profile.value_text(args.every * 1e9, "nanoseconds")))
  for i = 0, 4 do
    local y = top + height * (1 - i / 4)
    parts[#parts + 1] = ('<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>')
      :format(left, y, width - 20, left - 8, y + 4, profile.value_text(most * i / 4, "bytes"))
  end
  for i, row in ipairs(rows) do
    local colour, y = colours[(i - 1) % #colours + 1], top + height + 20 + line * i
    parts[#parts + 1] = curve(row, colour, most)
    parts[#parts + 1] = ('<path d="M%d %dh24" stroke="%s" stroke-width="3"/><text x="%d" y="%d">+%s  %s</text>'):format(
      left, y - 4, colour, left + 32, y, profile.value_text(row.growth, "bytes"), escape(innermost(row.stack, 3)))
  end
  parts[#parts + 1] = "</svg>\n"
  return table.concat(parts, "\n")
end

-- ---- the recipe -------------------------------------------------------------------------------------------------

local function told(rows, args)
  print(("%d %s only grew:"):format(#rows, #rows == 1 and "stack" or "stacks"))
  for i = 1, math.min(#rows, args.top) do
    print(("%12s  %s"):format("+" .. profile.value_text(rows[i].growth, "bytes"), innermost(rows[i].stack, 4)))
  end
end

local function run(args)
  local wrong = files.problem("--plot", args.plot)
  if wrong then return nil, wrong, "INVAL" end
  if args.pid then
    local process, why, kind = fg.process(args.pid)
    if not process then return nil, why, kind end
    args.python = args.lang == "python" or args.lang == "auto" and process.runtime == "python"
  elseif not args.url then
    return nil, "whose memory? Give --pid, or --url of a service with a heap profile", "INVAL"
  end
  local list, message, code = (args.python and watch_python or watch_native)(args)
  if not list then return nil, message, code end
  if #list < 2 then return nil, "it takes two snapshots at least in which something is in use", "EMPTY" end
  local rows = rank(list)
  if #rows == 0 then
    fg.log "no stack only grew: there is no leak that these snapshots show"
  else
    told(rows, args)
    local ok, why = files.write(args.plot, plot(table.move(rows, 1, math.min(#rows, args.top), 1, {}), args))
    if not ok then return nil, why, "IO" end
    fg.log("%s: their sizes over time", args.plot)
  end
  return assert(fg.diff(list[1].profile, list[#list].profile, { normalize = "absolute" })):write(args.output)
end

return fg.recipe {
  name = "leak",
  summary = "Look at a program's memory again and again: which stacks only grow?",
  description = "The picture is the difference between the first and the last snapshot; the plot has the sizes of the "
    .. "stacks that grew most. Where memory is asked of is as for `flame-graph memory`; a native program without "
    .. "jemalloc's profile is watched as by its --live, all the time and for 16 snapshots at most.",
  examples = {
    "flame-graph leak --pid 4242 --every 30s --count 10",
    "flame-graph leak --url http://localhost:6060 --every 1m --count 20 --output leak.svg --plot leak-plot.svg",
  },
  args = {
    { "pid", type = "pid", positional = true, help = "the process" },
    { "url", type = "url", help = "service with a heap profile, instead of --pid" },
    { "path", default = "/debug/pprof/heap", help = "where that is, unless --url has a path" },
    { "lang", type = "enum", choices = { "auto", "native", "python" }, default = "auto",
      help = "what the program is written in" },
    { "every", type = "duration", default = "10s", help = "from one snapshot to the next" },
    { "count", type = "integer", min = 2, max = 1000, default = 6, help = "how many snapshots" },
    { "top", type = "integer", min = 1, max = 50, default = 8, help = "how many stacks are told and plotted" },
    { "depth", type = "integer", min = 1, max = 1000, default = 16, help = "Python: frames of each stack, at most" },
    { "plot", type = "path", default = "leak-plot.svg", help = "the sizes of those stacks over time" },
    fg.arg.output { default = "leak.svg", view = "diff" },
  },
  run = run,
}
