"""What the kernel, or whoever runs us, refuses: the message names what is missing and the command that grants it."""

import os
import re
import shutil
import subprocess

from programs import BUILD, build, check, program

NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
# In a chroot whose root is no mount, not all of them can be made private.
UNSHARED = ("unshare", "--mount", "--propagation", "unchanged")
NO_SYS = "mount --make-private /sys && mount -t tmpfs none /sys"  # neither BTF nor tracefs is anywhere
PARANOID = "mount --make-private /proc && mount --bind {}/four /proc/sys/kernel/perf_event_paranoid"


def run(*command):
    return subprocess.run(list(map(str, command)), text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)


def refused(what, done, message):
    check(f"{what}: refused", done.returncode == 2 and re.search(message, done.stderr), done.stdout + done.stderr)


def mounted(mounts, *command):
    """The words of a command for which the file system looks different."""
    return [*UNSHARED, "sh", "-c", f'{mounts} && exec "$@"', "sh", *command]


def without(mounts, *command):
    return run(*mounted(mounts, *command))


def unmounted(folder, pid):
    def offcpu(engine, *before):
        return without(NO_SYS, *before, BUILD / "flame-graph", "offcpu", pid, "--duration", 0.3, "--engine", engine, "--output",
                       folder / "r.svg")

    refused("no BTF", offcpu("bpf"), "does not describe its types .*CONFIG_DEBUG_INFO_BTF=y, or in a chroot: sudo mount -t sysfs")
    done = offcpu("tracepoints")
    check("no tracefs: root has one of its own", done.returncode == 0, done.stderr)
    missing = "tracefs is not mounted, or not readable: sudo mount -t tracefs -o mode=755 tracefs /sys/kernel/tracing"
    may_not_mount = ("setpriv", "--bounding-set", "-sys_admin")
    refused("no tracefs, and not to be mounted", offcpu("tracepoints", *may_not_mount), missing)
    refused("no tracefs, perf record", offcpu("perf"), missing)
    refused("no tracefs, a tracepoint as event", without(NO_SYS, *may_not_mount, BUILD / "flame-graph", "perf", pid, "--event",
                                                         "sched:sched_switch", "--engine", "events"), missing)


def paranoid(folder):
    """A file says what Debian's kernels have; this one may know nothing of it."""
    copy = shutil.copy(BUILD / "flame-graph", folder)
    (folder / "four").write_text("4\n")
    with program(*NOBODY, build("waits", folder), cwd=folder) as process:
        for collector, engine, enough in (("perf", "events", 1), ("offcpu", "tracepoints", -1)):
            done = without(PARANOID.format(folder), *NOBODY, copy, collector,
                           process.pid, "--engine", engine, "--output", "-", "--format", "folded")
            refused(f"{collector}, kernel.perf_event_paranoid 4", done, "kernel.perf_event_paranoid is 4, and this is not root: "
                    f"sudo sysctl kernel.perf_event_paranoid={enough}\n")


def filtered(folder, pid):
    for collector, engine, call in (("perf", "events", "perf_event_open"), ("offcpu", "tracepoints", "perf_event_open"),
                                    ("offcpu", "bpf", "bpf")):
        done = run(build("forbids", folder), BUILD / "flame-graph", collector, pid, "--engine", engine, "--output",
                   folder / "r.svg")
        helps = "--cap-add PERFMON --cap-add BPF --cap-add SYS_PTRACE --security-opt seccomp=unconfined"
        refused(f"{collector}, a seccomp filter forbids {call}", done, f"a seccomp filter is on this process, and {call} gave: "
                f"Operation not permitted: run the container with {helps}" if os.getuid() == 0 else helps + "|setcap|sysctl")


def by_the_kernel(folder):
    with program(build("waits", folder), cwd=folder) as process:
        filtered(folder, process.pid)
        mounts = run(*UNSHARED, "true")
        if mounts.returncode:  # neither root nor a container may
            check("mounts of one's own are refused", "not permitted" in mounts.stderr, mounts.stderr)
            return
        unmounted(folder, process.pid)
    paranoid(folder)
