"""The state of a cluster, from what is wanted and what its nodes report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hcluster.model.views import NodeView


def cluster_state(wanted: Mapping[str, int], nodes: Sequence[NodeView]) -> str:
    """One of claimed, starting, ready, degraded and failed; see ``ClusterView.state``."""
    alive = [node for node in nodes if node.instance.alive]
    if not alive:
        return "claimed"
    if any(node.phase == "failed" for node in alive if node.group == "master"):
        return "failed"
    ready = {group: sum(node.group == group and node.phase == "ready" for node in alive) for group in wanted}
    if all(ready[group] >= count for group, count in wanted.items()):
        return "ready"
    if any(node.phase == "failed" for node in alive) or (ready.get("master") and _settled(alive)):
        return "degraded"
    return "starting"


def _settled(alive: Sequence[NodeView]) -> bool:
    """Whether no node is still on its way, so that what is missing will not come by itself."""
    return all(node.phase in ("ready", "failed") for node in alive)
