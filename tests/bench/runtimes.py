#!/usr/bin/env python3
"""How much slower a program in Python, Node or .NET is while it is sampled.

    tests/bench/runtimes.py [--pairs N] [--slice SECONDS] [RUNTIME...]

A busy program runs in turn alone for a slice of time and sampled for another. Its speed in a slice is rounds of its loop
for each second of CPU time of its whole process: what others do on the machine at the same time does not count, and what
a sampler makes the program itself do, on whichever of its threads, does. Caches, clocks and neighbours make that speed
drift; so each sampled slice is compared with the two alone around it, and a figure is the median over many, with an
interval that has the true median in 95 of 100 cases whatever their distribution. `nothing` is measured like a sampler.

A sampler that is all outside of the program is started once, and stopped (SIGSTOP) for the slices alone, which can be
short then. Others are attached and detached in each of their slices, of a second: those that work within the program,
and py-spy, which makes up for samples that it has missed.
"""
import argparse
import contextlib
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE), str(ROOT / "tests" / "targets")]

import python  # noqa: E402
import targets  # noqa: E402
from sampling import COMMAND, PROGRAMS, cpu_of, fail, load, told  # noqa: E402


def ours(collector, *flags):
    return lambda pid, seconds, file: [COMMAND, collector, "--quiet", "--pid", pid, "--duration", seconds, *flags,
                                       "--output", f"{file}.folded"]


def py_spy(rate, *flags):
    return lambda pid, seconds, file: [python.PEER / "bin" / "py-spy", "record", "--pid", pid, "--duration", seconds,
                                       "--rate", rate, "--format", "raw", "--function", *flags, "--output", f"{file}.folded"]


def nothing(_pid, seconds, _file):
    return ["sleep", seconds]


def dotnet_program():
    targets.build("dotnet")
    out = targets.OUT / "dotnet"
    subprocess.run(["mcs", "-optimize+", f"-out:{out / 'busy.exe'}", PROGRAMS / "busy.cs"], check=True)
    return [out / "8" / "dotnet", "exec", "--runtimeconfig", out / "8.json", out / "busy.exe"]


# runtime: its program, and by what the table calls them the samplers that are stopped and those that are attached anew
RUNTIMES = {
    "Python": (lambda: [python.install() and "/usr/bin/python3", PROGRAMS / "busy.py"], {
        "nothing": nothing,
        "flame-graph python, 100 Hz": ours("python", "--rate", 100),
        "flame-graph python, 1000 Hz": ours("python", "--rate", 1000),
        "flame-graph python --blocking, 100 Hz": ours("python", "--blocking", "--rate", 100),
    }, {
        "nothing, for a second": nothing,
        "py-spy --nonblocking, 100 Hz": py_spy(100, "--nonblocking"),
        "py-spy --nonblocking, 1000 Hz": py_spy(1000, "--nonblocking"),
        "py-spy, 100 Hz": py_spy(100),
    }),
    "Node": (lambda: ["node", "--inspect-port=0", PROGRAMS / "busy.js"], {}, {
        "nothing, for a second": nothing,
        "flame-graph hce, each 1000 µs": ours("hce", "--interval-us", 1000),
        "flame-graph hce, each 100 µs": ours("hce", "--interval-us", 100),
    }),
    ".NET 8": (dotnet_program, {}, {
        "nothing, for a second": nothing,
        "flame-graph dotnet": ours("dotnet"),
    }),
}


@contextlib.contextmanager
def program(command):
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.DEVNULL)
    try:
        if process.stdout.readline() != "ready\n":
            fail(f"{' '.join(map(str, command))} did not start")
        yield process
    finally:
        process.kill()
        process.communicate()


# ---- slices ---------------------------------------------------------------------------------------------------------

