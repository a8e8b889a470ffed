"""How a launch came up, from what its nodes have noted."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime

from hcluster.errors import IntegrityError, NotFoundError
from hcluster.flows.context import Context
from hcluster.flows.gather import gather
from hcluster.flows.listing import show
from hcluster.model import names
from hcluster.model.node import PHASES, CheckIn
from hcluster.model.views import ClusterView, NodeView
from hcluster.plan.timings import NodeTimings, Timings, node_timings


def timings(ctx: Context, name: str) -> Timings:
    """The phases of each node of a cluster: one read of a check-in a node, side by side and a bounded number at once.

    Raises:
        NotFoundError: there is no such cluster.
    """
    view = show(ctx, name)
    began = view.created or min(node.instance.launched for node in view.nodes)
    # As it is printed, so that seconds since then are the same to programs that read both.
    began = began.replace(microsecond=0)
    first = _first_ready(ctx, view)

    def timed(node: NodeView) -> NodeTimings:
        at_first = first is None or node.instance.launched <= first
        return node_timings(
            node.instance, node.group, _noted(ctx, name, node), began if at_first else node.instance.launched
        )

    found = tuple(gather([lambda node=node: timed(node) for node in view.nodes]))  # type: ignore[misc]
    at_first = [node.ready for node in found if node.origin == began]
    known = [ready for ready in at_first if ready is not None]
    return Timings(name, view.launch, began, max(known) if known and len(known) == len(at_first) else None, found)


def _first_ready(ctx: Context, view: ClusterView) -> datetime | None:
    """When the launch was ready for the first time; nodes that were launched later came to a running cluster."""
    if not view.launch:
        return None
    try:
        row = json.loads(ctx.store.get(names.launch_key(view.name, view.launch))[0])
        return datetime.fromisoformat(str(row["ready"]))
    except NotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as cause:
        raise IntegrityError(f"the record of launch {view.launch} cannot be read", context=str(cause)) from cause


def _noted(ctx: Context, cluster: str, node: NodeView) -> CheckIn | None:
    """The latest check-in of a node with its body, None when there is none."""
    if node.phase in PHASES:
        # It may go while we look.
        with suppress(NotFoundError):
            return ctx.checkins.read(cluster, node.instance.id, node.phase)
    return None
