local fg = require "flamegraph"

local folded = "main;parse 3\nmain;run;sort 7\nmain;run 2\n"

local function profile()
  return assert(fg.parse(folded))
end

local function as_folded(p)
  return assert(p:format { format = "folded" })
end

-- The line of a function's error, counted from the function's first.
local function blamed(f)
  local ok, message = pcall(f)
  assert.is_false(ok)
  local line, rest = message:match("profile_spec%.lua:(%d+): (.*)$")
  assert.is_not_nil(line, message)
  return tonumber(line) - debug.getinfo(f, "S").linedefined, rest
end

describe("a profile", function()
  it("is read and written", function()
    local path = os.tmpname()
    os.remove(path)
    path = path .. ".folded"
    assert.is_true(profile():write(path))
    local p = assert(fg.read(path))
    os.remove(path)
    assert.equal(12, p:total())
    assert.equal("main;parse 3\nmain;run 2\nmain;run;sort 7\n", as_folded(p))
  end)

  it("that cannot be read is nil, message, code", function()
    local p, message, code = fg.read "/nowhere/x.folded"
    assert.is_nil(p)
    assert.matches("/nowhere/x.folded", message, 1, true)
    assert.equal("IO", code)
    assert.equal("EMPTY", select(3, fg.parse ""))
    assert.equal("FORMAT", select(3, fg.parse("not a profile", { expect = "pprof" })))
  end)

  it("is built by hand", function()
    local p = fg.profile { types = { { "samples", "count" }, { "cpu", "nanoseconds" } } }
    p:add({ "main", { name = "parse", file = "parse.c", line = 12, module = "a.out", kind = "native" } }, { 1, 500 })
    p:add({ "main", "run" }, { 2, 700 })
    assert.same({ { name = "samples", unit = "count" }, { name = "cpu", unit = "nanoseconds" } }, p:types())
    assert.equal(3, p:total())
    assert.equal(1200, p:total "cpu")
    assert.equal("profile (2 stacks, 3 count of samples, 1200 nanoseconds of cpu)", tostring(p))
    assert.same(
      { name = "parse", file = "parse.c", line = 12, module = "a.out", kind = "native", self = 500, total = 500 },
      p:top({ type = "cpu" })[2])
    assert.same({ { name = "run", unit = "throws" } }, fg.profile({ type = "run", unit = "throws" }):types())
  end)

  it("adds up to 64 bits and no further", function()
    local p = fg.profile()
    assert.is_true(p:add({ "a" }, math.maxinteger))
    local ok, _, code = p:add({ "a" }, 1)
    assert.is_nil(ok)
    assert.equal("LIMIT", code)
  end)

  it("gives its stacks", function()
    local seen, frames_of_main = {}, {}
    for frames, value, values in profile():stacks() do
      local names = {}
      for i, frame in ipairs(frames) do names[i] = frame.name end
      seen[table.concat(names, ";")] = value
      assert.same({ value }, values)
      frames_of_main[frames[1]] = true
    end
    assert.same({ ["main;parse"] = 3, ["main;run;sort"] = 7, ["main;run"] = 2 }, seen)
    assert.is_not_nil(next(frames_of_main))
    assert.is_nil(next(frames_of_main, next(frames_of_main))) -- one table for one frame
  end)

  it("gives its nodes, parents first", function()
    local seen = {}
    for node in profile():nodes() do
      seen[node.index] = { node.name, node.depth, node.parent, node.self, node.total }
    end
    assert.same({
      { "main", 1, 0, 0, 12 }, { "parse", 2, 1, 3, 3 }, { "run", 2, 1, 2, 9 }, { "sort", 3, 3, 7, 7 },
    }, seen)
  end)

  it("ranks its functions", function()
    local top = profile():top { limit = 2 }
    assert.same({ name = "sort", kind = "unknown", self = 7, total = 7 }, top[1])
    assert.same({ name = "parse", kind = "unknown", self = 3, total = 3 }, top[2])
    assert.equal(2, #top)
    assert.equal(4, #profile():top())
  end)

  it("has metadata and notes", function()
    local p = profile()
    assert.equal(p, p:meta { target = "process 1", duration = 5, factor = 0.5 })
    assert.equal("process 1", p:meta "target")
    assert.is_nil(p:meta "host")
    assert.same({ target = "process 1", duration = 5, factor = 0.5, source = "folded" }, p:meta())
    p:note("first"):note("second"):note("first")
    assert.same({ "first", "second" }, p:notes())
    assert.equal(12, p:quality().samples)
    assert.equal("first", p:warnings()[1])
  end)

  it("is closed, and then of no use", function()
    local p = profile()
    local stacks = p:stacks()
    p:close()
    p:close()
    assert.equal("profile (closed)", tostring(p))
    assert.has_error(function() p:total() end, "calling 'total' on bad self (this profile is closed)")
    assert.has_error(stacks)
    local kept
    do
      local scoped <close> = profile()
      kept = scoped
    end
    assert.equal("profile (closed)", tostring(kept))
  end)

  it("does not hand out its methods to be changed", function()
    assert.equal("profile", getmetatable(profile()))
    assert.has_error(function() setmetatable(profile(), {}) end)
  end)
end)

describe("algebra", function()
  it("merges", function()
    local p = profile()
    assert.equal(36, assert(p:merge(p, p)):total())
    assert.equal(24, assert(fg.merge { p, p }):total())
    assert.equal(12, p:total())
  end)

  it("inverts and selects", function()
    assert.equal("parse;main 3\nrun;main 2\nsort;run;main 7\n", as_folded(assert(profile():invert())))
    local p = fg.profile { types = { { "a", "count" }, { "b", "count" } } }
    p:add({ "x" }, { 1, 2 })
    assert.same({ { name = "b", unit = "count" } }, assert(p:select "b"):types())
  end)

  it("matches frames of two profiles under the names that they are given", function()
    local function plain(name) return (name:gsub("%d", "")) end
    local before, after = assert(fg.parse "main;f1 3\nmain;f2 4"), assert(fg.parse "main;f3 10\nmain;g 1")
    local d = assert(fg.diff(before, after, { rename = plain }))
    local shown = {}
    for frames, was in d:stacks "before" do shown[#shown + 1] = frames[2].name .. " " .. was end
    table.sort(shown)
    assert.same({ "f 7", "g 0" }, shown)
    assert.equal(10, d:top({ type = "after" })[1].self)
    assert.has_error(function() fg.diff(before, after, { rename = function() error("no", 0) end }) end, "no")
    assert.has_error(function() fg.diff(before, after, { rename = 3 }) end)
  end)

  it("counts frames of one name together, and recursion through them once", function()
    local p = assert(fg.parse "main;f1;f2 3\nmain;f2;g 4")
    local function plain(name) return (name:gsub("%d", "")) end
    local rows = {}
    for _, row in ipairs(p:top { names = plain, limit = 0 }) do
      rows[#rows + 1] = ("%s %d %d"):format(row.name, row.self, row.total)
    end
    assert.same({ "g 4 4", "f 3 7", "main 0 7" }, rows)
    assert.same({ f = { main = true }, g = { f = true } }, p:callers(nil, plain))
    assert.same({ g = { f = true } }, p:callers({ g = true }, plain))
    assert.has_error(function() p:top { names = function() return nil end } end, "names: a nil is no name")
  end)

  it("compares", function()
    local d = assert(fg.diff(profile(), assert(fg.parse "main;parse 6")))
    assert.is_true(d:is_diff())
    assert.is_false(profile():is_diff())
    assert.equal(12, d:total "before")
    assert.equal(6, d:total "after")
    local nothing, message, code = fg.diff(profile(), profile(), { type = "cpu" })
    assert.is_nil(nothing)
    assert.matches("cpu", message)
    assert.equal("INVAL", code)
  end)
end)

describe("a filter", function()
  local function filtered(options)
    return as_folded(assert(profile():filter(options)))
  end

  it("takes patterns, lists and functions", function()
    assert.equal("main;parse 3\n", filtered { focus = "^pa" })
    assert.equal("main;parse 3\nmain;run;sort 7\n", filtered { focus = { "parse", "sort" } })
    assert.equal("main;run 2\nmain;run;sort 7\n", filtered { ignore = function(f) return f.name == "parse" end })
    assert.equal("parse 3\nrun 2\nrun;sort 7\n", filtered { hide = "main" })
    assert.equal("main;parse 3\n", filtered { focus = "a", ignore = "run", hide = {} })
    assert.equal("main;parse 3\nmain;run 2\nmain;run;sort 7\n", filtered {})
  end)

  it("renames", function()
    assert.equal("main;pars<e> 3\nmain;run 2\nmain;run;sort 7\n", filtered { rename = "(e)$=<$1>" })
    assert.equal("MAIN;PARSE 3\nMAIN;RUN 2\nMAIN;RUN;SORT 7\n",
      filtered { rename = function(name) return name:upper() end })
    assert.equal("work 12\n", filtered { hide = "^(parse|run|sort)$", rename = { "main=x", "x=work" } })
    assert.equal("a=b;parse 3\na=b;run 2\na=b;run;sort 7\n", filtered { rename = "(?=main)main=a=b" })
    assert.equal("main;parse 3\nmain;run 2\nmain;run;sort 7\n", filtered { rename = function() end })
  end)

  it("that leaves nothing is nil, message, EMPTY", function()
    local p, _, code = profile():filter { focus = "nothing" }
    assert.is_nil(p)
    assert.equal("EMPTY", code)
  end)

  it("gives up on a pattern that would take for ever", function()
    local p = fg.profile()
    p:add({ ("a"):rep(60) .. "!" }, 1)
    local kept, message, code = p:filter { focus = "^(a|aa|a?a)+$" }
    assert.is_nil(kept)
    assert.equal("LIMIT", code)
    assert.matches("repetitions", message)
  end)

  it("raises what a function raises, as it is", function()
    local problem = {}
    local ok, raised = pcall(function() profile():filter { hide = function() error(problem) end } end)
    assert.is_false(ok)
    assert.equal(problem, raised)
  end)

  it("knows the frame", function()
    local p = fg.profile()
    p:add({ { name = "f", file = "a.c", line = 3, module = "m", kind = "js" } }, 1)
    local seen
    assert(p:filter { ignore = function(frame) seen = frame end })
    assert.same({ name = "f", file = "a.c", line = 3, module = "m", kind = "js" }, seen)
  end)
end)

describe("misuse", function()
  local p = profile()
  local cases = {
    { "write: unknown option 'colour'", function() p:write("a.md", { colour = "red" }) end },
    { "write: option 'title' is a number, not a string", function() p:write("a.md", { title = 3 }) end },
    { "write: option 'limit' is a number, not a whole", function() p:write("a.md", { limit = -1 }) end },
    { "read: options are a table", function() fg.read("a", 3) end },
    { "read: unknown option 'pids'", function() fg.read("a", { pids = true }) end },
    { "top: unknown option 'by'", function() p:top { by = "self" } end },
    { "no value type 'cpu'", function() p:total "cpu" end },
    { "diff: normalize is", function() fg.diff(p, p, { normalize = "some" }) end },
    { "filter: 'focus' is a pattern", function() p:filter { focus = 3 } end },
    { "filter: unknown option 'fokus'", function() p:filter { fokus = "x" } end },
    { "missing closing parenthesis", function() p:filter { focus = "(" } end },
    { "has no '='", function() p:filter { rename = "x" } end },
    { "rename returned a number", function() p:filter { rename = function() return 3 end } end },
    { "add: frame 2 is a number", function() p:add({ "a", 3 }, 1) end },
    { "add: frame 1 has no name", function() p:add({ {} }, 1) end },
    { "no kind of frame named 'rusty'", function() p:add({ { name = "a", kind = "rusty" } }, 1) end },
    { "add: a value is a whole number", function() p:add({ "a" }, 1.5) end },
    { "add: a value is a whole number", function() p:add({ "a" }, -1) end },
    { "add: 2 values for 1 value types", function() p:add({ "a" }, { 1, 2 }) end },
    { "at least one frame", function() p:add({}, 1) end, "from 1 to" },
    { "no metadata named 'targt'", function() p:meta "targt" end },
    { "'duration' is a number, not a string", function() p:meta { duration = "3" } end },
    { "format: name the format", function() p:format() end },
    { "fg.merge takes a list", function() fg.merge {} end },
    { "item 2 is a number, not a profile", function() fg.merge { p, 3 } end },
    { "fg.profile: unknown option 'units'", function() fg.profile { units = "x" } end },
  }
  for _, case in ipairs(cases) do
    it("is blamed on the script's line: " .. case[1], function()
      local line, message = blamed(case[2])
      assert.equal(0, line)
      assert.matches(case[3] or case[1], message, 1, true)
    end)
  end
end)
