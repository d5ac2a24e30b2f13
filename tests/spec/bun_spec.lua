-- The sampler "bun": what it refuses. Real programs are the suite javascript's.

local fg = require "flamegraph"

describe("the bun sampler", function()
  it("says what it takes", function()
    local child <close> = assert(fg.spawn { "sleep", "60", wait = false })
    for options, says in pairs {
      [{ duration = 1 }] = "needs the number of a process",
      [{ pid = child.pid }] = "needs a duration",
      [{ pid = child.pid, duration = 1, interval_us = 1 << 40 }] = "an interval",
      [{ pid = child.pid, duration = 1 }] = "has no uv_default_loop to get in by",
    } do
      options.sampler = "bun"
      local p, message = fg.sample(options)
      assert.is_nil(p)
      assert.is_truthy(message:find(says, 1, true), message)
    end
    assert.is_truthy(fg.process(child.pid))
  end)
end)
