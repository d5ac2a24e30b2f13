-- What a load test has to keep to: each threshold is judged, and a breach says what was measured and what was allowed.

local pattern = require "flamegraph.pattern"

local thresholds = {}

local function milliseconds(seconds)
  return ("%.1f ms"):format(seconds * 1e3)
end

local function percent(share)
  return ("%.2f %%"):format(share * 100)
end

-- The share of the stacks that have a frame which matches; nil without a profile.
local function share_of(p, regex)
  if not p then return nil end
  local whole, matching = p:total(), p:filter { focus = { regex } }
  return whole > 0 and matching and matching:total() / whole or 0
end

-- One row for each threshold that can be given: (value of the flag, measured, profile) → rows.
local function latency(quantile)
  return function(limit, load)
    return { { name = ("latency %s"):format(quantile), value = load.latency[quantile], limit = limit,
      show = milliseconds } }
  end
end

thresholds.kinds = {
  { "max_p50", latency "p50" },
  { "max_p90", latency "p90" },
  { "max_p99", latency "p99" },
  { "max_error_rate", function(limit, load)
    return { { name = "error rate", value = load.error_rate, limit = limit, show = percent } }
  end },
  { "min_rps", function(limit, load)
    return { { name = "answers per second", value = load.rps, limit = limit, least = true,
      show = function(rps) return ("%.1f"):format(rps) end } }
  end },
  { "max_share", function(list, _, p)
    local rows = {}
    for i, one in ipairs(list) do
      rows[i] = { name = "share of " .. one.pattern, value = share_of(p, one.pattern), limit = one.share,
        show = percent }
    end
    return rows
  end },
}

--- Judge what was measured.
-- @tparam table args the thresholds that were given, by the names of thresholds.kinds
-- @tparam table load a result of fg.load
-- @tparam Profile|nil p nil: there is none, and what is asked of it is not kept to
-- @treturn {table,...} rows { name, value, limit, ok, text }, one for each threshold
function thresholds.judge(args, load, p)
  local rows = {}
  for _, kind in ipairs(thresholds.kinds) do
    local given = args[kind[1]]
    for _, row in ipairs(given ~= nil and kind[2](given, load, p) or {}) do
      local value = row.value
      row.ok = value ~= nil and (row.least and value >= row.limit or not row.least and value <= row.limit)
      row.text = ("%s: %s, allowed: %s %s"):format(row.name, value and row.show(value) or "not known",
        row.least and "at least" or "at most", row.show(row.limit))
      rows[#rows + 1] = row
    end
  end
  return rows
end

--- `REGEX=SHARE` as { pattern, share }; nil and why not.
function thresholds.parse_share(text)
  local regex, share = text:match "^(.+)=([%d.]+%%?)$"
  share = regex and thresholds.parse_percent(share)
  if not share then return nil, ("takes REGEX=SHARE, such as 'serde_json::.*=15%%', not '%s'"):format(text) end
  local ok, why = pattern.check(regex)
  if not ok then return nil, "takes REGEX=SHARE: " .. why end
  return { pattern = regex, share = share }
end

--- A share: "0.1%" or 0.001. nil where it is none.
function thresholds.parse_percent(value)
  local number = type(value) == "number" and value
  if type(value) == "string" then
    number = tonumber((value:gsub("%%$", "")))
    if number and value:find "%%$" then number = number / 100 end
  end
  return number and number >= 0 and number <= 1 and number or nil
end

return thresholds
