-- What recipes do with the groups fg.arg.profiling and fg.arg.load: profile through any collector, drive load.

local args = require "flamegraph.args"
local check = require "flamegraph.check"
local commands = require "flamegraph.commands"
local load = require "flamegraph.load"
local secrets = require "flamegraph.secrets"
local source = require "flamegraph.source"

local profiling = {}

--- The values of --with.
-- @treturn table|nil by name; nil, message, code where one is no NAME=VALUE
function profiling.with(list)
  local values = {}
  for _, text in ipairs(list or {}) do
    local name, value = text:match "^([%l%d_-]+)=(.*)$"
    if not name then return nil, ("--with takes NAME=VALUE, not '%s'"):format(text), "INVAL" end
    values[(name:gsub("-", "_"))] = value
  end
  return values
end

local function is_for(collector, name)
  if name == "collector" or name == "with" then return false end
  return args.has(commands.find(collector, "collector").declaration.args, name)
end

--- Profile through the collector that was chosen on the command line.
-- @tparam table chosen the group of fg.arg.profiling: `args.profiling`
-- @tparam[opt] table changes further values, such as `duration`; those that the collector does not have are left out.
--   A recipe can hand on its own `args`: what nobody chose gives way to the user's config.
-- @treturn Profile|nil nil, message, code
-- @usage local p = assert(fg.collect_as(args.profiling, args))
function profiling.collect(chosen, changes)
  if type(chosen) ~= "table" or not chosen.collector then
    check.fail("fg.collect_as takes the group profiling of a recipe's arguments (fg.arg.profiling)")
  end
  local own, why, code = profiling.with(chosen.with)
  if not own then return nil, why, code end
  for name, value in pairs(chosen) do
    if own[name] == nil and is_for(chosen.collector, name) then own[name] = value end
  end
  return source.collect(chosen.collector, own, changes or {})
end

-- "authorization: Bearer $TOKEN": variables are filled in here, so that no process list shows them.
local function headers_of(list)
  local headers = {}
  for _, text in ipairs(list or {}) do
    local name, value = text:match "^([^:%s]+):%s*(.-)%s*$"
    if not name then return nil, ("--load-header takes 'NAME: VALUE', not '%s'"):format(text), "INVAL" end
    local missing
    value = value:gsub("%$([%a_][%w_]*)", function(variable)
      local content = os.getenv(variable)
      missing = missing or not content and variable
      secrets.add(content or "", "$" .. variable)
      return content
    end)
    if missing then return nil, ("--load-header %s: $%s is not set"):format(name, missing), "INVAL" end
    headers[name] = value
  end
  return headers
end

-- The URLs of the load; a path alone is one of the service that is profiled.
local function urls_of(group, base)
  local urls = {}
  for i, url in ipairs(group.load) do
    if url:find "^/" and not base then
      return nil, ("--load %s: a path needs a --url in front of it"):format(url), "INVAL"
    end
    urls[i] = url:find "^/" and base .. url or url
  end
  return urls
end

--- Drive the load that was chosen on the command line.
-- @tparam table group that of fg.arg.load: `args.load`
-- @tparam number duration seconds
-- @tparam[opt] string base the URL that a path alone belongs to
-- @treturn table|nil as fg.load returns
-- @usage local load = assert(fg.drive(args.load, args.duration, args.profiling.url))
function profiling.drive(group, duration, base)
  if type(group) ~= "table" or not group.load then
    check.fail("fg.drive takes the group load of a recipe's arguments (fg.arg.load)")
  end
  local headers, why, code = headers_of(group.load_header)
  if not headers then return nil, why, code end
  local urls
  urls, why, code = urls_of(group, base)
  if not urls then return nil, why, code end
  local requests = {}
  for i, url in ipairs(urls) do
    requests[i] = { url = url, headers = headers, method = group.load_method, body = group.load_body }
  end
  return load {
    requests = requests, duration = duration, rps = group.rps, concurrency = group.concurrency,
    timeout = group.load_timeout,
  }
end

return profiling
