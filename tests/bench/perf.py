#!/usr/bin/env python3
"""What `flame-graph perf` costs the program that it looks at, and the machine, beside `perf record`.

    tests/bench/perf.py [--seconds N] [--rounds N]

In each round one busy program runs alone and under each sampler, in a random order, for as long. Its speed is rounds of
its loop for each second of its own CPU time: what others do on the machine at the same time does not count. A figure is
the median over the rounds of the speed beside that of running alone in the same round. The samplers' CPU time includes
starting; ours includes naming the stacks and writing the profile, which for theirs is the work of `perf script` and what
comes behind it, measured apart.
"""
import argparse
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from sampling import COMMAND, PROGRAMS, cpu_of, fail, told  # noqa: E402


def ours(pid, seconds, folder, rate, unwind):
    return [[COMMAND, "perf", "--quiet", "--pid", pid, "--duration", seconds, "--rate", rate, "--unwind", unwind,
             "--type", "samples", "--output", folder / "ours.folded"]]


def theirs(pid, seconds, folder, rate, unwind):
    graph = {"fp": "fp", "dwarf": "dwarf,8192"}[unwind]
    return [["perf", "record", "--quiet", "--event", "cpu-clock", "--freq", rate, "--call-graph", graph, "--pid", pid,
             "--output", folder / "perf.data", "--", "sleep", seconds],
            ["sh", "-c", f"perf script --input {folder}/perf.data >{folder}/perf.txt"]]


SIDES = {"flame-graph": ours, "perf record": theirs}
CASES = [(rate, unwind, side) for rate, unwind in ((99, "fp"), (999, "fp"), (99, "dwarf"), (999, "dwarf"))
         for side in SIDES]


def speed(before, after):
    return (after["rounds"] - before["rounds"]) / (after["cpu"] - before["cpu"])


def measure(process, case, options, folder):
    rate, unwind, side = case
    sampling, *later = SIDES[side](process.pid, options.seconds, folder, rate, unwind)
    before = told(process)
    cpu = cpu_of(sampling, folder / "log")
    after = told(process)
    return {"speed": speed(before, after), "cpu": cpu, "later": sum(cpu_of(command, folder / "log") for command in later)}


def alone(process, options):
    before = told(process)
    subprocess.run(["sleep", str(options.seconds)], check=True)
    return speed(before, told(process))


def table(rows, base, options):
    varied = (max(base) / min(base) - 1) * 100
    yield (f"One busy thread, stacks of some 24 frames, {options.rounds} rounds of {options.seconds} s. Running alone in each "
           f"round, its speed varied by {varied:.1f} %: smaller differences mean nothing.")
    if varied > 5:
        yield " The machine was busy with other work, or its host was: the speeds say little, the CPU times do."
    yield "\n\n"
    yield "| rate | callers by | sampler | speed of the program | CPU of the sampler | to a readable profile |\n"
    yield "|---|---|---|---|---|---|\n"
    for (rate, unwind, side), measured in rows.items():
        slower = statistics.median(row["speed"] / own for row, own in zip(measured, base))
        cpu, later = (statistics.median(row[key] / options.seconds for row in measured) for key in ("cpu", "later"))
        by = {"fp": "frame pointers", "dwarf": "call frame information"}[unwind]
        yield (f"| {rate} Hz | {by} | {side} | {slower:.3f} | {cpu * 100:.2f} % | "
               + (f"and {later * 100:.2f} %, perf script |\n" if later else "included |\n"))


def main():
    parser = argparse.ArgumentParser(description="Measure what the native sampler costs beside perf record.")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not shutil.which("perf"):
        fail("there is no perf; install it with: apt install linux-perf")
    base, rows = [], {case: [] for case in CASES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(["cc", "-O2", "-g", "-pthread", "-fno-omit-frame-pointer", PROGRAMS / "native.c", "-o",
                        folder / "native"], check=True)
        process = subprocess.Popen([folder / "native"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            for _ in range(options.rounds):
                for case in random.sample([None, *CASES], len(CASES) + 1):
                    if case:
                        rows[case].append(measure(process, case, options, folder))
                    else:
                        base.append(alone(process, options))
        finally:
            process.kill()
            process.communicate()
    print("".join(table(rows, base, options)), end="")


if __name__ == "__main__":
    main()
