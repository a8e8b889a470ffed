"""The records: one SQLite database in WAL mode, one row per bucket, setting, version, upload and part.

A transaction is in the database's log when ``write`` ends, so it outlives the process from then on, whatever ends it.
Reads see all that was committed before they began, and wait for no writer.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hcluster.errors import LocalCloudError
from hcluster.localcloud.api.s3.problem import Problem, problem

FORMAT = 1
_READERS = 16
_RESERVE = 1 << 20
"""Bytes that are set aside: with them a deletion can still be recorded on a full disk."""

_SCHEMA = """
create table if not exists buckets(
  name text primary key, account text not null, region text not null, created real not null,
  versioning text not null default '') without rowid;
create table if not exists settings(
  bucket text not null, kind text not null, document text not null, primary key(bucket, kind)) without rowid;
create table if not exists versions(
  id integer primary key, bucket text not null, key text not null, version text not null,
  latest integer not null, marker integer not null, size integer not null, etag text not null, modified real not null,
  files text not null, headers text not null, tags text not null, sums text not null, storage text not null,
  parts text not null);
create unique index if not exists one_version on versions(bucket, key, version);
create unique index if not exists one_latest on versions(bucket, key) where latest = 1;
create table if not exists uploads(
  id text primary key, bucket text not null, key text not null, started real not null, headers text not null,
  tags text not null, storage text not null, algorithm text not null, kind text not null) without rowid;
create index if not exists uploads_by_key on uploads(bucket, key, id);
create table if not exists parts(
  upload text not null, number integer not null, size integer not null, etag text not null, modified real not null,
  file text not null, sum text not null, primary key(upload, number)) without rowid;
create table if not exists completed(
  upload text primary key, bucket text not null, key text not null, version text not null, etag text not null,
  at real not null) without rowid;
"""


class Database:
    """Connections to one database: one that writes, some that read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reserve = path.with_suffix(".reserve")
        self._lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._spare = threading.Semaphore(_READERS)

    def open(self) -> None:
        """Make or open it. Raises LocalCloudError when it cannot be read."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # It holds names and metadata that are nobody else's business.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._writer = self._connect()
            version = self._writer.execute("pragma user_version").fetchone()[0]
            if version not in (0, FORMAT):
                raise _unreadable(self._path, f"its format is {version}, not {FORMAT}")
            self._writer.executescript(_SCHEMA)
            self._writer.execute(f"pragma user_version = {FORMAT}")
        except (sqlite3.Error, OSError) as error:
            raise _unreadable(self._path, f"{type(error).__name__}: {error}") from error
        self._set_aside()

    def close(self) -> None:
        """Write the log into the database and close it; repeatable."""
        with self._lock:
            while True:
                try:
                    self._readers.get_nowait().close()
                except queue.Empty:
                    break
            if self._writer is not None:
                with contextlib.suppress(sqlite3.Error):
                    self._writer.execute("pragma wal_checkpoint(truncate)")
                self._writer.close()
                self._writer = None

    def _connect(self) -> sqlite3.Connection:
        made = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
        made.execute("pragma journal_mode = wal")
        # The log is in the kernel's hands at each commit: a killed process loses nothing.
        made.execute("pragma synchronous = normal")
        made.execute("pragma cache_size = -1024")
        return made

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with."""
        with self._spare:
            try:
                connection = self._readers.get_nowait()
            except queue.Empty:
                connection = self._connect()
            try:
                yield connection
            finally:
                self._readers.put(connection)

    def row(self, statement: str, arguments: Sequence[Any] = ()) -> Any:
        """The first row, or None."""
        with self.read() as connection:
            cursor = connection.execute(statement, arguments)
            found = cursor.fetchone()
            cursor.close()
            return found

    def rows(self, statement: str, arguments: Sequence[Any] = ()) -> list[Any]:
        """All rows."""
        with self.read() as connection:
            return connection.execute(statement, arguments).fetchall()

    @contextlib.contextmanager
    def write(self, *, frees: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction: on disk when the block ends, undone when it raises.

        ``frees``: it removes things, so that on a full disk it may use what is set aside. Raises Problem when the disk
        refuses.
        """
        with self._lock:
            writer = self._writer
            if writer is None:
                raise problem("ServiceUnavailable", "The local cloud is stopping.")
            if frees and not _room(self._path):
                self._reserve.unlink(missing_ok=True)
            try:
                writer.execute("begin immediate")
                yield writer
                writer.execute("commit")
            except BaseException as error:
                if writer.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        writer.execute("rollback")
                if isinstance(error, sqlite3.Error):
                    raise _refused(error) from error
                raise

    def after_freeing(self) -> None:
        """Set aside again what a deletion on a full disk used."""
        if not self._reserve.exists():
            self._set_aside()

    def _set_aside(self) -> None:
        try:
            descriptor = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, _RESERVE)
            finally:
                os.close(descriptor)
        except OSError:
            self._reserve.unlink(missing_ok=True)


def _room(path: Path) -> bool:
    found = os.statvfs(path.parent)
    return found.f_bavail * found.f_frsize > _RESERVE


def _refused(error: sqlite3.Error) -> Problem:
    code = getattr(error, "sqlite_errorcode", 0) or 0
    if code & 0xFF == sqlite3.SQLITE_FULL or (code & 0xFF == sqlite3.SQLITE_IOERR):
        return problem(
            "InternalError",
            f"We encountered an internal error: the record could not be written ({os.strerror(errno.ENOSPC)}).",
        )
    return problem("InternalError", f"We encountered an internal error: {error}.")


def _unreadable(path: Path, detail: str) -> LocalCloudError:
    return LocalCloudError(
        f"the local cloud's records in {path} cannot be read",
        context=detail,
        hint="hcluster local reset (removes its instances, images and objects)",
    )
