"""Keeps known amounts from known functions as soon as tracemalloc is on, again each time that it is; and does in its main
thread what argv[1] says. "ready BYTES BYTES" first: what keep_bytes and keep_large keep."""

import ctypes
import sys
import threading
import time
import tracemalloc

COUNT = 200
kept = [None] * (2 * COUNT)


def keep_bytes():
    for i in range(COUNT):
        kept[i] = bytes(1000)


class Store:
    def keep_large(self):
        for i in range(COUNT, 2 * COUNT):
            kept[i] = bytes(5000)


class Watch:
    """Whether to allocate: once for each time that tracemalloc was turned on."""

    def __init__(self):
        self.done = False

    def look(self):
        on = tracemalloc.is_tracing()
        if on and not self.done:
            keep_bytes()
            Store().keep_large()
        self.done = on


def watch_forever(pause=0.005):
    watch = Watch()
    while True:
        watch.look()
        if pause:
            time.sleep(pause)


def worker():
    thread = threading.Thread(target=watch_forever, daemon=True)
    thread.start()
    return thread


def busy():
    watch = Watch()
    while True:
        watch.look()
        sum(range(1000))


def keeps_the_lock():
    ctypes.PyDLL(None).sleep(10**6)  # unlike CDLL it does not let go of the interpreter's lock


def waits_for_lock():
    worker()
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def cost():
    """CPU time of an allocation, in nanoseconds, again and again: for the bench."""
    while True:
        start = time.thread_time_ns()
        for _ in range(100):
            [bytes(600) for _ in range(200)]
        print((time.thread_time_ns() - start) / 20000, flush=True)


DOES = {
    "cost": cost,
    "busy": busy,
    "sleeping": watch_forever,
    "long sleep": lambda: (worker(), time.sleep(10**6)),
    "joined": lambda: worker().join(),
    "lock": waits_for_lock,
    "read": lambda: (worker(), sys.stdin.read()),
    "keeps the lock": keeps_the_lock,
}

print("ready", COUNT * sys.getsizeof(bytes(1000)), COUNT * sys.getsizeof(bytes(5000)), flush=True)
DOES[sys.argv[1]]()
