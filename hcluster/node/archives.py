"""Whether this node's JVMs use the class-data archives that their units name.

A JVM whose archive is missing or does not fit (another build of Java, a jar that was changed) starts without it and
says nothing: it only starts later. What it has mapped is in /proc.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

FLAG = "-XX:SharedArchiveFile="
Processes = Callable[[Sequence[str]], Mapping[str, int]]


def main_processes(units: Sequence[str]) -> dict[str, int]:
    """By unit, the id of its main process; those that do not run are left out."""
    command = ["systemctl", "show", "--property=Id,MainPID", *units]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout
    found = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in answer.split("\n\n")]
    return {block["Id"]: int(block["MainPID"]) for block in found if block.get("MainPID", "0") != "0"}


def problem(pid: int, proc: Path = Path("/proc")) -> str:
    """Why a process does not use the archive that its command names; "" when it does, or names none, or is gone."""
    try:
        words = (proc / str(pid) / "cmdline").read_text(errors="replace").split("\0")
        named = [word.removeprefix(FLAG) for word in words if word.startswith(FLAG)]
        if not named or any(line.endswith(named[-1]) for line in (proc / str(pid) / "maps").read_text().splitlines()):
            return ""
    except (FileNotFoundError, ProcessLookupError):
        return ""
    if not Path(named[-1]).exists():
        return f"{named[-1]} is missing"
    return f"{named[-1]} does not fit this Java or these jars: bake the image again"


def unused(units: Sequence[str], processes: Processes = main_processes, proc: Path = Path("/proc")) -> dict[str, str]:
    """By unit, why its JVM runs without its archive; those with one, and those that are no JVM, are left out."""
    found = {unit: problem(pid, proc) for unit, pid in processes(units).items()} if units else {}
    return {unit: why for unit, why in found.items() if why}
