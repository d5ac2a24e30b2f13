local fg = require "flamegraph"
local canonical = require "flamegraph.canonical"
local judge = require "flamegraph.judge"
local pattern = require "flamegraph.pattern"
local report = require "flamegraph.verdict_report"
local runs = require "flamegraph.runs"
local trial = require "flamegraph.trial"

describe("a canonical name", function()
  it("has nothing in it that changes from build to build", function()
    for from, to in pairs {
      ["core::ptr::drop::h0123456789abcdef"] = "core::ptr::drop",
      ["main::{{closure}}#3"] = "main::{{closure}}",
      ["parse[abi:cxx11](int)"] = "parse(int)",
      ["walk.constprop.0"] = "walk",
      ["walk.part.12.isra.3"] = "walk",
      ["run.it"] = "run.it",
      ["*handle"] = "handle",
      ["main.serve.func2.1"] = "main.serve.func",
      ["work.py:12"] = "work.py",
      ["/usr/lib/python3.11/json.py"] = "/usr/lib/python/json.py",
      ["Program.<>c__DisplayClass3_0.<Main>b__1_2"] = "Program.<>c__DisplayClass.<Main>b__",
      ["GeneratedMethodAccessor17.invoke"] = "GeneratedMethodAccessor.invoke",
      ["process 19024 (python3)"] = "process (python3)",
      ["process 19024"] = "process",
      ["thread 31425 (pool 2)"] = "thread (pool 2)",
      ["thread 31425 (7)"] = "thread (7)",
      ["thread 31425"] = "thread",
      ["worker 3 (pool.js)"] = "worker (pool.js)",
      ["thread .NET TP Worker (31425)"] = "thread .NET TP Worker",
      ["thread 2nd"] = "thread 2nd",
      ["worker 3"] = "worker 3",
      ["process 3d"] = "process 3d",
      ["plain"] = "plain",
    } do
      assert.equal(to, canonical.name(from))
    end
    assert.equal("sort<…>(int)", canonical.name("sort<std::vector<int>>(int)", true))
  end)

  it("takes rules that are added", function()
    table.insert(fg.canonical, { runtime = "any", why = "a test", from = "_v%d+$", to = "" })
    assert.equal("query", canonical.name "query_v12")
    table.remove(fg.canonical)
    assert.equal("query_v12", canonical.name "query_v12")
  end)
end)

-- Runs of main;work;NAME with these means, a little different each time.
local function made(means, n, from)
  local list, options = {}, { names = runs.namer {} }
  for i = 1, n do
    local p = fg.profile {}
    for k, name in ipairs { "parse", "sort", "hash", "print", "read", "write", "lex", "emit" } do
      local mean = means[name] or 200
      if mean > 0 then p:add({ "main", "work", name }, mean + (i * 7 + k * 5 + from) % 9 - 4) end
    end
    if means.other then p:add({ "main", "work", "other" }, means.other + i % 3) end
    list[i] = runs.count(p, options, 1)
  end
  return list, options
end

local function judged(before, after, budget, changes)
  local list, options = made(before, 6, 0)
  local others = made(after, 6, 3)
  options.budgets = assert(judge.budgets(budget))
  options.level, options.floor, options.factor = 0.01, 10, 1
  for key, value in pairs(changes or {}) do options[key] = value end
  return assert(judge.runs({ before = list, after = others }, options))
end

