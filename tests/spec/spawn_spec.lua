local fg = require "flamegraph"
local support = dofile "tests/spec/support.lua"

local seconds = support.seconds

local function alive(pid)
  return os.execute(("kill -0 %d 2>/dev/null"):format(pid)) == true
end

local function raises(message, options)
  local ok, raised = pcall(function() fg.spawn(options) end)
  assert.is_false(ok)
  assert.equal(message, raised:match "^tests/spec/spawn_spec.lua:%d+: (.*)$")
end

describe("fg.spawn", function()
  it("returns what a command wrote and how it ended", function()
    local done = assert(fg.spawn { "sh", "-c", "echo out; echo err >&2; exit 3" })
    assert.equal("out\n", done.stdout)
    assert.equal("err\n", done.stderr)
    assert.equal(3, done.status)
    assert.is_nil(done.signal)
    done = assert(fg.spawn { "sh", "-c", "kill -KILL $$" })
    assert.equal("KILL", done.signal)
    assert.is_nil(done.status)
  end)

  it("has no shell in between", function()
    assert.equal("$HOME; `true` 7\n", fg.spawn({ "echo", "$HOME;", "`true`", 7 }).stdout)
  end)

  it("feeds, drops and passes on", function()
    local text = ("line\n"):rep(100000)
    assert.equal(text, fg.spawn({ "cat", stdin = text }).stdout)
    assert.equal("", fg.spawn({ "cat" }).stdout)
    local done = assert(fg.spawn { "sh", "-c", "echo out; echo err >&2", stdout = "null" })
    assert.equal("", done.stdout)
    assert.equal("err\n", done.stderr)
    local child <close> = support.lua([[
      local fg = require "flamegraph"
      fg.spawn { "cat", stdin = true, stdout = "inherit" }
    ]], { stdin = "through" })
    assert.equal("through", assert(child:wait(20)).stdout)
  end)

  it("changes environment and folder", function()
    local done = assert(fg.spawn { "sh", "-c", "echo $A,$HOME,${PATH:+path}; pwd",
      env = { A = 1, HOME = false }, cwd = "/usr" })
    assert.equal("1,,path\n/usr\n", done.stdout)
  end)

  it("ends what takes too long or writes too much", function()
    local passed = seconds(function()
      local done, message, code = fg.spawn { "sleep", "60", timeout = "100ms" }
      assert.is_nil(done)
      assert.equal("sleep did not end within 0.1 s and was ended — `timeout` allows more", message)
      assert.equal("TIMEOUT", code)
    end)
    assert.is_true(passed < 10)
    local done, message, code = fg.spawn { "yes", max_output = "64k" }
    assert.is_nil(done)
    assert.matches("^yes wrote more than 65536 bytes", message)
    assert.equal("LIMIT", code)
  end)

  it("says why a command cannot run", function()
    local done, message, code = fg.spawn { "fg-no-such-command" }
    assert.is_nil(done)
    assert.matches("^cannot run fg%-no%-such%-command: .* it is not in $PATH; is it installed%?$", message)
    assert.equal("IO", code)
  end)

  it("blames the script's line for misuse", function()
    raises('fg.spawn: takes a list, not a text: fg.spawn { "sh", "-c", … } where a shell is meant', "ls | wc")
    raises("fg.spawn: the command is missing", {})
    raises("fg.spawn: unknown option 'time_out' (is 'timeout' meant?)", { "true", time_out = 1 })
    raises("fg.spawn: stdout: is one of capture, inherit, null, not 'pipe'", { "true", stdout = "pipe" })
    raises("fg.spawn: env: 'A=B' cannot be the name of a variable", { "true", env = { ["A=B"] = "c" } })
    raises("fg.spawn: env: A must be a text, a number or false, not table", { "true", env = { A = {} } })
    raises("fg.spawn: an argument cannot contain a NUL", { "true", "a\0b" })
  end)
end)

describe("a child with a handle", function()
  it("is watched, signalled and waited for", function()
    local child <close> = assert(fg.spawn { "sh", "-c",
      "trap 'echo caught; exit 5' INT; echo ready; echo oops >&2; while :; do sleep 0.05; done", wait = false })
    support.expect(child, "ready")
    assert.is_true(child:running())
    assert.is_true(alive(child.pid))
    assert.equal("oops\n", child:output "stderr")
    local done, message, code = child:wait "50ms"
    assert.is_nil(done)
    assert.equal("sh still runs after 0.05 s", message)
    assert.equal("TIMEOUT", code)
    child:kill "INT"
    done = assert(child:wait(20))
    assert.equal(5, done.status)
    assert.equal("ready\ncaught\n", done.stdout)
    assert.equal(done.stdout, assert(child:wait()).stdout)
    assert.is_false(child:running())
    child:kill()
  end)

  it("ends with its scope", function()
    local pid
    do
      local child <close> = assert(fg.spawn { "sleep", "60", wait = false })
      pid = child.pid
    end
    for _ = 1, 100 do
      if not alive(pid) then break end
      fg.sleep(0.05)
    end
    assert.is_false(alive(pid))
  end)

  it("ends when it is collected", function()
    local pid = assert(fg.spawn { "sleep", "60", wait = false }).pid
    collectgarbage()
    collectgarbage()
    for _ = 1, 100 do
      if not alive(pid) then break end
      fg.sleep(0.05)
    end
    assert.is_false(alive(pid))
  end)

  it("ends with the program, with its descendants where it is a group", function()
    local child <close> = support.lua [[
      local fg = require "flamegraph"
      io.stdout:setvbuf "line"
      local single = fg.spawn { "sleep", "61", wait = false }
      local group = fg.spawn { "sh", "-c", "sleep 62 & echo $!; wait", group = true, wait = false }
      while not group:output():find "\n" do fg.sleep(0.01) end
      print(single.pid, group.pid, group:output())
      error "the program breaks"
    ]]
    local ended = assert(child:wait(20))
    assert.matches("the program breaks", ended.stderr)
    local pids = { ended.stdout:match "(%d+)%s+(%d+)%s+(%d+)" }
    assert.equal(3, #pids)
    for _, pid in ipairs(pids) do
      for _ = 1, 100 do
        if not alive(pid) then break end
        fg.sleep(0.05)
      end
      assert.is_false(alive(pid))
    end
  end)

  it("is waited for by several, and with others", function()
    local child <close> = assert(fg.spawn { "sh", "-c", "sleep 0.2; echo done", wait = false })
    local results = fg.all {
      function() return child:wait().stdout end,
      function() return child:wait(20).stdout end,
      function() return select(3, child:wait(0.01)) end,
    }
    assert.same({ "done\n", "done\n", "TIMEOUT" }, results)
  end)

  it("does not know every signal", function()
    local child <close> = assert(fg.spawn { "true", wait = false })
    local ok, message = pcall(function() child:kill "NOPE" end)
    assert.is_false(ok)
    assert.matches("child:kill: there is no signal 'NOPE'", message)
  end)
end)
