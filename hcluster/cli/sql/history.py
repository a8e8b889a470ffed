"""What was typed at the prompt of ``hcluster sql``, kept between calls: bounded, readable by its owner alone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

KEPT = 1000
_SLACK = 200
"""So many more may be in the file before it is cut, so that it is not written anew each time."""
_LONGEST = 16_384
_SECRET = re.compile(r"password|passwd|secret|credential|access[._-]?key|api[._-]?key|\btoken\b", re.IGNORECASE)


def kept(text: str) -> bool:
    """Whether a text goes into the history: not with a blank in front, nor when it seems to hold a secret."""
    return bool(text.strip()) and not text[0].isspace() and len(text) <= _LONGEST and not _SECRET.search(text)


class History:
    """Texts in the order of their typing, a JSON string a line; several prompts may write at once.

    A file that cannot be read or written is as good as none: nobody's query waits for its history.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> list[str]:
        """All of them, the oldest first."""
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        return list(_texts(lines))[-KEPT:]

    def add(self, text: str) -> None:
        """Append one, if it is to be kept and is not the last one again."""
        if not kept(text):
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                os.fchmod(descriptor, 0o600)
                lines = file.read().splitlines()
                new = json.dumps(text)
                if lines[-1:] == [new]:
                    return
                if len(lines) < KEPT + _SLACK:
                    file.write(f"{new}\n")
                    return
                # In place, not by a rename: another prompt that waits for the lock has this file open.
                file.truncate(0)
                file.write("".join(f"{line}\n" for line in [*lines[1 - KEPT :], new]))


def _texts(lines: list[str]) -> Iterator[str]:
    for line in lines:
        with contextlib.suppress(ValueError):
            text = json.loads(line)
            if isinstance(text, str):
                yield text
