"""Progress of a flow on stderr: alive on a terminal, plain lines with the time when piped."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from hcluster.cli.output.render import clean
from hcluster.model.events import Progress, Report

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

SILENT_SECONDS = 1.0
"""How long nothing needs to be shown."""
ASKING_SECONDS = 1.0
"""After how long a line tells what is asked for, where nothing is drawn."""
COUNT_SECONDS = 5.0
"""How often a line tells that a count has changed, and nothing else."""
_BAR = 20
_TAKEN = re.compile(r"\d+(\.\d+)? s\b")
"""What ends with its own seconds, more exact ones than ours."""
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_MARKS = {"ok": ("✓", "green"), "failed": ("✗", "red"), "stopped": ("-", "yellow")}


@contextmanager
def reporter(console: Console | None = None, *, stream: TextIO | None = None, asking: str = "") -> Iterator[Report]:
    """Where a flow may send its progress while the block lasts; safe to call from several threads.

    Args:
        console: draw on this one; by default on stderr, and rich is only loaded when that is a terminal.
        stream: where plain lines go otherwise; stderr by default.
        asking: what is asked for, of a block that prints nothing and has no steps yet: told when the answer takes
            longer than a second; on a terminal it is wiped out again.
    """
    stream = stream or sys.stderr
    if console is None and (not stream.isatty() or os.environ.get("TERM") == "dumb"):
        with _lines(stream, asking) as report:
            yield report
        return
    if console is None:
        from rich.console import Console

        console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        with _lines(stream, asking) as report:
            yield report
        return
    with live(console, asking) as report:
        yield report


@contextmanager
def _lines(stream: TextIO, asking: str) -> Iterator[Report]:
    """Plain lines, the first of which may be what is asked for."""
    lines = Lines(stream)
    if not asking:
        yield lines
        return
    late = threading.Timer(ASKING_SECONDS, lines.ask, [asking])
    late.daemon = True
    late.start()
    try:
        yield lines
    finally:
        # Waited for, so that nothing is told when the answer is there.
        late.cancel()
        late.join()


class Lines:
    """One line for each thing that is new; one every few seconds for what is only counted."""

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.time) -> None:
        self._stream = stream
        self._now = now
        self._last: dict[str, tuple[str, str]] = {}
        self._count: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def __call__(self, progress: Progress) -> None:
        """Print it, unless nothing but a count changed, and another one was printed shortly before."""
        with self._lock:
            told = (progress.text, progress.state)
            if self._last.get(progress.step) == told and not self._counts(progress):
                return
            self._last[progress.step] = told
            self._count[progress.step] = progress.done, self._now()
            count = f" ({progress.done}/{progress.total})" if progress.total else ""
            failed = "FAILED: " if progress.state == "failed" else ""
            self._print(f"{failed}{clean(progress.text)}{count}")

    def ask(self, what: str) -> None:
        """Tell what is asked for, when nothing else was told yet."""
        with self._lock:
            if not self._last:
                self._print(clean(what))

    def _print(self, text: str) -> None:
        clock = time.strftime("%H:%M:%S", time.localtime(self._now()))
        print(f"{clock} {text}", file=self._stream, flush=True)

    def _counts(self, progress: Progress) -> bool:
        done, at = self._count[progress.step]
        return bool(progress.total) and progress.done != done and self._now() - at >= COUNT_SECONDS


class Counter:
    """What is counted up without a known end: told when it has taken a second, and then every few.

    Args:
        report: where it goes.
        step: its name.
        text: what to say of a number.
    """

    def __init__(
        self, report: Report, step: str, text: Callable[[int], str], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._report = report
        self._step = step
        self._text = text
        self._now = now
        self._next = now() + SILENT_SECONDS
        self._shown = False
        self._count = 0

    def add(self, count: int) -> None:
        """So many more."""
        self._count += count
        if self._now() >= self._next:
            self._next = self._now() + COUNT_SECONDS
            self._shown = True
            self._report(Progress(self._step, self._text(self._count)))

    def end(self) -> None:
        """That was all; nothing is said when nothing was said before."""
        if self._shown:
            self._report(Progress(self._step, self._text(self._count), state="ok"))


@dataclass(slots=True)
class _Step:
    """A step as it is drawn."""

    progress: Progress
    began: float
    ended: float = 0.0


@contextmanager
def live(console: Console, asking: str = "") -> Iterator[Report]:
    """The display on a terminal: one line a step, with a bar where it counts, and its seconds."""
    from rich.live import Live
    from rich.text import Text

    steps: dict[str, _Step] = {}
    lock = threading.Lock()
    question = _Step(Progress("", asking), time.monotonic())

    def draw() -> Text:
        with lock:
            if not steps and asking and time.monotonic() - question.began > SILENT_SECONDS:
                return _line(question, time.monotonic())
            lines = [_line(step, time.monotonic()) for step in steps.values()]
        return Text("\n").join(lines)

    def report(progress: Progress) -> None:
        now = time.monotonic()
        with lock:
            step = steps.setdefault(progress.step, _Step(progress, now))
            step.progress = progress
            step.ended = 0.0 if progress.state == "running" else now

    with Live(get_renderable=draw, console=console, refresh_per_second=8, vertical_overflow="visible") as display:
        try:
            yield report
        finally:
            _stop(steps, lock)
            # What was only asked leaves no trace.
            display.transient = not steps


def _stop(steps: dict[str, _Step], lock: threading.Lock) -> None:
    """What still runs when the block ends did not end well or was not waited for."""
    with lock:
        for step in steps.values():
            step.ended = step.ended or time.monotonic()


def _line(step: _Step, now: float) -> Text:
    from rich.text import Text

    progress = step.progress
    state = "stopped" if progress.state == "running" and step.ended else progress.state
    mark, colour = _MARKS.get(state, (_SPINNER[int(now * 8) % len(_SPINNER)], "cyan"))
    line = Text()
    line.append(f"{mark} ", style=colour)
    line.append(clean(progress.text))
    if progress.total and state == "running":
        filled = min(_BAR, _BAR * progress.done // progress.total)
        line.append(f"  {'━' * filled}", style="cyan")
        line.append("━" * (_BAR - filled), style="bright_black")
        line.append(f" {progress.done}/{progress.total}")
    if not (step.ended and _TAKEN.match(progress.text)):
        line.append(f"  {(step.ended or now) - step.began:.0f}s", style="bright_black")
    return line
