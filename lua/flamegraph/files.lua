-- Texts that recipes write: whole or not at all.

local spawn = require "flamegraph.spawn"
local system = require "flamegraph.system"

local files = {}

--- Whether a file could be written: a message, or nil where nothing is in the way.
-- @tparam string flag what messages call the path: "--report"
-- @tparam string path "-" is standard output
function files.problem(flag, path)
  if path == "-" then return nil end
  local ok, why = system.writable(path)
  if not ok then return ("%s %s: cannot write there: %s"):format(flag, path, why) end
end

-- An error about the temporary file, told of the one that it would have become.
local function told_of(path, temporary, why)
  local named = why:sub(1, #temporary) == temporary
  return named and path .. why:sub(#temporary + 1) or ("%s: %s"):format(path, why)
end

--- Write a text; "-" is standard output.
-- @treturn boolean|nil nil, message, "IO"
function files.write(path, text)
  if path == "-" then
    io.stdout:write(text)
    return true
  end
  local temporary = ("%s.%d.tmp"):format(path, system.time())
  local file, why = io.open(temporary, "wb")
  if not file then return nil, told_of(path, temporary, why), "IO" end
  local ok
  ok, why = file:write(text)
  local closed, problem = file:close()
  ok, why = ok and closed, why or problem
  if ok then ok, why = os.rename(temporary, path) end
  if ok then return true end
  os.remove(temporary)
  return nil, told_of(path, temporary, why), "IO"
end

--- Make a folder, and those it lies in.
-- @treturn boolean|nil nil, message, "IO"
function files.make_folder(path)
  if system.folder(path) then return true end
  local made, why, code = spawn { "mkdir", "-p", "--", path }
  if not made then return nil, why, code end
  if made.status == 0 then return true end
  return nil, (made.stderr:gsub("%s+$", "")), "IO"
end

--- "out/api.svg", "before" → "out/api-before.svg"
function files.beside(path, word)
  local folder, name = path:match("^(.-)([^/]*)$")
  local stem, suffix = name:match("^(.+)(%.[^.]+%.gz)$")
  if not stem then stem, suffix = name:match("^(.+)(%.[^.]*)$") end
  return ("%s%s-%s%s"):format(folder, stem or name, word, suffix or "")
end

return files
