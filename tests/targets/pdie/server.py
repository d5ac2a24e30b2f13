"""A small Python service to profile: GET /work does one round of all four functions, in their shares.

PORT is the loopback port; 0 takes a free one.
"""

import http.server
import os
import time

ROUND = 0.023  # seconds; not a multiple of a sampler's period
SHARES = {"fibonacci": 0.4, "matrix_multiply": 0.3, "sorting": 0.2, "hashing": 0.1}


def fibonacci(n=12):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def matrix_multiply(side=12):
    left = [[i + j for j in range(side)] for i in range(side)]
    return [[sum(row[k] * left[k][column] for k in range(side)) for column in range(side)] for row in left]


def sorting(count=300):
    values = [(i * 7919) % count for i in range(count)]
    for i in range(1, len(values)):
        j = i
        while j and values[j - 1] > values[j]:
            values[j - 1], values[j] = values[j], values[j - 1]
            j -= 1
            if i - j > 8:
                break
    return values


def hashing(count=2000):
    hashed = 2166136261
    for i in range(count):
        hashed = ((hashed ^ (i & 255)) * 16777619) & 0xFFFFFFFF
    return hashed


def work():
    """Each function for its share of a round, by the clock."""
    for function in (fibonacci, matrix_multiply, sorting, hashing):
        end = time.perf_counter() + ROUND * SHARES[function.__name__]
        while time.perf_counter() < end:
            function()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802
        known = self.path == "/work"
        if known:
            work()
        self.send_response(200 if known else 404)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Handler)
server.daemon_threads = True
print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
