-- Credentials: which there are, so that messages can name one by where it came from and never show it.

local secrets = {}

local names = {} -- value → "$RESQ_TOKEN"

--- Remember a credential.
-- @tparam string value
-- @tparam string name what messages call it: the flag or the variable it came from
function secrets.add(value, name)
  if value ~= "" then names[value] = name end
end

--- The name of the credential that a text is or ends in ("Bearer …"), or nil.
function secrets.name(text)
  for value, name in pairs(names) do
    if text == value or text:sub(-#value - 1) == " " .. value then return name end
  end
end

--- A text without credentials. Those of less than four letters are left: they would hit ordinary words.
function secrets.redact(text)
  for value, name in pairs(names) do
    if #value >= 4 then
      local from, to = text:find(value, 1, true)
      while from do
        text = text:sub(1, from - 1) .. "(" .. name .. ")" .. text:sub(to + 1)
        from, to = text:find(value, from + #name + 2, true)
      end
    end
  end
  return text
end

return secrets
