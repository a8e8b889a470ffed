"""Answers that are nice to have: asked for, but not waited for longer than people like."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def within(seconds: float, call: Callable[[], Value]) -> Value | Exception | None:
    """What ``call`` returns, the error that it raises, or None when it takes longer; it then ends with the process."""
    answer: list[Value | Exception] = []

    def work() -> None:
        try:
            answer.append(call())
        except Exception as cause:  # noqa: BLE001 - whatever it is, it is the caller's to judge
            answer.append(cause)

    # A daemon: the interpreter's end waits for all other threads.
    thread = threading.Thread(target=work, name="hcluster-quickly", daemon=True)
    thread.start()
    thread.join(seconds)
    return answer[0] if answer else None
