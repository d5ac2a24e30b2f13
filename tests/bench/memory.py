#!/usr/bin/env python3
"""What `flame-graph memory` costs the program that it watches: CPU time of an allocation with it and without, in turn.

Programs that do nothing but allocate: the worst case. The table is what docs/overhead.md has.
"""

import os
import pathlib
import signal
import statistics
import subprocess
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
MEMORY = HERE.parent / "memory"
BUILD = pathlib.Path(os.environ.get("FG_BUILD", HERE.parent.parent / "build")).resolve()
ROUNDS, SECONDS = 3, 1.5
C, PYTHON = "malloc and free", "Python, an object of 600 bytes"


class Program:
    """Prints what an allocation takes, all the time; `costs` is what it printed lately."""

    def __init__(self, command):
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.process.stdout.readline()
        self.costs = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.costs.append(float(line))

    def cost(self):
        """From now on; what was begun before does not count."""
        self.costs.clear()
        time.sleep(SECONDS / 2)
        while len(self.costs) < 4 and self.process.poll() is None:
            time.sleep(0.1)
        return statistics.median(self.costs[1:])


def is_attached(pid, flags):
    """Whether all events are open, where there are any (not for Python)."""
    def events():
        return sum(name.endswith("[perf_event]") for name in links(f"/proc/{pid}/fd"))

    if "--depth" in flags:
        return True
    before = events()
    time.sleep(0.3)
    return before and events() == before


def links(folder):
    for name in os.listdir(folder):
        try:
            yield os.readlink(os.path.join(folder, name))
        except FileNotFoundError:
            pass


def watched(program, flags):
    """The cost in the middle of a profile."""
    profile = subprocess.Popen([BUILD / "flame-graph", "memory", "--quiet", "--pid", str(program.process.pid), "--duration",
                                "100", "--output", "/dev/null", "--format", "folded", *flags],
                               stderr=subprocess.DEVNULL)  # where all is freed again, nothing is in use
    until = time.time() + 20 * SECONDS
    while not is_attached(profile.pid, flags) and time.time() < until:
        time.sleep(0.1)
    time.sleep(SECONDS)
    cost = program.cost()
    profile.send_signal(signal.SIGINT)
    profile.wait()
    return cost


def row(what, command, flags):
    program = Program(command)
    pairs = [(program.cost(), watched(program, flags)) for _ in range(ROUNDS)]
    program.process.kill()
    bare, cost = (statistics.median(column) for column in zip(*pairs))
    print(f"| {what} | `{' '.join(flags)}` | {bare:.0f} ns | {cost:.0f} ns | {cost / bare:.1f} |", flush=True)


def main():
    print("| what | how | bare | watched | ratio |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder, "allocate")
        subprocess.run(["cc", "-O2", "-o", program, MEMORY / "allocate.c"], check=True)
        for period in (1000, 100, 1):
            row(C, [program, "cost"], ["--engine", "malloc", "--period", str(period)])
        for period in (100, 1):
            row(C, [program, "cost"], ["--live", "--period", str(period)])
        for depth in (1, 16, 25):
            row(PYTHON, ["/usr/bin/python3", MEMORY / "allocate.py", "cost"], ["--depth", str(depth)])


main()
