"""Two who would change one process for the while: the second is told, and the first is not disturbed."""

import os
import pathlib
import re
import signal
import subprocess
import time


def is_held(pid):
    folder = f":{os.stat(f'/proc/{pid}').st_ino} "
    return any("FLOCK" in line and folder in line for line in pathlib.Path("/proc/locks").read_text().splitlines())


def one_at_a_time(check, build, what, pid):
    def memory(seconds):
        return subprocess.Popen([build / "flame-graph", "memory", "--pid", str(pid), "--duration", str(seconds), "--output", "-",
                                 "--format", "folded"], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    first = memory(100)
    while first.poll() is None and not is_held(pid):
        time.sleep(0.05)
    second = memory(1)
    told = second.communicate(timeout=60)[1]
    check(f"{what}: the second is told who is at work", second.returncode == 2 and
          re.search(f"process {pid} is being profiled by process {first.pid} .*try again", told), told)
    check(f"{what}: the first goes on", first.poll() is None)
    first.send_signal(signal.SIGINT)
    told = first.communicate(timeout=60)[1]  # where nothing was allocated meanwhile, there is none of it
    check(f"{what}: and ends as if it had been alone", first.returncode == 0 or "give it work" in told or
          "something to do" in told, told)
    check(f"{what}: it is free again", not is_held(pid))
