-- The command line. Every collector and every recipe is a subcommand, built from its declaration.

local check = require "flamegraph.check"
local commands = require "flamegraph.commands"
local log = require "flamegraph.log"
local op = require "flamegraph.op"
local output = require "flamegraph.output"
local parser = require "flamegraph.parser"
local profile = require "flamegraph.profile"
local progress = require "flamegraph.progress"
local run = require "flamegraph.run"
local scripts = require "flamegraph.scripts"

-- What few commands use is loaded by these: rarely.doctor.report().
local rarely = setmetatable({}, { __index = function(_, name) return require("flamegraph." .. name) end })

local cli = {}

-- Exit statuses. `regression` and `inconclusive` are what the recipes that judge return.
local status = { done = 0, regression = 1, trouble = 2, inconclusive = 3, interrupted = 130 }

local debugging = false

local function fail(who, message)
  log.error(who, message)
  return status.trouble
end

local function usage(who, message)
  log.error(who, ("%s\nTry '%s --help'."):format(message, who))
  return status.trouble
end

-- ---- running a declaration --------------------------------------------------------------------------------------

-- The function of the declaration that runs now. An error that a tail call has robbed of its line is at least blamed
-- on this function.
local running

-- `assert(fg.read(path))`: what the library returns for a failure has a code. Nothing is wrong with the script then, so
-- the message goes first and alone, and the script's line behind it; the code decides on the exit status.
local Failure = { __tostring = function(failure) return failure.message end }

local function assert_with_code(...)
  local ok, message, code = ...
  if ok then return ... end
  if message ~= nil and type(message) ~= "string" then error(message, 0) end
  if type(code) ~= "string" then check.fail("%s", message or "assertion failed!") end
  local info = debug.getinfo(2, "Sl")
  local where = info.source:find("^@") and ("in %s:%d"):format(info.short_src, info.currentline) or nil
  error(setmetatable({ message = message, code = code, where = where }, Failure), 0)
end

