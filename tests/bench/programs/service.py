"""A service with fixed work: answers requests one after the other until it is told to end. With GROWN set, three of its
functions do more work. `collect` sends the requests and profiles it from outside.
"""

import http.server
import json
import os
import re
import zlib

GROWN = bool(os.environ.get("GROWN"))


def more(count, percent):
    return count + count * percent // 100 if GROWN else count


def parse(count):
    return sum(json.loads('{"a":[%d,2,3]}' % i)["a"][0] for i in range(count))


def ordered(count):
    values = [i * 7919 % 10007 for i in range(count)]
    for i in range(1, len(values)):
        j = i
        while j and i - j < 6 and values[j - 1] > values[j]:
            values[j - 1], values[j] = values[j], values[j - 1]
            j -= 1
    return values[0]


def table(count):
    counts = {}
    for i in range(count):
        key = "k%d" % (i % 997)
        counts[key] = counts.get(key, 0) + 1
    return len(counts)


def match(count):
    word = re.compile("a+b?c[0-9]+")
    found = 0
    for i in range(count):
        if word.search("xxaaac%d" % i):
            found += 1
    return found


def hashed(count):
    value = 2166136261
    for i in range(count):
        value = ((value ^ (i & 255)) * 16777619) & 0xFFFFFFFF
    return value


def packed(count):
    return len(zlib.compress(b"".join(b"%d," % i for i in range(count))))


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


class Node:
    def __init__(self, depth):
        self.children = [Node(depth - 1), Node(depth - 1)] if depth else []

    def size(self):
        return 1 + sum(child.size() for child in self.children)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece

    def do_GET(self):  # noqa: N802
        values = (parse(250), ordered(more(900, 25)), table(1500), match(more(1200, 60)), hashed(more(9000, 10)),
                  packed(1500), fibonacci(14), Node(6).size())
        body = json.dumps(values).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
