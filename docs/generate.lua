#!/usr/bin/env lua5.4
-- Writes docs/lua-api.md and docs/c-api.md from the comments in the source. Run it in the project's folder:
--
--   LUA_CPATH=build/lua/?.so lua5.4 docs/generate.lua           writes them
--   LUA_CPATH=build/lua/?.so lua5.4 docs/generate.lua --check   fails where they are not what would be written
--
-- What there is is asked of the module itself, so that a function without a comment is an error.

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local function lines_of(text)
  local lines = {}
  for line in (text:gsub("\n$", "") .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
  return lines
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- ---- comments ---------------------------------------------------------------------------------------------------

-- Comment lines → { text = {lines}, tags = { { tag, option, text }, … } }. A tag goes on in indented lines.
local function parse_comment(lines)
  local comment = { text = {}, tags = {} }
  for _, line in ipairs(lines) do
    local tag, option, rest = line:match("^@(%a+)(%b[])%s*(.*)$")
    if not tag then tag, rest = line:match("^@(%a+)%s*(.*)$") end
    local last = comment.tags[#comment.tags]
    if tag then
      comment.tags[#comment.tags + 1] = { tag = tag, option = option, text = rest }
    elseif not last then
      comment.text[#comment.text + 1] = line
    elseif last.tag == "usage" then
      last.text = last.text .. "\n" .. line
    else
      last.text = last.text .. " " .. line:match("^%s*(.*)$")
    end
  end
  return comment
end

-- The comment of the function that begins in a line of a Lua file.
local function lua_comment(path, line)
  local lines, first = lines_of(read(path)), line - 1
  while lines[first] and lines[first]:find("^%-%- ?") and not lines[first]:find("^%-%-%-") do first = first - 1 end
  if not (lines[first] or ""):find("^%-%-%-") then return nil end
  local block = {}
  for i = first, line - 1 do block[#block + 1] = lines[i]:gsub("^%-%-%-? ?", "") end
  return parse_comment(block), lines[line]:match("(%b())")
end

-- The comments of C functions by name: /*** … @function Profile:total … */
local function c_comments(paths)
  local comments = {}
  for _, path in ipairs(paths) do
    for block in read(path):gmatch("/%*%*%*\n(.-)%*/") do
      local stripped = {}
      for _, line in ipairs(lines_of(block)) do stripped[#stripped + 1] = line:gsub("^ %* ?", "") end
      local comment = parse_comment(stripped)
      for _, tag in ipairs(comment.tags) do
        if tag.tag == "function" then comments[tag.text:match("%S+")] = comment end
      end
    end
  end
  return comments
end

-- ---- Markdown ---------------------------------------------------------------------------------------------------

local out

local function put(format, ...)
  out[#out + 1] = select("#", ...) > 0 and format:format(...) or format
end

local function paragraph(lines)
  put("%s", (table.concat(lines, "\n"):gsub("^\n+", ""):gsub("\n+$", "")))
  put ""
end

local function default_of(option)
  local value = option and option:match("=(.*)%]$")
  return value and (", default `%s`"):format(value) or option and ", optional" or ""
end

local function put_parameters(comment)
  local any = false
  for _, tag in ipairs(comment.tags) do
    local kind, name, text
    if tag.tag == "tparam" then kind, name, text = tag.text:match("^(%S+)%s+(%S+)%s*(.*)$") end
    if tag.tag == "param" then name, text = tag.text:match("^(%S+)%s*(.*)$") end
    if name then
      local types = kind and (" (%s%s)"):format(kind:gsub("|", " or "), default_of(tag.option)) or ""
      put("%s- `%s`%s%s", name:find("%.") and not name:find("^%.%.%.") and "  " or "", name, types,
        text ~= "" and ": " .. text or "")
      any = true
    end
  end
  if any then put "" end
end

local function put_results(comment)
  for _, tag in ipairs(comment.tags) do
    if tag.tag == "treturn" then
      local kind, text = tag.text:match("^(%S+)%s*(.-)%s*$")
      local failure = text:match("^nil, (.*)$")
      if text:find("nil, message", 1, true) then kind = kind:gsub("|nil$", "") end
      put("Returns %s%s", (kind:gsub("|", " or ")),
        failure and "; or nil, " .. failure or text ~= "" and ": " .. text or "")
      put ""
    elseif tag.tag == "return" then
      put("Returns %s", tag.text)
      put ""
    end
  end
end

local function put_usage(comment)
  for _, tag in ipairs(comment.tags) do
    if tag.tag == "usage" then
      put("```lua\n%s\n```", (tag.text:gsub("%s+$", "")))
      put ""
    end
  end
end

-- The names of the parameters, for the heading: fields of tables are left out.
local function signature(comment)
  local names = {}
  for _, tag in ipairs(comment.tags) do
    local name = tag.tag == "tparam" and tag.text:match("^%S+%s+(%S+)") or tag.tag == "param" and tag.text:match("^%S+")
    if name and (name == "..." or not name:find("%.")) then
      names[#names + 1] = tag.option and ("[%s]"):format(name) or name
    end
  end
  return ("(%s)"):format(table.concat(names, ", "))
end

local function put_function(name, comment)
  put("### `%s%s`", name:gsub("^Profile:", "profile:"), signature(comment))
  put ""
  paragraph(comment.text)
  put_parameters(comment)
  put_results(comment)
  put_usage(comment)
end

-- ---- the Lua reference ------------------------------------------------------------------------------------------

local function glob(pattern)
  local pipe = assert(io.popen("ls " .. pattern))
  local paths = lines_of(pipe:read("a"))
  pipe:close()
  return paths
end

local from_c = c_comments(glob("src/lua/*.c"))

local function comment_of(name, value)
  local info = debug.getinfo(value, "S")
  local comment = from_c[name]
  if info.what == "Lua" then comment = lua_comment("lua/" .. info.source:sub(2), info.linedefined) end
  return comment or error(("%s has no comment for the reference (%s:%d)"):format(name, info.source, info.linedefined))
end

local function put_functions(prefix, functions)
  for _, key in ipairs(sorted_keys(functions)) do
    if type(functions[key]) == "function" and not key:find("^__") then
      put_function(prefix .. key, comment_of(prefix .. key, functions[key]))
    end
  end
end

-- The methods that a Lua file gives to a type: --- Text … -- @type Name, local Name = {}
local function put_lua_type(path)
  local text = read(path)
  local described, name = text:match("\n%-%-%- ([^\n]+\n[%-%s][^@]-)%-%- @type (%a+)")
  if not name then described, name = text:match("\n%-%-%- ([^\n]+)\n%-%- @type (%a+)") end
  put("## %s", name)
  put ""
  paragraph(lines_of((described:gsub("\n%-%- ?", "\n"))))
  local number = 0
  for line in (text .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    local method = line:match("^function " .. name .. ":([%w_]+)")
    if method then put_function(name:lower() .. ":" .. method, assert(lua_comment(path, number), method)) end
  end
end

local function table_cell(text)
  return (text:gsub("|", "\\|"))
end

local function put_types(types)
  put "| type | takes |"
  put "| --- | --- |"
  for _, name in ipairs(sorted_keys(types)) do put("| `%s` | %s |", name, table_cell(types[name].describe)) end
  put ""
end

local function put_shared(fg)
  put "| constructor | type | default | help |"
  put "| --- | --- | --- | --- |"
  local groups = {}
  for _, name in ipairs(sorted_keys(fg.arg)) do
    local arg = fg.arg[name]()
    if arg.group then
      groups[#groups + 1] = arg
    else
      local default = arg.default and ("`%s`"):format(arg.default) or arg.env and "`$" .. arg.env .. "`" or ""
      put("| `fg.arg.%s()` | %s | %s | %s |", name, arg.type or "string", default, table_cell(arg.help))
    end
  end
  put ""
  for _, group in ipairs(groups) do
    local names = {}
    for i, arg in ipairs(group.args) do names[i] = ("`%s`"):format(arg.name) end
    put("`fg.arg.%s()` is a group: it becomes one table, `args.%s`, with those that were given of %s.", group.group,
      group.group, table.concat(names, ", "))
    put ""
  end
end

local function lua_reference()
  local fg = require "flamegraph"
  out = {}
  paragraph(lines_of(read("docs/lua-api.head.md")))
  put "## Functions"
  put ""
  put_functions("fg.", fg)
  put_functions("fg.json.", fg.json)
  put_functions("fg.devtools.", fg.devtools)
  put_functions("fg.dotnet.", fg.dotnet)
  put "## Profile"
  put ""
  paragraph { "What `fg.read`, `fg.collect` and others return: unique stacks with a value for each value type." }
  put_functions("Profile:", debug.getmetatable(fg.profile()))
  put_lua_type "lua/flamegraph/spawn.lua"
  put_lua_type "lua/flamegraph/progress.lua"
  put_lua_type "lua/flamegraph/websocket.lua"
  put_lua_type "lua/flamegraph/session.lua"
  put "## Types of arguments"
  put ""
  put_types(require "flamegraph.types")
  put "## Arguments that are shared"
  put ""
  put_shared(fg)
  return table.concat(out, "\n")
end

-- ---- the C reference --------------------------------------------------------------------------------------------

local function put_declaration(comment, declaration)
  paragraph(comment)
  put("```c\n%s\n```", declaration)
  put ""
end

-- Text of a block comment without its marks.
local function comment_text(block)
  local lines = {}
  for _, line in ipairs(lines_of(block)) do lines[#lines + 1] = (line:gsub("^%s*%*%s?", "")) end
  return lines_of((table.concat(lines, "\n"):gsub("^%s+", ""):gsub("%s+$", "")))
end

-- The declaration that begins at a place: up to the ";" outside of braces.
local function declaration_at(text, at)
  local depth, i = 0, at
  while true do
    local c = text:sub(i, i)
    if c == "{" then depth = depth + 1 elseif c == "}" then depth = depth - 1 end
    if c == ";" and depth == 0 or c == "" then break end
    i = i + 1
  end
  return (text:sub(at, i):gsub("FG_API ", ""):gsub("^%s+", ""))
end

local function put_header(path)
  local text = read(path)
  local at = 1
  while true do
    local from, to, block = text:find("/%*(.-)%*/", at)
    if not from then break end
    local title = block:match("^ %-%-%-%- (.-) %-+%s*$")
    at = to + 1
    if title then
      put("## %s", title:sub(1, 1):upper() .. title:sub(2))
      put ""
    elseif block:find("^%*[^<]") then
      local declaration = declaration_at(text, at)
      put_declaration(comment_text(block:sub(2)), declaration)
      at = at + #declaration
    end
  end
end

local function c_reference()
  out = {}
  put "# The C library"
  put ""
  put "Made by `docs/generate.lua` from `include/flamegraph.h`; the Lua module's C entry is in `flamegraph_lua.h`."
  put ""
  put("```c\n%s\n```", table.concat(comment_text(read("include/flamegraph.h"):match("^/%*(.-)%*/")), "\n"))
  put ""
  put_header "include/flamegraph.h"
  put "## The Lua module"
  put ""
  put_header "include/flamegraph_lua.h"
  return table.concat(out, "\n")
end

-- ---- files ------------------------------------------------------------------------------------------------------

local stale = 0
for path, make in pairs { ["docs/lua-api.md"] = lua_reference, ["docs/c-api.md"] = c_reference } do
  local text = make():gsub("\n+$", "") .. "\n"
  if arg[1] == "--check" then
    local file = io.open(path, "rb")
    if not file or file:read("a") ~= text then
      stale = stale + 1
      print(path .. " is not what docs/generate.lua writes: run it")
    end
  else
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
  end
end
os.exit(stale == 0)
