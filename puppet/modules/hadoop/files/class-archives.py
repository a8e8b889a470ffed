#!/usr/bin/python3
# Written by Puppet: changes do not last.
"""Dump the class-data archives (AppCDS) of the class paths HOME/lib/NAME.jar from lists of classes that JVMs loaded.

usage: class-archives HOME LISTS VERSION_FILE

LISTS holds NAME-*.lst, as -XX:DumpLoadedClassList writes them: all that ran with the class path NAME. The archive
HOME/archives/NAME.jsa then serves each of them. Sizes and digests of the archives are added to VERSION_FILE.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PARALLEL_MIB = 1536
"""Memory of one dump: it holds all classes of the archive, twice for a moment."""
DEADLINE_SECONDS = 600
# The heap of an archive is written by G1 alone; every collector can read it.
FLAGS = ["-Xshare:dump", "-XX:+UseG1GC", "-Xmx512m", "-Xlog:disable", "-Xlog:all=error:stderr"]


def merged(lists: list[Path]) -> list[str]:
    """The lines of all lists, each once, in the order in which they came first."""
    lines = (line for path in lists for line in path.read_text(errors="replace").splitlines())
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


def dump(home: Path, lists: Path, name: str) -> dict[str, object]:
    """One archive; what the version file says of it. Raises RuntimeError when there is none."""
    start = time.monotonic()
    classes = merged(sorted(lists.glob(f"{name}-*.lst")))
    if not classes:
        raise RuntimeError(f"no class list {lists}/{name}-*.lst: nothing ran with that class path")
    (lists / f"{name}.all").write_text("\n".join(classes) + "\n")
    fresh = home / "archives" / f".{name}.jsa"
    fresh.unlink(missing_ok=True)
    files = [f"-XX:SharedClassListFile={lists}/{name}.all", f"-XX:SharedArchiveFile={fresh}"]
    command = ["java", *FLAGS, *files, "-cp", f"{home}/lib/{name}.jar"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    if done.returncode != 0 or not fresh.exists():
        said = (done.stderr + done.stdout)[-2000:]
        raise RuntimeError(f"dumping the archive {name} ended with code {done.returncode}:\n{said}")
    fresh.chmod(0o444)
    fresh.rename(home / "archives" / f"{name}.jsa")
    body = (home / "archives" / f"{name}.jsa").read_bytes()
    seconds = time.monotonic() - start
    count = sum(not line.startswith("@") for line in classes)
    sys.stdout.write(f"archive {name}: {count} classes, {len(body) / 2**20:.0f} MiB, {seconds:.0f} s\n")
    return {"bytes": len(body), "classes": count, "sha256": hashlib.sha256(body).hexdigest()}


def parallel() -> int:
    """How many dumps fit into this machine at a time."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    memory = int(lines["MemAvailable"].split()[0]) // 1024
    return max(1, min(len(os.sched_getaffinity(0)), memory // PARALLEL_MIB))


def main() -> None:
    """Dump all, the one with the longest lists first."""
    home, lists, version = (Path(word) for word in sys.argv[1:])
    (home / "archives").mkdir(exist_ok=True)
    names = [jar.stem for jar in (home / "lib").glob("*.jar")]
    names.sort(key=lambda name: -sum(path.stat().st_size for path in lists.glob(f"{name}-*.lst")))
    with ThreadPoolExecutor(parallel()) as pool:
        try:
            found = dict(zip(names, pool.map(lambda name: dump(home, lists, name), names), strict=True))
        except (RuntimeError, subprocess.TimeoutExpired) as cause:
            sys.exit(f"class-archives: {cause}")
    about = json.loads(version.read_text()) | {"archives": found}
    version.write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")


main()
