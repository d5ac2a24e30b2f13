std = "lua54"
max_line_length = 120
files["tests/spec"] = { std = "+busted" }
exclude_files = { "build", "build-*", "**/node_modules" }
