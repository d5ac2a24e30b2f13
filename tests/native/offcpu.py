"""`flame-graph offcpu`: waits of a program that takes their time itself, with each engine that there is."""

import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
from concurrent import futures

from programs import BUILD, Profile, build, check, flame_graph, program, spent, wait_for_start

SECONDS = 2
# How far a thread's share of its time in a wait may be off: the two measurements do not begin and end together, and the
# waits are of up to 40 ms; the rest is what a loaded machine does to a program meanwhile.
OFF = 0.1
# thread: the function that waits, the account it keeps, and what the kernel does
WAITS = {
    "sleeper": ("sleeps", "nanosleep"),
    "locker": ("blocks_on_lock", "futex"),
    "reader": ("reads_pipe", "pipe"),
    "futex": ("waits_on_futex", "futex"),
}
# The engines, and what a refusal has to name where there is one: no container has BPF, and not every chroot.
TRACEFS, BPF = "sudo mount -t tracefs", "sudo mount -t sysfs|CONFIG_DEBUG_INFO_BTF|setcap cap_bpf|--cap-add"
ENGINES = {"bpf": BPF, "tracepoints": TRACEFS, "perf": TRACEFS, "bpftrace": f"run it outside|{TRACEFS}|{BPF}"}
# What an engine needs to see the caller of a C library without frame pointers; bpf and bpftrace have no such thing.
WHOLE = {"tracepoints": (), "perf": ("--unwind", "dwarf")}
SLEEPS = "echo ready; while :; do sleep 0.05; done"
SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "slices.lua"


class Waits(Profile):
    """What `flame-graph offcpu` made: `stacks` {(thread, frame, …, state): nanoseconds}."""

    command, value = "offcpu", "offcpu"

    def share(self, *patterns):
        """The part of the wall-clock time that a thread spent in stacks with such frames, in this order."""
        known = [re.compile(pattern) for pattern in patterns]

        def fits(stack):
            frames = iter(stack)
            return all(any(k.search(frame) for frame in frames) for k in known)

        seconds = self.told.get("meta", {}).get("duration", 1e9) / 1e9
        return sum(n for stack, n in self.stacks.items() if fits(stack)) / 1e9 / seconds

    @property
    def engine(self):
        return self.told.get("meta", {}).get("engine", "")


class Wall(Waits):
    value = "wall"


def watched(folder, path, *flags, kind=Waits, arguments=(), seconds=SECONDS):
    """(profile, shares of its time that each account's waits took, for each period as long as the profile's)"""
    with program(path, *arguments, cwd=folder) as process, futures.ThreadPoolExecutor() as other:
        time.sleep(0.2)
        making, told = other.submit(kind, folder, "--pid", process.pid, "--duration", seconds, *flags), []
        while not making.done():
            told.append((spent(process), time.monotonic()))
            time.sleep(0.05)
    return making.result(), list(periods(told, seconds))


def periods(told, seconds):
    for i, (before, begun) in enumerate(told):
        for after, ended in told[i:]:
            if ended - begun >= seconds:
                yield {name: (after[name] - before.get(name, 0)) / (ended - begun) for name in after}
                break


def check_waits(what, profile, known, whole):
    """Against the program's own clocks, in the period that fits best: when sampling began is not known to the moment."""
    shares = {function: profile.share(f"^{thread}$", call, "^sleeping$") + profile.share(f"^{thread}$", call, "^runnable$")
              for thread, (function, call) in WAITS.items()}
    if not check(f"{what}: a profile, and as long a time in the program", shares and known, profile):
        return
    true = min(known, key=lambda period: sum(abs(period[function] - share) for function, share in shares.items()))
    for thread, (function, call) in WAITS.items():
        if whole:
            named = profile.share(f"^{thread}$", f"^{function}$", call)
            check(f"{what}: {function} is seen in the wait", named > 0.8 * profile.share(f"^{thread}$", call), profile)
        share = shares[function]
        check(f"{what}: {function} {share:.1%} of its thread's time, by the program's clock {true[function]:.1%}",
              abs(share - true[function]) <= OFF, profile)


def engines(folder):
    """Those that work here; of the others, that their refusal helps."""
    def is_there(engine, remedies, pid):
        done = flame_graph("offcpu", "--pid", pid, "--duration", 0.3, "--engine", engine, "--output", folder / "e.svg")
        if done.returncode == 0 or "not on PATH" in done.stderr:  # the tests say of a program that is missing what is to be done
            return True
        check(f"{engine}: refused, and the refusal helps", re.search(remedies, done.stderr), done.stderr)
        return False

    with program("sh", "-c", SLEEPS) as process:
        return [engine for engine, remedies in ENGINES.items() if is_there(engine, remedies, process.pid)]


