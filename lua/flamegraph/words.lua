-- What is typed as one text: the words of a command.

-- Commands that are the shell's own.
local builtins = {}
local listed = ". : alias case cd command eval exec exit export for if set source trap ulimit umask until while"
for word in listed:gmatch "%S+" do builtins[word] = true end

--- A text as the words of a command, with quotes as a shell has them.
-- @treturn {string,...}|nil nil where it takes a shell to understand it
local function words_of(text)
  local words, word = {}, nil
  local i = 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == "'" or c == '"' then
      local stop = text:find(c, i + 1, true)
      local inside = stop and text:sub(i + 1, stop - 1)
      if not inside or c == '"' and inside:find "[$`\\]" then return nil end
      word, i = (word or "") .. inside, stop
    elseif c:find "%s" and c ~= "\n" then
      words[#words + 1], word = word, nil
    elseif c:find "[|&;<>()$`\\*?[#~={}!\n]" then
      return nil
    else
      word = (word or "") .. c
    end
    i = i + 1
  end
  words[#words + 1] = word
  return not builtins[words[1]] and words or nil
end

return words_of
