-- A request as a script gives it, checked, and as flamegraph.op takes it: one way for fg.http and fg.load.

local check = require "flamegraph.check"
local json = require "flamegraph.json"

local request = {
  --- What one request is made of, for check.options.
  spec = {
    url = "!string", method = "string", query = "table", headers = "table", body = "string", json = "any",
    ca = "string",
  },
}

local function text_of(owner, what, key, value)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
    check.fail("%s: %s: %s must be a text or a number, not %s", owner, what, tostring(key), kind)
  end
  return tostring(math.tointeger(value) or value) -- 30, not 30.0
end

local function sorted_keys(owner, what, from)
  local keys = {}
  for key in pairs(from) do
    if type(key) ~= "string" then check.fail("%s: %s: takes texts by name", owner, what) end
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

local function encode(text)
  return (text:gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- The URL with the query: { seconds = 30, tag = { "a", "b" } } → "seconds=30&tag=a&tag=b".
local function with_query(owner, url, query)
  local pairs_of = {}
  for _, key in ipairs(sorted_keys(owner, "query", query)) do
    local values = type(query[key]) == "table" and query[key] or { query[key] }
    for _, value in ipairs(values) do
      pairs_of[#pairs_of + 1] = encode(key) .. "=" .. encode(text_of(owner, "query", key, value))
    end
  end
  if #pairs_of == 0 then return url end
  local base, fragment = url:match("^([^#]*)(.*)$")
  return base .. (base:find("?", 1, true) and "&" or "?") .. table.concat(pairs_of, "&") .. fragment
end

local function flat_headers(owner, headers)
  local flat, has = {}, {}
  for _, name in ipairs(sorted_keys(owner, "headers", headers)) do
    flat[#flat + 1] = name
    flat[#flat + 1] = text_of(owner, "headers", name, headers[name])
    has[name:lower()] = true
  end
  return flat, has
end

local function set_json(owner, built, has, value)
  if built.body then check.fail("%s: either body or json, not both", owner) end
  local text, why = json.encode(value)
  if not text then check.fail("%s: json: %s", owner, why) end
  built.body = text
  if has["content-type"] then return end
  table.move({ "content-type", "application/json" }, 1, 2, #built.headers + 1, built.headers)
end

--- Build one.
-- @tparam string owner for messages: "fg.http"
-- @tparam table options those of request.spec; checked here
-- @treturn table `url` with the query, `method`, `headers` (a flat list), `body`, `ca`
function request.build(owner, options)
  options = check.options(owner, options, request.spec)
  local headers, has = flat_headers(owner, options.headers or {})
  local built = {
    url = with_query(owner, options.url, options.query or {}),
    method = options.method, headers = headers, body = options.body, ca = options.ca,
  }
  if options.json ~= nil then set_json(owner, built, has, options.json) end
  return built
end

return request
