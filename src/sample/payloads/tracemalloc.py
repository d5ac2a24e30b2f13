# What runs inside the profiled process: `wish` says what, and the answer is a file that appears whole or not at all.
#
# It was handed over on line `line` of a `<string>`. It imports built-in modules only, as an application's own files come before the standard library's; leaves no name
# behind, as its globals are its own; and lets no exception out. It does nothing once `expires` has passed: a call that
# waits for the interpreter may wait for long.
#
#   s TRACING DEPTH           whether tracemalloc was on before, and how many frames it keeps
#   f N PATH                  file N
#   d N FIRST LAST NAME       a function of file N and its lines
#   t BYTES BLOCKS N:LINE …   memory in use by where it was allocated, innermost frame first
#   e TEXT                    it failed


def start(tracemalloc, depth):
    was = tracemalloc.is_tracing()
    if not was:
        tracemalloc.start(depth)
    return ["s %d %d" % (was, tracemalloc.get_traceback_limit())]


def last_line(code):
    """The last line of a code object: by its table of lines, which has two layouts before Python 3.10."""
    if hasattr(code, "co_lines"):
        return max([line for _, _, line in code.co_lines() if line] or [code.co_firstlineno])
    line = last = code.co_firstlineno
    for step in code.co_lnotab[1::2]:
        line += step - 256 if step > 127 else step
        last = max(last, line)
    return last


def functions(paths):
    """The functions of these files: tracemalloc knows lines only."""
    import gc

    kind, seen = type(last_line), {}
    waiting = [(function.__code__, function.__qualname__) for function in gc.get_objects() if type(function) is kind]
    while waiting:
        code, name = waiting.pop()
        if code.co_filename not in paths or id(code) in seen:
            continue
        seen[id(code)] = "d %d %d %d %s" % (paths[code.co_filename], code.co_firstlineno, last_line(code), name)
        for inner in code.co_consts:
            if type(inner) is type(code):
                waiting.append((inner, getattr(inner, "co_qualname", inner.co_name)))
    return list(seen.values())


def snapshot(tracemalloc, stop):
    if not tracemalloc.is_tracing():
        raise RuntimeError("tracemalloc was stopped by the program itself")
    own, sums = {"<flame-graph>", ("<string>", line)}, {}  # noqa: F821
    for trace in tracemalloc._get_traces():
        stack = trace[2]
        found = sums.get(id(stack))  # equal ones are the same object
        if found is None:
            sums[id(stack)] = [trace[1], 1, stack]
        else:
            found[0] += trace[1]
            found[1] += 1
    if stop:
        tracemalloc.stop()
    paths, lines = {}, []
    for total, blocks, stack in sums.values():
        if not stack or any(place in own or place[0] in own or "/flame-graph-" in place[0] for place in stack):
            continue
        places = ["%d:%d" % (paths.setdefault(path, len(paths)), line) for path, line in stack]
        lines.append("t %d %d %s" % (total, blocks, " ".join(places)))
    named = functions(paths)
    return ["f %d %s" % (number, path) for path, number in paths.items()] + named + lines


def answer(posix, name, lines):
    text = "\n".join(" ".join(line.splitlines()) for line in lines) + "\n"
    data = text.encode("utf-8", "backslashreplace")
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC
    for folder in ("/tmp", "/var/tmp", "/dev/shm"):
        path = folder + "/" + name
        try:
            file = posix.open(path + ".part", flags, 0o600)
        except OSError:
            continue
        try:
            while data:
                data = data[posix.write(file, data):]
            posix.rename(path + ".part", path)
            return
        except BaseException:
            posix.unlink(path + ".part")
            raise
        finally:
            posix.close(file)


def main(wish, expires, name, number):
    import time

    if time.time() > expires:
        return
    import posix

    try:
        import _tracemalloc

        lines = {"start": start, "snapshot": snapshot}[wish](_tracemalloc, number)
    except BaseException as problem:
        lines = ["e %s: %s" % (type(problem).__name__, problem)]
    answer(posix, name, lines)


try:
    main(wish, expires, name, number)  # noqa: F821
except BaseException:
    pass
