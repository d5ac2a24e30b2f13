#!/usr/bin/env python3
"""How much slower a program in Python, Node or .NET is while it is sampled.

    tests/bench/runtimes.py [--seconds N] [--rounds N] [RUNTIME...]

In each round one busy program runs alone and under each sampler, in a random order, for as long. Its speed is rounds of
its loop for each second of CPU time of its whole process: what others do on the machine at the same time does not count,
and what a sampler makes the program itself do, on whichever of its threads, does. A figure is the median over the rounds
of the speed beside that of running alone in the same round.
"""
import argparse
import contextlib
import random
import shutil
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
from sampling import COMMAND, PROGRAMS, cpu_of, fail, told  # noqa: E402


def ours(collector, *flags):
    return lambda pid, seconds, file: [COMMAND, collector, "--quiet", "--pid", pid, "--duration", seconds, *flags,
                                       "--output", f"{file}.folded"]


def py_spy(rate, *flags):
    return lambda pid, seconds, file: [python.PEER / "bin" / "py-spy", "record", "--pid", pid, "--duration", seconds,
                                       "--rate", rate, "--format", "raw", "--function", *flags, "--output", f"{file}.folded"]


def dotnet_program():
    targets.build("dotnet")
    out = targets.OUT / "dotnet"
    subprocess.run(["mcs", "-optimize+", f"-out:{out / 'busy.exe'}", PROGRAMS / "busy.cs"], check=True)
    return [out / "8" / "dotnet", "exec", "--runtimeconfig", out / "8.json", out / "busy.exe"]


# runtime: its program, and the samplers by what the table calls them
RUNTIMES = {
    "Python": (lambda: [python.install() and "/usr/bin/python3", PROGRAMS / "busy.py"], {
        "flame-graph python, 100 Hz": ours("python", "--rate", 100),
        "py-spy --nonblocking, 100 Hz": py_spy(100, "--nonblocking"),
        "flame-graph python, 1000 Hz": ours("python", "--rate", 1000),
        "py-spy --nonblocking, 1000 Hz": py_spy(1000, "--nonblocking"),
        "flame-graph python --blocking, 100 Hz": ours("python", "--blocking", "--rate", 100),
        "py-spy, 100 Hz": py_spy(100),
    }),
    "Node": (lambda: ["node", "--inspect-port=0", PROGRAMS / "busy.js"], {
        "flame-graph hce, each 1000 µs": ours("hce", "--interval-us", 1000),
        "flame-graph hce, each 100 µs": ours("hce", "--interval-us", 100),
    }),
    ".NET 8": (dotnet_program, {
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


def progress(process):
    """Its rounds so far, and the seconds of CPU time of all its threads: clock_getcpuclockid(3)."""
    return told(process)["rounds"], time.clock_gettime(~process.pid << 3 | 2)


def speed(before, after):
    return (after[0] - before[0]) / (after[1] - before[1])


def measure(process, make, options, file):
    """Its speed, and the CPU seconds of the sampler."""
    before, cpu = progress(process), 0.0
    if make:
        cpu = cpu_of(make(process.pid, options.seconds, file), f"{file}.log")
    else:
        time.sleep(options.seconds)
    return speed(before, progress(process)), cpu


def rows_of(runtime, options, folder):
    make, samplers = RUNTIMES[runtime]
    alone, rows = [], {name: [] for name in samplers}
    with program(make()) as process:
        measure(process, None, options, None)  # until it is compiled
        for _ in range(options.rounds):
            for name in random.sample([None, *samplers], len(samplers) + 1):
                (rows[name] if name else alone).append(measure(process, samplers.get(name), options, Path(folder, "p")))
    return alone, rows


def table(options, folder):
    yield (f"Rounds of {options.seconds} s, {options.rounds} of each; `alone` is how much the speed of the program by itself "
           "varied between them: smaller differences mean nothing.\n\n")
    yield "| program | sampler | speed of the program | CPU of the sampler |\n|---|---|---|---|\n"
    for runtime in options.runtimes or RUNTIMES:
        alone, rows = rows_of(runtime, options, folder)
        base = statistics.median(own for own, _ in alone)
        yield f"| {runtime} | alone | {min(alone)[0] / base:.3f} to {max(alone)[0] / base:.3f} | |\n"
        for name, measured in rows.items():
            slower = statistics.median(seen / own for (seen, _), (own, _) in zip(measured, alone))
            cpu = statistics.median(cpu for _, cpu in measured) / options.seconds
            yield f"| {runtime} | {name} | {slower:.3f} | {cpu * 100:.1f} % |\n"


def main():
    parser = argparse.ArgumentParser(description="Measure how much slower programs are while they are sampled.")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("runtimes", nargs="*", metavar="RUNTIME", help=", ".join(RUNTIMES))
    options = parser.parse_args()
    unknown = set(options.runtimes) - RUNTIMES.keys()
    missing = [tool for tool in ("node", "mcs") if not shutil.which(tool)]
    if unknown or missing:
        fail(f"there is no {', '.join([*unknown, *missing])}")
    with tempfile.TemporaryDirectory() as folder:
        for piece in table(options, folder):
            print(piece, end="", flush=True)


if __name__ == "__main__":
    main()
