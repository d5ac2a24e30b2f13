local fg = require "flamegraph"
local files = require "flamegraph.files"
local report = require "flamegraph.report"
local source = require "flamegraph.source"
local thresholds = require "flamegraph.thresholds"

describe("a source", function()
  local function parsed(text, collector)
    local one = assert(source.parse(text, collector))
    return one.path or one.collector, one.values
  end

  it("is a file, or a collector and its target", function()
    assert.equal("out/api.svg", (parsed "out/api.svg"))
    assert.equal("./api", (parsed "./api"))
    assert.same({ "api", {} }, { parsed "api" })
    assert.same({ "api", { url = "http://a:1/x" } }, { parsed "api:http://a:1/x" })
    assert.same({ "api", { url = "http://a:1", path = "/p", duration = "2s" } },
      { parsed "api:http://a:1,path=/p,duration=2s" })
    assert.same({ "api", { path = "/p" } }, { parsed "api:path=/p" })
    assert.same({ "hce", { url = "http://a:1" } }, { parsed("http://a:1", "hce") })
  end)

  it("keeps a comma that is part of the URL", function()
    assert.same({ "api", { url = "http://a:1/x,y=2" } }, { parsed "api:http://a:1/x,y=2" })
  end)

  it("is asked for where it is not told", function()
    local _, message, code = source.parse "http://a:1"
    assert.equal("http://a:1: which collector? write COLLECTOR:http://a:1", message)
    assert.equal("INVAL", code)
    _, message = source.parse "api:42"
    assert.equal("api takes no pid: 42", message)
  end)
end)

describe("thresholds", function()
  it("are shares in percent or as they are", function()
    for text, share in pairs { ["0.1%"] = 0.001, ["15%"] = 0.15, ["0.5"] = 0.5, ["100%"] = 1 } do
      assert.is_true(math.abs(thresholds.parse_percent(text) - share) < 1e-12, text)
    end
    for _, text in ipairs { "", "%", "x", "101%", "-1%", "1e9" } do
      assert.is_nil(thresholds.parse_percent(text), text)
    end
  end)

  it("have patterns in which = may stand", function()
    assert.same({ pattern = "a=b", share = 0.5 }, thresholds.parse_share "a=b=50%")
  end)

  it("are judged one by one", function()
    local p = fg.profile()
    p:add({ "main", "parse" }, 30)
    p:add({ "main", "send" }, 70)
    local load = { latency = { p99 = 0.2 }, error_rate = 0, rps = 10 }
    local rows = thresholds.judge({ max_p99 = 0.2, max_error_rate = 0, min_rps = 11,
      max_share = { { pattern = "^parse$", share = 0.29 }, { pattern = "absent", share = 0 } } }, load, p)
    local judged = {}
    for i, row in ipairs(rows) do judged[i] = ("%s %s"):format(row.ok, row.name) end
    assert.same({ "true latency p99", "true error rate", "false answers per second", "false share of ^parse$",
      "true share of absent" }, judged)
    assert.equal("share of ^parse$: 30.00 %, allowed: at most 29.00 %", rows[4].text)
  end)
end)

describe("a report", function()
  it("is well-formed whatever names say", function()
    local text = report.xml {
      load = { elapsed = 1, requests = 1, rps = 1, latency = { p50 = 0, p99 = 0, max = 0 }, error_rate = 0, failed = 0,
        errors = {} },
      thresholds = { { name = 'share of <a&"\27">', ok = false, text = "<&>" } },
    }
    assert.is_nil(text:find "\27")
    assert.matches('name="share of &lt;a&amp;&quot;%?&quot;&gt;"', text)
    assert.matches('failures="1"', text)
  end)

  it("has a suffix that says which it is", function()
    assert.is_nil(report.problem "b.xml")
    assert.equal("--report a.b/c: a report ends in .md, .json or .xml (JUnit)", report.problem "a.b/c")
  end)
end)

describe("files", function()
  it("are named beside others", function()
    assert.equal("out/api-b.svg", files.beside("out/api.svg", "b"))
    assert.equal("a.b/api-b.pb.gz", files.beside("a.b/api.pb.gz", "b"))
    assert.equal("a.b/api-b", files.beside("a.b/api", "b"))
  end)

  it("appear whole or not at all", function()
    local path = os.tmpname()
    assert.is_true(files.write(path, "all of it"))
    assert.equal("all of it", assert(io.open(path)):read "a")
    os.remove(path)
    local ok, message, code = files.write(path .. "/no/such", "x")
    assert.is_nil(ok)
    assert.equal("IO", code)
    assert.matches("No such file", message)
  end)
end)
