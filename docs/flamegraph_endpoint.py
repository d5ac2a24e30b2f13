"""GET /admin/profile?seconds=N for a Python service, which `flame-graph pdie --url …` asks. One file, nothing to install.

    FastAPI      app.add_middleware(flamegraph_endpoint.ASGI)
    Flask        app.wsgi_app = flamegraph_endpoint.WSGI(app.wsgi_app)
    http.server  class Handler(flamegraph_endpoint.Handler, http.server.BaseHTTPRequestHandler): …

The caller proves itself with the header x-api-key; the key is in $RESQ_API_KEY, and without one nobody is let in. The
answer is folded stacks. A value is the CPU time that a thread used until it was seen there, in microseconds: threads that
wait count for nothing. One profile is taken at a time; another request meanwhile gets 409. Where the program runs on the
machine that you are on, `flame-graph python --pid` sees more and costs it nothing.
"""

import asyncio
import hmac
import os
import sys
import threading
import time
import urllib.parse

PATH = "/admin/profile"
MOST_SECONDS = 300
RATE = 100  # samples per second

_busy = threading.Lock()


def _label(code):
    name = getattr(code, "co_qualname", code.co_name)
    place = f"{os.path.basename(code.co_filename)}:{code.co_firstlineno}"
    return f"{name} ({place})".replace(";", ":").replace("\n", " ")


def _stack(frame):
    labels = []
    while frame:
        labels.append(_label(frame.f_code))
        frame = frame.f_back
    return ";".join(reversed(labels))


def _cpu_time(thread):
    """Seconds that a thread has used, asked of the kernel by its number: safe for one that has just ended."""
    try:
        with open(f"/proc/self/task/{thread.native_id}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def _sample(before, totals):
    """Adds to each stack the CPU time that its thread used since the last sample."""
    own, now = threading.get_ident(), {}
    known = {thread.ident: thread for thread in threading.enumerate() if thread.ident != own}
    # All stacks first: what asks the kernel lets the other threads run, and their frames move on.
    stacks = {ident: _stack(frame) for ident, frame in sys._current_frames().items() if ident in known}
    for ident, stack in stacks.items():
        cpu = now[ident] = _cpu_time(known[ident])
        if cpu is not None and before.get(ident) is not None and cpu > before[ident]:
            totals[stack] = totals.get(stack, 0) + cpu - before[ident]
    return now


def profile(seconds):
    """Folded stacks of all other threads, sampled for so long."""
    totals = {}
    before = _sample({}, totals)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(1 / RATE)
        before = _sample(before, totals)
    return "".join(f"{stack} {max(1, round(used * 1e6))}\n" for stack, used in sorted(totals.items()))


def answer(query, key):
    """(status, text) for a request with this query and x-api-key."""
    expected = os.environ.get("RESQ_API_KEY", "")
    if not expected or not hmac.compare_digest(key.encode(), expected.encode()):
        return 401, "x-api-key is missing or wrong\n"
    try:
        seconds = float(urllib.parse.parse_qs(query).get("seconds", ["10"])[0])
    except ValueError:
        return 400, "seconds is a number\n"
    if not 0 < seconds <= MOST_SECONDS:
        return 400, f"seconds is a number up to {MOST_SECONDS}\n"
    if not _busy.acquire(blocking=False):
        return 409, "another profile is being taken\n"
    try:
        return 200, profile(seconds)
    finally:
        _busy.release()


class Handler:
    """For http.server: put it before BaseHTTPRequestHandler. It answers GET of its path, and your own do_GET all others.

    The server has to be a ThreadingHTTPServer."""

    def parse_request(self):
        """Before a do_GET is looked for, as a class's own would hide one here."""
        if not super().parse_request():
            return False
        path, _, query = self.path.partition("?")
        if self.command != "GET" or path != PATH:
            return True
        status, text = answer(query, self.headers.get("x-api-key", ""))
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        return False  # nothing is left to be done


class WSGI:
    """For Flask and other WSGI applications that are served by threads."""

    PHRASES = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 409: "Conflict"}

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        if environ.get("PATH_INFO") != PATH or environ.get("REQUEST_METHOD") != "GET":
            return self.app(environ, start_response)
        status, text = answer(environ.get("QUERY_STRING", ""), environ.get("HTTP_X_API_KEY", ""))
        start_response(f"{status} {self.PHRASES[status]}", [("Content-Type", "text/plain; charset=utf-8")])
        return [text.encode()]


class ASGI:
    """For FastAPI and other ASGI applications; it samples from a thread of its own and holds up no request."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "GET":
            return await self.app(scope, receive, send)
        key = dict(scope["headers"]).get(b"x-api-key", b"").decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        status, text = await asyncio.get_running_loop().run_in_executor(None, answer, query, key)
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})
        return None
