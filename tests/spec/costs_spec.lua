-- What is told before watching memory is paid for is what was measured.

require "flamegraph"
local costs = require "flamegraph.costs"

local begin, stop = "<!-- ./dev bench memory --write -->\n", "<!-- end -->"

local function table_in(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  local _, from = text:find(begin, 1, true)
  return text:sub(from + 1, text:find(stop, from, true) - 1)
end

describe("what watching memory costs", function()
  it("is the table of the page", function()
    assert.equal(table_in "docs/overhead.md", table_in "lua/flamegraph/costs.lua")
  end)

  it("is told with the figures of that table", function()
    local bare, watched = table_in("docs/overhead.md"):match "`%-%-depth 16` | (%d+) ns | (%d+) ns"
    assert.matches((" %.0f with 16"):format(watched / bare), costs.tracemalloc(), 1, true)
    for _, text in ipairs { costs.malloc(), costs.live() } do assert.matches("%d microseconds longer", text) end
  end)
end)
