"""Burns CPU time in three functions, and tells at each line of its input how often it went round, and their CPU time."""

import json
import sys
import threading
import time

spent = {"half": 0.0, "third": 0.0, "rest": 0.0}
rounds = 0


def burn(units):
    total = 0
    for i in range(units):
        total += i * i % 7
    return total


def half(units):
    return burn(units * 5)


def third(units):
    return burn(units * 3)


def rest(units):
    return burn(units * 2)


def work():
    global rounds
    while True:
        for function in (half, third, rest):
            begun = time.thread_time()
            function(2000)
            spent[function.__name__] += time.thread_time() - begun
        rounds += 1


threading.Thread(target=work, daemon=True).start()
print("ready", flush=True)
for _ in sys.stdin:
    print(json.dumps({"rounds": rounds, **spent}), flush=True)