def waits(folder):
    path, there = build("waits", folder), engines(folder)
    for engine in there:
        profile, true = watched(folder, path, "--engine", engine, *WHOLE.get(engine, ()))
        check_waits(engine, profile, true, engine in WHOLE)
        check(f"{engine}: it says how it was measured", "sched_switch" in profile.engine, profile.engine)
        if engine in ("bpf", "tracepoints"):
            check_idle(engine, profile)

    # 10 ms and 40 ms, and what a loaded machine adds
    for flag, more, less, engine in (("--max", "^sleeper$", "^reader$", "tracepoints"),
                                     ("--min", "^reader$", "^sleeper$", there[0])):
        profile, _ = watched(folder, path, flag, "25ms", "--engine", engine, seconds=1)
        check(f"{engine}: {flag}: other waits are left out", profile.share(more) > 0.3 > profile.share(less), profile)
    for engine in there:
        profile, _ = watched(folder, path, "--state", "runnable", "--engine", engine, arguments=["busy"], seconds=1)
        check(f"{engine}: --state: other waits are left out", profile.share("^busy$", "^runnable$") > 1 and
              not profile.share("^sleeping$"), profile)
    if "bpf" in there:
        wakers(folder, path)
    begun(folder)
    children(folder, there)
    with tempfile.TemporaryDirectory(dir=BUILD) as place:  # the usual one may be in memory
        profile, _ = watched(pathlib.Path(place), path, arguments=["disk"], seconds=1)
    check("the disk: told from the rest by the kernel's frames", profile.share("^disk$", "sync"), profile)


def check_idle(engine, profile):
    """A thread that is never switched: known from a look at the end."""
    share = profile.share("^idle$", "^idle$", "pause", "^sleeping$") if os.getuid() == 0 else profile.share("^idle$", "^sleeping$")
    check(f"{engine}: a thread that waits all the time, where and how long: {share:.1%}", abs(share - 1) < 0.01 and
          re.search("[12] threads? waited all the time: where is known from one look", profile.error), profile)


def slices(folder):
    """A wait is spread over the time that it took: each slice has the time of all threads, as all of them wait nearly always."""
    path = build("waits", folder)
    ways = {engine: ("--engine", engine) for engine in engines(folder) if engine != "bpftrace"}
    for what, flags in {**ways, "--cpu": ("--cpu",)}.items():
        pictures = [pathlib.Path(folder, f"slices-{side}.svg") for side in "ab"]
        with program(path, cwd=folder) as process:
            for picture in pictures:
                done = flame_graph("offcpu", "--pid", process.pid, "--duration", SECONDS, "--slices", *flags, "--output", picture)
            plain = Waits(folder, "--pid", process.pid, "--duration", 1.2, *flags)
        told = flame_graph("run", SCRIPT, *pictures)
        if not check(f"{what}: two pictures", told.returncode == 0, done.stderr + told.stderr):
            continue
        for line in told.stdout.splitlines():
            n, length, _, sliced, most, least, largest = map(float, line.split())
            check(f"{what}: {n:.0f} slices of time have what each stack has, to {most:.3f} s", n >= 10 * SECONDS - 2 and
                  -1e-3 < least and most < 1.1 * length, line)
            check(f"{what}: waits are in the slices in which they were", largest < 2 * sliced / n, line)
        diff = flame_graph("diff", "--before", pictures[0], "--after", pictures[1], "--output", folder / "diff.svg").stderr
        check(f"{what}: noise from slices of time", re.search("block bootstrap of \\d+ and \\d+ slices of time", diff), diff)
        told = flame_graph("run", SCRIPT, folder / "profile.svg").stdout
        check(f"{what}: none where nobody asked", plain.stacks and told.startswith("0\t"), plain)


def begun(folder):
    """A wait that is under way when watching begins, and ends meanwhile. A machine that is busy may begin too late."""
    path = build("begun", folder)
    for _ in range(6):
        with program(path) as process, futures.ThreadPoolExecutor() as other:
            time.sleep(0.2)
            making = other.submit(Waits, folder, "--pid", process.pid, "--duration", 3)
            time.sleep(1.5)
            process.stdin.write("\n")
            process.stdin.flush()
            profile = making.result()
        if profile.share("^waits_for_word$"):
            break
    word, rest = profile.share("^waits_for_word$", "^sleeping$"), profile.share("^sleeps$")
    check(f"tracepoints: {word:.1%} in a wait that had begun before, {rest:.1%} in others: all of the time", word > 0 < rest and
          0.8 < word + rest < 1.02 and "1 wait had begun before" in profile.error, profile)


def children(folder, there):
    """The shell waits for each `sleep` that it starts, and that sleeps: how long, a loaded machine decides, where a fork takes a
    while if events are inherited."""
    for engine in (name for name in there if name in WHOLE):
        with program("sh", "-c", SLEEPS) as process:
            profile = Waits(folder, "--pid", process.pid, "--duration", 1, "--engine", engine)
            share = profile.share("^sleep$", "nanosleep")
            check(f"{engine}: processes that it starts, {share:.1%}", share and profile.share("^sh$", "wait"), profile)
            if engine == "tracepoints":
                profile = Waits(folder, "--pid", process.pid, "--duration", 0.5, "--no-inherit")
                check("--no-inherit: without them", profile.share("^sh$", "wait") and
                      not profile.share("^sleep$", "nanosleep"), profile)


