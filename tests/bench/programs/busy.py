"""The program of the suite (tests/python/shares.py), which also tells how often it went round."""

import json
import pathlib
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python"))
import shares  # noqa: E402

done = (0, 0.0)  # rounds, and the CPU time of the process after the last of them


def work():
    global done
    while True:
        shares.go_round()
        done = (done[0] + 1, time.process_time())


threading.Thread(target=work, daemon=True).start()
print("ready", flush=True)
for _ in sys.stdin:
    print(json.dumps({"rounds": done[0], "cpu": done[1], **shares.spent}), flush=True)
