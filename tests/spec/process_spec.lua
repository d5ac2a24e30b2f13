-- fg.process and its kin, on processes that this file starts.

local fg = require "flamegraph"
local support = require "tests.spec.support"

local python = { "python3", "-c", "import time; print('ready', flush=True); time.sleep(60)" }

local function started(command, ready)
  local options = { wait = false, stderr = "inherit", env = { LD_PRELOAD = false } }
  local child = assert(fg.spawn(table.move(command, 1, #command, 1, options)))
  support.expect(child, ready)
  return child
end

describe("fg.process", function()
  it("tells what a process is", function()
    local child <close> = started(python, "ready")
    local found = assert(fg.process(child.pid))
    assert.equal(child.pid, found.pid)
    assert.equal("python", found.runtime)
    assert.matches("^3%.%d+$", found.version)
    assert.matches("python3$", found.command[1])
    assert.equal("-c", found.command[2])
    assert.is_true(found.cpu >= 0 and found.threads >= 1)
    assert.equal(child.pid, found.nspid)
  end)

  it("says that there is none", function()
    local found, message, code = fg.process(2 ^ 22 + 1 | 0)
    assert.is_nil(found)
    assert.equal("there is no process 4194305", message)
    assert.equal("IO", code)
  end)

  it("is particular about its argument", function()
    assert.error_matches(function() fg.process "12" end, "takes the number of a process")
  end)

  it("lists all of them", function()
    local child <close> = started(python, "ready")
    local seen
    for _, one in ipairs(fg.processes()) do seen = seen or one.pid == child.pid and one end
    assert.matches("python3$", seen.command[1])
    assert.equal("python", seen.runtime)
  end)
end)

describe("fg.expect_runtime", function()
  it("takes what was asked for", function()
    local child <close> = started({ "node", "-e", "console.log('ready'); setInterval(() => {}, 1000)" }, "ready")
    assert.equal("node", assert(fg.expect_runtime(child.pid, "bun", "node")).runtime)
  end)

  it("says what to try for another", function()
    local child <close> = started({ "node", "-e", "console.log('ready'); setInterval(() => {}, 1000)" }, "ready")
    local found, message, code = fg.expect_runtime(child.pid, "python")
    assert.is_nil(found)
    assert.equal(("pid %d is node, not python: try `flame-graph hce --pid %d`"):format(child.pid, child.pid), message)
    assert.equal("INVAL", code)
  end)
end)

describe("fg.listeners", function()
  it("finds who listens on a port", function()
    local server <close>, urls = support.http_server()
    local port = math.tointeger(tonumber(urls.a:match(":(%d+)$")))
    local list = fg.listeners(port)
    assert.equal(1, #list)
    assert.same({ port = port, pid = server.pid }, list[1])
  end)
end)
