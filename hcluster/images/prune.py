"""What can be built again does not grow for ever: of each kind the newest few stay, and whatever was used of late."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

KINDS = ("dist", "node", "jars", "logs")
"""Folders of the cache; an entry of one is a file or a folder that stands for itself."""
KEPT = {"dist": 3, "node": 3, "jars": 50, "logs": 50}
UNUSED_SECONDS = 24 * 3600.0
"""Younger entries stay whatever their number: a bake, which takes half an hour at most, may be using them."""


def touch(entry: Path) -> None:
    """Note that an entry is used now."""
    entry.touch()


def prune(cache: Path, *, now: float | None = None) -> list[Path]:
    """Remove what is neither among the newest of its kind nor was used of late; what was removed.

    Any number of bakes may do it at the same time.
    """
    now = time.time() if now is None else now
    removed = []
    for kind in KINDS:
        folder = cache / kind
        entries = [path for path in folder.glob("*") if not path.is_symlink() and not path.name.startswith(".")]
        dated = sorted(((_used(path), path) for path in entries), reverse=True)
        for used, path in dated[KEPT[kind] :]:
            if used < now - UNUSED_SECONDS:
                _remove(path)
                removed.append(path)
    # A lock that somebody holds may be older than a day only if its bake hangs; an open file outlives its name.
    for path in cache.glob("bake-*.lock"):
        used = _used(path)
        if used < now - 2 * UNUSED_SECONDS:
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _used(path: Path) -> float:
    """When it was used, 0 when it is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _remove(path: Path) -> None:
    """Out of sight first, so that nobody finds half of it."""
    away = path.with_name(f".gone-{path.name}")
    try:
        path.rename(away)
    except OSError:
        return  # another bake was quicker, or left its half
    if away.is_dir():
        shutil.rmtree(away, ignore_errors=True)
    else:
        away.unlink(missing_ok=True)
