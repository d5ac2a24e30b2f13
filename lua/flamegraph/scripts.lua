-- Where the Lua files come from: the folders of the search path, then what is built in. A file in `collectors/` or
-- `recipes/` of a folder shadows the built-in one of that name. The library itself (flamegraph/) is never shadowed:
-- it belongs to the binary.

local embedded = require "flamegraph.embedded"
local system = require "flamegraph.system"

local scripts = {}

-- Folders, first one first.
local folders = {}

local function config_home()
  local xdg = os.getenv("XDG_CONFIG_HOME")
  if xdg and xdg:sub(1, 1) == "/" then return xdg .. "/flame-graph" end
  local home = os.getenv("HOME")
  return home and home ~= "" and home .. "/.config/flame-graph" or nil
end

--- The user's folder for configuration and scripts, or nil.
scripts.config_folder = config_home()

local function default_folders()
  for folder in (os.getenv("FLAME_GRAPH_PATH") or ""):gmatch("[^:]+") do folders[#folders + 1] = folder end
  folders[#folders + 1] = scripts.config_folder
  local share = (system.executable() or ""):match("^(.*)/bin/[^/]*$")
  if share then folders[#folders + 1] = share .. "/share/flame-graph" end
end

--- Put folders in front of the search path.
function scripts.prepend(list)
  table.move(folders, 1, #folders, #list + 1)
  table.move(list, 1, #list, 1, folders)
end

--- The search path, first folder first.
function scripts.path()
  return table.move(folders, 1, #folders, 1, {})
end

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

--- Find a file: "collectors/api.lua".
-- @treturn table|nil text; chunk (its name for Lua); name, where it is built in; else path, folder and shadows (it
--   differs from a built-in one)
function scripts.find(name)
  local shipped = embedded.source(name)
  for _, folder in ipairs(folders) do
    local path = folder .. "/" .. name
    local text = read(path)
    -- `flame-graph source api >…/collectors/api.lua`: the shell has made that file, empty, before this runs
    if text and text ~= shipped and not (shipped and text:find("^%s*$")) then
      return { text = text, chunk = "@" .. path, path = path, folder = folder, shadows = shipped ~= nil }
    end
  end
  return shipped and { text = shipped, chunk = "=" .. name, name = name }
end

--- Load what was found.
-- @treturn function|nil nil, message: it is no Lua
function scripts.load(found)
  if found.name then return embedded.load(found.name) end
  return load(found.text, found.chunk, "t")
end

--- The names of all files of a folder ("collectors"), sorted, without ".lua".
function scripts.names(folder)
  local seen, names = {}, {}
  local function add(name)
    if name and not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  for _, name in ipairs(embedded.names()) do add(name:match("^" .. folder .. "/([^/]+)%.lua$")) end
  for _, base in ipairs(folders) do
    for _, name in ipairs(system.folder(base .. "/" .. folder) or {}) do add(name:match("^([^.].*)%.lua$")) end
  end
  table.sort(names)
  return names
end

-- require: "flamegraph.cli" is built in; any other module may be a file of the search path.
local function searcher(module)
  local name = module:gsub("%.", "/") .. ".lua"
  if module:find("^flamegraph%.") then
    local chunk = embedded.load(name)
    if chunk then return chunk, "=" .. name end
  else
    local found = scripts.find(name)
    if found then return assert(scripts.load(found)), found.chunk end
  end
  return ("\n\tno file '%s' on flame-graph's search path"):format(name)
end

default_folders()
table.insert(package.searchers, 2, searcher)
package.loaded["flamegraph.scripts"] = scripts
