"""What is broken on purpose in one cloud: shortages, throttling, errors, delays, a wrong clock, answers that lag."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path


class Rules:
    """The rules that are in force. Thread-safe; kept in a file, so that they outlast the process.

    Nothing here may be called while the cloud's lock is held, except ``shortage``, ``capacity``, ``took``, ``lag`` and
    ``clock``, which only look.
    """

    def __init__(self, folder: Path) -> None:
        """``folder``: the cloud's."""
        self._folder = folder

    def before(self, service: str, action: str, principal_arn: str) -> None:
        """What happens to a request before it takes effect: sleeps for delays, raises Fault for what is throttled or
        told to fail. ``service`` is the signing name ("ec2"), ``action`` the operation ("RunInstances")."""

    def after(self, service: str, action: str, principal_arn: str) -> None:
        """As ``before``, when the request has taken effect: the Fault takes the place of its answer."""

    def shortage(self, instance_type: str, zone: str, lifecycle: str) -> bool:
        """Whether no instance can be had; ``lifecycle`` is "spot" or "on-demand"."""
        return self.capacity(instance_type, zone, lifecycle) == 0

    def capacity(self, instance_type: str, zone: str, lifecycle: str) -> int | None:  # noqa: ARG002
        """How many more instances can be had; None: no rule limits it."""
        return None

    def took(self, instance_type: str, zone: str, lifecycle: str, count: int = 1) -> None:
        """Instances were launched: the capacity that is left shrinks."""

    def lag(self) -> float:
        """Seconds that Describe operations lag behind changes (eventual consistency); 0 as a rule."""
        return 0.0

    def clock(self) -> timedelta:
        """How far the API's clock is ahead of the true time."""
        return timedelta()
