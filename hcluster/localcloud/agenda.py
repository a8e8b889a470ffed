"""Does things at their time. There is no thread, and no cost, while nothing is due."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Agenda:
    """Jobs with their times (epoch seconds); one thread does them in turn, from the first job to the last."""

    def __init__(self) -> None:
        self._jobs: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def at(self, when: float, job: Callable[[], None]) -> None:
        """Do ``job`` then, or at once when that is over. What it raises is logged."""
        with self._changed:
            if self._closed:
                return
            heapq.heappush(self._jobs, (when, next(self._numbers), job))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="agenda", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Do nothing more, and wait for what is being done."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(10)

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception:
                log.exception("a job of the agenda failed")

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._closed and self._jobs:
                wait = self._jobs[0][0] - time.time()
                if wait <= 0:
                    return heapq.heappop(self._jobs)[2]
                self._changed.wait(wait)
            self._thread = None
            return None
