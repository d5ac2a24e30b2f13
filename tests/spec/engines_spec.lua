-- A collector with engines: which one is taken, and what is said where none can be.

local fg = require "flamegraph"
local log = require "flamegraph.log"

local function collector(engines)
  return fg.collector { name = "stone", summary = "A stone", engines = engines }
end

local function engine(name, changes)
  local made = {
    name = name, summary = "by " .. name,
    collect = function()
      local p = fg.profile()
      p:add({ name }, 1)
      return p
    end,
  }
  for key, value in pairs(changes or {}) do made[key] = value end
  return made
end

local function refuses()
  return nil, "no hammer", "apt-get install hammer"
end

describe("engines", function()
  local info = log.info
  local said

  before_each(function()
    said = {}
    log.info = function(text) said[#said + 1] = text end
  end)
  after_each(function() log.info = info end)

  it("are tried in their order", function()
    local p = assert(collector({ engine "a", engine "b" }).collect { engine = nil })
    assert.equal("a", p:meta "engine")
    assert.same({}, said)
  end)

  it("give way to the next one where their check fails, and say so", function()
    local p = assert(collector({ engine("a", { check = refuses }), engine "b" }).collect {})
    assert.equal("b", p:meta "engine")
    assert.same({ "engine a: no hammer: apt-get install hammer" }, said)
  end)

  it("give way where they find out later", function()
    local late = engine("a", { collect = function() return nil, "too hard", "UNSUPPORTED" end })
    assert.equal("b", assert(collector({ late, engine "b" }).collect {}):meta "engine")
  end)

  it("do not give way for any other failure", function()
    local broken = engine("a", { collect = function() return nil, "it broke", "IO" end })
    local p, message, code = collector({ broken, engine "b" }).collect {}
    assert.is_nil(p)
    assert.equal("it broke", message)
    assert.equal("IO", code)
  end)

  it("can be chosen, and then no other one is tried", function()
    local list = { engine "a", engine("b", { check = refuses }) }
    assert.equal("a", assert(collector(list).collect { engine = "a" }):meta "engine")
    local p, message, code = collector(list).collect { engine = "b" }
    assert.is_nil(p)
    assert.equal("engine b: no hammer: apt-get install hammer", message)
    assert.equal("UNSUPPORTED", code)
  end)

  it("say why none works", function()
    local list = { engine("a", { check = refuses }), engine("b", { check = function() end }) }
    local p, message = collector(list).collect {}
    assert.is_nil(p)
    assert.equal("no engine works here: a: no hammer: apt-get install hammer; b: it does not work here", message)
  end)

  it("are an argument", function()
    local declared = collector({ engine "a", engine "b" }).args.engine
    assert.same({ "a", "b" }, declared.choices)
    assert.matches("a %(by a%), b %(by b%)", declared.help)
  end)

  it("are checked when they are declared", function()
    assert.error_matches(function() collector {} end, "collector 'stone': `engines` is a list of one at least")
    assert.error_matches(function() collector { { name = "a" } } end, "engine 1: '%w+' is missing")
  end)
end)
