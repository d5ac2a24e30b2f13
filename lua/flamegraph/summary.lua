-- fg.summarize: what a profile says by itself. It is deterministic, and each claim names its frame and its share.

local activities = require "flamegraph.activities"
local check = require "flamegraph.check"
local markdown = require "flamegraph.markdown"
local pattern = require "flamegraph.pattern"
local profile = require "flamegraph.profile"

local summary = {}

-- ---- rankings ---------------------------------------------------------------------------------------------------

local longest = 300 -- bytes of a name

-- A long name is cut, not within a character.
local function shortened(name)
  if #name <= longest then return name end
  local at = longest
  while at > 1 and name:byte(at + 1) & 0xC0 == 0x80 do at = at - 1 end
  return name:sub(1, at) .. "…"
end

-- "name (file:line)": the path where it is wanted.
local function named(frame, paths)
  local name = frame.name ~= "" and shortened(frame.name) or "(no name)"
  if not paths or not frame.file then return name end
  return ("%s (%s%s)"):format(name, frame.file, frame.line and ":" .. frame.line or "")
end

-- The `limit` frames with the largest `field`, larger than nothing, as rows { name, value, share }.
local function ranking(frames, field, whole, options)
  local sorted = table.move(frames, 1, #frames, 1, {})
  table.sort(sorted, function(a, b)
    if a[field] ~= b[field] then return a[field] > b[field] end
    return a.name < b.name
  end)
  local rows = {}
  for _, frame in ipairs(sorted) do
    if #rows == options.top or frame[field] == 0 then break end
    rows[#rows + 1] = { name = named(frame, options.paths), value = frame[field], share = frame[field] / whole }
  end
  return rows
end

-- A stack as names, outermost first; recursion into the same function is one step.
local function steps(frames)
  local list, times = {}, {}
  for _, frame in ipairs(frames) do
    local name = named(frame)
    if list[#list] == name then times[#list] = times[#list] + 1 else list[#list + 1], times[#list + 1] = name, 1 end
  end
  return list, times
end

-- The widest paths. Stacks that differ in the depth of a recursion alone are one path.
local function widest_paths(p, whole, options)
  local rows, by_key = {}, {}
  for frames, value in p:stacks(options.type) do
    local list, times = steps(frames)
    local key = table.concat(list, "\0")
    local row = by_key[key]
    if not row then
      row = { frames = list, recursive = {}, value = 0 }
      by_key[key], rows[#rows + 1] = row, row
    end
    row.value = row.value + value
    for i, n in ipairs(times) do row.recursive[i] = row.recursive[i] or n > 1 end
  end
  table.sort(rows, function(a, b)
    if a.value ~= b.value then return a.value > b.value end
    return table.concat(a.frames, "\0") < table.concat(b.frames, "\0")
  end)
  rows = table.move(rows, 1, options.top, 1, {})
  for i = #rows, 1, -1 do
    local row = rows[i]
    row.share = row.value / whole
    for j, name in ipairs(row.frames) do row.frames[j] = row.recursive[j] and name .. " (recursive)" or name end
    if row.value == 0 then table.remove(rows, i) end
  end
  return rows
end

-- ---- activities -------------------------------------------------------------------------------------------------

local function compiled(row)
  local list = {}
  for i, text in ipairs(row.patterns) do list[i] = pattern.compile(text) end
  return list
end

local function any_matches(list, name)
  for _, one in ipairs(list) do
    if pattern.matches(one, name) then return true end
  end
  return false
end

-- The stacks in which a frame matches, and the widest of those frames.
local function activity(p, row, frames, whole, options)
  local list, widest = compiled(row), nil
  local matching = {}
  for _, frame in ipairs(frames) do
    if any_matches(list, frame.name) then
      matching[frame.name] = true
      if not widest or frame.total > widest.total then widest = frame end
    end
  end
  if not widest then return nil end
  local found = p:filter { focus = function(frame) return matching[frame.name] end }
  local value = found and found:total(options.type) or 0
  if value / whole < options.least then return nil end
  return { name = row.name, value = value, share = value / whole, frame = named(widest, options.paths),
    frame_share = widest.total / whole }
end

local function recognised(p, frames, whole, options)
  local rows = {}
  for _, row in ipairs(activities) do rows[#rows + 1] = activity(p, row, frames, whole, options) end
  table.sort(rows, function(a, b)
    if a.value ~= b.value then return a.value > b.value end
    return a.name < b.name
  end)
  return rows
end

-- ---- the whole --------------------------------------------------------------------------------------------------

local function unit_of(p, type_name)
  for _, type in ipairs(p:types()) do
    if type.name == type_name then return type.unit end
  end
end

--- What a profile says by itself: where the time (or the memory) is, and what kind of work that is.
-- @tparam Profile p not a diff
-- @tparam[opt] table options
-- @tparam[opt=10] integer options.top rows in each ranking
-- @tparam[opt] string options.type value type; otherwise the default one
-- @tparam[opt=false] boolean options.paths with the source paths of frames
-- @tparam[opt=0.01] number options.least the share below which an activity is not told
-- @treturn table `total`, `unit`, `type`; `self` and `inclusive`, rankings of rows { name, value, share };
--   `paths`, rows { frames, value, share }; `activities`, rows { name, value, share, frame, frame_share }, of those in
--   fg.activities; `warnings`. nil, message, code: "EMPTY", "INVAL"
-- @usage for _, row in ipairs(assert(fg.summarize(p)).self) do print(row.name, row.share) end
function summary.of(p, options)
  if not profile.is_profile(p) then check.fail("fg.summarize takes a profile, not a %s", type(p)) end
  options = check.options("fg.summarize", options or {},
    { top = "integer", type = "string", paths = "boolean", least = "number" })
  options.top, options.least = options.top or 10, options.least or 0.01
  if p:is_diff() then return nil, "this is a diff: a summary is of one profile", "INVAL" end
  options.type = options.type or p:meta "default_type" or p:types()[1].name
  local whole = p:total(options.type)
  if whole <= 0 then return nil, ("nothing in this profile is of type %s"):format(options.type), "EMPTY" end
  local frames = p:top { limit = 0, type = options.type }
  return {
    total = whole, type = options.type, unit = unit_of(p, options.type),
    self = ranking(frames, "self", whole, options), inclusive = ranking(frames, "total", whole, options),
    paths = widest_paths(p, whole, options), activities = recognised(p, frames, whole, options),
    warnings = p:warnings(),
  }
end

local function percent(share)
  return ("%5.1f %%"):format(100 * share)
end

local function add_ranking(lines, title, rows)
  lines[#lines + 1] = "\n" .. title
  for _, row in ipairs(rows) do lines[#lines + 1] = ("  %s  %s"):format(percent(row.share), row.name) end
end

local shown_frames = 12 -- of a path: its outermost and its innermost frames

local function path_text(frames)
  if #frames <= shown_frames then return table.concat(frames, " > ") end
  local half = shown_frames // 2
  return ("%s > … %d more … > %s"):format(table.concat(frames, " > ", 1, half), #frames - shown_frames,
    table.concat(frames, " > ", #frames - half + 1))
end

--- A summary as text for a person.
-- @tparam table s what summary.of returned
-- @treturn string
function summary.text(s)
  local of = s.type ~= "samples" and " of " .. s.type or ""
  local lines = { profile.value_text(s.total, s.unit) .. of }
  for _, warning in ipairs(s.warnings) do lines[#lines + 1] = "  careful: " .. warning end
  add_ranking(lines, "Hottest functions (self: their own work)", s.self)
  add_ranking(lines, "Widest functions (total: with all they call)", s.inclusive)
  lines[#lines + 1] = "\nWidest paths"
  for _, row in ipairs(s.paths) do
    lines[#lines + 1] = ("  %s  %s"):format(percent(row.share), path_text(row.frames))
  end
  if #s.activities > 0 then lines[#lines + 1] = "\nKinds of work (a stack can be of several)" end
  for _, row in ipairs(s.activities) do
    lines[#lines + 1] = ("  %s  %s, most of it under %s (%s)"):format(percent(row.share), row.name, row.frame,
      percent(row.frame_share):gsub("^ +", ""))
  end
  return table.concat(lines, "\n")
end

-- ---- Markdown ---------------------------------------------------------------------------------------------------

local function add_table(lines, title, rows, text_of)
  if #rows == 0 then return end
  lines[#lines + 1] = ("\n## %s\n\n| share | |\n| ---: | --- |"):format(title)
  for _, row in ipairs(rows) do
    lines[#lines + 1] = ("| %s | %s |"):format(percent(row.share):gsub("^ +", ""), text_of(row))
  end
end

local function name_of(row) return markdown.span(row.name, true) end

--- A summary as Markdown.
-- @tparam table s what summary.of returned
-- @treturn string
function summary.markdown(s)
  local lines = { ("# %s of %s"):format(profile.value_text(s.total, s.unit), s.type) }
  if s.type == "samples" then lines[1] = "# " .. profile.value_text(s.total, s.unit) end
  if #s.warnings > 0 then lines[#lines + 1] = "" end
  for _, warning in ipairs(s.warnings) do lines[#lines + 1] = "- careful: " .. markdown.span(warning) end
  add_table(lines, "Hottest functions (self: their own work)", s.self, name_of)
  add_table(lines, "Widest functions (total: with all they call)", s.inclusive, name_of)
  add_table(lines, "Widest paths", s.paths, function(row) return markdown.span(path_text(row.frames), true) end)
  add_table(lines, "Kinds of work (a stack can be of several)", s.activities, function(row)
    return ("%s, most of it under %s (%s)"):format(row.name, markdown.span(row.frame, true),
      percent(row.frame_share):gsub("^ +", ""))
  end)
  return table.concat(lines, "\n")
end

return summary
