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


def child(begun):
    begun.set()
    spin()


def processes():
    """Says "begun" when both children are at work."""
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        begun = context.Event()
        context.Process(target=child, args=(begun,), daemon=True).start()
        begun.wait()
    print("begun", flush=True)
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


def calls_the_extension():
    import holding  # the suite builds it: holding.c

    while True:
        holding.work(0.05)


def compiled_extension():
    threading.Thread(target=spin, daemon=True).start()
    calls_the_extension()


IN_ANOTHER = """
def in_another_interpreter():
    while True:
        sum(range(100))
in_another_interpreter()
"""


def run_in_another(made):
    try:
        import _interpreters as module  # 3.13
    except ImportError:
        import _xxsubinterpreters as module
    another = module.create()
    made.set()
    module.run_string(another, IN_ANOTHER)


def interpreters():
    """Where the two share one lock, the other hardly lets it go."""
    made = threading.Event()
    threading.Thread(target=run_in_another, args=(made,), daemon=True).start()
    made.wait()
    spin()


def yields(n):
    for x in range(n):
        x = x * x % 7
        x = x * x % 11
        x = x * x % 13
        yield x


def takes():
    total = 0
    for x in yields(1000):
        total += x * x % 5
        total += x % 3
    return total


def generators():
    while True:
        takes()


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
