"""Changes go to the disk before their answers leave: several requests share one write, none of them holds the lock
while the disk works, and what could not be written is told and tried again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from hcluster.localcloud.api.store import Store, StoreError

log = logging.getLogger(__name__)

RETRY = 1.0
"""Seconds between two tries of a write that failed."""
PAUSE = 0.2
"""Seconds that changes without a caller (a node that booted) wait for each other."""

Rows = Mapping[str, bytes | None]


class Journal:
    """Writes what ``stage`` gives, which is called with the lock held: the rows that changed since it was last asked.

    A failed write keeps its rows: the next one takes them along.
    """

    def __init__(self, store: Store, lock: threading.RLock, stage: Callable[[], Rows]) -> None:
        self._store = store
        self._lock = lock
        self._stage = stage
        self._turn = threading.Condition()
        self._busy = False
        self._begun = self._ended = 0
        self._failed: dict[int, str] = {}
        self._waiting: dict[str, bytes | None] = {}
        self._problem = ""
        self._tried = 0.0
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._following, name="journal", daemon=True)

    def start(self) -> None:
        """Begin to write what nobody waits for."""
        self._thread.start()

    def stop(self) -> None:
        """Write nothing more by itself."""
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def changed(self) -> None:
        """Something changed for which no caller waits."""
        self._wake.set()

    def ready(self) -> None:
        """Raises StoreError while what was changed earlier cannot be written: nothing should be added to it."""
        if self._problem:
            if time.monotonic() - self._tried < RETRY:
                raise StoreError(self._problem)
            self.settle()

    def settle(self) -> None:
        """Return when every change made before this call is on the disk. Raises StoreError when it is not; the change
        then waits for the next write. Call without the lock."""
        with self._turn:
            mine = self._begun + 1
            while self._ended < mine and self._busy:
                self._turn.wait()
            if self._ended >= mine:
                self._tell(mine)
                return
            self._busy = True
        try:
            self._write()
        finally:
            with self._turn:
                self._busy = False
                self._turn.notify_all()
        self._tell(mine)

    def _tell(self, number: int) -> None:
        problem = self._failed.get(number)
        if problem is not None:
            raise StoreError(problem)

    def _write(self) -> None:
        with self._lock:
            # From here on a change belongs to the next write.
            with self._turn:
                self._begun += 1
                number = self._begun
            try:
                self._waiting.update(self._stage())
            except BaseException as error:
                self._end(number, f"{type(error).__name__}: {error}")
                raise
        try:
            if self._waiting:
                self._store.write(self._waiting)
                self._waiting = {}
        except StoreError as error:
            if not self._problem:
                log.error("the records could not be written, which is tried again: %s", error)  # noqa: TRY400
            self._end(number, str(error))
            self._wake.set()
            return
        if self._problem:
            log.warning("the records are written again")
        self._end(number, "")

    def _end(self, number: int, problem: str) -> None:
        with self._turn:
            self._problem, self._tried, self._ended = problem, time.monotonic(), number
            if problem:
                self._failed[number] = problem
            self._failed.pop(number - 1000, None)

    def _following(self) -> None:
        while True:
            self._wake.wait()
            if self._closing.wait(RETRY if self._problem else PAUSE):
                return
            self._wake.clear()
            try:
                self.settle()
            except StoreError:
                self._wake.set()
            except Exception:
                log.exception("the records were not written")
                if self._closing.wait(RETRY):
                    return
