"""Leaks 100 KB a tenth of a second in `leaks`; `comes_and_goes` holds memory for a while."""

import random
import time

kept = []


def leaks():
    kept.append(bytes(100_000))


def comes_and_goes():
    return [bytes(1000) for _ in range(random.randrange(10, 2000))]


print("ready", flush=True)
while True:
    leaks()
    held = comes_and_goes()
    time.sleep(0.1)
