"""The control groups of nodes, with version 1 (a hierarchy a controller) and version 2 (one for all)."""

from __future__ import annotations

import time
from pathlib import Path

from hcluster.errors import LocalCloudError

ROOT = Path("/sys/fs/cgroup")
_PATIENCE = 10.0


def unified() -> bool:
    """Whether this machine has version 2 alone."""
    return (ROOT / "cgroup.controllers").exists()


def group(name: str, controller: str) -> Path:
    """Folder of a group (path without a leading slash) where ``controller`` keeps its files."""
    return ROOT / name if unified() else ROOT / controller / name


def freeze(name: str) -> None:
    """Stop the group's processes, and return when they stand still.

    Raises:
        LocalCloudError: some still ran after 10 s; all go on then.
    """
    folder = group(name, "freezer")
    if unified():
        (folder / "cgroup.freeze").write_text("1")
    else:
        (folder / "freezer.state").write_text("FROZEN")
    deadline = time.monotonic() + _PATIENCE
    while not frozen(name):
        if time.monotonic() > deadline:
            thaw(name)
            raise LocalCloudError(f"the processes of {name} did not freeze within {_PATIENCE:g} s")
        time.sleep(0.01)


def thaw(name: str) -> None:
    """Let the group's processes go on; a group that ended is fine."""
    folder = group(name, "freezer")
    file, word = (folder / "cgroup.freeze", "0") if unified() else (folder / "freezer.state", "THAWED")
    try:
        file.write_text(word)
    except OSError:
        if folder.is_dir():
            raise


def frozen(name: str) -> bool:
    """Whether all of the group's processes stand still; a group that ended does not."""
    folder = group(name, "freezer")
    try:
        if unified():
            return "frozen 1" in (folder / "cgroup.events").read_text().splitlines()
        return (folder / "freezer.state").read_text().strip() == "FROZEN"
    except OSError:
        if folder.is_dir():
            raise
        return False
