-- fg.http: one request, its options checked, its failures in words.

local check = require "flamegraph.check"
local json = require "flamegraph.json"
local loop = require "flamegraph.loop"
local op = require "flamegraph.op"

local MAX_REDIRECTS = 5
local spec = {
  url = "!string",
  method = "string",
  query = "table",
  headers = "table",
  body = "string",
  json = "any",
  timeout = "seconds",
  connect_timeout = "seconds",
  max_body = "bytes",
  retries = "integer",
  follow = "boolean",
  ca = "string",
  socket = "string",
}

local function text_of(what, key, value)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
    check.fail("fg.http: %s: %s must be a text or a number, not %s", what, tostring(key), kind)
  end
  return tostring(math.tointeger(value) or value) -- 30, not 30.0
end

local function sorted_keys(what, from)
  local keys = {}
  for key in pairs(from) do
    if type(key) ~= "string" then check.fail("fg.http: %s: takes texts by name", what) end
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

local function encode(text)
  return (text:gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- The URL with the query: { seconds = 30, tag = { "a", "b" } } → "seconds=30&tag=a&tag=b".
local function with_query(url, query)
  local pairs_of = {}
  for _, key in ipairs(sorted_keys("query", query)) do
    local values = type(query[key]) == "table" and query[key] or { query[key] }
    for _, value in ipairs(values) do
      pairs_of[#pairs_of + 1] = encode(key) .. "=" .. encode(text_of("query", key, value))
    end
  end
  if #pairs_of == 0 then return url end
  local base, fragment = url:match("^([^#]*)(.*)$")
  return base .. (base:find("?", 1, true) and "&" or "?") .. table.concat(pairs_of, "&") .. fragment
end

local function flat_headers(headers)
  local flat, has = {}, {}
  for _, name in ipairs(sorted_keys("headers", headers)) do
    flat[#flat + 1] = name
    flat[#flat + 1] = text_of("headers", name, headers[name])
    has[name:lower()] = true
  end
  return flat, has
end

local function set_json(request, has, value)
  if request.body then check.fail("fg.http: either body or json, not both") end
  local text, why = json.encode(value)
  if not text then check.fail("fg.http: json: %s", why) end
  request.body = text
  if has["content-type"] then return end
  table.move({ "content-type", "application/json" }, 1, 2, #request.headers + 1, request.headers)
end

-- Options as a script gives them → as flamegraph.op takes them.
local function request_of(options)
  local headers, has = flat_headers(options.headers or {})
  local request = {
    url = with_query(options.url, options.query or {}),
    method = options.method,
    headers = headers,
    body = options.body,
    timeout = options.timeout,
    connect_timeout = options.connect_timeout,
    max_body = options.max_body,
    max_redirects = options.follow ~= false and MAX_REDIRECTS or 0,
    ca = options.ca,
    socket = options.socket,
  }
  if options.json ~= nil then set_json(request, has, options.json) end
  return request
end

local repeatable = { GET = true, HEAD = true, PUT = true, DELETE = true, OPTIONS = true }

-- One attempt: the answer, or nil, message, code, and whether another one could do no harm.
local function attempt(request)
  local o, message, code = op.http(request)
  if not o then return nil, message, code, false end
  local closing <close> = o -- luacheck: ignore closing
  local ok, why, interrupted = loop.wait(o)
  if not ok then return nil, why, interrupted, false end
  local answer
  answer, message, code = o:result()
  local method = request.method or request.body and "POST" or "GET"
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
  local request = request_of(options)
  local tries, pause = options.retries or 0, 0.1
  while true do
    local answer, message, code, again = attempt(request)
    if answer or tries <= 0 or not again then return answer, message, code end
    tries, pause = tries - 1, pause * 2
    local slept, why, interrupted = loop.sleep(pause)
    if not slept then return nil, why, interrupted end
  end
end

return http
