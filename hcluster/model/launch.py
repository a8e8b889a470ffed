"""What the flows ask the cloud to launch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hcluster.model.node import Market


@dataclass(frozen=True, slots=True)
class Disk:
    """An extra volume of each node."""

    size_gib: int
    type: str = "gp3"


@dataclass(frozen=True, slots=True)
class TemplateRequest:
    """A launch template; IMDSv2 is always required."""

    name: str
    image: str
    instance_profile: str
    security_groups: tuple[str, ...]
    user_data: str
    tags: Mapping[str, str]
    """Tags of the template itself, of its instances, their volumes and interfaces."""
    interface: str = ""
    """Id of an interface made before, for the one instance of this template."""
    disks: tuple[Disk, ...] = ()
    end_with_shutdown: bool = True
    """Whether a node that powers itself off is terminated (so that nothing of it is paid for) or only stopped."""


@dataclass(frozen=True, slots=True)
class FleetRequest:
    """One instant fleet: ``count`` nodes of any of ``types`` in any of ``subnets``."""

    template: str
    count: int
    types: tuple[str, ...]
    subnets: tuple[str, ...]
    market: Market
    client_token: str
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of the instances, given in the launch call itself (they win over the template's)."""


@dataclass(frozen=True, slots=True)
class FleetResult:
    """What came of it; both fields may be non-empty."""

    instances: tuple[str, ...]
    errors: tuple[tuple[str, str], ...]
    """(code, message) as the cloud words them."""
