-- Names of .NET methods, as a person would write them.
--
--   Sorter`1[System.UInt32].Quicksort                    Sorter<uint>.Quicksort
--   Busy+<Fetch>d__5.MoveNext                            Busy.Fetch              an async method or an iterator
--   Busy+<>c__DisplayClass3_0.<Run>b__1                  Busy.Run.lambda
--   Program.<Main>g__Local|0_1                           Program.Main.Local      a local function
--
-- The compiler's names are those of Roslyn and of Mono's mcs. What is not understood stays as it is.

local most = 4096 -- bytes of a name that are looked at: names come from the program

-- What C# calls them. Code that all reference types share has System.__Canon where they would stand.
local keywords = {
  Boolean = "bool", Byte = "byte", SByte = "sbyte", Char = "char", Decimal = "decimal", Double = "double",
  Single = "float", Int16 = "short", UInt16 = "ushort", Int32 = "int", UInt32 = "uint", Int64 = "long",
  UInt64 = "ulong", Object = "object", String = "string", Void = "void", __Canon = "ref",
}

-- Text cut at `separator` where it stands in no brackets.
local function split(text, separator)
  local parts, depth, from = {}, 0, 1
  for at, char in text:gmatch "()([%[%]<>+,])" do
    if char == "[" or char == "<" then depth = depth + 1 end
    if char == "]" or char == ">" then depth = depth - 1 end
    if char == separator and depth == 0 then
      parts[#parts + 1] = text:sub(from, at - 1)
      from = at + 1
    end
  end
  parts[#parts + 1] = text:sub(from)
  return parts
end

-- The method that a class of the compiler's is made of: "" where it is of none, nil where it is no such class.
local function made_of(segment)
  local inner = segment:match "^(%b<>)[%w_]*"
  return inner and inner:sub(2, -2)
end

-- "<Main>$" is what the compiler calls a program of top-level statements.
local function plain(name)
  return (name:gsub("^<(.*)>%$$", "%1"))
end

local readable_type

-- The arguments of a type, each readable; `text` is in brackets.
local function arguments_of(text)
  local list = split(text:sub(2, -2), ",")
  for i, argument in ipairs(list) do list[i] = readable_type(argument) end
  return list
end

-- One class of a chain of nested ones; it takes as many of the arguments as it has parameters.
local function readable_class(segment, arguments, taken)
  local name, count = segment:match "^(.-)`(%d+)$"
  if not name then return segment, taken end
  count = math.tointeger(tonumber(count)) or 0
  local own = table.move(arguments, taken + 1, math.min(taken + count, #arguments), 1, {})
  if #own == 0 then return name, taken end
  return ("%s<%s>"):format(name, table.concat(own, ", ")), taken + count
end

-- → the readable type, and the method that it was made of by the compiler.
local function read_type(text)
  local base, brackets, rest = text:match "^([^%[]+)(%b[])(.*)$"
  if not base or brackets:find "^%[[,*]*%]$" then base, brackets, rest = text, nil, "" end
  local arguments, taken = brackets and arguments_of(brackets) or {}, 0
  local shown, method = {}, nil
  for _, segment in ipairs(split(base, "+")) do
    local made = made_of(segment)
    if made then
      if made ~= "" then method = plain(made) end
    else
      shown[#shown + 1], taken = readable_class(segment, arguments, taken)
    end
  end
  return table.concat(shown, ".") .. rest, method
end

function readable_type(text)
  local keyword, suffix = text:match "^System%.([%w_]+)(.*)$"
  if keyword and keywords[keyword] and not suffix:find "^[.+`]" then return keywords[keyword] .. suffix end
  local shown, method = read_type(text)
  return method and ("%s.%s"):format(shown, method) or shown
end

-- Where the type ends and the method begins: at the last dot that stands in no brackets; constructors begin with one.
local function cut(name)
  local depth, dot = 0, nil
  for at, char in name:gmatch "()([%[%]<>.])" do
    if char == "[" or char == "<" then depth = depth + 1 end
    if char == "]" or char == ">" then depth = depth - 1 end
    if char == "." and depth == 0 and name:sub(at - 1, at - 1) ~= "." then dot = at end
  end
  if not dot or dot == 1 then return nil end
  return name:sub(1, dot - 1), name:sub(dot + 1)
end

-- → the readable name of a method of a class that was made of the method `of`.
local function readable_method(method, of)
  local outer, kind, rest = method:match "^<(.*)>([bgm])__(.*)$"
  if kind == "g" then return plain(outer) .. "." .. rest:gsub("|.*$", "") end
  if kind then
    local name = outer ~= "" and plain(outer) or of
    return name and name .. ".lambda" or "lambda"
  end
  method = plain(method):gsub("^%.", "")
  if not of then return method end
  return method == "MoveNext" and of or of .. "." .. method
end

--- The name of a .NET method as a person would write it: `Sorter<uint>.Quicksort` for
-- ``Sorter`1[System.UInt32].Quicksort``, `Shop.Fetch` for `Shop+<Fetch>d__5.MoveNext`, the state machine of an async
-- method.
-- @tparam string name as the runtime has it
-- @treturn string
-- @usage p = p:filter { rename = fg.dotnet.readable }
local function readable(name)
  if #name > most then return name end
  local class, method = cut(name)
  if not class or method == "" then return name end
  local shown, of = read_type(class)
  if shown == "" then return name end
  return shown .. "." .. readable_method(method, of)
end

return readable
