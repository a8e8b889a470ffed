"""What is written down when all nodes of a cluster are ready: by `up`, or by whoever waited for what `up` began."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress

from hcluster.errors import NotFoundError
from hcluster.flows import history
from hcluster.flows.context import Context
from hcluster.flows.gather import gather
from hcluster.flows.listing import show
from hcluster.flows.records import Claim, demand_claim
from hcluster.flows.registry import grown_row, ready_row
from hcluster.flows.timeline import note
from hcluster.model import names
from hcluster.model.events import Progress
from hcluster.model.forecast import Run
from hcluster.model.node import CheckIn
from hcluster.model.views import ClusterView
from hcluster.plan.words import many


def settle(
    ctx: Context,
    held: Claim,
    *,
    image: str,
    release: str,
    new: Collection[str],
    checkins: Mapping[str, Mapping[str, CheckIn]],
    done: tuple[str, int] = ("", 0),
    began: float = 0.0,
) -> ClusterView:
    """Register the launch, note the event, keep the seconds; the cluster as it is now.

    Args:
        ctx: who, where and by which ports.
        held: the claim.
        image: id of the image that new nodes have.
        release: digest of the Puppet release.
        new: ids of the nodes that were launched in this run; none means that somebody else's run launched them.
        checkins: of all nodes, as they were seen last.
        done: (kind of run, nodes that it was about) for the history; "" takes it for a launch when it is the first
            time that this one is ready, and for nothing otherwise.
        began: when that run began, in epoch seconds.

    Raises:
        ConflictError: the cluster is being taken down, or is somebody else's by now.
    """
    demand_claim(ctx.store, held)
    view = show(ctx, held.cluster)
    first = _register(ctx, held, view, image, release)
    now, count = ctx.clock.now(), len(view.nodes)
    if new or first:
        took = round(now - held.created) if first else None
        note(ctx, held.cluster, "ready", f"{many(count, 'node')} ready", {"launch": held.launch, "seconds": took})
    kind, nodes = done if done[0] or not first else ("launch", count)
    phases = history.phases([one.instance for one in view.nodes if not new or one.instance.id in new], checkins)
    # Whoever only waited knows when the nodes were ready, not when they were asked for.
    seconds = now - began if done[0] and began else phases.get("ready")
    if kind and seconds is not None:
        history.record(ctx, Run(kind, held.cluster, held.launch, nodes, image, round(seconds, 1), now, phases))
    ctx.report(Progress("nodes", f"{many(count, 'node')} ready", count, count, "ok"))
    return view


def _register(ctx: Context, held: Claim, view: ClusterView, image: str, release: str) -> bool:
    """Write the launch's record and its row of ``hcluster.clusters``; what was written of it first stays true.

    Returns whether this was the first time.
    """
    row = ready_row(held, view, image=image, release=release, now=ctx.clock.now())
    first = True
    with suppress(NotFoundError):
        row = grown_row(ctx.store.get(names.launch_key(held.cluster, held.launch))[0], row)
        first = False
    gather(
        [
            lambda: ctx.store.put(names.launch_key(held.cluster, held.launch), row),
            lambda: ctx.store.put(names.registry_key(held.cluster, held.launch), row),
        ]
    )
    return first
