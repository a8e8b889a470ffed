"""What operations answer with, and bodies that are regions of files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO

from hcluster.localcloud.api.s3.files import FileStore, Region
from hcluster.localcloud.api.s3.store import Version

_PIECE = 1 << 18
_OPEN = 32
"""Files of one object that are open at the same time at most."""


@dataclass(slots=True)
class Answer:
    """Status, headers and body."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | FileBody = b""
    length: int | None = None
    """Content-Length where it is not the body's (HEAD)."""

    @staticmethod
    def xml(body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """An XML document."""
        return Answer(200, {"Content-Type": "application/xml", **(headers or {})}, body)


class FileBody:
    """Regions of files, sent without being read into memory where the socket allows.

    The files are held from the start, so that a deletion meanwhile does not disturb the reader: a few by their
    descriptors, the many parts of a big object by telling the store, which then removes them later.
    """

    def __init__(self, files: FileStore, regions: list[Region]) -> None:
        """Raises FileNotFoundError when a file is gone already."""
        self._files = files
        self._regions = regions
        self._open: list[IO[bytes]] = []
        self._held: list[str] = []
        try:
            if len(regions) <= _OPEN:
                for region in regions:
                    self._open.append(open(files.path(region.name), "rb", buffering=0))  # noqa: PTH123, SIM115
            else:
                self._held = [region.name for region in regions]
                files.hold(self._held)
                for name in self._held:
                    os.stat(files.path(name))  # noqa: PTH116
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return sum(region.size for region in self._regions)

    def sources(self) -> Iterator[tuple[IO[bytes], int, int]]:
        """(open file, start, size) one after the other."""
        for number, region in enumerate(self._regions):
            if self._open:
                yield self._open[number], region.start, region.size
            else:
                with open(self._files.path(region.name), "rb", buffering=0) as source:  # noqa: PTH123
                    yield source, region.start, region.size

    def __iter__(self) -> Iterator[bytes]:
        for source, start, size in self.sources():
            position, end = start, start + size
            while position < end:
                piece = os.pread(source.fileno(), min(_PIECE, end - position), position)
                if not piece:
                    raise OSError("a file is shorter than its record says")
                yield piece
                position += len(piece)

    def close(self) -> None:
        """Give the files back; repeatable."""
        for source in self._open:
            with contextlib.suppress(OSError):
                source.close()
        self._open = []
        held, self._held = self._held, []
        if held:
            self._files.release(held)


def regions(found: Version, start: int, length: int) -> list[Region]:
    """Where ``length`` bytes from ``start`` of an object lie."""
    wanted, position = [], 0
    end = start + length
    for name, size in found.files:
        first, last = max(start, position), min(end, position + size)
        if first < last:
            wanted.append(Region(name, first - position, last - first))
        position += size
    return wanted
