local cjson = require "cjson"
local fg = require "flamegraph"
local support = dofile "tests/spec/support.lua"

describe("fg.websocket", function()
  local server, base
  setup(function()
    local urls
    server, urls = support.http_server()
    base = urls.a:gsub("^http", "ws")
  end)
  teardown(function() server:close() end)

  local function open(path, options)
    options = options or {}
    options.url = options.url or base .. path
    return fg.websocket(options)
  end

  local function refused(path, code, pattern, options)
    local ws, message, given = open(path, options)
    assert.is_nil(ws)
    assert.equal(code, given)
    assert.matches(pattern, message)
  end

  it("sends and receives, texts and bytes, of every length of frame", function()
    local ws <close> = assert(open "/echo")
    for _, size in ipairs { 0, 1, 125, 126, 65535, 65536, 3000000 } do
      local text = ("é"):rep(size // 2) .. ("x"):rep(size % 2)
      assert(ws:send(text))
      local got, binary = assert(ws:receive "20s")
      assert.is_true(got == text)
      assert.is_false(binary)
    end
    assert(ws:send("\0\255", true))
    local got, binary = assert(ws:receive "20s")
    assert.equal("\0\255", got)
    assert.is_true(binary)
  end)

  it("asks as it was told", function()
    local ws <close> = assert(open("/asked", { headers = { ["x-api-key"] = "sesame" }, query = { a = "b c" } }))
    local asked = cjson.decode((assert(ws:receive "20s")))
    assert.equal("/asked?a=b%20c", asked.url)
    assert.equal("sesame", asked.headers["x-api-key"])
    assert.equal(base:match "//(.*)", asked.headers.host)
  end)

  it("puts the pieces of a message together and answers pings in between", function()
    local ws <close> = assert(open "/pieces")
    local got = { assert(ws:receive "20s"), (assert(ws:receive "20s")) }
    table.sort(got)
    assert.same({ "one two three", "pong hi" }, got)
  end)

  it("has what came together with the answer", function()
    local ws <close> = assert(open "/together")
    assert.equal("at once", assert(ws:receive "20s"))
  end)

  it("keeps many messages in order, read late", function()
    local ws <close> = assert(open "/burst/3000/10000")
    fg.sleep(0.1)
    for i = 0, 2999 do assert.equal(i, tonumber((assert(ws:receive "20s")))) end
  end)

  it("gives what came before the end, then why it ended", function()
    for path, why in pairs { goodbye = "closed the connection %(status 4001%)", drop = "broke" } do
      local ws <close> = assert(open("/" .. path))
      assert.matches("bye", (ws:receive "20s"):gsub("gone", "bye"))
      local text, message, code = ws:receive "20s"
      assert.is_nil(text)
      assert.equal("NET", code)
      assert.matches(why, message)
      assert.is_false(ws:open())
      assert.same({ nil, message, code }, { ws:send "too late" })
    end
  end)

  it("says good-bye itself", function()
    open("/closed"):close()
    assert(open "/echo"):close()
    fg.sleep(0.2)
    local ws <close> = assert(open "/closed")
    local seen = cjson.decode((assert(ws:receive "20s")))
    assert.equal(1000, seen[#seen])
  end)

  it("tells what is wrong with what came", function()
    local ws <close> = assert(open "/garbage")
    local _, message, code = ws:receive "20s"
    assert.equal("FORMAT", code)
    assert.matches("no WebSocket frame", message)
    local small <close> = assert(open("/bytes/70000", { max_message = "64k" }))
    _, message, code = small:receive "20s"
    assert.equal("LIMIT", code)
    assert.matches("65536", message)
  end)

  it("says why there is no connection", function()
    refused("/nowhere", "REMOTE", "status 404")
    refused("/wrong", "FORMAT", "is not one")
    refused("/endless", "LIMIT", "too long a head")
    refused("/hangup", "NET", "broke")
    refused("/silent", "TIMEOUT", "no WebSocket", { connect_timeout = 0.2 })
    refused("", "NET", "refused", { url = "ws://127.0.0.1:1" })
    refused("", "INVAL", "ws://", { url = "http://127.0.0.1:1" })
    refused("/echo", "INVAL", "control character", { headers = { a = "b\r\nc: d" } })
  end)

  it("waits no longer than asked for", function()
    local ws <close> = assert(open "/echo")
    local _, message, code = ws:receive(0.05)
    assert.equal("TIMEOUT", code)
    assert.matches("within 0.05 s", message)
    assert(ws:send "still there")
    assert.equal("still there", assert(ws:receive "20s"))
  end)

  it("can be closed while another function waits for it", function()
    local ws = assert(open "/echo")
    local got, failed = fg.all {
      waits = function() return ws:receive() end,
      closes = function() fg.sleep(0.05) ws:close() return true end,
    }
    assert.is_true(got.closes)
    assert.equal("the connection is closed", failed.waits.message)
  end)

  it("blames the script for what it cannot take", function()
    local ok, raised = pcall(function() fg.websocket { uri = "ws://x" } end)
    assert.is_false(ok)
    assert.matches("^tests/spec/websocket_spec.lua:%d+: fg.websocket: unknown option 'uri'", raised)
  end)
end)
