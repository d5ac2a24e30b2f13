"""How the programs are built and asked; what a profile says of them."""

import contextlib
import json
import math
import os
import pathlib
import re
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("FG_BUILD", HERE.parent.parent / "build")).resolve()
SOURCES = HERE / "programs"

C = ["cc", "-O2", "-g", "-Wall", "-pthread"]
POINTERS, NO_POINTERS = "-fno-omit-frame-pointer", "-fomit-frame-pointer"
RUST = ["rustc", "--edition", "2021", "-O", "-g", "-C", "force-frame-pointers=yes"]
# program: the commands that build it; {} is the folder that they are run in
PROGRAMS = {
    "work": [[*C, POINTERS, SOURCES / "work.c", "-o", "work"]],
    "static": [[*C, POINTERS, "-static", SOURCES / "work.c", "-o", "static"]],
    "cxx": [["c++", "-O2", "-g", "-pthread", POINTERS, SOURCES / "work.cc", "-o", "cxx"]],
    "rust": [[*RUST, SOURCES / "work.rs", "-o", "rust"]],
    "rust-v0": [[*RUST, "-C", "symbol-mangling-version=v0", SOURCES / "work.rs", "-o", "rust-v0"]],
    "linked": [[*C, NO_POINTERS, "-shared", "-fPIC", SOURCES / "library.c", "-o", "libwork.so"],
               [*C, NO_POINTERS, SOURCES / "linked.c", "-L.", "-lwork", "-Wl,-rpath,$ORIGIN", "-o", "linked"]],
    "waits": [[*C, POINTERS, SOURCES / "waits.c", "-o", "waits"]],
    "begun": [[*C, POINTERS, SOURCES / "begun.c", "-o", "begun"]],
    "forbids": [[*C, SOURCES / "forbids.c", "-o", "forbids"]],
    "jit": [[*C, POINTERS, SOURCES / "jit.c", "-o", "jit"]],
}

counts = {True: 0, False: 0}


def check(what, good, told=""):
    counts[bool(good)] += 1
    print(f"{'ok' if good else 'not ok'} - {what}", flush=True)
    if not good:
        print("".join(f"    {line}\n" for line in str(told).splitlines()), end="", flush=True)
    return bool(good)


def build(name, folder):
    """The program as a path, or None, which is a failure that says why."""
    for command in PROGRAMS[name]:
        try:
            done = subprocess.run(list(map(str, command)), cwd=folder, text=True, capture_output=True)
        except FileNotFoundError:
            check(f"{name}: there is {command[0]}: sudo apt install gcc g++ rustc", False)
            return None
        if not done.returncode == 0:
            check(f"{name}: {' '.join(map(str, command))}", False, done.stderr)
            return None
    return folder / name


@contextlib.contextmanager
def program(*command, **how):
    """A program that has said "ready"."""
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               start_new_session=True, **how)
    try:
        assert process.stdout.readline() == "ready\n", f"{command} did not start"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        process.stdin.close()
        process.stdout.close()


def spent(process):
    """CPU seconds of each piece of work so far, by the program's own clocks."""
    process.stdin.write("\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def wait_for_start(engine):
    """Until a sampler that was just started samples: perf record lets its command go, `sleep`, when it does."""
    time.sleep(0.5)
    for _ in range(200 if engine == "perf" else 0):
        names, parents = {}, {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                pid, name, parent = re.match(r"(\d+) \((.*)\) \S (\d+)", stat.read_text(), re.S).groups()
                names[pid], parents[pid] = name, parent
        if any(names[pid] == "sleep" and names.get(parent) == "perf" and
               parents.get(parents[parent]) == str(os.getpid()) for pid, parent in parents.items()):
            return
        time.sleep(0.1)


def flame_graph(*arguments, **how):
    return subprocess.run([str(BUILD / "flame-graph"), *map(str, arguments)], text=True, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=120, **how)


class Profile:
    """What `flame-graph perf` made: `stacks` {(frame, …): samples}, `told` the summary; `error` where it made none."""

    command, value = "perf", "samples"

    def __init__(self, folder, *arguments, picture="profile.svg", **how):
        path = pathlib.Path(folder, picture)
        path.unlink(missing_ok=True)
        self.done = flame_graph(self.command, "--output", path, *arguments, **how)
        self.error = self.done.stderr
        self.stacks, self.told = {}, {}
        if path.exists():
            self.read(path)

    def read(self, path):
        def as_(form, *more):
            return flame_graph("file", "--quiet", "--input", path, "--output", "-", "--format", form, *more).stdout

        self.told = json.loads(as_("json"))
        for line in as_("folded", "--type", self.value).splitlines():
            stack, _, value = line.rpartition(" ")
            self.stacks[tuple(stack.split(";"))] = int(value)

    @property
    def samples(self):
        return sum(self.stacks.values())

    def having(self, pattern):
        """Samples with such a frame in their stack."""
        known = re.compile(pattern)
        return sum(n for stack, n in self.stacks.items() if any(known.fullmatch(frame) for frame in stack))

    def of(self, *patterns):
        """Samples that have such frames in this order, nothing between."""
        known = [re.compile(pattern) for pattern in patterns]

        def fits(stack):
            return any(all(k.fullmatch(frame) for k, frame in zip(known, stack[i:]))
                       for i in range(len(stack) - len(known) + 1))

        return sum(n for stack, n in self.stacks.items() if fits(stack))

    def __str__(self):
        rows = sorted(self.stacks.items(), key=lambda row: -row[1])[:25]
        return self.error + "".join(f"{n} {';'.join(stack)}\n" for stack, n in rows)


# Of a right sampler, one check in ten thousand is outside by chance: the two-sided 99.99 % quantile of the normal
# distribution, with the binomial's variance. Timers tick more evenly than chance, which makes it wider than it need be.
QUANTILE = 3.89


def interval(true, samples):
    """How far a share that is `true` may be off in so many samples."""
    return QUANTILE * math.sqrt(true * (1 - true) / samples) + 1 / samples if samples else 1


def check_shares(what, profile, before, after, pattern="{}"):
    """The functions' samples against the program's own clocks. `pattern` makes a frame's name of a function's."""
    work = {name: after[name] - before.get(name, 0) for name in after}
    seen = {name: profile.having(pattern.format(name)) for name in work}
    samples = sum(seen.values())
    if not check(f"{what}: a profile", samples, profile):
        return
    for name, seconds in work.items():
        true, share = seconds / sum(work.values()), seen[name] / samples
        off = interval(true, samples)
        check(f"{what}: {name} {share:.1%}, by the program's clock {true:.1%} ± {off:.1%}", abs(true - share) <= off,
              profile)
