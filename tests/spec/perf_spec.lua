local fg = require "flamegraph"

local busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"

local function refused(options, code, pattern)
  options.sampler = "perf"
  local p, message, why = fg.sample(options)
  assert.is_nil(p)
  assert.equal(code, why)
  assert.matches(pattern, message)
end

describe("the perf sampler", function()
  it("samples a process", function()
    local child <close> = assert(fg.spawn { "sh", "-c", "while :; do :; done", wait = false })
    local p = assert(fg.sample { sampler = "perf", pid = child.pid, duration = 0.5, rate = 499 })
    assert.is_true(p:total() > 0)
    assert.matches("^perf_event_open, .*, 499 Hz$", p:meta "engine")
    assert.equal(("sh (process %d)"):format(child.pid), p:meta "target")
  end)

  it("samples a command, and gives its exit status", function()
    local p, status = fg.sample { sampler = "perf", command = { "sh", "-c", busy .. "; exit 5" }, rate = 499 }
    assert(p, status)
    assert.equal(5, status)
    assert.equal("sh", p:meta "target")
  end)

  it("unwinds by call frame information", function()
    local p = assert(fg.sample { sampler = "perf", command = { "sh", "-c", busy }, rate = 499, unwind = "dwarf" })
    assert.is_true(p:total() > 0)
  end)

  it("says what is wrong", function()
    refused({}, "INVAL", "^what is to be profiled")
    refused({ pid = 1, command = { "true" } }, "INVAL", "one of the two")
    refused({ command = { "true" }, unwind = "magic" }, "INVAL", 'by "fp" or "dwarf", not by "magic"')
    refused({ command = { "true" }, stack = 1 << 20 }, "INVAL", "at most 65528 bytes")
    refused({ command = { "true" }, rate = 1e9 }, "INVAL", "not possible: between 1 and %d+ samples a second")
    refused({ command = { "true" }, event = "bicycles" }, "INVAL", '^there is no event "bicycles": choose cycles, ')
    refused({ command = { "true" }, event = "a/b:c" }, "INVAL", 'GROUP:NAME, not "a/b:c"')
    refused({ command = { "/no/such" } }, "IO", "^cannot run /no/such: No such file or directory")
    refused({ command = { "sleep", "0.01" }, event = "cpu-clock", rate = 1 }, "EMPTY", "it used no CPU time")
  end)
end)

describe("flame-graph perf --cmd", function()
  -- What a program gets for arguments; a shell is asked only where it takes one.
  local function words(cmd, rest)
    local file = os.tmpname()
    local script = ("shift; printf '%%s|' \"$@\" >%s"):format(file)
    local kept = os.tmpname()
    local out = assert(io.open(kept, "w"))
    out:write("#!/bin/sh\n", script, "\n", busy, "\n")
    out:close()
    cmd = cmd:gsub("PROGRAM", ("sh %s x"):format(kept))
    assert(fg.collect("perf", { cmd = cmd, command = rest, rate = 999 }))
    local got = assert(io.open(file)):read "a"
    os.remove(file)
    os.remove(kept)
    return got
  end

  it("splits words as a shell does", function()
    assert.equal([[a|b c|d "e|f'g|]], words [[PROGRAM a "b c" 'd "e' f"'"g]])
    assert.equal("*|$HOME|;|", words [[PROGRAM '*' '$HOME' ';']])
    assert.equal("a|b|c d|", words("PROGRAM a", { "b", "c d" }))
  end)

  it("asks a shell where there is something for it", function()
    assert.equal("x|1|", words "A=x; PROGRAM $A $((2 - 1))")
    assert.equal("a|b c|", words("true && PROGRAM a", { "b c" }))
  end)
end)
