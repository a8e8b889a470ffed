"""Time that passes only when somebody sleeps, and what happens meanwhile."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable

START = 1_800_000_000.0
"""15 January 2027, in epoch seconds: any fixed moment does, as long as it is no round zero."""


class ManualClock:
    """Implements ``hcluster.ports.Clock``; may be used by several threads."""

    def __init__(self, start: float = START) -> None:
        self._now = start
        self._lock = threading.Lock()
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def now(self) -> float:
        """Seconds since the epoch."""
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        """Let time pass, with everything that falls due in it, in order."""
        end = self.now() + max(seconds, 0.0)
        while (event := self._next(end)) is not None:
            # Not under the lock: what happens may look at the clock or plan more.
            event()

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Let ``event`` happen once ``seconds`` have passed."""
        with self._lock:
            heapq.heappush(self._due, (self._now + seconds, next(self._order), event))

    def _next(self, end: float) -> Callable[[], None] | None:
        with self._lock:
            if self._due and self._due[0][0] <= end:
                when, _, event = heapq.heappop(self._due)
                self._now = max(self._now, when)
                return event
            self._now = max(self._now, end)
            return None