-- An error value that is no text and cannot say what it is, as `error { code = 3 }` raises it.
local function described(problem)
  local meta = getmetatable(problem)
  if type(problem) == "string" or meta and meta.__tostring then return problem end
  local said = { "the error value is a " .. type(problem) }
  for _, field in ipairs(type(problem) == "table" and { "message", "code" } or {}) do
    local value = rawget(problem, field)
    if type(value) == "string" or type(value) == "number" then said[#said + 1] = ("%s: %s"):format(field, value) end
  end
  return table.concat(said, ", ")
end

-- A script's error: its file, line and message. A traceback only where it is asked for. A table is a failure with a
-- code: of assert, or Ctrl-C.
local function explain(problem)
  problem = described(problem)
  if type(problem) == "string" and running and not problem:find("^[^\n]-:%d+: ") then
    local info = debug.getinfo(running, "S")
    problem = ("%s:%d: %s"):format(info.short_src, info.linedefined, problem)
  end
  if not debugging then return problem end
  local failure = type(problem) == "table" and problem or {}
  return { message = debug.traceback(tostring(problem), 2), code = failure.code, where = failure.where }
end

local function finish(who, outcome, message, code)
  if outcome == nil and message then
    if code == "INTERRUPTED" then
      log.error(who, message)
      return status.interrupted
    end
    return fail(who, message)
  end
  if type(outcome) == "string" and status[outcome] then
    if message then log.info(message) end
    return status[outcome]
  end
  return math.type(outcome) == "integer" and outcome or status.done
end

-- Guarded: functions that raise end with the message and status 2.
local function guarded(who, action)
  local results = table.pack(xpcall(action, explain))
  if results[1] then return table.unpack(results, 2, results.n) end
  local problem = results[2]
  if type(problem) ~= "table" then return fail(who, tostring(problem)) end
  local exit = finish(who, nil, tostring(problem.message or problem), problem.code)
  if problem.where then log.hint(problem.where) end
  return exit
end

local function run_declaration(who, declaration, words)
  local given, common = parser.parse(who, declaration.args, words)
  if not given then return usage(who, common) end
  if common.help then
    print(rarely.help.command(who, declaration))
    return status.done
  end
  local values, why, source = run.prepare(declaration, given)
  if not values then return (source == "config" and fail or usage)(who, why) end
  running = declaration.run or declaration.collect
  return finish(who, run.declaration(declaration, values))
end

-- ---- commands of the command itself -------------------------------------------------------------------------------

local own = {}

local function unknown_command(name)
  local names = {}
  for known in pairs(own) do names[#names + 1] = known end
  for _, kind in ipairs { "collector", "recipe" } do
    for _, entry in ipairs(commands.all(kind)) do names[#names + 1] = entry.name end
  end
  local nearest = check.nearest(name, names)
  return ("there is no command '%s'%s"):format(name, nearest and (": is '%s' meant?"):format(nearest) or "")
end

local function simple_list(kind)
  local rows = {}
  for _, entry in ipairs(commands.all(kind)) do
    rows[#rows + 1] = { entry.name, entry.declaration and entry.declaration.summary or entry.problem }
  end
  return rows
end

local function own_rows()
  local rows = {}
  for name, command in pairs(own) do rows[#rows + 1] = { name, command.summary } end
  table.sort(rows, function(a, b) return a[1] < b[1] end)
  return rows
end

local function overview()
  return rarely.help.overview {
    { title = "Collectors", rows = simple_list "collector" },
    { title = "Recipes", rows = simple_list "recipe" },
    { title = "Commands", rows = own_rows() },
  }
end

own.list = {
  summary = "List collectors and recipes, and the files that shadow built-in ones",
  run = function()
    local sections = {}
    for _, kind in ipairs { "collector", "recipe" } do
      local lines = { kind:sub(1, 1):upper() .. kind:sub(2) .. "s:" }
      for _, entry in ipairs(commands.all(kind)) do
        lines[#lines + 1] = ("  %-16s%s"):format(entry.name,
          entry.declaration and entry.declaration.summary or entry.problem)
        if entry.found.path then
          lines[#lines + 1] = ("  %16s%s%s"):format("", entry.found.path,
            entry.found.shadows and " (shadows the built-in one)" or "")
        end
      end
      sections[#sections + 1] = table.concat(lines, "\n")
    end
    print(table.concat(sections, "\n\n"))
    return status.done
  end,
}

-- What `help` can explain beside commands.
local topics = { formats = function() return rarely.help.formats() end }

own.help = {
  summary = "Explain a command; `help formats` lists the formats",
  run = function(words)
    local name = words[1]
    if not name then
      print(overview())
    elseif topics[name] then
      print(topics[name]())
    elseif own[name] then
      print(("%s\n\nUsage: flame-graph %s"):format(own[name].summary, own[name].usage or name))
    else
      local entry = commands.find(name)
      if not entry then return usage("flame-graph", unknown_command(name)) end
      print(rarely.help.command("flame-graph " .. name, entry.declaration))
    end
    return status.done
  end,
}

own.doctor = {
  summary = "Tell which collectors and engines work here, and what the others lack",
  usage = "doctor [COLLECTOR...]",
  run = function(words)
    local report, works = rarely.doctor.report(words)
    if not report then return usage("flame-graph doctor", works) end
    print(report)
    return works and status.done or status.trouble
  end,
}

own.run = {
  summary = "Run a recipe, a collector or a plain script from a file: run FILE.lua [OPTION...]",
  usage = "run FILE.lua [OPTION...]",
  run = function(words)
    local path = words[1]
    if not path or path:find("^%-") then return usage("flame-graph run", "which file? run FILE.lua [OPTION...]") end
    local rest = table.move(words, 2, #words, 1, {})
    output.prepare()
    local declaration, why = commands.load_file(path, rest)
    if why then return fail("flame-graph run", why) end
    if not declaration then return status.done end -- a plain script: it has run
    return run_declaration("flame-graph run " .. path, declaration, rest)
  end,
}

own.completion = {
  summary = "Print completions for a shell: source <(flame-graph completion bash)",
  usage = "completion bash|fish|zsh",
  run = function(words)
    local script = rarely.completion.script(words[1], own)
    if not script then return usage("flame-graph completion", "for which shell? bash, fish or zsh") end
    print(script)
    return status.done
  end,
}

own.man = {
  summary = "Print the manual page: flame-graph man | man -l -",
  run = function()
    print(rarely.man.page(own))
    return status.done
  end,
}

own.source = {
  summary = "Print the file of a collector or recipe: the start of one of your own",
  usage = "source NAME",
  run = function(words)
    local entry = words[1] and commands.find(words[1])
    if not entry then return usage("flame-graph source", words[1] and unknown_command(words[1]) or "of which?") end
    io.write(entry.found.text)
    return status.done
  end,
}

own.version = {
  summary = "Print the version",
  run = function()
    print("flame-graph " .. profile.version)
    return status.done
  end,
}

-- ---- finding the command ------------------------------------------------------------------------------------------

local early = { ["--quiet"] = "quiet", ["--debug"] = "debug" } -- flags that count wherever they stand
local leading = { ["--help"] = "help", ["-h"] = "help", ["--version"] = "version" } -- and in front of the command

-- Split the command line. The flags of `early` and --lua-path are needed before the command is loaded; behind the
-- command they stay among its words, whose parser knows them.
local function split(words)
  local line, i = { folders = {}, words = {} }, 1
  while i <= #words do
    local word, first = words[i], i
    local folder = word:match("^%-%-lua%-path=(.*)$")
    if word == "--lua-path" then
      i = i + 1
      folder = words[i]
      if not folder then return nil, "option '--lua-path' requires an argument" end
    end
    local flag = early[word] or not line.name and leading[word]
    if folder then line.folders[#line.folders + 1] = folder end
    if flag then line[flag] = true end
    if line.name then
      table.move(words, first, i, #line.words + 1, line.words)
    elseif not folder and not flag then
      if word:find("^%-") then return nil, ("unknown option '%s'"):format(word) end
      line.name = word
    end
    i = i + 1
  end
  return line
end

local dispatch

-- Without a command: somebody at a terminal is asked, anything else gets the help.
local function pick()
  if not rarely.picker.possible() then return own.help.run {} end
  local collector, pid = rarely.picker.ask()
  if not collector then return op.interrupts() > 0 and status.interrupted or status.done end
  log.info(("flame-graph %s --pid %s"):format(collector, pid))
  return dispatch { name = collector, words = { "--pid", pid } }
end

function dispatch(line)
  if line.version then return own.version.run() end
  if line.help then return own.help.run { line.name } end
  if not line.name then return pick() end
  local command = own[line.name]
  if command then
    if line.words[1] == "--help" then return own.help.run { line.name } end
    return command.run(line.words)
  end
  local entry = commands.find(line.name)
  if not entry then return usage("flame-graph", unknown_command(line.name)) end
  return run_declaration("flame-graph " .. line.name, entry.declaration, line.words)
end

--- Run the command.
-- @tparam {string,...} words the command line; [0] is the program
-- @treturn integer the exit status
function cli.main(words)
  local line, why = split(words)
  if not line then return usage("flame-graph", why) end
  debugging = line.debug
  log.quiet = line.quiet
  progress.shown = true
  scripts.prepend(line.folders)
  assert = assert_with_code -- luacheck: ignore
  op.signals(true)
  local who = "flame-graph" .. (line.name and " " .. line.name or "")
  return guarded(who, function() return dispatch(line) end)
end

return cli
