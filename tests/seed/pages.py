"""The sessions that pages of docs/ show: each was real, and is typed again here.

A session is a block of ```console, with `$ ` in front of what is typed (`> ` where it goes on) and below it all that was
said. Numbers and times may differ; a line of `…` stands for any lines. In front of a block, a comment says which target
runs, where, which variable holds its token if it has one, and whether it is under load anyway; $P is its process id. One
session goes on in the same folder as that before it on the page:

    <!-- on node 3000 RESQ_TOKEN loaded -->
"""

import pathlib
import re

FOLDER = pathlib.Path(__file__).resolve().parent.parent.parent / "docs"
PAGES = ["PROFILING_FLAMEGRAPH_GUIDE.md", "workflows.md"]


def blocks(page):
    """(line number, target or None, list of (command, expected lines)) for each session of a page."""
    on, inside, steps, start = None, False, [], 0
    for number, line in enumerate((FOLDER / page).read_text().splitlines(), 1):
        told = re.fullmatch(r"<!-- on (\w+) (\d+)(?: ([A-Z_]+))?( loaded)? -->", line)
        if told:
            on = {"on": told[1], "port": int(told[2]), "loaded": bool(told[4])}
            on.update({"secret": told[3]} if told[3] else {})
        elif not inside and line == "```console":
            inside, steps, start = True, [], number
        elif inside and line == "```":
            yield start, on, steps
            inside, on = False, None
        elif inside and line.startswith("$ "):
            steps.append((line[2:], []))
        elif inside and re.match(">( |$)", line) and steps and not steps[-1][1]:
            steps[-1] = (steps[-1][0] + "\n" + line[2:], [])
        elif inside and steps:
            steps[-1][1].append(line)


def recorded(page, said):
    """Writes a page anew: said[(line number of the block, its step)] is what was said."""
    text, block, step, skipping = [], 0, 0, False
    for number, line in enumerate((FOLDER / page).read_text().splitlines(), 1):
        if line == "```console":
            block, step = number, -1
        elif block and line == "```":
            block, skipping = 0, False
        elif block and line.startswith("$ "):
            step, skipping = step + 1, True
        elif skipping and not re.match(">( |$)", line):
            continue
        text.append(line)
        going_on = (FOLDER / page).read_text().splitlines()[number:number + 1]
        if skipping and not (going_on and re.match(">( |$)", going_on[0])):
            text += said[block, step]
    (FOLDER / page).write_text("\n".join(text) + "\n")


def pattern(line):
    """What a line may be: the same words, any numbers."""
    parts = re.split(r"(\d[\d,.]*(?: (?:ns|µs|ms|s)\b)?|…)", line.rstrip())
    number = r"\d[\d,.]*(?: (?:ns|µs|ms|s))?"
    return "".join((".*" if part == "…" else number) if i % 2 else re.sub(r"(\\ )+", " +", re.escape(part))
                   for i, part in enumerate(parts))


WEATHER = [
    r"only \d+ samples",
    r"\d+ stacks in a hundred changed while",
    r"\d+ % of the (samples|attempts) ",
    r"sampling took \d+ % of a core",
    r"the kernel held the sampling back",
    r"the sides lasted differently long",
]


def without_weather(lines):
    """Lines without the warnings that a shorter profile, or a busy machine, brings and the page's own run did not."""
    kept = [line for line in lines if not re.match(rf"  (before: |after: )?({'|'.join(WEATHER)})", line)]
    return [re.sub(r", \d+ warnings?$", "", line) for line in kept]


def fits(said, expected):
    """Whether lines are those that a page shows."""
    return fit(without_weather(said), without_weather(expected))


def fit(said, expected):
    if not expected:
        return not said
    if expected[0] == "…":
        return any(fit(said[i:], expected[1:]) for i in range(len(said) + 1))
    return bool(said) and bool(re.fullmatch(pattern(expected[0]), said[0].rstrip())) and fit(said[1:], expected[1:])
