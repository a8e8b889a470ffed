#!/usr/bin/python3
# Written by Puppet: changes do not last.
"""Make HOME/lib/NAME.jar, a jar whose manifest names all jars of some trees; it is the whole class path of a JVM.

usage: class-paths HOME NAME=PART[,PART...]...

PART is a folder below HOME/lib, or one jar as FOLDER/PATTERN. A class-data archive is good for one order of jars alone.
`-cp FOLDER/*` takes the order of the file system, which may be another on each; a manifest's is fixed, is followed by
java and by its archives alike, and takes one word of a command.
"""

import sys
import zipfile
from pathlib import Path

BORN = (2000, 1, 1, 0, 0, 0)
"""Time of the entry, so that equal content gives equal bytes."""
WIDTH = 72
"""Longest line of a manifest in bytes, without its end."""


def jars(lib: Path, parts: list[str]) -> list[str]:
    """Paths below ``lib`` in the order of the parts and by name within each; what links lead to comes once."""
    found: dict[str, None] = {}
    for part in parts:
        folder, _, pattern = part.partition("/")
        here = sorted((lib / folder).glob(pattern or "*.jar"))
        if not here:
            sys.exit(f"class-paths: nothing matches {lib}/{part}")
        found.update((jar.resolve().relative_to(lib.resolve()).as_posix(), None) for jar in here)
    return list(found)


def manifest(names: list[str]) -> bytes:
    """A manifest with this Class-Path, its lines folded."""
    rest = f"Class-Path: {' '.join(names)}".encode()
    lines = [b"Manifest-Version: 1.0", rest[:WIDTH]]
    rest = rest[WIDTH:]
    while rest:
        lines.append(b" " + rest[: WIDTH - 1])
        rest = rest[WIDTH - 1 :]
    return b"\r\n".join([*lines, b"", b""])


def main() -> None:
    """Write each jar that is not there as it should be; the others keep their time, which archives look at."""
    lib = Path(sys.argv[1], "lib")
    for wanted in sys.argv[2:]:
        name, _, parts = wanted.partition("=")
        target, fresh = lib / f"{name}.jar", lib / f".{name}.jar"
        with zipfile.ZipFile(fresh, "w") as jar:
            jar.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF", BORN), manifest(jars(lib, parts.split(","))))
        fresh.chmod(0o644)
        if target.exists() and target.read_bytes() == fresh.read_bytes():
            fresh.unlink()
        else:
            fresh.rename(target)


main()
