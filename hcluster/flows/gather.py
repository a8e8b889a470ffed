"""Run independent calls side by side."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import TypeVar

Value = TypeVar("Value")

MAX_PARALLEL = 32


def gather(calls: Sequence[Callable[[], Value]]) -> list[Value]:
    """The results in order; when some fail, all are awaited and the first error is raised.

    Ctrl-C is raised at once: calls that wait for their turn are never made, and those under way end by themselves or
    with the process.
    """
    if len(calls) <= 1:
        return [call() for call in calls]
    futures: list[Future[Value]] = [Future() for _ in calls]
    left = deque(zip(futures, calls, strict=True))
    try:
        for _ in range(min(len(calls), MAX_PARALLEL)):
            # Daemons, unlike those of a ThreadPoolExecutor: the interpreter's own end waits for all others.
            threading.Thread(target=_work, args=(left,), name="hcluster-gather", daemon=True).start()
        wait(futures)
    except BaseException:
        left.clear()
        raise
    return [future.result() for future in futures]


def _work(left: deque[tuple[Future[Value], Callable[[], Value]]]) -> None:
    """Make calls until none is left."""
    while True:
        try:
            future, call = left.popleft()
        except IndexError:
            return
        try:
            future.set_result(call())
        except BaseException as cause:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(cause)
