"""Ctrl-C as a question that a loop asks, so that work is cancelled between two calls and not in the middle of one."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Self


class Interrupts:
    """While the context lasts the first SIGINT is only noted; a second one raises KeyboardInterrupt as usual.

    Outside the main thread, where no handler can be set, nothing is ever noted.
    """

    def __init__(self) -> None:
        self.noted = False
        self._main = threading.current_thread() is threading.main_thread()
        self._before: object = None

    def __enter__(self) -> Self:
        if self._main:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._main:
            signal.signal(signal.SIGINT, self._before)  # type: ignore[arg-type]

    def __call__(self) -> bool:
        """Whether the caller wants the work to end."""
        return self.noted

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self.noted:
            raise KeyboardInterrupt
        self.noted = True
