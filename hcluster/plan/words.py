"""Counts and sizes as people say them."""

from __future__ import annotations

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def many(count: int, what: str) -> str:
    """``1 node``, ``0 nodes``, ``3 nodes``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def amount(size: float) -> str:
    """``512 bytes``, ``4.3 KiB``, ``1.0 GiB``, of a size in bytes."""
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{size:.0f} {_UNITS[0]}"
