"""What state a cluster is in, and when its lifetime ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from hcluster.model.views import NodeView
from hcluster.spec.base import STANDING

State = Literal["claimed", "starting", "ready", "degraded", "failed", "ending"]


def cluster_state(wanted: Mapping[str, int], nodes: Sequence[NodeView]) -> State:
    """The state of a cluster from the nodes wanted by group and those that exist.

    claimed: a name but no node; starting: on the way to its first ready; ready: all that is wanted is ready;
    degraded: its master is ready, but nodes are missing, failed, or being replaced; failed: it cannot become ready as
    it is; ending: nodes are going and none is left alive.
    """
    alive = [node for node in nodes if node.instance.alive]
    if not alive:
        return "ending" if any(node.instance.state == "shutting-down" for node in nodes) else "claimed"
    master = next((node for node in alive if node.group in ("master", "platform")), None)
    failed = any(node.phase == "failed" for node in alive)
    if master is None:
        # Right after the launch call the workers can be listed before the master is.
        return "failed" if failed or any(node.phase == "ready" for node in alive) else "starting"
    if master.phase != "ready":
        return "failed" if failed else "starting"
    if failed or missing(wanted, nodes):
        return "degraded"
    waiting = [node for node in alive if node.phase != "ready"]
    if not waiting:
        return "ready"
    # Whoever was launched after the master was ready is a replacement or an addition, not part of the first start.
    late = any(master.phase_at and node.instance.launched > master.phase_at for node in waiting)
    return "degraded" if late else "starting"


def missing(wanted: Mapping[str, int], nodes: Sequence[NodeView]) -> dict[str, int]:
    """How many living nodes each group lacks; groups that lack none are left out."""
    living = {group: sum(node.instance.alive and node.group == group for node in nodes) for group in wanted}
    return {group: count - living[group] for group, count in wanted.items() if count > living[group]}


def ends_at(created: datetime, lifetime: int) -> datetime | None:
    """When a cluster's life is over, None when it stands; ``lifetime`` in seconds."""
    return None if lifetime == STANDING else created + timedelta(seconds=lifetime)
