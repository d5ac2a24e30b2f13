local fg = require "flamegraph"
local files = require "flamegraph.files"
local system = require "flamegraph.system"

-- Names sort by time: api-20260131T120000.svg, and of a diff to the one before api-20260131T120000-diff.svg.
local stamp = "%Y%m%dT%H%M%S"

-- The pictures of this name in a folder, oldest first.
local function pictures(folder, name)
  local list = {}
  for _, file in ipairs(system.folder(folder) or {}) do
    local stem = file:match("^(" .. name:gsub("%-", "%%-") .. "%-%d+T%d+)%.svg$")
    if stem then list[#list + 1] = stem end
  end
  table.sort(list)
  return list
end

-- Remove what is older than the last `keep`.
local function forget(folder, name, keep)
  local list = pictures(folder, name)
  for i = 1, #list - keep do
    os.remove(("%s/%s.svg"):format(folder, list[i]))
    os.remove(("%s/%s-diff.svg"):format(folder, list[i]))
  end
end

-- One round. A failure is told and the watch goes on: the service may just be restarting.
local function round(args, previous)
  local p, message, code = fg.collect_as(args.profiling, args)
  if not p then
    if code ~= "INTERRUPTED" then fg.log("%s %s", os.date "%H:%M:%S", message) end
    return previous
  end
  local path = ("%s/%s-%s"):format(args.folder, args.name, os.date(stamp))
  assert(p:write(path .. ".svg"))
  if previous then
    local diff, why = fg.diff(previous, p)
    if diff then
      assert(diff:write(path .. "-diff.svg"))
    else
      fg.log("no diff to the profile before: %s", why)
    end
  end
  forget(args.folder, args.name, args.keep)
  return p
end

return fg.recipe {
  name = "watch",
  summary = "Profile again and again, keep the last pictures, compare each with the one before",
  description = "A round that fails is told, and the watch goes on. Ctrl-C ends it. The last picture of an earlier "
    .. "watch in the folder is what the first one is compared with.",
  examples = {
    "flame-graph watch --url http://localhost:8080 --every 5m --duration 30 --keep 12",
    "flame-graph watch --collector python --pid 4242 --every 1m --duration 10 --folder /var/tmp/profiles",
  },
  args = {
    { "every", type = "duration", default = "5m", help = "from the start of one profile to that of the next" },
    fg.arg.duration "30s",
    { "keep", type = "integer", min = 1, default = 12, help = "how many pictures stay" },
    { "count", type = "integer", min = 1, help = "stop after so many; otherwise on Ctrl-C" },
    { "folder", type = "path", default = "watch", help = "where the pictures go" },
    { "name", help = "what their names begin with; otherwise the collector's name" },
    fg.arg.profiling(),
  },
  run = function(args)
    args.name = args.name or args.profiling.collector
    if not args.name:find "^[%w._-]+$" then return nil, "--name has letters, digits and . _ - only", "INVAL" end
    assert(files.make_folder(args.folder))
    local list = pictures(args.folder, args.name)
    local previous = #list > 0 and fg.read(("%s/%s.svg"):format(args.folder, list[#list])) or nil
    local done, start = 0, system.clock()
    while not fg.interrupted() do
      previous = round(args, previous)
      done = done + 1
      if done == args.count then return true end
      local pause = start + done * args.every - system.clock()
      if pause > 0 then fg.sleep(pause) end
    end
    return true
  end,
}
