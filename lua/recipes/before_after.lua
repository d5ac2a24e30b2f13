local fg = require "flamegraph"
local compared = require "flamegraph.compared"

-- Run a command of the user's, in a shell as it was written. Its output goes where messages go.
local function run(flag, command)
  fg.log("%s", command)
  local ended, message, code = fg.spawn { "sh", "-c", "exec 1>&2\n" .. command, stdout = "null", stderr = "inherit" }
  if not ended then return nil, ("%s: %s"):format(flag, message), code end
  if ended.status == 0 then return true end
  return nil, ("%s: `%s` ended with %s"):format(flag, command,
    ended.status and "exit status " .. ended.status or "signal " .. ended.signal), "REMOTE"
end

-- Wait until a service that was started again answers, whatever it says.
local function ready(url)
  if not url then return true end
  local answer, message, code = fg.http { url = url, timeout = "10s", retries = 8 }
  return answer and true, message, code
end

-- One side: a profile, under load where that is asked for.
local function profile(args)
  if not args.load.load then return fg.collect_as(args.profiling, args) end
  local got, failed = fg.all {
    profile = function() return fg.collect_as(args.profiling, { duration = args.duration }) end,
    load = function() return fg.drive(args.load, args.duration, args.profiling.url) end,
  }
  local failure = failed.profile or failed.load
  if failure then return nil, failure.message, failure.code end
  fg.log("%s", require("flamegraph.report").line(got.load))
  return got.profile
end

-- The change: a command that makes it, or the user does.
local function change(args)
  if not args.after_cmd then return fg.prompt "Restart the service with the change, then press Enter" end
  local ok, message, code = run("--after-cmd", args.after_cmd)
  if not ok then return nil, message, code end
  return ready(args.profiling.url)
end

return fg.recipe {
  name = "before_after",
  summary = "Profile, make or await the change, profile again, compare",
  description = "--before-cmd and --after-cmd are run by the shell, in front of the first and of the second profile; "
    .. "without --after-cmd you are asked to make the change. With --load, both are taken under the same load.",
  examples = {
    "flame-graph before_after --url http://localhost:8080 --duration 30",
    "flame-graph before_after --collector hce --url http://localhost:3000 --output change.svg",
    "flame-graph before_after --url http://localhost:6060 --path /debug/pprof/profile",
    "flame-graph before_after --url http://localhost:8080 --load /orders --rps 50 "
      .. "--before-cmd 'git checkout main && make restart' --after-cmd 'git checkout fast && make restart'",
  },
  args = {
    fg.arg.duration "30s",
    { "before_cmd", metavar = "COMMAND", help = "run in front of the first profile" },
    { "after_cmd", metavar = "COMMAND", help = "makes the change; otherwise you are asked to" },
    fg.arg.output { default = "diff.svg", view = "diff" },
    fg.arg.comparing(),
    { "type", metavar = "TYPE", help = "value type to compare (cpu, alloc_space, …)" },
    fg.arg.profiling(),
    fg.arg.load(),
  },
  run = function(args)
    args.profiling.slices = true -- for noise: there is one run a side
    if args.before_cmd then
      assert(run("--before-cmd", args.before_cmd))
      assert(ready(args.profiling.url))
    end
    local before = assert(profile(args))
    local ok, message, code = change(args)
    local after, diff
    if ok then after, message, code = profile(args) end
    if after then
      diff, message, code = compared.diff({ before }, { after }, args.comparing, { type = args.type })
    end
    ok = nil
    if diff then ok, message, code = diff:write(args.output) end
    if ok then return ok end
    local kept = { fg.keep(before, args.output, "before"), after and fg.keep(after, args.output, "after") }
    return nil, ("%s (%s)"):format(message, table.concat(kept, "; ")), code
  end,
}
