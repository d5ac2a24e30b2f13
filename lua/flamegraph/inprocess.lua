-- Profiles that a process takes of itself, started by an expression that is evaluated in it: for Bun, whose inspector
-- speaks WebKit's protocol, and whose node:inspector gives what V8 would, with the lines of the source.
--
--   begin ──▶ globalThis[Symbol.for("flame-graph")] = { at: "starting" → "started" → "done", or "failed: why" }
--
-- The answers of node:inspector come later, so that they are left there, and asked for until they have come. What was
-- left is deleted at the end.

local loop = require "flamegraph.loop"
local op = require "flamegraph.op"
local profile = require "flamegraph.profile"

local inprocess = {}

local answer_seconds, poll_seconds = 10, 0.02

local state = 'globalThis[Symbol.for("flame-graph")]'

-- A run that was cut off may have left its state behind: it counts until its time is over.
local begin = [[(() => {
  const key = Symbol.for("flame-graph"), old = globalThis[key];
  if (old && Date.now() < old.until) return "failed: another profile is being taken of it";
  const state = { at: "starting", until: Date.now() + %d };
  Object.defineProperty(globalThis, key, { value: state, configurable: true, enumerable: false });
  const session = new (process.getBuiltinModule("node:inspector").Session)();
  const post = (method, params) => new Promise((done, failed) =>
    session.post(method, params, (error, result) => (error ? failed(error) : done(result))));
  const failed = (error) => { state.at = "failed: " + error.message; session.disconnect(); };
  state.stop = () => post("Profiler.stop").then(({ profile }) => {
    state.profile = JSON.stringify(profile);
    session.disconnect();
    state.at = "done";
  }).catch(failed);
  session.connect();
  post("Profiler.enable").then(() => post("Profiler.setSamplingInterval", { interval: %d }))
    .then(() => post("Profiler.start")).then(() => { state.at = "started"; }).catch(failed);
  return state.at;
})()]]

-- A program that never gets back to its loop answers nothing.
local function evaluate(opened, expression)
  local value, message, code = opened:evaluate(expression, answer_seconds)
  if code == "TIMEOUT" then
    return nil, ("it answers nothing within %d s: a program that does not get back to its event loop cannot be "
      .. "profiled from within"):format(answer_seconds), "UNSUPPORTED"
  end
  return value, message, code
end

local function until_it_is(opened, wanted)
  local ends = op.now() + answer_seconds
  while true do
    local at, message, code = evaluate(opened, state .. ".at")
    if at == wanted then return true end
    if type(at) ~= "string" then return nil, message or "the process has lost the profile", code or "REMOTE" end
    local why = at:match "^failed: (.*)$"
    if why then return nil, why, "REMOTE" end
    if op.now() > ends then return nil, ("it is still %s after %d s"):format(at, answer_seconds), "TIMEOUT" end
    local timer <close> = op.timer(poll_seconds)
    loop.wait(timer)
  end
end

local function record(opened, options)
  local at, message, code = evaluate(opened, begin:format(math.ceil((options.duration + 60) * 1000),
    options.interval_us or 1000))
  if not at then return nil, message, code end
  if at:find "^failed: another" then return nil, at:match "^failed: (.*)$", "REMOTE" end
  local leave <close> = setmetatable({}, { __close = function() -- luacheck: ignore leave
    if opened:open() then opened:evaluate(("delete %s"):format(state), 2) end
  end })
  local ok
  ok, message, code = until_it_is(opened, "started")
  if not ok then return nil, message, code end
  ok, message, code = opened:sleep(options.duration)
  if not ok and code ~= "INTERRUPTED" then return nil, message, code end
  ok, message, code = evaluate(opened, ("(%s.stop(), 1)"):format(state))
  if ok then ok, message, code = until_it_is(opened, "done") end
  if not ok then return nil, message, code end
  return opened:evaluate(state .. ".profile", 60)
end

--- Profile the time of a process that is not Node.
-- @treturn Profile|nil nil, message, code; "UNSUPPORTED" where it does not answer
function inprocess.cpu(opened, options)
  local text, message, code = record(opened, options)
  if not text then return nil, message, code end
  local p
  p, message, code = profile.parse(text, { expect = "cpuprofile", name = "the profile", slices = options.slices })
  if not p then return nil, message, code end
  p:note "functions that the compiler has put into their callers count as those; what follows a wait may be off"
  return p
end

return inprocess
