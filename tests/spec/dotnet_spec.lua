-- fg.dotnet: names, and processes that are none of .NET's. Real runtimes are the suite dotnet's.

local fg = require "flamegraph"

describe("fg.dotnet.readable", function()
  local names = {
    -- generics
    { "Sorter`1[System.UInt32].Quicksort", "Sorter<uint>.Quicksort" },
    { "System.Collections.Generic.Dictionary`2[System.__Canon,System.Collections.Generic.List`1[System.Int32[]]]"
      .. ".TryInsert",
      "System.Collections.Generic.Dictionary<ref, System.Collections.Generic.List<int[]>>.TryInsert" },
    { "Outer`1+Inner`2[System.Byte,Shop.Cart,System.Object].Get", "Outer<byte>.Inner<Shop.Cart, object>.Get" },
    { "System.Collections.Generic.List`1.Add", "System.Collections.Generic.List.Add" },
    { "Foo.System.Collections.Generic.IEnumerable<System.Int32>.GetEnumerator",
      "Foo.System.Collections.Generic.IEnumerable<System.Int32>.GetEnumerator" },
    -- classes in classes, constructors
    { "System.Threading.Tasks.Task+DelayPromise..ctor", "System.Threading.Tasks.Task.DelayPromise.ctor" },
    { "Shop.Cart..cctor", "Shop.Cart.cctor" },
    -- async methods and iterators, of both compilers
    { "Busy+<Fetch>d__5.MoveNext", "Busy.Fetch" },
    { "Busy+<Fetch>c__async0.MoveNext", "Busy.Fetch" },
    { "System.Runtime.CompilerServices.AsyncTaskMethodBuilder`1+AsyncStateMachineBox`1[System.Double,"
      .. "Busy+<Fetch>c__async0].MoveNext",
      "System.Runtime.CompilerServices.AsyncTaskMethodBuilder<double>.AsyncStateMachineBox<Busy.Fetch>.MoveNext" },
    -- lambdas and local functions
    { "Busy+<>c__DisplayClass3_0.<Run>b__1", "Busy.Run.lambda" },
    { "Busy+<>c.<Run>b__0_3", "Busy.Run.lambda" },
    { "Busy+<Run>c__AnonStorey1.<>m__0", "Busy.Run.lambda" },
    { "Busy.<Run>m__0", "Busy.Run.lambda" },
    { "Program.<Main>g__Local|0_1", "Program.Main.Local" },
    -- programs of top-level statements
    { "Program.<Main>$", "Program.Main" },
    { "Program+<<Main>$>d__0.MoveNext", "Program.Main" },
    { "Program+<>c.<<Main>$>b__0_3", "Program.Main.lambda" },
  }

  it("writes what a person would", function()
    for _, pair in ipairs(names) do assert.equal(pair[2], fg.dotnet.readable(pair[1])) end
  end)

  it("leaves what it does not understand", function()
    for _, name in ipairs { "", "Main", ".", "..", ".cctor", "[unknown]", "[thread .NET EventPipe]", "A`1[[",
      "Foo[].Get", "dynamicClass.lambda_method1", "<>", "<", "a]b[c.d", ("x."):rep(4000) .. "`1[System.Int32].f" } do
      assert.equal(name, fg.dotnet.readable(name))
    end
  end)

  it("ends for any name", function()
    for _, part in ipairs { "`1[", "<", "[", "+<>c", ".", "`9+", "]", ">", "A`1[B`1[" } do
      assert.equal("string", type(fg.dotnet.readable(part:rep(500) .. ".x")))
    end
  end)
end)

describe("fg.dotnet.socket", function()
  it("says of another kind of process what to try", function()
    local child <close> = assert(fg.spawn { "sleep", "60", wait = false })
    local path, message, code = fg.dotnet.socket(child.pid)
    assert.is_nil(path)
    assert.matches("^pid %d+ is native, not dotnet: try `flame%-graph perf %-%-pid %d+`$", message)
    assert.equal("INVAL", code)
  end)

  it("is particular about its argument", function()
    assert.error_matches(function() fg.dotnet.socket "12" end, "takes the number of a process")
  end)
end)

describe("the dotnet sampler", function()
  it("says what it takes", function()
    local child <close> = assert(fg.spawn { "sleep", "60", wait = false })
    for options, says in pairs {
      [{}] = "takes the number of a process, `pid`, and the path",
      [{ pid = child.pid }] = "takes the number of a process, `pid`, and the path",
      [{ pid = child.pid, socket = "here" }] = "an absolute path, not \"here\"",
      [{ pid = child.pid, socket = "/nowhere/x" }] = "cannot open /nowhere: No such file",
      [{ pid = child.pid, socket = "/tmp/no-socket" }] = "does not listen on its diagnostics socket",
      [{ pid = child.pid, socket = "/tmp/x", rate = 10 }] = "takes no rate",
    } do
      options.sampler = "dotnet"
      local p, message = fg.sample(options)
      assert.is_nil(p)
      assert.is_truthy(message:find(says, 1, true), message)
    end
  end)
end)
