-- The pictures that the tests look at: from folded files in `dir`, or made here where a test needs more than names.
local fg = require "flamegraph"

local pictures = {
  mixed = {}, inverted = { inverted = true }, reversed = { reverse = true }, hash = { hash = true },
  hotcold = { view = "hotcold" }, hotcold_safe = { view = "hotcold", colors = "colorblind" },
  narrow = {
    width = 300, subtitle = ("a long subtitle that goes on "):rep(6), title = ("a title that is long "):rep(5),
  },
}

local function detailed()
  local p = fg.profile { type = "cpu", unit = "nanoseconds" }
  local main = { name = "main", file = "/srv/app/main.c", line = 12, module = "/usr/bin/app", kind = "native" }
  local parse = { name = "parse", file = "/srv/app/parse.rs", line = 230, module = "/usr/bin/app", kind = "rust" }
  p:add({ main, parse }, 12300000000)
  p:add({ main, { name = "read", module = "[kernel]", kind = "kernel" } }, 700000000)
  p:meta { collector = "test", engine = "builtin", target = "app", duration = 30000000000, samples = 40, lost = 17 }
  return p
end

return fg.recipe {
  name = "pictures",
  summary = "Draw what the browser tests look at",
  args = { { "dir", required = true, help = "folder with the folded files, and for the pictures" } },
  run = function(args)
    local function read(name) return assert(fg.read(("%s/%s.folded"):format(args.dir, name))) end
    local function draw(p, name, options) assert(p:write(("%s/%s.svg"):format(args.dir, name), options)) end
    local mixed = read "mixed"
    for name, options in pairs(pictures) do draw(mixed, name, options) end
    local changed = read "changed"
    local diff = assert(fg.diff(mixed, changed))
    draw(diff, "diff")
    draw(assert(fg.diff({ mixed, mixed, changed }, { changed, mixed })), "diff_of_runs")
    draw(diff, "diff_safe", { colors = "colorblind", inverted = true })
    draw(read "hostile", "hostile", { title = "</title><script>alert(6)</script>", count_name = "<b>ticks</b>" })
    draw(read "deep", "deep")
    draw(read "big", "big")
    draw(detailed(), "detailed")
  end,
}
