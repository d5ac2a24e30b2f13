#!/usr/bin/env python3
"""What it costs to sample a Python program, beside py-spy.

    tests/bench/python.py [--python PATH] [--rate N]... [--seconds N] [--rounds N]

In each round the same program runs alone, under ours and under py-spy, in a random order, for as long. Printed are the
sampler's CPU time for each sample that it took (in all, and without what a run of a second costs, where starting weighs
most), the work that the program did per second of its own CPU time beside what it did alone in the same round, and the
shares of its functions, with the program's own clock as the truth. py-spy samples with --nonblocking, as ours does:
otherwise it stops the program for each sample.
"""
import argparse
import contextlib
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from sampling import BUILD, COMMAND, PROGRAMS, cpu_of, fail, load, told  # noqa: E402

PEER = BUILD / "bench" / "peers" / "py-spy"
PY_SPY = "0.4.3"
TARGET = PROGRAMS / "busy.py"
FUNCTIONS = ("half", "third", "rest")


def install():
    """py-spy, once, in an environment of its own."""
    program = PEER / "bin" / "py-spy"
    if not program.exists():
        for command in (["python3", "-m", "venv", PEER], [PEER / "bin" / "pip", "install", "-q", f"py-spy=={PY_SPY}"]):
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
            if done.returncode:
                fail(f"this failed: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}\n"
                     "Python's venv comes with: apt install python3-venv")
    return program


@contextlib.contextmanager
def target(python):
    process = subprocess.Popen([python, TARGET], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def ours(pid, seconds, rate, file):
    return [COMMAND, "python", "--quiet", "--pid", pid, "--duration", seconds, "--rate", rate,
            "--type", "samples", "--output", f"{file}.folded"]


def theirs(pid, seconds, rate, file):
    return [PEER / "bin" / "py-spy", "record", "--pid", pid, "--duration", seconds, "--rate", rate,
            "--format", "raw", "--nonblocking", "--function", "--output", f"{file}.folded"]


SIDES = {"alone": None, "flame-graph": ours, "py-spy": theirs}


def samples_of(path):
    """(samples, {function: samples that have it})"""
    total, having = 0, dict.fromkeys(FUNCTIONS, 0)
    for line in Path(path).read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        total += int(count)
        names = {frame.split(" (")[0] for frame in stack.split(";")}
        for name in names & having.keys():
            having[name] += int(count)
    return total, having


def run(command, file):
    """CPU seconds of a sampler, its samples, and those that have each function."""
    return cpu_of(command, f"{file}.log"), *samples_of(f"{file}.folded")


def measure(process, make, options, rate, file):
    row = {"cpu": 0.0, "samples": 0, "having": dict.fromkeys(FUNCTIONS, 0), "short_cpu": 0.0, "short_samples": 0}
    if make:
        row["short_cpu"], row["short_samples"], _ = run(make(process.pid, 1, rate, file), file)
    before = told(process)
    if make:
        row["cpu"], row["samples"], row["having"] = run(make(process.pid, options.seconds, rate, file), file)
    else:
        time.sleep(options.seconds)
    after = told(process)
    row["truth"] = {name: after[name] - before[name] for name in FUNCTIONS}
    row["speed"] = (after["rounds"] - before["rounds"]) / sum(row["truth"].values())
    return row


def shares(values):
    return {name: value / (sum(values.values()) or 1) for name, value in values.items()}


def each(measured):
    """CPU seconds per sample: in all, and of those that came after the first second."""
    total = {key: sum(row[key] for row in measured) for key in ("cpu", "samples", "short_cpu", "short_samples")}
    if not total["samples"]:
        return None
    further = total["samples"] - total["short_samples"]
    return total["cpu"] / total["samples"], (total["cpu"] - total["short_cpu"]) / further


def show(rows, rate, options):
    print(f"| Python, {rate} samples per second | samples | CPU per sample | without starting | "
          f"speed of the program | {' | '.join(FUNCTIONS)} | 99 % of chance |")
    print("|---|---|---|---|---|" + "---|" * (len(FUNCTIONS) + 1))
    for side, measured in rows.items():
        cost, samples = each(measured), sum(row["samples"] for row in measured)
        key = "having" if cost else "truth"
        found = shares({name: sum(row[key][name] for row in measured) for name in FUNCTIONS})
        cells = [side, samples, *(f"{seconds * 1e6:.0f} µs" for seconds in cost)] if cost else [side, "", "", ""]
        slower = statistics.median(row["speed"] / own["speed"] for row, own in zip(measured, rows["alone"]))
        cells.append(f"{slower:.3f}")
        cells += [f"{found[name]:.1%}" for name in FUNCTIONS]
        cells.append(f"± {258 * math.sqrt(0.25 / samples):.1f} %" if cost else "the program's clock")
        print("| " + " | ".join(map(str, cells)) + " |")
    pairs = zip(each(rows["flame-graph"]), each(rows["py-spy"]))
    print("\nCPU per sample beside py-spy: {:.2f} in all, {:.2f} without starting; ".format(*(a / b for a, b in pairs))
          + f"{options.rounds} rounds of {options.seconds} s, {load()}.\n")


def main():
    parser = argparse.ArgumentParser(description="Measure the sampler of Python programs beside py-spy.")
    parser.add_argument("--python", default="/usr/bin/python3", help="the interpreter that runs the program")
    parser.add_argument("--rate", type=int, action="append", help="samples per second; default: 100, and 1000")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    install()
    for rate in options.rate or (100, 1000):
        rows = {side: [] for side in SIDES}
        with tempfile.TemporaryDirectory() as folder, target(options.python) as process:
            time.sleep(0.5)
            for _ in range(options.rounds):
                for side in random.sample(list(SIDES), len(SIDES)):
                    rows[side].append(measure(process, SIDES[side], options, rate, Path(folder, side)))
        show(rows, rate, options)


if __name__ == "__main__":
    main()
