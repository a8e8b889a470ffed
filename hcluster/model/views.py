"""What the read verbs answer: plain values that tables and JSON are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hcluster.model.node import Instance


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node as the cloud and its check-ins tell it."""

    instance: Instance
    group: str
    phase: str
    """The latest of booted, configured, ready, failed; "" before the first check-in."""
    phase_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ClusterView:
    """One cluster."""

    name: str
    team: str
    owner: str
    state: str
    """starting, ready, degraded (ready once, nodes missing or failed), failed, ending, or claimed (no nodes)."""
    launch: str
    created: datetime | None
    wanted: Mapping[str, int]
    """Nodes wanted by group."""
    nodes: tuple[NodeView, ...] = ()
    master: str = ""
    """Private DNS name of the master."""
    spec: Mapping[str, object] = field(default_factory=dict)

    @property
    def ready_nodes(self) -> int:
        """How many nodes are running and ready."""
        return sum(node.instance.alive and node.phase == "ready" for node in self.nodes)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``doctor``."""

    check: str
    ok: bool
    message: str
    cure: str = ""
    warning: bool = False
    """Nothing fails for it yet, but somebody should look."""


@dataclass(frozen=True, slots=True)
class DownResult:
    """What ``down`` removed."""

    name: str
    terminated: int
    interfaces: int
    templates: int
    volumes: int

    @property
    def nothing(self) -> bool:
        """Whether there was nothing left to remove."""
        return not (self.terminated or self.interfaces or self.templates or self.volumes)
