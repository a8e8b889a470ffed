"""Nodes as the cloud and their own check-ins describe them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Role = Literal["master", "core", "task", "platform"]
Market = Literal["on-demand", "spot"]

PHASES = ("booted", "configured", "ready", "failed")
"""Check-in phases in order. ``booted`` carries the SSH host keys; ``failed`` carries the reason."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance as DescribeInstances tells it."""

    id: str
    state: str
    """pending, running, shutting-down, terminated, stopping or stopped."""
    private_ip: str
    private_dns: str
    type: str
    zone: str
    market: Market
    image: str
    launched: datetime
    tags: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    """Why it ended, when it did."""
    ended: datetime | None = None
    """When, as far as EC2 tells: it does for what users and the instance itself ended, not for spot interruptions."""

    @property
    def alive(self) -> bool:
        """Whether it is booting or running."""
        return self.state in ("pending", "running")


@dataclass(frozen=True, slots=True)
class CheckIn:
    """One object below ``clusters/NAME/nodes/INSTANCE/``."""

    instance: str
    phase: str
    at: datetime
    """When the object was written, by S3's clock."""
    body: Mapping[str, object] = field(default_factory=dict)
    """Empty when only listed, not read."""
