"""What the benchmarks of samplers have in common: programs that tell how far they are, and what a sampler costs."""
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("FG_BUILD", HERE.parent.parent / "build"))
COMMAND = BUILD / "flame-graph"
PROGRAMS = HERE / "programs"


def fail(message):
    sys.exit(f"bench: {message}")


def load():
    """How busy the machine is with all that runs: the reader judges what a figure is worth."""
    return f"load average {os.getloadavg()[1]:.1f} on {os.cpu_count()} CPUs"


def told(process):
    """What a program of programs/ says of itself when it is asked: its rounds so far, and more."""
    process.stdin.write("\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def cpu_of(command, log):
    """CPU seconds of a command and what it starts."""
    with open(log, "wb") as out:
        process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        fail(f"{' '.join(map(str, command))}: {Path(log).read_text(errors='replace')}")
    return usage.ru_utime + usage.ru_stime
