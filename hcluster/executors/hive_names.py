"""What a statement may name (databases, tables, columns, functions), read from HiveServer2 behind the prompt's back."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Protocol, Self

from hcluster.errors import HclusterError, QueryError
from hcluster.executors.hive import HiveSession

_EAGER_DATABASES = 50
"""Of so many databases the tables are read unasked; of others when somebody writes their name."""
_SECONDS = 60.0

Key = tuple[str, ...]
"""() for databases, ("",) for functions, (database,) for its tables, (database, table) for its columns."""
DATABASES: Key = ()
FUNCTIONS: Key = ("",)


class Known(Protocol):
    """What completion asks."""

    def names(self, key: Key) -> tuple[str, ...]:
        """What is known of a key by now."""


class Names:
    """Reads in one background thread over a session of its own; whoever asks gets what is known and never waits.

    What cannot be read is left out: completion is a help, and the statement itself will tell what is wrong.
    """

    def __init__(self, connect: Callable[[], HiveSession]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._found: dict[Key, tuple[str, ...]] = {}
        self._asked: set[Key] = set()
        self._wanted: queue.SimpleQueue[Key | None] = queue.SimpleQueue()
        self._session: HiveSession | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="hcluster-names", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ask(DATABASES)
        self._ask(FUNCTIONS)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._wanted.put(None)
        # A read under way is not waited for: its connection ends with the process, or with the SSH session.
        self._thread.join(timeout=2)

    def names(self, key: Key) -> tuple[str, ...]:
        """What is known of a key by now; the first question has it read."""
        self._ask(key)
        with self._lock:
            return self._found.get(key, ())

    def refresh(self) -> None:
        """Read everything again that is asked for; until then what is known stays."""
        with self._lock:
            again = [key for key in self._asked if key != FUNCTIONS]
            self._asked = {FUNCTIONS} & self._asked
        for key in sorted(again, key=len):
            self._ask(key)

    def _ask(self, key: Key) -> None:
        with self._lock:
            if key in self._asked:
                return
            self._asked.add(key)
        self._wanted.put(key)

    def _work(self) -> None:
        while (key := self._wanted.get()) is not None and not self._ended.is_set():
            found = self._read_again(key)
            with self._lock:
                if found is None:
                    # What was known stays, and the next question tries again.
                    self._asked.discard(key)
                    continue
                self._found[key] = found
            if key == DATABASES:
                for database in found[:_EAGER_DATABASES]:
                    self._ask((database,))
        self._drop()

    def _read_again(self, key: Key) -> tuple[str, ...] | None:
        """What HiveServer2 says, over a new session when the one before was lost; None when it says nothing."""
        for _ in range(2):
            try:
                return self._read(key)
            except QueryError as cause:
                if cause.reference == "query-failed":
                    return ()  # no such table, or one that this user may not see
                return None
            except (HclusterError, OSError):
                self._drop()
        return None

    def _read(self, key: Key) -> tuple[str, ...]:
        if self._session is None:
            self._session = self._connect()
        result = self._session.execute(_statement(key), cancelled=self._ended.is_set, timeout=_SECONDS)
        found = dict.fromkeys(str(row[0]).strip().lower() for row in result.rows if row[0])
        # `describe` goes on with the partition keys, below an empty line and headings.
        return tuple(name for name in found if name and not name.startswith("#"))

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


def _statement(key: Key) -> str:
    if key == DATABASES:
        return "show databases"
    if key == FUNCTIONS:
        return "show functions"
    quoted = ".".join(f"`{part.replace('`', '``')}`" for part in key)
    return f"show tables in {quoted}" if len(key) == 1 else f"describe {quoted}"
