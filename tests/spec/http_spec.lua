local cjson = require "cjson"
local fg = require "flamegraph"
local op = require "flamegraph.op"
local support = dofile "tests/spec/support.lua"

local seconds = support.seconds

describe("fg.http", function()
  local server, urls
  setup(function() server, urls = support.http_server() end)
  teardown(function() server:close() end)

  local function echo(options)
    options.url = options.url or urls.a .. "/echo"
    local res = assert(fg.http(options))
    assert.equal(200, res.status)
    return cjson.decode(res.body), res
  end

  local function raises(message, options)
    local ok, raised = pcall(function() fg.http(options) end)
    assert.is_false(ok)
    assert.equal("tests/spec/http_spec.lua", raised:match "^[^:]*")
    assert.equal(message, raised:match "^[^:]*:%d+: (.*)$")
  end

  it("returns the answer, whatever its status", function()
    local res = assert(fg.http { url = urls.a .. "/status/404" })
    assert.equal(404, res.status)
    assert.equal("said 404", res.body)
    assert.equal(urls.a .. "/status/404", res.url)
    assert.is_true(res.elapsed > 0 and res.elapsed < 10)
    assert.equal("", assert(fg.http { url = urls.a .. "/status/204" }).body)
    local head = assert(fg.http { url = urls.a .. "/bytes/10", method = "HEAD" })
    assert.equal("", head.body)
    assert.equal("10", head.headers["content-length"])
  end)

  it("has headers in lower case, several of a name joined", function()
    local res = assert(fg.http { url = urls.a .. "/headers/1" })
    assert.equal("a=1, b=2", res.headers["set-cookie"])
    assert.equal(1000, #res.headers["x-0"])
  end)

  it("encodes the query", function()
    local asked = echo { query = { seconds = 30.0, q = "a b&c=ü", tag = { "x", "y" }, yes = true } }
    assert.equal("/echo?q=a%20b%26c%3D%C3%BC&seconds=30&tag=x&tag=y&yes=true", asked.url)
    asked = echo { url = urls.a .. "/echo?a=1#part", query = { b = 2 } }
    assert.equal("/echo?a=1&b=2", asked.url)
  end)

  it("sends bodies", function()
    local asked = echo { body = "raw\0bytes" }
    assert.equal("POST", asked.method)
    assert.equal("raw\0bytes", asked.body)
    assert.is_nil(asked.headers["content-type"])
    asked = echo { json = { durationMs = 100 }, headers = { ["x-number"] = 5 } }
    assert.equal('{"durationMs":100}', asked.body)
    assert.equal("application/json", asked.headers["content-type"])
    assert.equal("5", asked.headers["x-number"])
    asked = echo { json = {}, headers = { ["Content-Type"] = "application/x-mine" }, method = "PUT" }
    assert.equal("application/x-mine", asked.headers["content-type"])
    assert.equal("PUT", asked.method)
    assert.equal("false", echo({ json = false }).body)
  end)

  it("decodes what is compressed, and stops a bomb", function()
    assert.equal(("\0"):rep(1000), fg.http({ url = urls.a .. "/encoded/gzip/1000" }).body)
    local res, message, code = fg.http { url = urls.a .. "/encoded/gzip/100000000", max_body = "1M" }
    assert.is_nil(res)
    assert.equal("LIMIT", code)
    assert.matches("larger than 1048576 bytes %(`max_body`%)", message)
  end)

  it("takes no secrets to another origin", function()
    local secrets = { authorization = "Bearer t", ["x-api-key"] = "k", ["x-goog-api-key"] = "g", accept = "a/b" }
    local function go(to)
      return echo { url = urls.a .. "/redirect/302", query = { to = to .. "/echo" }, headers = secrets }
    end
    local asked, res = go(urls.a)
    for name, value in pairs(secrets) do assert.equal(value, asked.headers[name]) end
    assert.is_nil(res.withheld)
    for _, to in ipairs { urls.b, (urls.a:gsub("127.0.0.1", "localhost")) } do
      asked, res = go(to)
      assert.equal("a/b", asked.headers.accept)
      for _, name in ipairs { "authorization", "x-api-key", "x-goog-api-key" } do
        assert.is_nil(asked.headers[name])
      end
      assert.is_true(res.withheld)
      assert.equal(to .. "/echo", res.url)
    end
    local none, message, code = fg.http {
      url = urls.a .. "/redirect/307", query = { to = urls.b .. "/echo" }, json = { secret = true } }
    assert.is_nil(none)
    assert.equal("REMOTE", code)
    assert.matches("the body of the request is not sent", message)
    assert.equal(302, fg.http({ url = urls.a .. "/redirect/302?to=/echo", follow = false }).status)
  end)

  it("checks certificates", function()
    local res, message, code = fg.http { url = urls.tls .. "/status/200" }
    assert.is_nil(res)
    assert.equal("NET", code)
    assert.matches("^cannot trust https://localhost", message)
    res = assert(fg.http { url = urls.tls .. "/status/200", ca = "tests/servers/localhost-cert.pem" })
    assert.equal("said 200", res.body)
  end)

  it("speaks over Unix sockets", function()
    assert.equal("said 200", fg.http({ url = "http://docker/status/200", socket = urls.socket }).body)
  end)

  it("says what went wrong", function()
    local function fails(code, message, options)
      local res, said, was = fg.http(options)
      assert.is_nil(res)
      assert.equal(code, was)
      assert.is_truthy(said:find(message, 1, true), said)
    end
    fails("NET", "cannot connect to http://127.0.0.1:9/?…: Connection refused — is the service running",
      { url = "http://u:p@127.0.0.1:9/", query = { token = "t0ken" } })
    fails("NET", "cannot find the host of http://no-such-host.invalid: no such name",
      { url = "http://no-such-host.invalid" })
    fails("TIMEOUT", "/never within 0.1 s — is it busy? `timeout` allows more",
      { url = urls.a .. "/never", timeout = "100ms" })
    fails("FORMAT", "no HTTP answer from", { url = urls.raw })
    fails("INVAL", "localhost:80 is not a URL that starts with http:// or https://", { url = "localhost:80" })
    fails("INVAL", "the header x-api-key has a control character",
      { url = urls.a, headers = { ["x-api-key"] = "from a file\n" } })
  end)

  it("blames the script's line for misuse", function()
    raises("fg.http takes a table of options, not string", "http://localhost")
    raises("fg.http: 'url' is missing", {})
    raises("fg.http: unknown option 'timout' (is 'timeout' meant?)", { url = urls.a, timout = 1 })
    raises("fg.http: timeout: takes seconds, or a text such as \"500ms\", \"30s\", \"2m\"",
      { url = urls.a, timeout = "long" })
    raises("fg.http: headers: x must be a text or a number, not table", { url = urls.a, headers = { x = {} } })
    raises("fg.http: headers: takes texts by name", { url = urls.a, headers = { "accept: x" } })
    raises("fg.http: either body or json, not both", { url = urls.a, body = "x", json = {} })
    raises("fg.http: json: Cannot serialise function: type not supported", { url = urls.a, json = print })
  end)

  it("tries again only where that does no harm", function()
    local function tries(options)
      local count, start = 0, op.http
      op.http = function(request) -- luacheck: ignore
        count = count + 1
        return start(request)
      end
      local _, _, code = fg.http(options)
      op.http = start -- luacheck: ignore
      assert.equal("NET", code)
      return count
    end
    assert.equal(1, tries { url = "http://127.0.0.1:9" })
    assert.equal(3, tries { url = "http://127.0.0.1:9", retries = 2, json = {} })
    assert.equal(3, tries { url = urls.a .. "/reset", retries = 2 })
    assert.equal(1, tries { url = urls.a .. "/reset", retries = 2, json = {} })
  end)

  it("runs fifty at once", function()
    local jobs = {}
    for i = 1, 50 do
      jobs[i] = function() return assert(fg.http { url = urls.a .. "/after/1500", timeout = 30 }).body end
    end
    local results
    local passed = seconds(function() results = fg.all(jobs) end)
    for i = 1, 50 do assert.equal("at last", results[i]) end
    assert.is_true(passed < 30)
    assert.equal("50", fg.http({ url = urls.a .. "/most" }).body)
  end)

  it("is cancelled with its task", function()
    assert.has_error(function()
      fg.all {
        function() fg.http { url = urls.a .. "/never" } end,
        function()
          fg.sleep(0.05)
          error "enough"
        end,
      }
    end)
    assert.equal(1, op.under_way()) -- the server
  end)
end)
