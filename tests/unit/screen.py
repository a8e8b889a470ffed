"""A command on a terminal of its own: what it shows is awaited, what a person types is sent."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import termios
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

LIMIT_SECONDS = 120.0
"""When the command is killed, whatever it does: a bound on a test that hangs, not a measure of anything."""


class Screen:
    """Use it as a context manager; the command is killed at the end when it has not ended."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self.shown = ""
        self._read = 0
        self._ended = False
        self._process, self._terminal = pty.fork()
        if self._process == 0:
            os.chdir(folder)
            os.execve(command[0], list(command), dict(environment))  # noqa: S606 - the forked half becomes the command
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._watchdog = threading.Timer(LIMIT_SECONDS, self._kill)
        self._watchdog.daemon = True

    def __enter__(self) -> Self:
        self._watchdog.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.cancel()
        if not self._ended:
            self._kill()
            self.ended()
        os.close(self._terminal)

    def send(self, typed: str) -> None:
        """Type something."""
        os.write(self._terminal, typed.encode())

    def until(self, text: str) -> str:
        """Read until ``text`` is shown, behind what the last call read; what was shown up to it."""
        while (at := self.shown.find(text, self._read)) < 0:
            if not self._more():
                raise AssertionError(f"it ended and never showed {text!r}: {self.shown[-3000:]!r}")
        before, self._read = self._read, at + len(text)
        return self.shown[before : self._read]

    def ended(self) -> int:
        """Wait for the end; the exit code."""
        while self._more():
            pass
        _, status = os.waitpid(self._process, 0)
        self._ended = True
        return os.waitstatus_to_exitcode(status)

    def _more(self) -> bool:
        try:
            piece = os.read(self._terminal, 65536)
        except OSError:
            # Linux says so when the last process on the other side is gone.
            return False
        self.shown += piece.decode(errors="replace")
        return bool(piece)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process, signal.SIGKILL)
