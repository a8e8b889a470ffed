"""What can be built again does not grow for ever: of each kind the newest few stay, and whatever was used of late."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

KEPT = {"dist": 3, "node": 3, "jars": 50, "logs": 50}
"""How many stay of each kind: a folder of the cache, whose entries stand for themselves."""
UNUSED_SECONDS = 24 * 3600.0
"""Younger entries stay whatever their number: a bake, which takes half an hour at most, may be using them."""


def prune(cache: Path, *, now: float | None = None) -> list[Path]:
    """Remove what is neither among the newest of its kind nor was used of late; what was removed.

    Any number of bakes may do it at the same time.
    """
    now = time.time() if now is None else now
    removed = []
    for kind, number in KEPT.items():
        folder = cache / kind
        entries = [path for path in folder.glob("*") if not path.is_symlink() and not path.name.startswith(".")]
        dated = sorted(((_used(path), path) for path in entries), reverse=True)
        for used, path in dated[number:]:
            if used < now - UNUSED_SECONDS:
                _remove(path)
                removed.append(path)
    # What bakes that were killed left, and locks, which a bake opens anew each time.
    left = [*cache.glob("bake-*.lock"), *cache.glob(".bake-*")]
    left += [path for kind in KEPT for path in (cache / kind).glob(".*-*")]
    for path in left:
        if _used(path) < now - UNUSED_SECONDS:
            _remove(path)
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
    away = path if path.name.startswith(".") else path.with_name(f".gone-{path.name}")
    try:
        path.rename(away)
    except OSError:
        return  # another bake was quicker, or left its half: that goes as such
    if away.is_dir():
        shutil.rmtree(away, ignore_errors=True)
    else:
        away.unlink(missing_ok=True)