describe("a verdict", function()
  it("passes what has not changed", function()
    assert.equal("pass", judged({}, {}, "10%").answer)
  end)

  it("is open where the budget is finer than the noise", function()
    local result = judged({}, {}, "0.1%")
    assert.equal("inconclusive", result.answer)
    assert.is_true(#result.open > 0 and result.open[1].detectable > 0.001)
  end)

  it("tells a regression where it is, and its callers as carrying it", function()
    local result = judged({}, { sort = 400 }, "5%")
    assert.equal("fail", result.answer)
    for _, f in ipairs(result.failed) do
      if f.name == "sort" then assert.falsy(f.carried) else assert.is_true(f.carried, f.name) end
    end
    local text = report.of(result, "text")
    assert.truthy(text:find("beyond the budget +sort %(self%)"))
    assert.truthy(report.of(result, "junit"):find('failures="1"', 1, true))
    assert.equal("fail", fg.json.decode(report.of(result, "json")).verdict)
  end)

  it("has budgets by function, and changes that are meant", function()
    assert.equal("pass", judged({}, { sort = 260 }, "50%").answer)
    assert.equal("fail", judged({}, { sort = 260 }, "total=20%,sort=10%").answer)
    assert.equal("pass", judged({}, { sort = 260 }, "total=20%,hash=10%").answer)
    local expect = { require "flamegraph.pattern".compile "^sort$" }
    assert.equal("pass", judged({}, { sort = 260 }, "total=20%,sort=10%", { expect = expect }).answer)
  end)

  it("knows what moved from what grew", function()
    local result = judged({ other = nil }, { sort = 0, other = 199 }, "10%")
    assert.equal("pass", result.answer)
    assert.equal("sort", result.moved[1].from)
    assert.equal("other", result.moved[1].to)
    assert.is_true(result.moved[1].renamed)
  end)

  it("compares values, whatever rate they were sampled at", function()
    local function run(rate, i)
      local p = fg.profile { types = { { "samples", "count" }, { "cpu", "nanoseconds" } } }
      for _, name in ipairs { "parse", "sort" } do
        local samples = rate * 2 + (i * 7 + #name) % 5
        p:add({ "main", name }, { samples, samples * 1e9 // rate })
      end
      return p:meta { default_type = "cpu", samples = p:total "samples", period = 1e9 // rate }
    end
    local profiles = { before = {}, after = {} }
    for i = 1, 5 do profiles.before[i], profiles.after[i] = run(100, i), run(500, i + 1) end
    for _, type in ipairs { "cpu", "samples" } do
      local options = { names = runs.namer {}, type = type, budgets = assert(judge.budgets "10%"), level = 0.01,
        floor = 10, factor = 1 }
      local taken = runs.count_all(profiles, options)
      assert.equal(profiles.before[1]:total "samples", math.floor(taken.before[1].whole + 0.5))
      assert.equal(profiles.after[1]:total "samples", taken.after[1].samples)
      assert.equal("pass", assert(judge.runs(taken, options)).answer)
    end
  end)

  it("guards what is in every stack by its name, and nothing by a name that is none", function()
    assert.equal("fail", judged({}, { sort = 900 }, "main=3%").answer)
    local list, options = made({}, 3, 0)
    options.budgets, options.level, options.floor, options.factor = assert(judge.budgets "nosuch=3%"), 0.01, 10, 1
    local _, why = judge.runs({ before = list, after = list }, options)
    assert.equal("--budget nosuch=3%: no function of 10 samples a run is called so", why)
  end)

  it("forgives the callers of what is meant to grow, not what else grew in them", function()
    local expect = { expect = { pattern.compile "sort" } }
    assert.equal("pass", judged({}, { sort = 400 }, "5%", expect).answer)
    local result = judged({}, { sort = 400, hash = 400 }, "5%", expect)
    assert.equal("fail", result.answer)
    assert.equal("hash", result.failed[1].kind == "self" and result.failed[1].name or result.failed[2].name)
    assert.equal(1, result.offenders)
  end)

  it("keeps names from breaking reports", function()
    local result = judged({}, { sort = 400 }, "5%")
    for _, f in ipairs(result.failed) do f.name = "a|<b>&`\27\"\n" end
    assert.truthy(report.of(result, "md"):find("``a\\|<b>&` \" ``", 1, true))
    assert.truthy(report.of(result, "junit"):find("a|&lt;b&gt;&amp;`?&quot;", 1, true))
  end)

  it("says what is wrong with a budget", function()
    local _, why = judge.budgets "fast"
    assert.equal("takes 2%, or 'total=1%,REGEX=5%', not 'fast'", why)
    for _, text in ipairs { "2", "total=2", "1" } do assert.is_nil((judge.budgets(text))) end
    assert.equal(0.02, judge.budgets("0.02")[1].share)
  end)
end)

describe("an order of runs", function()
  it("is balanced, and the same for the same seed", function()
    local order, firsts = trial.order(20, trial.random(7)), 0
    for _, first in ipairs(order) do firsts = firsts + (first and 1 or 0) end
    assert.equal(10, firsts)
    assert.same(order, trial.order(20, trial.random(7)))
    assert.not_same(order, trial.order(20, trial.random(8)))
  end)
end)
