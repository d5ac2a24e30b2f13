"""The program of the suite (tests/python/shares.py), which also tells how often it went round."""

import json
import pathlib
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python"))
import shares  # noqa: E402

rounds = 0


def work():
    global rounds
    while True:
        shares.go_round()
        rounds += 1


threading.Thread(target=work, daemon=True).start()
print("ready", flush=True)
for _ in sys.stdin:
    print(json.dumps({"rounds": rounds, **shares.spent}), flush=True)
