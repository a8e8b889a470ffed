"""Every call to a fake can be watched, and cut off right before or right after it took effect."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, Literal, ParamSpec, TypeVar

Moment = Literal["before", "after"]
Probe = Callable[[Moment, str], None]
"""Asked before each call and after each that succeeded, with its name, such as ``compute.create_fleet``; what it raises
ends the caller."""

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="Probed")


class Crash(BaseException):
    """A process that was killed. No Exception, so that no handler takes it for a failure to tidy up after."""


class CrashPoint:
    """A probe that raises ``Crash`` once, at one moment of the ``nth`` call of one name."""

    def __init__(self, name: str, moment: Moment = "after", nth: int = 1) -> None:
        self._name = name
        self._moment = moment
        self._left = nth
        self._lock = threading.Lock()

    def __call__(self, moment: Moment, name: str) -> None:
        """Crash when it is time."""
        if (moment, name) != (self._moment, self._name):
            return
        with self._lock:
            self._left -= 1
            crash = self._left == 0
        if crash:
            raise Crash(f"{moment} {name}")


def no_probe(_moment: Moment, _name: str) -> None:
    """Watches nothing."""


class Probed:
    """Base of the fakes: the probe, a lock, and the names of all calls so far."""

    port = ""

    def __init__(self, probe: Probe = no_probe) -> None:
        self.probe = probe
        self.calls: list[str] = []
        self.lock = threading.RLock()


def probed(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Let the fake's probe watch ``method``, and one thread at a time run it."""

    @wraps(method)
    def watched(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        name = f"{self.port}.{method.__name__}"
        self.calls.append(name)
        self.probe("before", name)
        with self.lock:
            result = method(self, *args, **kwargs)
        self.probe("after", name)
        return result

    return watched
