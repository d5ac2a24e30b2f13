-- Completion for shells, by argparse, from the declarations.

local argparse = require "flamegraph.argparse"
local commands = require "flamegraph.commands"
local parser = require "flamegraph.parser"

local completion = {}

local writers = { bash = "get_bash_complete", fish = "get_fish_complete", zsh = "get_zsh_complete" }

--- A script for a shell, or nil where it is none of bash, fish and zsh.
-- @tparam string shell
-- @tparam table own commands beside collectors and recipes: { name = { summary = } }
function completion.script(shell, own)
  if not writers[shell] then return nil end
  local root = argparse("flame-graph"):add_help(false)
  parser.add_flags(root, parser.common)
  for _, kind in ipairs { "collector", "recipe" } do
    for _, entry in ipairs(commands.all(kind)) do
      if entry.declaration then
        local command = root:command(entry.name):add_help(false):description(entry.declaration.summary)
        parser.add_flags(command, entry.declaration.args)
      end
    end
  end
  for name, command in pairs(own) do root:command(name):add_help(false):description(command.summary) end
  return root[writers[shell]](root)
end

return completion