def statuses(pid, key):
    """The numbers of the lines with such a key of all threads of a process."""
    texts = (path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status"))
    return [int(line.split()[1]) for text in texts for line in text.splitlines() if key in line]


def progress(process):
    """Now, its rounds, the seconds of CPU time of all its threads, and how often these were switched out: they waited,
    were preempted or were held by a tracer."""
    answer = told(process)
    cpu = answer.get("cpu") or time.clock_gettime(~process.pid << 3 | 2)  # clock_getcpuclockid(3)
    return time.monotonic(), answer["rounds"], cpu, sum(statuses(process.pid, "ctxt_switches"))


def slice_of(process, action):
    """Its speed and its switches per second while something is done."""
    before = progress(process)
    action()
    passed, rounds, cpu, switched = (b - a for a, b in zip(before, progress(process)))
    return rounds / cpu, switched / passed


def compared(alone, sampled, pairs):
    """[(speed beside alone, switches per second beyond alone), ...]"""
    rows, before = [], alone()
    for _ in range(pairs):
        during, after = sampled(), alone()
        rows.append((during[0] / math.sqrt(before[0] * after[0]), during[1] - (before[1] + after[1]) / 2))
        before = after
    return rows


def stop(sampler, pid):
    """Stop a sampler, but not while it holds the program."""
    while True:
        sampler.send_signal(signal.SIGSTOP)
        os.waitpid(sampler.pid, os.WUNTRACED)
        if not any(statuses(pid, "TracerPid")):
            return
        sampler.send_signal(signal.SIGCONT)
        time.sleep(0.001)


def with_stops(process, make, options, file):
    """The rows, and the CPU seconds of the sampler for each second that it was let go."""
    pairs, seconds = 10 * options.pairs, options.slice / 10
    with open(f"{file}.log", "wb") as log:
        command = [str(word) for word in make(process.pid, 3600, file)]
        sampler = subprocess.Popen(command, stdout=log, stderr=log)
    begun = time.monotonic()
    time.sleep(1)

    def alone():
        stop(sampler, process.pid)
        return slice_of(process, lambda: time.sleep(seconds))

    def sampled():
        sampler.send_signal(signal.SIGCONT)
        return slice_of(process, lambda: time.sleep(seconds))

    rows = compared(alone, sampled, pairs)
    passed = time.monotonic() - begun - (pairs + 1) * seconds
    sampler.terminate()  # SIGINT may be ignored, in the background of a shell
    sampler.send_signal(signal.SIGCONT)
    usage = os.wait4(sampler.pid, 0)[2]
    sampler.returncode = 0
    return rows, (usage.ru_utime + usage.ru_stime) / passed


def attached_anew(process, make, options, file):
    """The same, of one that is started for each slice."""
    costs = []
    command = make(process.pid, options.slice, file)
    rows = compared(lambda: slice_of(process, lambda: time.sleep(options.slice)),
                    lambda: slice_of(process, lambda: costs.append(cpu_of(command, f"{file}.log"))), options.pairs)
    return rows, statistics.median(costs) / options.slice


# ---- the table ------------------------------------------------------------------------------------------------------

def interval(values):
    """Median, and between which two of the values the median of all that could be drawn is, 95 times in 100."""
    ordered, n = sorted(values), len(values)
    below, k = 0.0, 0
    while (below := below + math.comb(n, k) / 2 ** n) <= 0.025:
        k += 1
    return statistics.median(ordered), ordered[max(k - 1, 0)], ordered[n - max(k, 1)]


def rows_of(runtime, options, folder):
    make, stopped, attached = RUNTIMES[runtime]
    with program(make()) as process:
        slice_of(process, lambda: time.sleep(1))  # until it is compiled
        for measure, samplers in ((with_stops, stopped), (attached_anew, attached)):
            for name, command in samplers.items():
                rows, cpu = measure(process, command, options, Path(folder, "p"))
                speeds, switched = zip(*rows)
                yield name, interval(speeds), statistics.median(switched), cpu


def table(options, folder):
    yield (f"{10 * options.pairs} slices of {options.slice / 10} s under those that are stopped in between, {options.pairs} of "
           f"{options.slice} s under others, each beside the two alone around it; {load()}.\n\n")
    yield ("| program | sampler | speed of the program | 95 % interval | switched out, per second more | CPU of the sampler |\n"
           "|---|---|---|---|---|---|\n")
    for runtime in options.runtimes or RUNTIMES:
        for name, (middle, low, high), switched, cpu in rows_of(runtime, options, folder):
            yield f"| {runtime} | {name} | {middle:.3f} | {low:.3f} to {high:.3f} | {switched:.0f} | {cpu:.1%} |\n"


def main():
    parser = argparse.ArgumentParser(description="Measure how much slower programs are while they are sampled.")
    parser.add_argument("--slice", type=int, default=1, metavar="SECONDS", help="of samplers that are attached anew")
    parser.add_argument("--pairs", type=int, default=30, help="of such slices under each sampler, 6 or more")
    parser.add_argument("runtimes", nargs="*", metavar="RUNTIME", help=", ".join(RUNTIMES))
    options = parser.parse_args()
    unknown = set(options.runtimes) - RUNTIMES.keys()
    missing = [tool for tool in ("node", "mcs") if not shutil.which(tool)]
    if unknown or missing:
        fail(f"there is no {', '.join([*unknown, *missing])}")
    if options.pairs < 6:
        fail("fewer than 6 pairs have no interval")
    with tempfile.TemporaryDirectory() as folder:
        for piece in table(options, folder):
            print(piece, end="", flush=True)


if __name__ == "__main__":
    main()
