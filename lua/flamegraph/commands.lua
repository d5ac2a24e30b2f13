-- Collectors and recipes by name, and declarations from files.

local declare = require "flamegraph.declare"
local scripts = require "flamegraph.scripts"

local commands = {}

local folders = { collector = "collectors", recipe = "recipes" }

-- The line of the file's last statement.
local function last_return(text)
  local line, last = 0, nil
  for content in (text .. "\n"):gmatch "(.-)\n" do
    line = line + 1
    if content:find "^return%f[%W]" then last = line end
  end
  return last
end

-- Run a file and return its first result. `return fg.recipe { … }` is a tail call: what that raises does not know the
-- line to blame, as the file's own frame is gone then.
local function run_chunk(found, ...)
  local loaded, message = scripts.load(found)
  if not loaded then error(message, 0) end
  if found.name then return (loaded(...)) end
  local results = table.pack(xpcall(loaded, function(problem)
    if type(problem) ~= "string" or problem:find("^[^\n]-:%d+: ") then return problem end
    return ("%s:%d: %s"):format(found.chunk:sub(2), last_return(found.text) or 1, problem)
  end, ...))
  if not results[1] then error(results[2], 0) end
  return results[2]
end

-- What a file declares. Raises where it does not.
local function declaration_of(kind, name, found)
  local declaration = run_chunk(found, name)
  local shown = found.path or found.chunk:sub(2)
  if declare.kind(declaration) ~= kind then
    error(("%s: it has to return fg.%s { … }"):format(shown, kind), 0)
  end
  if declaration.name ~= name then
    error(("%s: it declares '%s': file and name have to agree"):format(shown, declaration.name), 0)
  end
  return declaration
end

local function entry(kind, name)
  local found = scripts.find(("%s/%s.lua"):format(folders[kind], name))
  return found and { kind = kind, name = name, found = found }
end

--- A collector or recipe. Raises where its file is wrong.
-- @tparam string name
-- @tparam string|nil kind "collector" or "recipe"; default: either
-- @treturn table|nil kind, name, found (where the file is), declaration; nil: there is none
function commands.find(name, kind)
  if not name:find("^[%l%d_]+$") then return nil end
  local found
  for _, candidate in ipairs(kind and { kind } or { "collector", "recipe" }) do
    found = found or entry(candidate, name)
  end
  if found then found.declaration = declaration_of(found.kind, name, found.found) end
  return found
end

--- All of a kind, sorted by name: entries as of commands.find, or with a `problem` instead of a declaration.
function commands.all(kind)
  local list = {}
  for i, name in ipairs(scripts.names(folders[kind])) do
    list[i] = entry(kind, name)
    local ok, result = pcall(declaration_of, kind, name, list[i].found)
    list[i][ok and "declaration" or "problem"] = result
  end
  return list
end

--- Load a file of one's own. A plain script runs at once, with `arg` as in stock Lua. Where "NAME.lua" is no file, the
-- collector or recipe of that name is taken.
-- @treturn table|nil its declaration, nil for a plain script
-- @treturn string|nil why it could not be loaded
function commands.load_file(path, words)
  local file, message = io.open(path, "rb")
  if not file then
    local known = commands.find(path:match("^([^/]+)%.lua$") or "")
    if known then return known.declaration end
    return nil, message
  end
  local text = file:read("a")
  file:close()
  if not text then return nil, path .. ": this is a folder" end
  arg = table.move(words, 1, #words, 1, { [0] = path }) -- luacheck: ignore
  local result = run_chunk({ text = text:gsub("^#[^\n]*", "", 1), chunk = "@" .. path }, table.unpack(words))
  if declare.kind(result) then return result end
end

return commands
