-- Text from outside in Markdown: nothing in it is markup, whoever shows it (CommonMark, GitHub's tables).

local markdown = {}

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }

--- Text that is read as it is, in a paragraph, a heading or a cell.
-- @tparam string text
-- @treturn string
function markdown.plain(text)
  return (text:gsub("%c", " "):gsub("[\\`*_~%[%]|]", "\\%0"):gsub("[&<>]", entities))
end

--- Text as a code span: names and commands. Who is called so is not notified, and no link is one.
-- @tparam string text
-- @tparam[opt=false] boolean in_table it stands in a cell
-- @treturn string
function markdown.span(text, in_table)
  text = text:gsub("%c", " ")
  local ticks, apart = "`", text:find "^`" or text:find "`$" or text:find "^ .* $"
  while text:find(ticks, 1, true) do ticks = ticks .. "`" end
  if in_table then text = text:gsub("|", "\\|") end
  return apart and ("%s %s %s"):format(ticks, text, ticks) or ticks .. text .. ticks
end

--- A text of several lines that stays as it is, as a block of code.
-- @tparam string text
-- @treturn string
function markdown.fence(text)
  local fence = "```"
  while text:find(fence, 1, true) do fence = fence .. "`" end
  return ("%s\n%s\n%s"):format(fence, text, fence)
end

return markdown
