"""Bytes of objects and parts: files that are written once, never changed, and shared by hard links."""

from __future__ import annotations

import errno
import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from hcluster.localcloud.api.s3.problem import Problem, problem

log = logging.getLogger(__name__)

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_COPY = 1 << 20


def disk_problem(error: OSError) -> Problem:
    """What a caller is told when the disk refuses."""
    if error.errno in _FULL:
        return problem("InternalError", "We encountered an internal error: no space is left on the local cloud's disk.")
    return problem("InternalError", f"We encountered an internal error: {error.strerror}.")


class FileStore:
    """Files of one cloud's objects, in 256 folders so that none grows huge."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}
        self._doomed: set[str] = set()

    def prepare(self) -> None:
        """Make the folders; repeatable."""
        for number in range(256):
            (self._folder / f"{number:02x}").mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> str:
        """Where a file lies."""
        return f"{self._folder}/{name[:2]}/{name}"

    def create(self) -> NewFile:
        """A new file, to be used as a context: it goes again unless it is kept."""
        name = uuid.uuid4().hex
        return NewFile(name, self.path(name))

    def link(self, name: str) -> str:
        """Another name for the same bytes. Raises FileNotFoundError when the file is gone."""
        made = uuid.uuid4().hex
        os.link(self.path(name), self.path(made))
        return made

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, those that a reader holds when it has gone; gone already is no error."""
        for name in names:
            if self._held:
                with self._lock:
                    if name in self._held:
                        self._doomed.add(name)
                        continue
            try:
                os.unlink(self.path(name))  # noqa: PTH108 - a Path a file costs more than the call
            except FileNotFoundError:
                continue
            except OSError:
                # The record is gone already; the next start sweeps.
                log.exception("the file %s of a deleted object stays until the next start", name)

    def hold(self, names: Iterable[str]) -> None:
        """Keep files until they are released, whatever happens to their records."""
        with self._lock:
            for name in names:
                self._held[name] = self._held.get(name, 0) + 1

    def release(self, names: Iterable[str]) -> None:
        """The end of ``hold``: what was to be removed meanwhile goes."""
        with self._lock:
            free = []
            for name in names:
                self._held[name] -= 1
                if not self._held[name]:
                    del self._held[name]
                    if name in self._doomed:
                        self._doomed.discard(name)
                        free.append(name)
        self.remove(free)

    def feed(self, parts: Iterable[Region], sink: Callable[[bytes], object]) -> None:
        """Give bytes of files to ``sink`` in pieces. Raises FileNotFoundError when one is gone."""
        for part in parts:
            descriptor = os.open(self.path(part.name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                position, end = part.start, part.start + part.size
                while position < end:
                    piece = os.pread(descriptor, min(_COPY, end - position), position)
                    if not piece:
                        raise problem("InternalError", f"The file {part.name} is shorter than its record says.")
                    sink(piece)
                    position += len(piece)
            finally:
                os.close(descriptor)

    def sweep(self, known: Mapping[str, int]) -> tuple[int, list[str]]:
        """Remove files that no record has (a crash between file and record leaves them): how many these were, and
        the names of files that a record has and that are absent or of another size."""
        removed, sizes = 0, dict[str, int]()
        for folder in self._folder.iterdir():
            if not folder.is_dir():
                continue
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name in known:
                        sizes[entry.name] = entry.stat(follow_symlinks=False).st_size
                    elif not entry.is_dir(follow_symlinks=False):
                        Path(entry.path).unlink()
                        removed += 1
        return removed, [name for name, size in known.items() if sizes.get(name) != size]


class Region:
    """A part of a file: ``size`` bytes from ``start``."""

    __slots__ = ("name", "size", "start")

    def __init__(self, name: str, start: int, size: int) -> None:
        self.name, self.start, self.size = name, start, size


class NewFile:
    """A file that is being written. Raises Problem when the disk is full."""

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self._path = path
        self._kept = False
        self._descriptor = -1

    def __enter__(self) -> Self:
        try:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise disk_problem(error) from error
        return self

    def write(self, piece: bytes) -> None:
        """Append."""
        try:
            written = os.write(self._descriptor, piece)
            while written < len(piece):
                written += os.write(self._descriptor, memoryview(piece)[written:])
        except OSError as error:
            raise disk_problem(error) from error

    def keep(self) -> str:
        """A record has it now; its name."""
        self._kept = True
        return self.name

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
        if not self._kept:
            Path(self._path).unlink()
