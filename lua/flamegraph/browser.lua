-- --open: show a file in the person's browser.

local spawn = require "flamegraph.spawn"

local browser = {}

-- $BROWSER first, then what opens a file with the program that the desktop has for it.
local openers = { "xdg-open", "open", "wslview" }

local function on_path(command)
  if command:find("/", 1, true) then return true end
  for folder in (os.getenv "PATH" or ""):gmatch "[^:]+" do
    local file = io.open(folder .. "/" .. command, "rb")
    if file then
      file:close()
      return true
    end
  end
  return false
end

local function opener()
  local chosen = os.getenv "BROWSER"
  if chosen and chosen ~= "" then return chosen:match "^[^:]+" end -- a list is allowed there
  for _, command in ipairs(openers) do
    if on_path(command) then return command end
  end
end

--- Open a file. The browser outlives us.
-- @treturn boolean|nil nil and a message where that cannot be done
function browser.open(path)
  local command = opener()
  if not command then
    return nil, ("there is no program here that opens it (%s, or $BROWSER): apt-get install xdg-utils"):format(
      table.concat(openers, ", "))
  end
  -- a session of its own: neither our end nor Ctrl-C ends it
  local done, message = spawn { "setsid", "--fork", command, path, stdout = "null", stderr = "null" }
  if not done then return nil, message end
  if done.status ~= 0 then return nil, ("%s could not be started"):format(command) end
  return true
end

return browser
