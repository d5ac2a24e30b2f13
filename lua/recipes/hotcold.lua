local fg = require "flamegraph"

return fg.recipe {
  name = "hotcold",
  summary = "Draw a profile by where its time is spent: hot frames red, frames that only pass it on cold",
  examples = {
    "flame-graph hotcold --input profile.pb.gz --output hotcold.svg",
  },
  args = {
    fg.arg.input { list = true, required = true, positional = true },
    fg.arg.output { default = "hotcold.svg", view = "hotcold" },
    fg.arg.filter(),
    fg.arg.reading(),
  },
  run = function(args)
    local profiles = {}
    for i, path in ipairs(args.input) do
      profiles[i] = assert(fg.read(path, args.reading))
      if profiles[i]:is_diff() then
        return nil, ("%s is a diff already; hotcold takes a profile (`flame-graph file` draws a diff)"):format(path)
      end
    end
    local p = assert(fg.merge(profiles))
    if next(args.filter) then p = assert(p:filter(args.filter)) end
    return p:write(args.output, { view = "hotcold" })
  end,
}
