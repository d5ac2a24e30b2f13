"""The CPythons that the suites run programs with.

Debian's own has to be there; 3.14 and 3.15 are unpacked from its next release (install). Others from 3.8 on are taken
where they are found: under ~/.pyenv/versions, and those that $FG_PYTHONS names (paths with `:` between).
"""

import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent.parent / "build" / "interpreters"
DEBIANS = "/usr/bin/python3"
NEXT = ["3.14", "3.15"]


def unpacked():
    """Paths of those of Debian's next release, fetched unless they are there."""
    paths = [OUT / "usr/bin" / f"python{version}" for version in NEXT]
    if not all(path.exists() for path in paths):
        subprocess.run([HERE / "install", OUT, *NEXT], stdin=subprocess.DEVNULL, check=True)
    return paths


def interpreters():
    """(path, "3.11.2") of each."""
    paths = [DEBIANS, *sorted(pathlib.Path.home().glob(".pyenv/versions/3.*/bin/python3")), *unpacked()]
    for path in map(str, paths + [path for path in os.environ.get("FG_PYTHONS", "").split(":") if path]):
        version = subprocess.run([path, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"], text=True,
                                 capture_output=True).stdout.strip()
        if version and int(version.split(".")[1]) >= 8:
            yield path, version
