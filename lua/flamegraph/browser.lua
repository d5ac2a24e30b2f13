-- --open: show a file in the person's browser.

local spawn = require "flamegraph.spawn"
local words = require "flamegraph.words"

local browser = {}

-- $BROWSER first, then what opens a file with the program that the desktop has for it.
local openers = { "xdg-open", "open", "wslview" }

local function is_there(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

local function on_path(command)
  if command:find("/", 1, true) then return is_there(command) end
  for folder in (os.getenv "PATH" or ""):gmatch "[^:]+" do
    if is_there(folder .. "/" .. command) then return true end
  end
  return false
end

-- The words of one of $BROWSER's commands, `firefox --new-window %s`: without %s the file comes last.
local function words_of(text, path)
  local list = words.split(text:find("%s", 1, true) and text or text .. " %s")
  for i, word in ipairs(list) do list[i] = word:gsub("%%s", function() return path end) end
  return list
end

-- The words that open a file, of the first command that is there; nil and why not.
local function opener(path)
  local wished = os.getenv "BROWSER" or ""
  for text in wished:gmatch "[^:]+" do
    local list = words_of(text, path)
    if on_path(list[1]) then return list end
  end
  if wished ~= "" then return nil, ("$BROWSER is %s, and that is not there"):format(wished) end
  for _, command in ipairs(openers) do
    if on_path(command) then return { command, path } end
  end
  return nil, ("there is no program here that opens it (%s, or $BROWSER): apt-get install xdg-utils"):format(
    table.concat(openers, ", "))
end

--- Open a file. The browser outlives us.
-- @treturn boolean|nil nil and a message where that cannot be done
function browser.open(path)
  local list, why = opener(path)
  if not list then return nil, why end
  -- a session of its own: neither our end nor Ctrl-C ends it
  local all = table.move(list, 1, #list, 3, { "setsid", "--fork", stdout = "null", stderr = "null" })
  local done, message = spawn(all)
  if not done then return nil, message end
  if done.status ~= 0 then return nil, ("%s could not be started"):format(list[1]) end
  return true
end

return browser
