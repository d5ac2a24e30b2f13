-- What is said to the person at the terminal: on standard error, so that standard output carries data only.

local secrets = require "flamegraph.secrets"
local system = require "flamegraph.system"

local log = { quiet = false }

-- The progress line that is on the terminal now, or nil; it is wiped before a message.
local line

--- A text as a terminal may have it. Server messages and names are hostile: what would move a cursor becomes "?".
function log.clean(text)
  return (secrets.redact(text):gsub("[%z\1-\8\11-\31\127]", "?"))
end

--- The width of the terminal that messages go to, and its height; or nil where it is none.
function log.columns()
  return system.columns(2)
end

local function styled(text, code)
  local plain = os.getenv("NO_COLOR") or os.getenv("TERM") == "dumb" or not log.columns()
  return plain and text or ("\27[%sm%s\27[0m"):format(code, text)
end

local function put(text)
  io.stderr:write(line and "\r\27[K" or "", text, "\n", line or "")
end

--- Say something, unless --quiet.
function log.info(text)
  if not log.quiet then put(log.clean(text)) end
end

--- Say what went wrong.
-- @tparam string who the command ("flame-graph api")
function log.error(who, text)
  put(styled(who .. ":", "1;31") .. " " .. log.clean(text))
end

--- A line behind an error: where, what next.
function log.hint(text)
  put(styled("  " .. log.clean(text), "2"))
end

--- Replace the line that is redrawn in place; nil takes it away. Only on a terminal.
function log.line(text)
  if text then
    text = log.clean(text):gsub("\n", " ")
    local columns = log.columns() or 80
    local cut = utf8.offset(text, columns)
    if cut then text = text:sub(1, cut - 1) end
    io.stderr:write("\r\27[K", text)
  elseif line then
    io.stderr:write("\r\27[K")
  end
  line = text
end

return log
