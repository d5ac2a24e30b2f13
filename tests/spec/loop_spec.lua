local fg = require "flamegraph"
local op = require "flamegraph.op"
local support = dofile "tests/spec/support.lua"

local seconds = support.seconds

describe("fg.sleep", function()
  it("waits", function()
    local passed = seconds(function() assert.is_true(fg.sleep(0.05)) end)
    assert.is_true(passed >= 0.05 and passed < 5)
    assert.is_true(seconds(function() fg.sleep "20ms" end) >= 0.02)
  end)

  it("blames the script's line for nonsense", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local ok, message = pcall(function() fg.sleep "soon" end)
    assert.is_false(ok)
    assert.equal(("tests/spec/loop_spec.lua:%d: fg.sleep: takes seconds, or a text such as "):format(line)
      .. '"500ms", "30s", "2m"', message)
    assert.has_error(function() fg.sleep(-1) end)
    assert.has_error(function() fg.sleep() end)
  end)
end)

describe("fg.all", function()
  it("runs functions side by side", function()
    local order = {}
    local function nap(name, time)
      return function()
        fg.sleep(time)
        order[#order + 1] = name
        return name
      end
    end
    local results, failed
    local passed = seconds(function()
      results, failed = fg.all { nap("slow", 0.2), nap("quick", 0.1), last = nap("slowest", 0.3) }
    end)
    assert.same({ "slow", "quick", last = "slowest" }, results)
    assert.same({}, failed)
    assert.same({ "quick", "slow", "slowest" }, order)
    assert.is_true(passed < 0.55)
  end)

  it("starts a list in its order, then names in theirs", function()
    local order = {}
    local function note(name) return function() order[#order + 1] = name end end
    fg.all { note(1), note(2), z = note "z", b = note "b" }
    assert.same({ 1, 2, "b", "z" }, order)
    assert.same({}, (fg.all {}))
  end)

  it("keeps failures apart, and goes on", function()
    local results, failed = fg.all {
      one = function() return nil, "no such host", "NET" end,
      two = function()
        fg.sleep(0.02)
        return 2
      end,
      none = function() end,
    }
    assert.same({ two = 2 }, results)
    assert.equal("no such host", failed.one.message)
    assert.equal("NET", failed.one.code)
    assert.equal("no such host", tostring(failed.one))
    assert.is_nil(failed.none)
  end)

  it("raises an error again and ends the others", function()
    local closed, went_on = {}, false
    local function waiter(name)
      return function()
        local guard <close> = setmetatable({}, { __close = function() closed[name] = true end }) -- luacheck: ignore
        fg.sleep(60)
        went_on = true
      end
    end
    local line = debug.getinfo(1, "l").currentline + 6
    local passed = seconds(function()
      local ok, message = pcall(fg.all, {
        waiter "plain",
        function() fg.all { waiter "inner" } end,
        function()
          fg.sleep(0.02) error "broken"
        end,
      })
      assert.is_false(ok)
      assert.equal(("tests/spec/loop_spec.lua:%d: broken"):format(line), message)
    end)
    assert.same({ plain = true, inner = true }, closed)
    assert.is_false(went_on)
    assert.is_true(passed < 5)
    assert.equal(0, op.under_way())
  end)

  it("hands on error values as they are", function()
    local value = {}
    local ok, raised = pcall(fg.all, { function() error(value) end })
    assert.is_false(ok)
    assert.equal(value, raised)
    ok, raised = pcall(fg.all, { function() error() end })
    assert.is_false(ok)
    assert.is_nil(raised)
  end)

  it("nests", function()
    local results
    local passed = seconds(function()
      results = fg.all {
        function() return (fg.all { function() fg.sleep(0.1) return "a" end })[1] end,
        function() return (fg.all { function() fg.sleep(0.1) return "b" end })[1] end,
      }
    end)
    assert.same({ "a", "b" }, results)
    assert.is_true(passed < 0.19)
  end)

  it("lets what cannot park wait as well", function()
    local during = 0
    local results = fg.all {
      function() -- a coroutine of one's own
        local own = coroutine.wrap(function()
          fg.sleep(0.05)
          coroutine.yield "first"
          fg.sleep(0.05)
          return "second"
        end)
        return own() .. " " .. own()
      end,
      function() -- a callback from C
        return (("x"):gsub("x", function() return fg.sleep(0.05) and "slept" end))
      end,
      function()
        for _ = 1, 5 do
          fg.sleep(0.01)
          during = during + 1
        end
      end,
    }
    assert.same({ "first second", "slept" }, results)
    assert.equal(5, during)
  end)

  it("refuses a bare yield", function()
    local ok, message = pcall(fg.all, { function() coroutine.yield() end, function() fg.sleep(60) end })
    assert.is_false(ok)
    assert.matches("called coroutine.yield", message)
  end)

  it("finds deadlocks", function()
    local child = assert(fg.spawn { "sleep", "60", wait = false })
    local ok, message = pcall(fg.all, {
      function() child:wait() end,
      function() child:close() end,
    })
    assert.is_false(ok)
    assert.matches("deadlock", message)
  end)

  it("is checked", function()
    assert.has_error(function() fg.all() end)
    assert.has_error(function() fg.all { 1 } end)
  end)

  it("can be called thousands of times", function()
    local jobs = {}
    for i = 1, 2000 do
      jobs[i] = function()
        fg.sleep(0)
        return i
      end
    end
    local results = fg.all(jobs)
    for i = 1, 2000 do assert.equal(i, results[i]) end
  end)
end)

describe("an operation", function()
  it("that nobody holds is cancelled", function()
    for _ = 1, 10 do op.timer(60) end
    collectgarbage()
    collectgarbage()
    assert.equal(0, op.under_way())
  end)

  it("cannot be used once it is closed", function()
    local timer = op.timer(60)
    assert.has_error(function() timer:result() end)
    timer:close()
    timer:close()
    assert.has_error(function() timer:finished() end)
  end)
end)

describe("the ticker", function()
  it("is called while something is waited for", function()
    local loop = require "flamegraph.loop"
    local calls, done, expected = 0, nil, nil
    loop.tick = 0.02
    loop.ticker = function(ops)
      calls = calls + 1
      assert.equal(1, #ops)
      done, expected = ops[1]:progress()
    end
    fg.sleep(0.2)
    loop.ticker, loop.tick = nil, 0.1
    assert.is_true(calls >= 3 and calls <= 11)
    assert.is_true(done > 0 and done <= 0.2)
    assert.equal(0.2, expected)
  end)
end)

describe("fg.prompt", function()
  local function answers(program, input)
    local child <close> = support.lua('local fg = require "flamegraph" ' .. program, { stdin = input })
    local ended = assert(child:wait(20))
    return ended.stdout, ended.stderr
  end

  it("reads a line each time, and no more", function()
    local out, err = answers([[
      print(fg.prompt "First?") print(fg.prompt "Second?") print(io.read "a") print(fg.prompt "Third?")
    ]], "one\r\ntwo\nrest")
    assert.equal("one\ntwo\nrest\nnil\tend of input\tEMPTY\n", out)
    assert.equal("First?\nSecond?\nThird?\n", err)
  end)
end)

describe("Ctrl-C", function()
  local prelude = [[
    local fg = require "flamegraph"
    require "flamegraph.op".signals(true)
    io.stdout:setvbuf "line"
  ]]

  local function start(program)
    return support.lua(prelude .. program)
  end

  it("ends what waits; then time no longer passes, but work can be done", function()
    local child <close> = start [[
      fg.all {
        function() print("one", fg.sleep(60)) end,
        function() print("two", fg.spawn { "sleep", "60" }) end,
        function() print "waiting" end,
      }
      print("sleep", fg.sleep(60))
      print("prompt", fg.prompt "?")
      print("spawn", fg.spawn { "echo", "still works" }.stdout)
      print(fg.interrupted())
    ]]
    support.expect(child, "waiting")
    child:kill "INT"
    local ended = assert(child:wait(20))
    assert.equal(0, ended.status)
    local lines = "nil\tinterrupted\tINTERRUPTED\n"
    assert.equal("waiting\none\t" .. lines .. "two\t" .. lines .. "sleep\t" .. lines .. "prompt\t" .. lines
      .. "spawn\tstill works\n\ntrue\n", ended.stdout)
  end)

  it("that came while nobody waited ends the next wait", function()
    local child <close> = start [[
      print "computing"
      local file <close> = io.popen("echo; sleep 0.3")
      file:read "a"
      print(fg.spawn { "sleep", "60" })
    ]]
    support.expect(child, "computing")
    fg.sleep(0.1)
    child:kill "TERM"
    assert.equal("computing\nnil\tinterrupted\tINTERRUPTED\n", assert(child:wait(20)).stdout)
  end)

  it("leaves a child with a handle alone", function()
    local child <close> = start [[
      local grandchild = fg.spawn { "sleep", "60", wait = false }
      print "waiting"
      print(grandchild:wait())
      print(grandchild:running())
      grandchild:kill "INT"
      print(grandchild:wait().signal)
    ]]
    support.expect(child, "waiting")
    child:kill "INT"
    assert.equal("waiting\nnil\tinterrupted\tINTERRUPTED\ntrue\nINT\n", assert(child:wait(20)).stdout)
  end)

  it("the second time raises an error, so that everything is closed", function()
    local child <close> = start [[
      local ok, why = pcall(function()
        local guard <close> = setmetatable({}, { __close = function() print "closed" end })
        print "waiting"
        while true do
          if not fg.spawn { "sleep", "60" } then print "once" end
        end
      end)
      print(ok, why, why.code)
    ]]
    support.expect(child, "waiting")
    child:kill "INT"
    support.expect(child, "once")
    fg.sleep(0.2)
    child:kill "INT"
    local ended = assert(child:wait(20))
    assert.equal("waiting\nonce\nclosed\nfalse\tinterrupted\tINTERRUPTED\n", ended.stdout)
    assert.equal(0, ended.status)
  end)

  it("the second time ends who does not wait", function()
    local child <close> = start [[ print "computing" while true do end ]]
    support.expect(child, "computing")
    child:kill "INT"
    fg.sleep(0.1)
    assert.is_true(child:running())
    child:kill "INT"
    assert.equal("INT", assert(child:wait(20)).signal)
  end)

  it("in lua5.4 is lua5.4's", function()
    local child <close> = support.lua [[
      io.stdout:setvbuf "line"
      local fg = require "flamegraph"
      print "waiting"
      fg.sleep(60)
    ]]
    support.expect(child, "waiting")
    child:kill "INT"
    local ended = assert(child:wait(20))
    assert.equal(1, ended.status)
    assert.matches("interrupted!", ended.stderr)
  end)

  it("is not touched unless that is asked for", function()
    local child <close> = support.lua [[
      io.stdout:setvbuf "line"
      local fg = require "flamegraph"
      print "waiting"
      fg.sleep(60)
    ]]
    support.expect(child, "waiting")
    child:kill "TERM" -- lua5.4 itself handles INT
    assert.equal("TERM", assert(child:wait(20)).signal)
  end)
end)
