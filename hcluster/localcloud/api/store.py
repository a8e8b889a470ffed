"""Rows on disk: one SQLite file, each write one transaction, on the disk when it returns."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from hcluster.errors import LocalCloudError

FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rows (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, content BLOB NOT NULL);
"""
_PUT = "INSERT INTO rows (name, content) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET content = excluded.content"


class StoreError(Exception):
    """A write did not happen: the disk is full or broken. Nothing of it is there; it can be tried again."""


class Store:
    """Named rows of bytes. One thread at a time.

    The write-ahead log makes a transaction whole or absent after a kill, and ``synchronous=FULL`` makes it outlast the
    machine (https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous).
    """

    def __init__(self, path: Path) -> None:
        """Nothing is read or made until it is needed."""
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def rows(self) -> Iterator[tuple[str, bytes]]:
        """All rows in the order in which they were first written.

        Raises:
            LocalCloudError: the file is damaged, or of another format; the hint names the cure.
        """
        if not self.path.exists():
            return
        try:
            connection = self._open()
            found = connection.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
            if found is None or found[0] != str(FORMAT):
                raise self._unreadable(f"its format is {found[0] if found else 'unknown'}, not {FORMAT}")
            problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if problem != "ok":
                raise self._unreadable(str(problem))
            yield from connection.execute("SELECT name, content FROM rows ORDER BY number")
        except sqlite3.Error as error:
            self.close()
            raise self._unreadable(f"{type(error).__name__}: {error}") from error

    def write(self, changes: Mapping[str, bytes | None]) -> None:
        """Put rows, and remove those whose content is None: all of them or none. On the disk when it returns.

        Raises:
            StoreError: none of it was written.
        """
        try:
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(_PUT, [(name, data) for name, data in changes.items() if data is not None])
                gone = [(name,) for name, data in changes.items() if data is None]
                connection.executemany("DELETE FROM rows WHERE name = ?", gone)
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, OSError) as error:
            # SQLite's connection remembers some failures of the disk; a new one finds the file as it is.
            self.close()
            raise StoreError(str(error)) from error

    def close(self) -> None:
        """Give the file back; the next call opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # It holds keys. SQLite gives its log the file's own mode.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = sqlite3.connect(self.path, timeout=5, isolation_level=None, check_same_thread=False)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA cache_size = -4096")
                connection.execute("PRAGMA journal_size_limit = 16777216")
                connection.executescript(_SCHEMA)
                connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (str(FORMAT),))
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _unreadable(self, detail: str) -> LocalCloudError:
        return LocalCloudError(
            f"the local cloud's records in {self.path} cannot be read",
            context=detail,
            hint="hcluster local reset (removes its instances, images and objects)",
        )
