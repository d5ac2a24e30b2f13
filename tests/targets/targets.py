"""Real programs to profile: builds, starts, loads and ends them.

A target is a folder here with a target.json:
  summary   what it is
  needs     commands it takes, each with the Debian packages that bring it
  build     command that builds it into {out}; left out when there is nothing to build
  start     command that serves on 127.0.0.1:$PORT (0: any free port) and prints "listening on URL" first
  profile   how the suite `run` profiles it: see there; left out for those of other suites
In commands, {source} is the target's folder and {out} its folder for build products, also $OUT. The service
finds the token that it has to ask for in $TARGET_TOKEN.
"""

import contextlib
import http.client
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent.parent / "build" / "targets"
MARK = "FLAME_GRAPH_TARGET"  # in the environment of each target: what may be ended by its pid
START_SECONDS = 20
END_SECONDS = 5


class Trouble(Exception):
    """Something that a person has to see to; its text says what."""


def names():
    return sorted(path.parent.name for path in HERE.glob("*/target.json"))


def description(name):
    if name not in names():
        raise Trouble(f"no target {name!r}; there are: {', '.join(names())}")
    return json.loads((HERE / name / "target.json").read_text())


def command(name, words):
    return [word.format(source=HERE / name, out=OUT / name) for word in words]


def packages_missing(chosen):
    """Debian packages for the commands that are not on PATH."""
    needs = (need for name in chosen for need in description(name)["needs"].items())
    return sorted({package for tool, packages in needs if not shutil.which(tool) for package in packages})


def newest(folder):
    return max((path.stat().st_mtime for path in folder.rglob("*") if path.is_file()), default=0)


def build(name):
    """Builds when something in the target's folder is newer than what was built."""
    told = description(name)
    out = OUT / name
    out.mkdir(parents=True, exist_ok=True)
    missing = packages_missing([name])
    if missing:
        raise Trouble(f"the {name} target needs: apt-get install --no-install-recommends {' '.join(missing)}")
    built = out / ".built"
    if "build" not in told or (built.exists() and built.stat().st_mtime >= newest(HERE / name)):
        return
    with open(out / "build.log", "w+b") as log:
        done = subprocess.run(command(name, told["build"]), cwd=HERE / name, env={**os.environ, "OUT": str(out)},
                              stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        if done.returncode:
            log.seek(0)
            raise Trouble(f"the {name} target did not build:\n" + log.read().decode(errors="replace"))
    built.touch()


class Target:
    """A target that runs. Whoever starts one ends it: use it in a `with`."""

    def __init__(self, name, port=0):
        build(name)
        self.name = name
        self.token = secrets.token_hex(16)
        self.log = OUT / name / "output.log"
        environment = {**os.environ, MARK: name, "PORT": str(port), "TARGET_TOKEN": self.token, "OUT": str(OUT / name)}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command(name, description(name)["start"]), env=environment,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                            start_new_session=True)
        try:
            self.url = self.await_url()
        except BaseException:
            self.end()
            raise

    def await_url(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            for line in self.log.read_text(errors="replace").splitlines():
                if line.startswith("listening on "):
                    return line.split()[-1]
            time.sleep(0.02)
        raise Trouble(f"the {self.name} target did not start:\n{self.log.read_text(errors='replace')}")

    def end(self):
        end_process(self.process.pid, self.process.poll)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def end_process(pid, gone):
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline:
            if gone() is not None:
                return
            time.sleep(0.02)
    raise Trouble(f"process {pid} does not end")


def process_state(pid):
    """None while the process runs, as Popen.poll; a zombie has ended."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return 0
    return 0 if state == "Z" else None


def stop(pid):
    """Ends a target by its pid, and nothing that is not a target."""
    if process_state(pid) is not None:
        return
    if f"{MARK}=".encode() not in pathlib.Path(f"/proc/{pid}/environ").read_bytes():
        raise Trouble(f"process {pid} is not a target")
    end_process(pid, lambda: process_state(pid))


def get(url, timeout=60):
    """The body of a GET; one connection for each, so that a service may close it."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request("GET", f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}")
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise Trouble(f"GET {url} answered {response.status}")
        return body
    finally:
        connection.close()


class Load:
    """Asks for PATH again and again, one request at a time, for at most SECONDS; ends early with its `with`."""

    def __init__(self, url, seconds, path="/work"):
        self.requests, self.failure = 0, None
        self.ending = threading.Event()
        self.deadline = time.monotonic() + seconds
        self.thread = threading.Thread(target=self.drive, args=(url + path,), daemon=True)
        self.thread.start()

    def drive(self, url):
        while time.monotonic() < self.deadline and not self.ending.is_set():
            try:
                get(url)
            except (OSError, http.client.HTTPException, Trouble) as error:
                self.failure = error
                return
            self.requests += 1

    def wait(self):
        self.thread.join()
        if self.failure:
            raise Trouble(f"the load ended after {self.requests} requests: {self.failure}")
        return self.requests

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()
