-- The user's defaults: config.lua in the user's folder returns { api = { url = "http://staging:8080" }, … }.

local args = require "flamegraph.args"
local scripts = require "flamegraph.scripts"

local config = {}

local loaded -- { path =, text =, values = } once read

local function read(path)
  local file = io.open(path, "rb")
  if not file then return { path = path, text = "", values = {} } end
  local text = file:read("a")
  file:close()
  local chunk, message = load(text, "@" .. path, "t", {})
  if not chunk then error(message, 0) end
  local values = chunk()
  if type(values) ~= "table" then
    error(("%s:1: the file returns a table such as { api = { url = \"…\" } }, not a %s"):format(path, type(values)), 0)
  end
  return { path = path, text = text, values = values }
end

-- Where in the file a key is: the first `key =` behind the first `section =`.
local function where(section, key)
  local at = loaded.text:find("%f[%w_]" .. section .. "%f[^%w_]%W*=") or 1
  if key then at = loaded.text:find("%f[%w_]" .. key .. "%f[^%w_]%W*=", at) or at end
  local _, breaks = loaded.text:sub(1, at):gsub("\n", "")
  return ("%s:%d"):format(loaded.path, breaks + 1)
end

local function fail(section, key, format, ...)
  error(("%s: " .. format):format(where(section, key), ...), 0)
end

--- What the user wants for a collector or recipe: `{ values =, label = function(name) }` as args.resolve takes it, or
-- nil. Raises where the file is wrong.
function config.of(declaration)
  local name = declaration.name
  if not scripts.config_folder then return nil end
  loaded = loaded or read(scripts.config_folder .. "/config.lua")
  local values = loaded.values[name]
  if values == nil then return nil end
  if type(values) ~= "table" then fail(name, nil, "%s is a table of defaults, not a %s", name, type(values)) end
  local key, why = args.unknown(declaration.args, values)
  if key then fail(name, key, "%s: %s", name, why) end
  return {
    values = values,
    label = function(arg) return ("%s: %s: %s"):format(where(name, arg), name, arg) end,
  }
end

return config
