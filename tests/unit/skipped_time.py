"""A ``time`` module of which a test can skip a part, so that a deadline passes at a known moment, however slow the
machine."""

from __future__ import annotations

import time


class SkippedTime:
    """In the place of the ``time`` that a module imported."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def skip(self, seconds: float) -> None:
        self.skipped += seconds

    def monotonic(self) -> float:
        return time.monotonic() + self.skipped

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
