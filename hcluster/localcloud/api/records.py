"""Keeps moto's records on disk: written soon after each change, atomically, and read back at the next start."""

from __future__ import annotations

import logging
import os
import pickle
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hcluster.errors import LocalCloudError

log = logging.getLogger(__name__)

DELAY = 2.0
"""Seconds after a change until it is written."""
_SHARE = 20
"""Requests wait for the writer at most one part in so many of the time, however much there is to write."""
FORMAT = 1


class Records:
    """Writes groups of records, each to one file.

    ``groups``: by name, the lock to hold while the group is pickled and a function that gives what to pickle.
    """

    def __init__(self, folder: Path, groups: Mapping[str, tuple[threading.RLock, Callable[[], Any]]]) -> None:
        self._folder = folder
        self._groups = dict(groups)
        self._dirty: set[str] = set()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._saving = threading.Lock()
        self._marking = threading.Lock()
        self._thread = threading.Thread(target=self._writing, name="records", daemon=True)

    def start(self) -> None:
        """Begin to write changes."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def stop(self) -> None:
        """Write nothing more by itself."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(30)

    def changed(self, group: str) -> None:
        """Something of the group is to be written soon."""
        with self._marking:
            self._dirty.add(group)
        self._wake.set()

    def save(self, *groups: str) -> float:
        """Write groups (all without a name) now; how many seconds that held up requests. What was there stays until
        the new file is complete. Raises OSError; the group is then still to be written."""
        held = 0.0
        with self._saving:
            for group in groups or tuple(self._groups):
                lock, give = self._groups[group]
                with self._marking:
                    self._dirty.discard(group)
                try:
                    with lock:
                        begun = time.monotonic()
                        document = pickle.dumps({"format": FORMAT, "records": give()}, protocol=pickle.HIGHEST_PROTOCOL)
                        held += time.monotonic() - begun
                    _replace(self._folder / f"{group}.pickle", document)
                except BaseException:
                    with self._marking:
                        self._dirty.add(group)
                    raise
        return held

    def load(self, group: str) -> Any | None:
        """What was saved of the group, None when nothing was. Raises LocalCloudError for a file that cannot be read."""
        path = self._folder / f"{group}.pickle"
        try:
            document = pickle.loads(path.read_bytes())  # noqa: S301 - our own file, in a folder of the user's own
        except FileNotFoundError:
            return None
        except Exception as error:
            raise _unreadable(path, f"{type(error).__name__}: {error}") from error
        if document.get("format") != FORMAT:
            raise _unreadable(path, f"its format is {document.get('format')}, not {FORMAT}")
        return document["records"]

    def _writing(self) -> None:
        rest = DELAY
        while not self._stop.is_set():
            self._wake.wait()
            if self._stop.wait(rest):
                return
            self._wake.clear()
            with self._marking:
                groups = sorted(self._dirty)
            try:
                rest = max(DELAY, self.save(*groups) * _SHARE) if groups else DELAY
            except Exception:
                log.exception("the records could not be written to %s", self._folder)
                self._wake.set()


def _unreadable(path: Path, detail: str) -> LocalCloudError:
    return LocalCloudError(
        f"the local cloud's records in {path} cannot be read",
        context=detail,
        hint="hcluster local reset (removes its instances, images and objects)",
    )


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)
