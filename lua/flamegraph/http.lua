-- fg.http: one request, its options checked, its failures in words.

local check = require "flamegraph.check"
local loop = require "flamegraph.loop"
local op = require "flamegraph.op"
local request = require "flamegraph.request"

local MAX_REDIRECTS = 5
local spec = {
  timeout = "seconds",
  connect_timeout = "seconds",
  max_body = "bytes",
  retries = "integer",
  follow = "boolean",
  socket = "string",
}
for key, types in pairs(request.spec) do spec[key] = types end

-- Options as a script gives them → as flamegraph.op takes them.
local function request_of(options)
  local one = {}
  for key in pairs(request.spec) do one[key] = options[key] end
  local built = request.build("fg.http", one)
  for _, key in ipairs { "timeout", "connect_timeout", "max_body", "socket" } do built[key] = options[key] end
  built.max_redirects = options.follow ~= false and MAX_REDIRECTS or 0
  return built
end

local repeatable = { GET = true, HEAD = true, PUT = true, DELETE = true, OPTIONS = true }

-- One attempt: the answer, or nil, message, code, and whether another one could do no harm.
local function attempt(asked)
  local o, message, code = op.http(asked)
  if not o then return nil, message, code, false end
  local closing <close> = o -- luacheck: ignore closing
  local ok, why, interrupted = loop.wait(o)
  if not ok then return nil, why, interrupted, false end
  local answer
  answer, message, code = o:result()
  local method = asked.method or asked.body and "POST" or "GET"
  return answer, message, code, code == "NET" and (repeatable[method] or op.refused(o))
end

--- Send an HTTP request and wait for the answer. An answer of any status is a result; only what prevents an
-- answer is a failure. Certificates are checked. A redirect to another host, port or scheme takes along
-- neither the headers of the request (but for accept, accept-language and user-agent) nor its body.
-- @tparam table options
-- @tparam string options.url http or https
-- @tparam[opt] string options.method GET where not given, POST with a body
-- @tparam[opt] table options.query added to the URL, encoded: `{ seconds = 30, tag = { "a", "b" } }`
-- @tparam[opt] table options.headers texts by name
-- @tparam[opt] string options.body
-- @tparam[opt] any options.json sent as JSON, as the body
-- @tparam[opt=60] number|string options.timeout seconds for everything, or a text such as `"2m"`
-- @tparam[opt=10] number|string options.connect_timeout seconds for the connection
-- @tparam[opt="1G"] integer|string options.max_body cap on the answer, decompressed
-- @tparam[opt=0] integer options.retries how often a failed connection is tried again, with growing pauses.
--   A request that could have arrived is only repeated where that does no harm (GET, HEAD, PUT, DELETE,
--   OPTIONS).
-- @tparam[opt=true] boolean options.follow false: a redirect is an answer
-- @tparam[opt] string options.ca file with the certificates to trust instead of the system's
-- @tparam[opt] string options.socket path of a Unix socket to connect to
-- @treturn table|nil `status`; `headers` (names in lower case); `body`; `url` (the last one asked);
--   `elapsed` (s); `withheld` (true: a redirect led elsewhere, and headers stayed behind). nil, message,
--   code for a failure: "NET", "TIMEOUT", "LIMIT", "FORMAT", "REMOTE", "INVAL", "INTERRUPTED".
-- @usage local res, err = fg.http { url = args.url .. "/admin/profile", timeout = "60s" }
-- if not res then return nil, err end
local function http(options)
  options = check.options("fg.http", options, spec)
  local asked = request_of(options)
  local tries, pause = options.retries or 0, 0.1
  while true do
    local answer, message, code, again = attempt(asked)
    if answer or tries <= 0 or not again then return answer, message, code end
    tries, pause = tries - 1, pause * 2
    local slept, why, interrupted = loop.sleep(pause)
    if not slept then return nil, why, interrupted end
  end
end

return http
