-- What several specs need: a loopback server, and Lua programs in processes of their own.

local fg = require "flamegraph"
local cjson = require "cjson"

local support = {}

-- Start tests/servers/http.js; returns the child, to be closed, and its addresses.
function support.http_server()
  -- the sanitizers that this process has preloaded are not for Node
  local child = assert(fg.spawn { "node", "tests/servers/http.js", stderr = "inherit", env = { LD_PRELOAD = false },
    wait = false })
  while not child:output():find "\n" do
    assert(child:running(), "the server did not start: apt-get install nodejs")
    fg.sleep(0.02)
  end
  local ports = cjson.decode(child:output())
  local urls = { tls = ("https://localhost:%d"):format(ports.tls), socket = ports.socket }
  for _, name in ipairs { "a", "b", "raw" } do urls[name] = ("http://127.0.0.1:%d"):format(ports[name]) end
  return child, urls
end

-- Start a Lua program that sees the module as we do. `options` are fg.spawn's.
function support.lua(program, options)
  local command = { "lua5.4", "-e", program, wait = false }
  for key, value in pairs(options or {}) do command[key] = value end
  return assert(fg.spawn(command))
end

-- Wait until a child has written a text.
function support.expect(child, text)
  while not child:output():find(text, 1, true) do
    assert(child:running(), child:output "stderr")
    fg.sleep(0.01)
  end
end

-- The seconds that a function takes.
function support.seconds(f)
  local op = require "flamegraph.op"
  local start = op.now()
  f()
  return op.now() - start
end

return support
