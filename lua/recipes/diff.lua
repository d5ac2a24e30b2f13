local fg = require "flamegraph"

return fg.recipe {
  name = "diff",
  summary = "Compare two profiles: what grew and what shrank",
  description = "Each side is a profile of any format, a pipe included. Pictures that flame-graph drew carry their "
    .. "whole profile, so comparing two of them is exact.",
  examples = {
    "flame-graph diff --before before.svg --after after.svg --output diff.svg",
    "flame-graph diff --before <(zcat a.folded.gz) --after b.folded --normalize share --output diff.svg",
  },
  args = {
    { "before", type = "path", metavar = "BEFORE", required = true, positional = true,
      help = "profile to compare with" },
    { "after", type = "path", metavar = "AFTER", required = true, positional = true,
      help = "profile to compare" },
    fg.arg.output { default = "diff.svg", view = "diff" },
    fg.arg.normalize(),
    { "type", metavar = "TYPE", help = "value type to compare (cpu, alloc_space, …)" },
    fg.arg.filter(),
    fg.arg.reading(),
  },
  run = function(args)
    local before = assert(fg.read(args.before, args.reading))
    local after = assert(fg.read(args.after, args.reading))
    local diff = assert(fg.diff(before, after, { type = args.type, normalize = args.normalize }))
    return assert(diff:filter(args.filter)):write(args.output)
  end,
}
