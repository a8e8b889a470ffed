"""Progress of a flow as values: the command line draws them, others may stream or store them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of a flow.

    ``step`` names the step and stays the same while it goes on; ``text`` is for people; ``done`` of ``total`` counts
    (0 of 0: not countable); ``state`` is running, ok or failed.
    """

    step: str
    text: str
    done: int = 0
    total: int = 0
    state: str = "running"


Report = Callable[[Progress], None]
"""Where a flow sends its progress."""


def silent(progress: Progress) -> None:
    """A report that nobody reads."""
