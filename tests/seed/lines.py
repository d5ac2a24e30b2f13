"""The command lines that people type, word for word, one row each.

  line    what is typed; bash runs it in a folder of the suite's own. $P is the target's process id. Only the time is
          shortened: `--duration 30` is typed as `--duration 2`, and where none is typed the user's config.lua says so.
  folder  a folder of this suite whose files are there as well
  on      the target that it profiles (a folder of tests/targets) while that is under load; none for what reads files
  port    where the target listens, as the defaults of the command expect
  secret  the variable that holds the target's token
  picture where it is, if neither --output nor the usual flamegraph.svg says
  frames  patterns; each has to match a frame in the picture, with a share of PERCENT at least: {pattern: percent}
  says    patterns that standard output has to match
"""

WORK = {"fibonacci": 15, "matrix_multiply": 10, "sorting": 5, "hashing": 2}
DOTNET = {"fibonacci": 10, "matrix_multiply": 7, "sorting": 4, "hashing": 1, r"^Program\.Answer$": 30}
NATIVE = {"fibonacci": 15, "matrix_multiply": 10, "partition|sorting": 5, "hash": 2}  # built without frame pointers: no callers
STACKS = {"^main$": 99, "^parse$": 60, "^serialize$": 30}
CHANGES = {"^main: 100 samples → 100": 0, "^parse: 60 samples → 60": 0, "^added: 0 samples → 40": 0}

LINES = [
    # files
    {"line": "flame-graph file --input stacks.txt --output flamegraph.svg", "frames": STACKS},
    {"line": "flame-graph file stacks.txt", "frames": STACKS},
    {"line": "flame-graph hotcold --input stacks.txt --output hotcold.svg", "frames": STACKS},
    {"line": "flame-graph diff --before before.txt --after after.txt --output diff.svg",
     "frames": CHANGES},
    {"line": "flame-graph diff --before <(cat before.svg) --after <(cat after.svg) --output diff.svg",
     "frames": CHANGES},
    {"line": "flame-graph explain --input flamegraph.svg --api-url http://localhost:5000",
     "says": [r"parse", r"6\d\.\d %", r"the model says: parse is hot"]},

    # services
    {"line": "flame-graph hce", "on": "node", "port": 3000, "secret": "RESQ_TOKEN", "frames": WORK},
    {"line": "flame-graph hce --url http://localhost:3000 --token $RESQ_TOKEN --duration 30 --output hce.svg",
     "on": "node", "port": 3000, "secret": "RESQ_TOKEN", "frames": WORK},
    {"line": "flame-graph api", "on": "rust", "port": 8080, "secret": "RESQ_API_KEY", "frames": WORK},
    {"line": "flame-graph api --url http://localhost:8080 --api-key $RESQ_API_KEY --duration 30 --output api.svg",
     "on": "rust", "port": 8080, "secret": "RESQ_API_KEY", "frames": WORK},
    {"line": "flame-graph pdie", "on": "pdie", "port": 8000, "frames": WORK},
    {"line": "flame-graph pdie --url http://localhost:8000 --duration 30 --output pdie.svg", "on": "pdie", "port": 8000,
     "frames": WORK},

    # processes
    {"line": "flame-graph python --pid $P --duration 30 --output python.svg", "on": "pdie", "frames": WORK},
    {"line": "flame-graph python $P", "on": "pdie", "frames": WORK},
    {"line": "flame-graph dotnet", "on": "dotnet", "frames": DOTNET},
    {"line": "flame-graph dotnet --pid $(pgrep -f Program.exe) --duration 30 --output dotnet.svg", "on": "dotnet",
     "frames": DOTNET},

    {"line": "flame-graph hce --pid $P --duration 30 --output node.svg", "on": "node", "frames": WORK},
    {"line": "flame-graph bun --pid $P", "on": "bun", "frames": WORK},
    {"line": "flame-graph bun --pid $(pgrep -f \"bun run\") --duration 30 --output bun.svg", "on": "bun", "frames": WORK},
    {"line": "flame-graph perf --pid $P --duration 30 --output perf.svg", "on": "rust", "frames": NATIVE},
    {"line": "flame-graph perf $P", "on": "rust", "frames": NATIVE},
    {"line": "flame-graph offcpu --pid $P --duration 30 --output offcpu.svg", "on": "rust",
     "frames": {"schedule": 50, "^sleeping$|^runnable$": 50}},
    {"line": 'flame-graph perf --cmd "cargo bench" --output bench.svg', "folder": "bench",
     "frames": {"seed_bench::fibonacci": 5, "^cargo$": 0}, "says": [r"\d+ rounds"]},
    {"line": "flame-graph memory --pid $P --output memory.svg", "on": "pdie",
     "frames": {r"Thread\._bootstrap": 1}},
    {"line": "flame-graph memory --pid $P --lang python --output memory.svg", "on": "pdie",
     "frames": {r"Thread\._bootstrap": 1}},

    # workflows
    {"line": "flame-graph load_test --collector hce --url http://localhost:3000 --load /work --rps 20 --warmup 1 "
             "--duration 30 --max-error-rate 0.1% --max-p99 30s --report load.md && grep 'Load test: passed' load.md",
     "on": "node", "port": 3000, "secret": "RESQ_TOKEN", "picture": "load_test.svg", "frames": WORK,
     "says": ["passed"]},
    {"line": "flame-graph before_after --collector hce --url http://localhost:3000 --load /work --rps 20 --duration 30 "
             "--after-cmd true",
     "on": "node", "port": 3000, "secret": "RESQ_TOKEN", "picture": "diff.svg",
     "frames": {"^fibonacci: ": 0, "^hashing: ": 0}},
    {"line": "flame-graph hce --output yesterday.svg && "
             "flame-graph compare yesterday.svg hce:http://localhost:3000 --duration 30",
     "on": "node", "port": 3000, "secret": "RESQ_TOKEN", "picture": "diff.svg",
     "frames": {"^fibonacci: ": 0, "^hashing: ": 0}},
    {"line": "flame-graph fleet --collector hce http://localhost:3000 http://localhost:3999 --duration 30",
     "on": "node", "port": 3000, "secret": "RESQ_TOKEN", "picture": "fleet.svg",
     "frames": {"^localhost:3000$": 99, **WORK}},
    {"line": "flame-graph watch --collector hce --url http://localhost:3000 --duration 30 --count 1 && "
             "mv watch/hce-*.svg watch.svg",
     "on": "node", "port": 3000, "secret": "RESQ_TOKEN", "picture": "watch.svg", "frames": WORK},
]