def wakers(folder, path):
    profile, _ = watched(folder, path, "--wakers", seconds=1)
    check("--wakers: who wrote to the pipe, and who woke the futex", profile.engine.startswith("BPF") and
          profile.share("^reader$", "pipe", "^woken by$", "pipe_write", "^waker$") > 0.4 and
          profile.share("^futex$", "futex", "^woken by$", "futex_wake", "^waker$") > 0.4, profile)
    check("--wakers: a timer, and not whom it interrupted", profile.share(
        "^sleeper$", "nanosleep", "^woken by$", "timer|interrupt") > 0.4, profile)
    check("its own frames are not in the picture", not profile.share("^bpf_"), profile)


def wall(folder):
    path = build("waits", folder)
    profile, _ = watched(folder, path, "--cpu", "--rate", 499, kind=Wall, arguments=["busy"])
    threads = 2 * os.sysconf("SC_NPROCESSORS_ONLN")
    share = profile.share("^busy$") / threads
    check(f"--cpu: on and off together, {share:.1%} of the time of each busy thread", abs(share - 1) < 0.15, profile)
    states = "^(sleeping|runnable|uninterruptible)$"
    on = profile.share("^busy$", "^burn") - profile.share("^busy$", "^burn", states)
    check(f"--cpu: {on:.2f} CPUs", on > 0.02, profile)
    text = pathlib.Path(folder, "profile.svg").read_text()
    check("--cpu: waiting has a colour of its own", "waiting" in text, text[:2000])


# ---- lives ------------------------------------------------------------------------------------------------------------


def waiting_lives(folder, status_of):
    path = build("waits", folder)
    for engine in (name for name in engines(folder) if name != "bpftrace"):  # which Ctrl-C ends before it has told
        with program(path, cwd=folder) as process:
            time.sleep(0.2)
            before = status_of(process.pid)
            profile = Waits(folder, "--pid", process.pid, "--duration", 0.5, "--engine", engine)
            check(f"{engine}: a process is after it what it was before",
                  profile.stacks and status_of(process.pid) == before, f"{profile}\n{before}\n{status_of(process.pid)}")
            sampler = subprocess.Popen([BUILD / "flame-graph", "offcpu", str(process.pid), "--engine", engine, "--output",
                                        folder / "early.svg"], stderr=subprocess.PIPE, text=True)
            wait_for_start(engine)
            time.sleep(1)
            sampler.send_signal(signal.SIGINT)
            told = sampler.communicate()[1]
            check(f"{engine}: Ctrl-C keeps what was measured until then", sampler.returncode == 0 and
                  "ended early" in told and (folder / "early.svg").exists(), told)
            sampler = subprocess.Popen([BUILD / "flame-graph", "offcpu", str(process.pid), "--engine", engine, "--output",
                                        folder / "ended.svg"], stderr=subprocess.PIPE, text=True)
            wait_for_start(engine)
            time.sleep(1)
            process.kill()
            told = sampler.communicate(timeout=20)[1]
            check(f"{engine}: a process that ends is in the picture until then", sampler.returncode == 0 and
                  (folder / "ended.svg").exists(), told)


def waiting_refusals(folder, as_nobody, nobody):
    def refused(what, done, message):
        check(f"offcpu, {what}: refused", done.returncode == 2 and re.search(message, done.stderr), done.stderr)

    output = ("--output", folder / "none.svg")
    refused("no process", flame_graph("offcpu", "--pid", 4194000, *output), "there is no process 4194000")
    refused("limits", flame_graph("offcpu", "--pid", os.getpid(), "--min", "2s", "--max", "1s", *output),
            "at least 2 s .--min. and at most 1 s")
    with program("sh", "-c", "echo ready; exec sleep 60") as process:
        time.sleep(0.3)
        profile = Waits(folder, "--pid", process.pid, "--duration", 0.5)
        check("a process that waits all the time", profile.share("^sleep$", "^sleeping$") > 0.99 and
              "1 thread waited all the time" in profile.error, profile)
        refused("waits that do not count", flame_graph("offcpu", "--pid", process.pid, "--duration", 0.5, "--state", "stopped",
                                                       *output), "did not wait in a way that counts")
        profile = Waits(folder, "--pid", process.pid, "--duration", 0.5, "--max", "0.1s")
        check("a wait of all the time is left out by --max", "did not wait in a way that counts" in profile.error, profile)
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    refused("a process that has ended", flame_graph("offcpu", "--pid", zombie.pid, *output),
            f"process {os.getpid()}, has not collected it yet")
    zombie.wait()
    if os.getuid() == 0:
        refused("the process of another user", as_nobody("--pid", os.getpid(), collector="offcpu"),
                "it belongs to user root, and this is user .*setcap cap_perfmon=ep")
    with program(build("waits", folder), cwd=folder, **nobody) as process:
        done = as_nobody("--pid", process.pid, "--duration", 0.5, collector="offcpu")
        refused("without rights", done, "sudo (sysctl kernel.perf_event_paranoid=-1|setcap cap_)")
