-- fg.json: lua-cjson, which is linked into the command; stock Lua takes the installed one.

local json = {}

-- Late, so that stock Lua without lua-cjson has all the rest.
local function cjson()
  local ok, module = pcall(require, "cjson")
  if not ok then error("JSON needs lua-cjson: apt-get install lua-cjson", 0) end
  return module
end

--- JSON as a Lua value. JSON's null is `fg.json.null()`.
-- @tparam string text
-- @return the value; nil, message, "FORMAT" where the text is no JSON
-- @usage local answer = assert(fg.json.decode(res.body))
function json.decode(text)
  local ok, value = pcall(cjson().decode, text)
  if ok then return value end
  return nil, tostring(value), "FORMAT"
end

--- A Lua value as JSON. A table with the keys 1 … n is an array.
-- @param value what JSON has words for; anything else is nil, message, "INVAL"
-- @treturn string|nil
function json.encode(value)
  local ok, text = pcall(cjson().encode, value)
  if ok then return text end
  return nil, tostring(text), "INVAL"
end

--- What JSON's null is decoded to, and what is encoded as null.
function json.null()
  return cjson().null
end

return json
