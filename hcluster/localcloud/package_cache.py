"""Packages kept by address, so that the next bake need not fetch them again."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

LIMIT_BYTES = 4 << 30
"""The cache is trimmed to three quarters of this, least recently used first, once it is larger."""


class PackageCache:
    """Files of immutable addresses: a .deb of one version never changes. Shared by clouds and threads."""

    def __init__(self, folder: Path, limit: int = LIMIT_BYTES) -> None:
        self._folder = folder
        self._limit = limit
        self._lock = threading.Lock()

    @staticmethod
    def keeps(url: str) -> bool:
        """Whether the address names something that never changes."""
        return url.endswith(".deb")

    def find(self, url: str) -> Path | None:
        """The kept file, None when there is none."""
        path = self._path(url)
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        return path

    def store(self, url: str, chunks: Iterable[bytes], length: int) -> Iterator[bytes]:
        """Pass ``chunks`` on and keep them, once exactly ``length`` bytes went through; a broken transfer leaves
        nothing."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", delete=False) as fresh:
            try:
                size = 0
                for chunk in chunks:
                    size += fresh.write(chunk)
                    if size == length:
                        # Kept before its end is passed on: who has it all finds it here when it asks again.
                        fresh.flush()
                        Path(fresh.name).replace(self._path(url))
                    yield chunk
            finally:
                Path(fresh.name).unlink(missing_ok=True)
        self._trim()

    def _path(self, url: str) -> Path:
        return self._folder / hashlib.sha256(url.encode()).hexdigest()

    def _trim(self) -> None:
        with self._lock:
            entries = [entry for entry in os.scandir(self._folder) if not entry.name.startswith(".")]
            files = [(entry.stat(), Path(entry.path)) for entry in entries]
            total = sum(stat.st_size for stat, _ in files)
            if total <= self._limit:
                return
            for stat, path in sorted(files, key=lambda item: item[0].st_mtime):
                path.unlink(missing_ok=True)
                total -= stat.st_size
                if total <= self._limit * 3 // 4:
                    return
