"""Counts, sizes and what is wrong with a value, as people say them."""

from __future__ import annotations

import re

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_SAID = (
    (re.compile(r"value error, ", re.IGNORECASE), ""),
    (re.compile(r"input should be a valid number, unable to parse .*", re.IGNORECASE), "must be a number"),
    (re.compile(r"input should be a valid integer, .*", re.IGNORECASE), "must be a whole number"),
    (re.compile(r"input should be greater than or equal to (\S+)", re.IGNORECASE), r"must be at least \1"),
    (re.compile(r"input should be less than or equal to (\S+)", re.IGNORECASE), r"must be at most \1"),
)
"""What pydantic says, and what it means."""


def plainly(message: str) -> str:
    """What is wrong with a value, in words that need no knowledge of what checks it."""
    for said, meant in _SAID:
        message = said.sub(meant, message)
    return message


def many(count: int, what: str) -> str:
    """``1 node``, ``0 nodes``, ``3 nodes``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def amount(size: float) -> str:
    """``512 bytes``, ``4.3 KiB``, ``1.0 GiB``, of a size in bytes."""
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{size:.0f} {_UNITS[0]}"
