local fg = require "flamegraph"

return fg.recipe {
  name = "file",
  summary = "Draw or convert a profile from a file, whatever its format; several are summed",
  examples = {
    "perf script | flame-graph file --input - --output flamegraph.svg",
    "flame-graph file stacks.txt",
    "flame-graph file --input profile.pb.gz --focus 'handle_.*' --output flamegraph.svg",
    "flame-graph file --input a.folded --input b.folded --output - --format folded",
  },
  args = {
    fg.arg.input { list = true, required = true, positional = true },
    fg.arg.output(),
    fg.arg.filter(),
    fg.arg.reading(),
  },
  run = function(args)
    local profiles = {}
    for i, path in ipairs(args.input) do profiles[i] = assert(fg.read(path, args.reading)) end
    local p = #profiles == 1 and profiles[1] or assert(fg.merge(profiles))
    if next(args.filter) then p = assert(p:filter(args.filter)) end
    return p:write(args.output)
  end,
}
