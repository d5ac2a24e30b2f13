-- Names that mean the same function in two builds or two runs: what a compiler, a JIT or an address puts into a name is
-- taken out before names are matched. The rules are a table that can be added to:
--
--   table.insert(fg.canonical, { runtime = "native", why = "…", from = "Lua pattern", to = "replacement" })

local hex = "%x"

--- The rules, in the order of their use.
local canonical = {
  { runtime = "any", why = "addresses", from = "0x" .. hex:rep(5) .. hex .. "*", to = "0x…" },
  { runtime = "any", why = "marks of the folded format", from = "_%[[kji]%]$", to = "" },
  { runtime = "any", why = "numbers of processes", from = "^process %d+%f[%z ]", to = "process" },
  { runtime = "any", why = "numbers of threads", from = "^thread %d+%f[%z ]", to = "thread" },
  { runtime = "rust", why = "hashes of the legacy mangling", from = "::h" .. hex:rep(16) .. "%f[^%w]", to = "" },
  { runtime = "rust", why = "hashes of crates", from = "%[" .. hex:rep(16) .. "%]", to = "" },
  { runtime = "rust", why = "closure numbers", from = "{{closure}}#%d+", to = "{{closure}}" },
  { runtime = "rust", why = "closure numbers of v0", from = "{closure#%d+}", to = "{closure}" },
  { runtime = "native", why = "ABI tags", from = "%[abi:[%w_]+%]", to = "" },
  { runtime = "native", why = "parts that GCC splits off and clones",
    from = "%.%f[%l][%l]+%.?%d*%f[%z%.]", to = function(text)
      local word = text:match "^%.(%l+)"
      local known = { cold = true, part = true, isra = true, constprop = true, lto_priv = true, llvm = true }
      return known[word] and "" or nil
    end },
  { runtime = "native", why = "lambda numbers", from = "{lambda%((.-)%)#%d+}", to = "{lambda(%1)}" },
  { runtime = "js", why = "tiers of V8", from = "^[*~^]%f[^*~^]", to = "" },
  { runtime = "js", why = "tiers of V8 in perf maps", from = "^(%a+):[*~^+]", to = "%1:" },
  { runtime = "js", why = "numbers of workers", from = "^worker %d+ %(", to = "worker (" },
  { runtime = "js", why = "versions in the paths of packages", from = "@%d+%.%d+%.%d+[%w.+-]*", to = "@…" },
  { runtime = "python", why = "versions in paths", from = "python%d+%.%d+/", to = "python/" },
  { runtime = "python", why = "line numbers", from = "(%.py):%d+", to = "%1" },
  { runtime = "go", why = "closure numbers", from = "%.func%d+[%d.]*%f[^%w.]", to = ".func" },
  { runtime = "go", why = "versions of modules", from = "@v%d+%.%d+%.%d+[%w.+-]*", to = "@…" },
  { runtime = "dotnet", why = "lambda and display class numbers", from = "<([%w_.]*)>([bcg])__%d+_%d+",
    to = "<%1>%2__" },
  { runtime = "dotnet", why = "display classes", from = "__DisplayClass%d+_%d+", to = "__DisplayClass" },
  { runtime = "dotnet", why = "numbers of threads", from = "^thread (.-) %(%d+%)$", to = "thread %1" },
  { runtime = "java", why = "lambda classes", from = "%$%$Lambda[$/.%w]*", to = "$$Lambda" },
  { runtime = "java", why = "generated accessors", from = "(Generated%a+Accessor)%d+", to = "%1" },
}

local templates = { runtime = "native", why = "template arguments", from = "%b<>", to = "<…>" }

--- The canonical form of a name.
-- @tparam string name
-- @tparam[opt=false] boolean without_templates C++ template arguments go, too
-- @treturn string
function canonical.name(name, without_templates)
  for _, rule in ipairs(canonical) do name = name:gsub(rule.from, rule.to) end
  if without_templates and not name:find "operator" then name = name:gsub(templates.from, templates.to) end
  return name
end

-- What tells functions of one name apart: the file without its folder, the shared library without its version. Where a
-- program lies, how it is called and which line a function is on differ between builds.
local function place_of(frame)
  local file = canonical.name((frame.file or ""):match "[^/]*$")
  local library = frame.module and frame.module:match "([^/]*%.so)[%d.]*$"
  return file .. "\0" .. (library or "")
end

--- A function for Profile:filter's `rename` that gives the frames of several profiles one form: the canonical name, and
-- the file, line and module that a function was first seen with.
-- @tparam[opt] table options `templates`: C++ template arguments go; `lines`: source lines stay apart
-- @treturn function
function canonical.matcher(options)
  options = options or {}
  local names, seen = {}, {}
  return function(name, frame)
    local to = names[name]
    if not to then
      to = canonical.name(name, options.templates)
      names[name] = to
    end
    local key = to .. "\0" .. place_of(frame) .. (options.lines and "\0" .. (frame.line or 0) or "")
    local first = seen[key]
    if not first then
      first = { frame.file or "", frame.line or 0, frame.module or "" }
      seen[key] = first
    end
    return to, first[1], first[2], first[3]
  end
end

--- The rules as a text, a row each.
-- @treturn string
function canonical.show()
  local lines = {}
  for _, rule in ipairs(canonical) do
    local to = type(rule.to) == "string" and "'" .. rule.to .. "'" or "(a function)"
    lines[#lines + 1] = ("%-8s %-42s %s → %s"):format(rule.runtime, rule.why, rule.from, to)
  end
  return table.concat(lines, "\n") .. "\n"
end

return canonical
