local fg = require "flamegraph"
local arguments = require "flamegraph.args"
local canonical = require "flamegraph.canonical"
local compared = require "flamegraph.compared"
local files = require "flamegraph.files"
local report = require "flamegraph.verdict_report"
local runs = require "flamegraph.runs"
local sides = require "flamegraph.sides"

local function write_reports(args, before, after, diff)
  local result = assert(compared.changes(before, after, diff, args.comparing, args.type))
  local list = { { "before", args.before }, { "after", args.after }, { "normalize", diff:meta "normalize" } }
  local said = { before = true, after = true, normalize = true, report = true }
  for _, row in ipairs(arguments.given(args)) do
    if not said[row[1]] then list[#list + 1] = row end
  end
  result.again = report.command("diff", list)
  for _, path in ipairs(args.report) do assert(files.write(path, report.of(result, report.format(path)))) end
end

local function problem(args)
  if not args.before or not args.after then
    return ("--%s is missing"):format(args.before and "after" or "before")
  end
  for _, path in ipairs(args.report or {}) do
    if not report.format(path) then return ("--report %s: ends in .txt, .md, .json or .xml"):format(path) end
    local why = files.problem("--report", path)
    if why then return why end
  end
end

return fg.recipe {
  name = "diff",
  summary = "Compare two profiles, or several runs of each: what grew and what shrank",
  description = "Each side is a profile of any format, a pipe included, or several: a folder, a pattern, the flag "
    .. "again. What changed less than the noise is grey; with several runs a side, noise is what runs of one side "
    .. "differ by. Names are made canonical before they are matched, see --show-rules. Pictures that flame-graph drew "
    .. "carry their whole profile, so comparing two of them is exact.",
  examples = {
    "flame-graph diff --before before.svg --after after.svg --output diff.svg",
    "flame-graph diff --before <(zcat a.folded.gz) --after b.folded --normalize share --output diff.svg",
    "flame-graph diff --before 'a/*.pb.gz' --after 'b/*.pb.gz' --output diff.svg --report diff.md",
  },
  args = {
    { "before", type = "path", list = true, metavar = "BEFORE", positional = true,
      help = "profiles to compare with: files, a folder, a pattern" },
    { "after", type = "path", list = true, metavar = "AFTER", positional = true, help = "profiles to compare" },
    fg.arg.output { default = "diff.svg", view = "diff" },
    { "report", type = "path", list = true, metavar = "FILE",
      help = "what changed, function by function: .txt, .md, .json, .xml (JUnit)" },
    { "show_rules", type = "boolean", help = "print the rules that make names canonical, and end" },
    { "type", metavar = "TYPE", help = "value type to compare (cpu, alloc_space, …)" },
    fg.arg.comparing(),
    fg.arg.filter(),
    fg.arg.reading(),
  },
  run = function(args)
    if args.show_rules then return files.write("-", canonical.show()) end
    local why = problem(args)
    if why then return nil, why, "INVAL" end
    args.reading.slices = args.reading.slices or runs.is_one(args.before) and runs.is_one(args.after)
    local before, after = assert(runs.read(args.before, args.reading)), assert(runs.read(args.after, args.reading))
    local diff = assert(compared.diff(before, after, args.comparing,
      { type = args.type, lines = args.reading.lines }))
    if args.report then write_reports(args, before, after, diff) end
    sides.close(before) -- what is in the diff now is not to be kept beside it while the picture is drawn
    sides.close(after)
    if next(args.filter) then diff = assert(diff:filter(args.filter)) end
    return diff:write(args.output)
  end,
}
