-- fg.fetch: a profile from a service, over HTTP. What can come instead of a profile is told apart in words.

local check = require "flamegraph.check"
local http = require "flamegraph.http"
local profile = require "flamegraph.profile"
local progress = require "flamegraph.progress"
local secrets = require "flamegraph.secrets"

local own = { expect = "string", hints = "table", slices = "boolean" }

local reasons = {
  [400] = "Bad Request", [401] = "Unauthorized", [403] = "Forbidden", [404] = "Not Found", [405] = "Method Not Allowed",
  [409] = "Conflict",
  [429] = "Too Many Requests", [500] = "Internal Server Error", [501] = "Not Implemented", [502] = "Bad Gateway",
  [503] = "Service Unavailable", [504] = "Gateway Timeout",
}

local function shown(url)
  return (url:gsub("^(%w+://)[^/@]*@", "%1"):gsub("[?#].*", ""))
end

local function is_html(answer)
  return (answer.headers["content-type"] or ""):find("html", 1, true)
    or answer.body:find("^%s*<!%-*%s*[dD][oO][cC]") or answer.body:find("^%s*<[hH][tT][mM][lL]")
end

-- What the answer says of itself: a page's title, or its first line.
local function excerpt(answer)
  local text = is_html(answer) and answer.body:match("<[tT][iI][tT][lL][eE][^>]*>(.-)<") or answer.body
  if is_html(answer) and text == answer.body then return "" end
  if text:find("[%z\1-\8\14-\31]") then return "" end
  text = text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
  local cut = utf8.len(text) and utf8.offset(text, 160)
  return cut and text:sub(1, cut - 1) .. "…" or text:sub(1, 640)
end

-- Which of the request's headers carries a credential that we know the origin of.
local function credential(headers)
  for header, value in pairs(headers or {}) do
    local name = secrets.name(tostring(value))
    if name then return ("%s (sent as %s)"):format(name, header) end
  end
end

local function refused(options, answer)
  local name = credential(options.headers)
  if answer.withheld then
    return "it was redirected to another host, where the credential was not sent; give that address as the URL"
  end
  if not name then return "it asks for a credential, and none was given" end
  return ("the service refused the credential from %s"):format(name)
end

local function status_message(options, answer)
  local status = answer.status
  local parts = { ("%s: %d%s"):format(shown(answer.url), status, reasons[status] and " " .. reasons[status] or "") }
  local hint = options.hints and options.hints[status]
  if status == 401 or status == 403 then
    parts[#parts + 1] = refused(options, answer)
    if credential(options.headers) then hint = nil end
  elseif status ~= 404 then
    local said = excerpt(answer)
    if said ~= "" then parts[#parts + 1] = said end
  end
  parts[#parts + 1] = hint
  return table.concat(parts, ": ")
end

local function html_message(answer)
  local title = excerpt(answer)
  return ("%s: it answered with an HTML page%s instead of a profile: is the path right, and is there a login or proxy "
    .. "page in between?"):format(shown(answer.url), title ~= "" and (" (%s)"):format(title) or "")
end

local function parse(options, answer)
  local name = shown(answer.url)
  local p, message, code = profile.parse(answer.body, { expect = options.expect, name = name, slices = options.slices })
  if p then return p end
  if code == "EMPTY" then
    return nil, name .. ": the profile is empty: send the service requests while it is profiled, and try again", code
  end
  local said = code == "FORMAT" and excerpt(answer) or ""
  return nil, said ~= "" and ("%s; it answered: %s"):format(message, said) or message, code
end

--- Fetch a profile over HTTP. Whatever else comes back is a failure that says what it was: a refused credential (by
-- its name, never its value), a missing endpoint, a page of HTML, an empty profile.
-- @tparam table options as for fg.http, and
-- @tparam[opt] string options.expect the format that the profile has to have; default: any
-- @tparam[opt=false] boolean options.slices as for fg.read
-- @tparam[opt] table options.hints what to do about a status: `{ [404] = "add the endpoint …" }`
-- @treturn Profile|nil nil, message, code where there is none: those of fg.http and fg.parse, and "REMOTE" for a
--   refusal, which is followed by its status
-- @usage return fg.fetch {
--   url = args.url .. "/debug/pprof/profile", query = { seconds = 30 }, timeout = 60, expect = "pprof",
-- }
local function fetch(options)
  if type(options) ~= "table" then check.fail("fg.fetch takes a table of options, not %s", type(options)) end
  local request, mine = {}, {}
  for key, value in pairs(options) do
    (own[key] and mine or request)[key] = value
  end
  mine = check.options("fg.fetch", mine, own)
  mine.headers = request.headers
  local bar = progress.current()
  if bar and tonumber(request.timeout) then bar:update { timeout = request.timeout } end
  local answer, message, code = http(request)
  if not answer then return nil, message, code end
  if answer.status < 200 or answer.status > 299 then
    return nil, status_message(mine, answer), "REMOTE", answer.status
  end
  if is_html(answer) then return nil, html_message(answer), "FORMAT" end
  return parse(mine, answer)
end

return fetch
