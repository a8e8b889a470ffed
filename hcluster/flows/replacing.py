"""Workers are replaced: new ones come, the old ones are drained, then they end. No job fails and no block is lost."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hcluster.errors import HclusterError, UsageError
from hcluster.flows.context import Context
from hcluster.flows.converging import Course, batches, census, order, without
from hcluster.flows.launch import GroupPlan, launch, write_config
from hcluster.flows.records import demand_claim, next_attempt
from hcluster.flows.timeline import note
from hcluster.flows.waiting import platform_tag, wait_gone, wait_ready
from hcluster.model import names
from hcluster.model.actions import Action
from hcluster.model.events import Progress
from hcluster.model.launch import Disk
from hcluster.model.node import Instance
from hcluster.plan.converge import Member, made_mark
from hcluster.plan.nodes import leaving
from hcluster.spec.cluster import ClusterSpec

MARGIN_SECONDS = 120.0
"""Beyond the time that work may go on: HDFS copies blocks, daemons are asked every few seconds."""


def demand_listening_master(members: Sequence[Member], actions: Sequence[Action]) -> None:
    """Refuse to replace anything under a master that cannot be told to drain it.

    Raises:
        UsageError: the master does not hear.
    """
    masters = [one for one in members if one.group == "master" and one.node.alive]
    if any(one.kind in ("drain", "replace") for one in actions) and not all(one.hears for one in masters):
        raise UsageError(
            "nodes of this cluster cannot be replaced: its master cannot be told which ones to drain",
            context="it was launched by an earlier version of hcluster, or with tags whose keys have other characters "
            "than A-Z a-z 0-9 _.:=,+@-, which EC2 does not show to nodes",
            hint="take the cluster down and start it anew",
            reference="cannot-drain",
        )


def replace_nodes(ctx: Context, course: Course, action: Action) -> None:
    """Replace the nodes of an action, batch after batch; those that are gone already are left out.

    Raises:
        CapacityError: their successors cannot be launched; they stay.
        DeadlineError: they do not get empty; they stay.
        ConflictError: the cluster is not ours any more, or its spec was changed.
    """
    tags = {**platform_tag(ctx), names.TAG_CLUSTER: course.spec.name}
    for some in batches(action.nodes, action.batches):
        known = ctx.compute.instances(tags, alive_only=False)
        old = [node for node in known if node.alive and node.id in some]
        if not old:
            continue
        demand_claim(ctx.store, course.held)
        _successors(ctx, course, action, known, len(old))
        master = _master(known)
        _drain(ctx, course, master, old)
        demand_claim(ctx.store, course.held)
        ctx.compute.terminate([node.id for node in old])
        wait_gone(ctx, old)
        detail = {"nodes": [node.id for node in old][:50]}
        note(ctx, course.spec.name, "replace", f"{len(old)} of group {action.group} ({action.reason})", detail)
    what = "replaced" if action.kind == "replace" else "drained and ended"
    ctx.report(Progress(f"replace {action.group}", f"{action.group}: {action.count} {what}", state="ok"))


def of_master(course: Course, nodes: Sequence[Instance], actions: Sequence[Action], drained: Collection[str]) -> Course:
    """What the master is told before anybody is drained: it goes on with whom it drains already, if they go. Pure."""
    going = {name for action in actions if action.kind in ("drain", "replace") for name in action.nodes}
    back = {name for action in actions if action.kind == "restore" for name in action.nodes}
    on = [node for node in nodes if node.id in drained and node.id in going]
    return without(course, leaving(on), [node.private_dns for node in nodes if node.id in back])


def restore(ctx: Context, course: Course, action: Action) -> None:
    """Let nodes serve again that the master has drained, after it was told to have them.

    A NodeManager ends when YARN has given its node up; a node that is told something starts it, nothing else does soon.

    Raises:
        ConflictError: the cluster is not ours any more, or its spec was changed.
        NodeFailedError, DeadlineError: a node could not, or did not answer in time.
    """
    demand_claim(ctx.store, course.held)
    write_config(ctx, course.ground, course.config)
    order(ctx, course, action.nodes, course.told, action.group, anew=True)
    detail = {"nodes": list(action.nodes)[:50]}
    note(ctx, course.spec.name, "change", f"{action.group}: {action.what} ({action.reason})", detail)


def release_master(ctx: Context, course: Course) -> None:
    """Let the master forget the nodes that it was told to drain."""
    tags = {**platform_tag(ctx), names.TAG_CLUSTER: course.spec.name}
    members = census(ctx, course.spec.name, ctx.compute.instances(tags))
    late = [one.node.id for one in members if one.group == "master" and not one.follows(course.told)]
    if late:
        write_config(ctx, course.ground, course.config)
        order(ctx, course, late, course.told, "master")


def _master(known: Sequence[Instance]) -> str:
    return next(node.id for node in known if node.alive and node.tags.get(names.TAG_GROUP) == "master")


def _successors(ctx: Context, course: Course, action: Action, known: Sequence[Instance], leaving_now: int) -> None:
    """Launch as many nodes as the group would lack without those that leave, and wait for all that are new."""
    there = [node for node in known if node.alive and node.tags.get(names.TAG_GROUP) == action.group]
    wanted = course.spec.groups()[action.group].count
    plan = group_plan(course.spec, action.group, there, known, max(0, wanted + leaving_now - len(there)))
    try:
        everybody = launch(ctx, course.ground, [plan], course.config)
    except HclusterError:
        next_attempt(ctx.store, course.held)
        raise
    # Also those that an earlier run has launched and did not see ready.
    new = [one for one in everybody if one not in action.nodes]
    wait_ready(ctx, course.spec.name, new, timeout=course.timeout)


def group_plan(
    spec: ClusterSpec,
    group: str,
    there: Sequence[Instance],
    known: Sequence[Instance],
    missing: int,
    interface: str = "",
) -> GroupPlan:
    """What a group misses and of what it may be made. Pure."""
    wanted = spec.groups()[group]
    return GroupPlan(
        group=group,
        role=group,
        missing=missing,
        types=wanted.types,
        market=wanted.market,
        disks=tuple(Disk(disk.size_gib, disk.type) for disk in wanted.disks),
        alive=tuple(node.id for node in there),
        known=tuple(node.id for node in known if node.tags.get(names.TAG_GROUP) == group),
        interface=interface,
        made=made_mark(spec, group),
    )


def _drain(ctx: Context, course: Course, master: str, old: Sequence[Instance]) -> None:
    ours = without(course, leaving(old))
    write_config(ctx, ours.ground, ours.config)
    order(ctx, ours, [master], ours.told, "master", drain=course.drain + MARGIN_SECONDS)
