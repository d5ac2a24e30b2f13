-- --open: show a file in the person's browser.

local spawn = require "flamegraph.spawn"

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
  local words, placed = {}, false
  for word in text:gmatch "%S+" do
    words[#words + 1] = word:gsub("%%s", function()
      placed = true
      return path
    end)
  end
  if not placed then words[#words + 1] = path end
  return words
end

-- The words that open a file, of the first command that is there; nil and why not.
local function opener(path)
  local wished = os.getenv "BROWSER" or ""
  for text in wished:gmatch "[^:]+" do
    local words = words_of(text, path)
    if on_path(words[1]) then return words end
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
  local words, why = opener(path)
  if not words then return nil, why end
  -- a session of its own: neither our end nor Ctrl-C ends it
  local all = table.move(words, 1, #words, 3, { "setsid", "--fork", stdout = "null", stderr = "null" })
  local done, message = spawn(all)
  if not done then return nil, message end
  if done.status ~= 0 then return nil, ("%s could not be started"):format(words[1]) end
  return true
end

return browser
