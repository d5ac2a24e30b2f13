"""Three functions that burn known shares of one thread's CPU time; prints these every second, ended by its input."""

import json
import sys
import threading
import time

spent = {"half": 0.0, "third": 0.0, "rest": 0.0}


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


def timed(function, units):
    begun = time.thread_time()
    function(units)
    spent[function.__name__] += time.thread_time() - begun


def go_round(units=2000):
    for function in (half, third, rest):
        timed(function, units)


def work():
    while True:
        go_round()


def main():
    threading.Thread(target=work, daemon=True, name="worker").start()
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(spent), flush=True)


if __name__ == "__main__":
    main()
