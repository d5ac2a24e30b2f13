local fg = require "flamegraph"
local args = require "flamegraph.args"
local secrets = require "flamegraph.secrets"
local types = require "flamegraph.types"

local function resolve(list, given, config)
  return args.resolve(args.declare("test", list), given, config)
end

describe("types of arguments", function()
  -- type, what is accepted and what it becomes, what is not
  local cases = {
    duration = { { "30", 30 }, { "500ms", 0.5 }, { "2m", 120 }, { 1.5, 1.5 }, { "1h", 3600 },
      wrong = { "", "x", "3 weeks", "-1", "0", 0, true } },
    url = { { "http://localhost:8080", "http://localhost:8080" }, { "https://a/b/", "https://a/b" },
      wrong = { "localhost:8080", "ftp://a", "http://", "http://a b", 3 } },
    pid = { { "1", 1 }, { 1, 1 }, wrong = { "0", "-1", "x", "1.5", "999999999" } },
    integer = { { "0", 0 }, { 12, 12 }, { "0x10", 16 }, wrong = { "1.5", "-1", "", "x" } },
    number = { { "1.5", 1.5 }, { -3, -3 }, wrong = { "", "x", 0 / 0 } },
    boolean = { { true, true }, { "1", true }, { "no", false }, wrong = { "maybe", 1 } },
    size = { { "64k", 65536 }, { "1G", 1 << 30 }, { 5, 5 }, wrong = { "0", "x", "-1" } },
    path = { { "-", "-" }, wrong = { "" } },
    pattern = { { "^a", "^a" }, wrong = { "(", 3 } },
    rename = { { "a=b", "a=b" }, wrong = { "a", "(=b" } },
    format = { { "folded", "folded" }, wrong = { "pdf", "" } },
    string = { { "", "" }, { "x", "x" }, wrong = { 3, true } },
  }
  for name, values in pairs(cases) do
    it("know what they take: " .. name, function()
      for _, pair in ipairs(values) do
        assert.same({ pair[2] }, { types[name].check(pair[1], {}) })
        assert.equal(math.type(pair[2]), math.type(types[name].check(pair[1], {})))
      end
      for _, value in ipairs(values.wrong) do
        local checked, why = types[name].check(value, {})
        assert.is_nil(checked, tostring(value))
        assert.is_string(why)
      end
    end)
  end

  it("suggest the scheme of a URL", function()
    assert.equal("has no scheme: is 'http://localhost:8080' meant?", select(2, types.url.check "localhost:8080"))
  end)
end)

describe("arguments", function()
  it("have a value each, defaults checked and turned into their type", function()
    local values = assert(resolve({ fg.arg.duration "2m", { "limit", default = 5 }, { "name" } }, { name = "x" }))
    assert.equal(120, values.duration)
    assert.equal(5, values.limit)
    assert.equal("x", values.name)
  end)

  it("come from what was given, the environment, the config, the default, in this order", function()
    local list = { { "home", env = "HOME", default = "d" }, { "other", env = "FG_NOT_SET", default = "d" } }
    local config = { values = { home = "c", other = "c" }, label = function() return "config" end }
    local values = assert(resolve(list, { home = "g" }, config))
    assert.equal("g", values.home)
    assert.equal("c", values.other)
    assert.equal(os.getenv "HOME", assert(resolve(list, {}, config)).home)
    assert.equal("d", assert(resolve(list, {})).other)
  end)

  it("are blamed by where they come from", function()
    local list = { { "n", type = "integer", env = "HOME" }, { "m", required = true } }
    local values, why, source = resolve(list, { n = "x" })
    assert.is_nil(values)
    assert.equal("--n takes a whole number from 0, not 'x'", why)
    assert.equal("given", source)
    assert.matches("^%$HOME takes a whole number", (select(2, resolve(list, {}))))
    assert.equal("--m is missing", (select(2, resolve(list, { n = 1 }))))
  end)

  it("of a group are one table", function()
    local values = assert(resolve({ fg.arg.filter() }, { focus = "a", hide = { "b", "c" } }))
    assert.same({ focus = { "a" }, hide = { "b", "c" } }, values.filter)
    assert.is_nil((resolve({ fg.arg.filter() }, { focus = { "a", "(" } })))
  end)

  it("that were not declared are an error to read", function()
    local values = assert(resolve({ fg.arg.url() }, {}))
    assert.is_nil(values.url)
    assert.has_error(function() return values.ulr end)
  end)

  it("give way to the user's config where nobody chose them", function()
    local given = assert(resolve({ fg.arg.url "http://a", { "n", default = 1 } }, { n = 2 }))
    local chosen, defaults = args.chosen(given)
    assert.same({ n = 2 }, chosen)
    assert.same({ url = "http://a" }, defaults)
    assert.is_nil(args.chosen { n = 2 })
  end)
end)

