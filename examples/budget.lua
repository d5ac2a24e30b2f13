#!/usr/bin/env lua5.4
-- flame-graph in stock Lua: does a function take more of a profile than it may?
--
--   lua5.4 examples/budget.lua profile.pb.gz '^hash' 15        exit status 1: more than 15 %
--
-- The same file runs in the command: flame-graph run examples/budget.lua profile.pb.gz '^hash' 15

local fg = require "flamegraph"

local path, pattern, budget = arg[1], arg[2], tonumber(arg[3])
if not budget then
  io.stderr:write "usage: budget.lua PROFILE PATTERN PERCENT\n"
  os.exit(2)
end

local profile, message = fg.read(path)
if not profile then
  io.stderr:write("budget.lua: ", message, "\n")
  os.exit(2)
end

local matching = profile:filter { focus = { pattern } } -- nil: nothing matches
local share = matching and 100 * matching:total() / profile:total() or 0
print(("%s takes %.1f %% of %s"):format(pattern, share, path))
os.exit(share <= budget and 0 or 1)
