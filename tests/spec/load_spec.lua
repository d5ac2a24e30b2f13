local fg = require "flamegraph"
local support = dofile "tests/spec/support.lua"

describe("fg.load", function()
  local server, urls
  setup(function() server, urls = support.http_server() end)
  teardown(function() server:close() end)

  it("sends at a rate, and counts what comes back", function()
    local got = assert(fg.load { url = urls.a .. "/bytes/10", rps = 400, duration = "500ms" })
    assert.equal(200, got.requests)
    assert.equal(0, got.failed)
    assert.same({ [200] = 200 }, got.statuses)
    assert.equal(2000, got.bytes)
    assert.equal(200, got.latency.count)
    local times = got.latency
    assert.is_true(times.min <= times.p50 and times.p50 <= times.p99 and times.p99 <= times.max)
    local counted = 0
    for i = 2, #times.buckets, 2 do counted = counted + times.buckets[i] end
    assert.equal(200, counted)
  end)

  it("does not spare a service the requests that it kept from being sent", function()
    -- five connections of 100 ms each answer 50 in a second; 100 fall due
    local got = assert(fg.load { url = urls.a .. "/after/100", rps = 100, concurrency = 5, duration = 1 })
    assert.equal(100, got.requests)
    assert.is_true(got.latency.max > 0.5, ("%.3f s"):format(got.latency.max))
    assert.is_true(got.service.p50 < got.latency.p50)
  end)

  it("keeps connections busy where no rate is given", function()
    local got = assert(fg.load { url = urls.a .. "/after/20", concurrency = 3, duration = "400ms" })
    assert.is_true(got.requests > 3 and got.requests <= 3 * 21, got.requests .. " requests")
    assert.is_nil(got.asked_rps)
  end)

  it("tells errors apart", function()
    local got = assert(fg.load {
      requests = { urls.a .. "/status/200", { url = urls.a .. "/status/503", method = "POST", json = { a = 1 } },
        urls.a .. "/reset", urls.a .. "/never" },
      rps = 100, duration = "400ms", timeout = "1s",
    })
    assert.equal(40, got.requests)
    assert.same({ ["status 503"] = 10, broken = 10, ["time-out"] = 10 }, got.errors)
    assert.equal(0.75, got.error_rate)
    assert.is_string(got.first_failure)
  end)

  it("fails where nothing is answered", function()
    local got, message, code = fg.load { url = "http://127.0.0.1:1/?secret=1", rps = 50, duration = "100ms" }
    assert.is_nil(got)
    assert.equal("NET", code)
    assert.equal("no request was answered by http://127.0.0.1:1/?…: ", message:match "^.-…: ")
  end)

  it("runs while something else is waited for", function()
    local got = fg.all {
      load = function() return fg.load { url = urls.a .. "/bytes/1", rps = 100, duration = "200ms" } end,
      other = function() return fg.http { url = urls.a .. "/after/50" } end,
    }
    assert.equal(20, got.load.requests)
    assert.equal("at last", got.other.body)
  end)

  it("blames misuse on the script", function()
    for message, options in pairs {
      ["fg.load: 'duration' is missing"] = { url = urls.a },
      ["fg.load: 'url' is missing"] = { duration = 1 },
      ["fg.load: rps: more than 0, not 0"] = { url = urls.a, duration = 1, rps = 0 },
      ["fg.load: `requests` is an empty list"] = { duration = 1, requests = {} },
      ["fg.load: give either `requests` or the one request, not both (url)"] =
        { duration = 1, url = urls.a, requests = { urls.a } },
      ["fg.load: request 1: unknown option 'uri' (is 'url' meant?)"] =
        { duration = 1, requests = { { uri = urls.a } } },
    } do
      local ok, raised = pcall(function() fg.load(options) end)
      assert.is_false(ok)
      assert.equal(message, raised:match "^tests/spec/load_spec.lua:%d+: (.*)$")
    end
  end)
end)
