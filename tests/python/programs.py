"""Programs that each show the sampler one thing: programs.py NAME. Each prints "ready" and runs until it is ended."""

import asyncio
import ctypes
import multiprocessing
import sys
import threading
import time


def spin(seconds=3600.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(100))


def waits_for_long():
    time.sleep(3600)


def threads():
    for target in (spin, waits_for_long):
        threading.Thread(target=target, daemon=True).start()
    waits_for_long()


def child():
    spin()


def processes():
    for method in ("fork", "spawn"):
        multiprocessing.get_context(method).Process(target=child, daemon=True).start()
    waits_for_long()


async def inner():
    spin(0.01)
    await asyncio.sleep(0)


async def outer():
    while True:
        await inner()


def tasks():
    asyncio.run(outer())


def holds_the_gil():
    ctypes.PyDLL(None).usleep(50000)  # a PyDLL keeps the lock, as many an extension does


def extension():
    threading.Thread(target=spin, daemon=True).start()
    while True:
        holds_the_gil()


def recursion():
    def down(n):
        return down(n - 1) if n else spin(0.05)
    sys.setrecursionlimit(3000)
    while True:
        down(600)


def churn():
    """Code that is made and dropped all the time."""
    while True:
        scope = {}
        exec("def made():\n    return sum(range(200))\n", scope)
        scope["made"]()


if __name__ == "__main__":
    print("ready", flush=True)
    globals()[sys.argv[1]]()