describe("declarations", function()
  local function recipe(fields)
    return function()
      local all = { name = "x", summary = "y", run = print }
      for key, value in pairs(fields) do all[key] = value end
      local made = fg.recipe(all)
      return made
    end
  end

  it("bring the picture's flags with an output, and a collector has one", function()
    local with = recipe({ args = { fg.arg.output() } })()
    assert.is_true(args.has(with.args, "title"))
    assert.is_false(args.has(recipe({ args = {} })().args, "title"))
    local made = fg.collector { name = "x", summary = "y", collect = print }
    assert.is_true(args.has(made.args, "title"))
    assert.is_true(args.has(made.args, "focus"))
    assert.equal("flamegraph.svg", made.args.output.default)
  end)

  it("put their own argument in the place of a common one", function()
    local made = recipe({ args = { fg.arg.output(), { "type", help = "own" } } })()
    assert.equal("own", made.args.type.help)
    assert.is_nil(made.args.picture.args.type)
  end)

  local wrong = {
    { "'run' must be function", { run = 3 } },
    { "a name has small letters", { name = "A" } },
    { "unknown option 'arg'", { arg = {} } },
    { "example 1 is not a text", { examples = { 3 } } },
    { "an argument is a table", { args = { "url" } } },
    { "its name comes first", { args = { { type = "url" } } } },
    { "its name comes first", { args = { { "api-key" } } } },
    { "there is no type 'uri'", { args = { { "a", type = "uri" } } } },
    { "an enum has choices", { args = { { "a", type = "enum" } } } },
    { "the default is one of b", { args = { { "a", type = "enum", choices = { "b" }, default = "c" } } } },
    { "unknown option 'defualt'", { args = { { "a", defualt = 3 } } } },
    { "two arguments named 'a'", { args = { { "a" }, { "a" } } } },
    { "two arguments named 'focus'", { args = { fg.arg.filter(), { "focus" } } } },
  }
  for _, case in ipairs(wrong) do
    it("are checked: " .. case[1], function()
      local ok, message = pcall(recipe(case[2]))
      assert.is_false(ok)
      assert.matches(case[1]:gsub("^'run' ", ""), message, 1, true)
      assert.matches("declare_spec.lua:%d+: ", message)
    end)
  end

  it("name shared arguments that there are", function()
    local ok, message = pcall(function() return fg.arg.ulr() end)
    assert.is_false(ok)
    assert.matches("there is no fg.arg.ulr (there are api_key", message, 1, true)
  end)
end)

describe("credentials", function()
  it("are named by where they came from and shown nowhere", function()
    assert(resolve({ fg.arg.token() }, { token = "sesame-1" }))
    assert.equal("--token", secrets.name "sesame-1")
    assert.equal("--token", secrets.name "Bearer sesame-1")
    assert.is_nil(secrets.name "sesame")
    assert.equal("a (--token) b (--token)", secrets.redact "a sesame-1 b sesame-1")
  end)
end)

describe("the module", function()
  it("leaves stock Lua's globals alone", function()
    local pipe = io.popen([[lua5.4 -e 'local before = {} for k, v in pairs(_G) do before[k] = v end
      require "flamegraph"
      for k, v in pairs(_G) do assert(before[k] == v, k) end print "the same"']])
    assert.equal("the same\n", pipe:read "a")
    pipe:close()
  end)

  it("collects in stock Lua, too", function()
    local p, message, code = fg.collect("api", { url = "http://localhost:1", duration = "1s" })
    assert.is_nil(p)
    assert.matches("cannot connect to http://localhost:1", message, 1, true)
    assert.equal("NET", code)
  end)
end)
