-- The words of a command: out of what was typed as one text, and those that may be shown.

local words = {}

-- Commands that are the shell's own.
local builtins = {}
local listed = ". : alias case cd command eval exec exit export for if set source trap ulimit umask until while"
for word in listed:gmatch "%S+" do builtins[word] = true end

--- A text as the words of a command, with quotes as a shell has them.
-- @treturn {string,...}|nil nil where it takes a shell to understand it
function words.of(text)
  local list, word = {}, nil
  local i = 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == "'" or c == '"' then
      local stop = text:find(c, i + 1, true)
      local inside = stop and text:sub(i + 1, stop - 1)
      if not inside or c == '"' and inside:find "[$`\\]" then return nil end
      word, i = (word or "") .. inside, stop
    elseif c:find "%s" and c ~= "\n" then
      list[#list + 1], word = word, nil
    elseif c:find "[|&;<>()$`\\*?[#~={}!\n]" then
      return nil
    else
      word = (word or "") .. c
    end
    i = i + 1
  end
  list[#list + 1] = word
  return not builtins[list[1]] and list or nil
end

--- A text as words, which spaces part; without quotes.
-- @treturn {string,...}
function words.split(text)
  local list = {}
  for word in text:gmatch "%S+" do list[#list + 1] = word end
  return list
end

--- What may be shown of a command: its name and a word, as what follows may be long, or secret.
-- @tparam {string,...} list
-- @treturn string|nil nil: there are no words
function words.brief(list)
  local name, word = list[1], list[2]
  return name and word and not word:find "^%-" and name .. " " .. word or name
end

return words
