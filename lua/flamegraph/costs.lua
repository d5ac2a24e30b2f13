-- What watching memory costs the program, told before it is paid. The figures are those of docs/overhead.md:
-- `./dev bench memory --write` measures both, and writes both.

local costs = {}

-- What is watched, how, and what an allocation takes without and with.
local measured = [[
<!-- ./dev bench memory --write -->
| what | how | bare | watched | ratio |
|---|---|---|---|---|
| malloc and free | `--engine malloc --period 1000` | 62 ns | 1226 ns | 19.7 |
| malloc and free | `--engine malloc --period 100` | 70 ns | 1274 ns | 18.3 |
| malloc and free | `--engine malloc --period 1` | 62 ns | 4349 ns | 69.7 |
| malloc and free | `--live --period 100` | 62 ns | 13058 ns | 209.0 |
| malloc and free | `--live --period 1` | 96 ns | 18555 ns | 193.4 |
| Python, an object of 600 bytes | `--depth 1` | 106 ns | 519 ns | 4.9 |
| Python, an object of 600 bytes | `--depth 16` | 106 ns | 1657 ns | 15.7 |
| Python, an object of 600 bytes | `--depth 25` | 107 ns | 1637 ns | 15.3 |
<!-- end -->
]]

-- The two figures of a row, in nanoseconds.
local function figures(how)
  for one, bare, watched in measured:gmatch "| `([^`]+)` | (%d+) ns | (%d+) ns |" do
    if one == how then return tonumber(bare), tonumber(watched) end
  end
  error("costs: nothing was measured with " .. how)
end

local function times(how)
  local bare, watched = figures(how)
  return ("%.0f"):format(watched / bare)
end

-- Microseconds that are added.
local function longer(how)
  local bare, watched = figures(how)
  return ("%.2g"):format((watched - bare) / 1000)
end

--- By how much tracemalloc slows allocations, by the depth of stacks.
function costs.tracemalloc()
  return ("tracemalloc slows its allocations while it is on: %s times with --depth 1, %s with 16, %s with 25"):format(
    times "--depth 1", times "--depth 16", times "--depth 25")
end

--- What probes on functions that give memory cost.
function costs.malloc()
  return ("each of its allocations takes %s microseconds longer while it is watched, each sample %s"):format(
    longer "--engine malloc --period 1000", longer "--engine malloc --period 1")
end

--- What it costs to see releases as well.
function costs.live()
  return ("each of its allocations takes %s microseconds longer until it is freed"):format(longer "--live --period 100")
end

return costs
