"""Results that do not fit on the screen, through a pager: $PAGER, else ``less -S``, else as they are."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import IO, Self, TextIO, cast


def command(environment: Mapping[str, str], which: Callable[[str], str | None] = shutil.which) -> list[str]:
    """The pager's words; none when there is none, or $PAGER is empty or ``cat``."""
    if "PAGER" in environment:
        try:
            words = shlex.split(environment["PAGER"])
        except ValueError:
            words = []
        return words if words and words != ["cat"] and which(words[0]) else []
    # Long lines are not folded, and the result stays on the screen afterwards.
    return ["less", "-S", "-X"] if which("less") else []


class Paged:
    """A text stream that becomes a pager's input once more was written than a screen holds. A context manager.

    Until then what is written waits; when it ends before, it goes to ``out`` as it is. ``write`` raises BrokenPipeError
    when the pager was left.
    """

    def __init__(self, out: TextIO, words: list[str], columns: int, lines: int) -> None:
        self._out = out
        self._words = words
        self._columns = columns
        self._lines = lines
        self._waiting: list[str] = []
        self._seen = 0
        self._widest = 0
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):
            self._decide()
        if self._process is None:
            self._flush(self._out)
            self._out.flush()
            return
        # The pager belongs to whoever looks at it until they leave it; Ctrl-C is for it alone meanwhile.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with suppress(BrokenPipeError):
                cast("IO[str]", self._process.stdin).close()
            self._process.wait()
        finally:
            signal.signal(signal.SIGINT, before)

    def write(self, text: str) -> int:
        """Take text in."""
        if self._process is not None:
            return cast("IO[str]", self._process.stdin).write(text)
        self._waiting.append(text)
        self._seen += text.count("\n")
        if self._seen >= self._lines:
            self._decide()
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Take lines in."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand on what a pager waits for."""
        if self._process is not None:
            cast("IO[str]", self._process.stdin).flush()

    def _decide(self) -> None:
        if self._process is not None or not self._words:
            return
        self._widest = max((len(line) for line in "".join(self._waiting).split("\n")), default=0)
        if self._seen < self._lines and self._widest <= self._columns:
            return
        self._out.flush()
        environment = {"LESSCHARSET": "utf-8", **os.environ}
        try:
            self._process = subprocess.Popen(
                self._words,
                stdin=subprocess.PIPE,
                stdout=self._out.fileno(),
                env=environment,
                text=True,
                encoding="utf-8",
            )
        except OSError as cause:
            print(f"{shlex.join(self._words)}: {cause.strerror}", file=sys.stderr)
            self._words = []
            return
        self._flush(cast("TextIO", self._process.stdin))

    def _flush(self, out: TextIO) -> None:
        waiting, self._waiting = self._waiting, []
        out.writelines(waiting)
