"""Create a cluster, or continue where an earlier ``up`` was cut off."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from hcluster.errors import DeniedError, HclusterError, NodeFailedError, NotFoundError, UsageError
from hcluster.flows.context import Context
from hcluster.flows.down import close
from hcluster.flows.gather import gather
from hcluster.flows.launch import Ground, GroupPlan, launch, pin_release, resolve_image, told
from hcluster.flows.listing import show
from hcluster.flows.records import (
    Claim,
    claim,
    demand_claim,
    expired,
    launch_id,
    next_attempt,
    read_claim,
    read_platform,
)
from hcluster.flows.registry import grown_row, ready_row
from hcluster.flows.timeline import node_details, note
from hcluster.flows.waiting import latest_phase, platform_tag, wait_gone, wait_ready
from hcluster.model import names
from hcluster.model.events import Progress
from hcluster.model.launch import Disk
from hcluster.model.node import Instance
from hcluster.model.platform import PlatformRecord
from hcluster.model.views import ClusterView
from hcluster.plan.changes import changes
from hcluster.plan.nodes import expires_at, node_config, worker_types
from hcluster.spec.cluster import ClusterSpec


def up(ctx: Context, spec: ClusterSpec, *, timeout: float = 900) -> ClusterView:
    """Bring ``spec`` up and wait until every node is ready; safe to repeat at any point.

    The number of calls does not grow with the nodes: one interface, a template and a fleet a
    group, two listings a poll.

    Raises:
        DeniedError: the spec's team is not the caller's.
        ConflictError: somebody else holds the name.
        NotFoundError: no platform, image or release.
        UsageError: the changed spec holds a change that is refused.
        CapacityError, NodeFailedError, DeadlineError: not all nodes came; what exists stays, and is named.
    """
    _check_team(ctx, spec)
    record = read_platform(ctx.store)
    if spec.team not in record.profiles:
        raise NotFoundError(
            f"the platform has no role and security group for team {spec.team} yet", hint="run `hcluster platform up`"
        )
    image, release = gather([lambda: resolve_image(ctx, spec.image), lambda: pin_release(ctx, spec.puppet.channel)])
    # The master's too, so that a type that does not exist is told before anything is made.
    memory = ctx.compute.memory_mib([*worker_types(spec), *spec.master.types])
    held = _claim(ctx, spec)
    try:
        ground = Ground(
            cluster=spec.name,
            launch=held.launch,
            image=image,
            profile=record.profiles[spec.team],
            security_group=record.groups[spec.team],
            subnets=record.subnets,
            release=release,
            tags=cluster_tags(ctx, spec, held),
            attempt=held.attempt,
            expires_at=expires_at(held.created, spec.lifetime),
        )
        return _bring_up(ctx, spec, record, ground, held, memory, timeout)
    except HclusterError as cause:
        note(ctx, spec.name, "failed", cause.message, {"launch": held.launch, "reference": cause.reference})
        _explain(ctx, spec.name, cause)
        raise


def _check_team(ctx: Context, spec: ClusterSpec) -> None:
    if spec.team != ctx.principal.team:
        raise DeniedError(
            f"cluster {spec.name} is for team {spec.team}, you act for team {ctx.principal.team}",
            hint=f"if that is your team: HCLUSTER_TEAM={spec.team} hcluster up …",
            reference="other-team",
        )


def cluster_tags(ctx: Context, spec: ClusterSpec, held: Claim) -> dict[str, str]:
    """Tags of every resource of a launch; hcluster's own win."""
    return {
        **spec.tags,
        names.TAG_PLATFORM: ctx.platform.name,
        names.TAG_CLUSTER: spec.name,
        names.TAG_LAUNCH: held.launch,
        names.TAG_TEAM: spec.team,
        names.TAG_OWNER: held.owner,
    }


def _claim(ctx: Context, spec: ClusterSpec) -> Claim:
    now = ctx.clock.now()
    wanted = Claim(
        cluster=spec.name,
        team=spec.team,
        owner=spec.owner or ctx.principal.user,
        launch=launch_id(now),
        created=now,
        spec=json.loads(spec.to_json()),
    )
    earlier = read_claim(ctx.store, spec.name)
    if earlier and (earlier[0].team, earlier[0].owner) == (wanted.team, wanted.owner):
        if expired(earlier[0], now):
            ctx.report(Progress("lifetime", f"the lifetime of launch {earlier[0].launch} is over", state="ok"))
            close(ctx, earlier[0])
            note(ctx, spec.name, "expired", "its lifetime was over", {"launch": earlier[0].launch})
        else:
            _say_changes(ctx, ClusterSpec.from_json(json.dumps(earlier[0].spec)), spec)
    held = claim(ctx.store, wanted)
    text = f"launch {held.launch}" if held.launch == wanted.launch else f"continuing launch {held.launch}"
    ctx.report(Progress("claim", f"{spec.name} of team {spec.team}: {text}", state="ok"))
    return held


def _say_changes(ctx: Context, old: ClusterSpec, new: ClusterSpec) -> None:
    found = changes(old, new)
    refused = [change for change in found if change.policy == "refused"]
    if refused:
        raise UsageError(
            f"cluster {new.name} exists, and its {', '.join(change.field for change in refused)} cannot be changed",
            context="\n".join(f"{change.field}: {change.reason}" for change in refused),
            hint=f"undo the change, or `hcluster down {new.name}` first",
            reference="change-refused",
        )
    for change in found:
        ctx.report(Progress(f"change {change.field}", f"{change.field}: {change.policy} ({change.reason})", state="ok"))


def _bring_up(
    ctx: Context,
    spec: ClusterSpec,
    record: PlatformRecord,
    ground: Ground,
    held: Claim,
    memory: Mapping[str, int],
    timeout: float,
) -> ClusterView:
    known = ctx.compute.instances({**platform_tag(ctx), names.TAG_CLUSTER: spec.name}, alive_only=False)
    interface, _, master_host = ctx.compute.ensure_interface(
        subnet=record.subnets[0],
        groups=[ground.security_group],
        description=f"master of hcluster cluster {spec.name}",
        client_token=f"hc-{held.launch}-master",
        # Not by all tags: those of the spec may have changed since it was made.
        tags={**platform_tag(ctx), names.TAG_CLUSTER: spec.name, names.TAG_GROUP: "master"},
        more_tags={**ground.tags, "Name": f"{spec.name}-master"},
    )
    config = node_config(spec, record, master_host=master_host, memory_mib=memory)
    alive = _to_keep(ctx, held, known, told(config, ground.release))
    plans = group_plans(spec, alive, known, interface)
    demand_claim(ctx.store, held)
    missing = {plan.group: plan.missing for plan in plans if plan.missing}
    if missing:
        # Before the call, so that it is known also when this process does not live to see the answer.
        note(ctx, spec.name, "launch", _counted(missing), _launch_detail(ground, missing, known))
    try:
        instances = launch(ctx, ground, plans, config)
    except HclusterError:
        # EC2 remembers a token's failure, too: the next call must be a new one for it.
        with suppress(HclusterError):
            next_attempt(ctx.store, held)
        raise
    wait_ready(ctx, spec.name, instances, timeout=timeout)
    demand_claim(ctx.store, held)
    view = show(ctx, spec.name)
    first = _register(ctx, held, view, ground)
    if missing or first:
        took = round(ctx.clock.now() - held.created) if first else None
        note(ctx, spec.name, "ready", f"{len(instances)} nodes ready", {"launch": held.launch, "seconds": took})
    ctx.report(Progress("nodes", f"{len(instances)} nodes ready", len(instances), len(instances), "ok"))
    return view


def group_plans(
    spec: ClusterSpec, alive: Sequence[Instance], known: Sequence[Instance], interface: str
) -> list[GroupPlan]:
    """What each group misses. Pure."""
    plans = []
    for name, group in spec.groups().items():
        there = tuple(node.id for node in alive if node.tags.get(names.TAG_GROUP) == name)
        if not group.count and not there:
            continue
        plans.append(
            GroupPlan(
                group=name,
                role=name,
                missing=max(0, group.count - len(there)),
                types=group.types,
                market=group.market,
                disks=tuple(Disk(disk.size_gib, disk.type) for disk in group.disks),
                alive=there,
                known=tuple(node.id for node in known if node.tags.get(names.TAG_GROUP) == name),
                interface=interface if name == "master" else "",
            )
        )
    return plans


def _to_keep(ctx: Context, held: Claim, known: Sequence[Instance], now_told: str) -> list[Instance]:
    """Nodes to go on with; those that must be replaced are ended first.

    Replaced are nodes that failed, and nodes that are still on their way to be something else than is wanted now: what
    failed another node of the launch, and was cured in the spec since, would fail them, too.

    Raises:
        NodeFailedError: the master of a cluster that was ready is gone, and with it what HDFS held.
    """
    cluster = held.cluster
    going = [node for node in known if node.state == "shutting-down"]
    if going:
        wait_gone(ctx, going)
    alive = [node for node in known if node.alive]
    checkins = ctx.checkins.listed(cluster) if alive else {}
    last = {node.id: latest_phase(checkins.get(node.id, {})) for node in alive}
    failed = {node.id for node in alive if (phase := last[node.id]) and phase.phase == "failed"}
    failed |= {
        node.id
        for node in alive
        if "ready" not in checkins.get(node.id, {}) and node.tags.get(names.TAG_TOLD) != now_told
    }
    # Of a launch whose lifetime is over: they would end themselves in a moment.
    failed |= {node.id for node in alive if node.tags.get(names.TAG_LAUNCH) != held.launch}
    if _master_lost(known, failed) and len(failed) < len(alive):
        if _was_ready(ctx, held):
            raise NodeFailedError(
                f"cluster {cluster} has lost its master; its HDFS cannot be continued by another one",
                hint=f"`hcluster down {cluster}`, then `hcluster up` again; tables and data in S3 are kept",
                reference="no-master",
            )
        # Workers that met the lost master's HDFS would refuse a new one.
        failed = {node.id for node in alive}
    doomed = [node for node in alive if node.id in failed]
    if doomed:
        ctx.report(Progress("replace", f"replacing {len(doomed)} nodes"))
        note(ctx, cluster, "replace", f"{len(doomed)} nodes", {"launch": held.launch, "nodes": node_details(doomed)})
        ctx.compute.terminate([node.id for node in doomed])
        wait_gone(ctx, doomed)
        ctx.report(Progress("replace", f"{len(doomed)} nodes ended, to be replaced", state="ok"))
    return [node for node in alive if node.id not in failed]


def _master_lost(known: Sequence[Instance], failed: Collection[str]) -> bool:
    """Whether there was a master and none is to be kept. Pure."""
    masters = [node for node in known if node.tags.get(names.TAG_GROUP) == "master"]
    return bool(masters) and all(not node.alive or node.id in failed for node in masters)


def _was_ready(ctx: Context, held: Claim) -> bool:
    try:
        ctx.store.get(names.launch_key(held.cluster, held.launch))
    except NotFoundError:
        return False
    return True


def _counted(missing: Mapping[str, int]) -> str:
    """Such as "1 master, 2 core". Pure."""
    return ", ".join(f"{count} {group}" for group, count in missing.items())


def _launch_detail(ground: Ground, missing: Mapping[str, int], known: Sequence[Instance]) -> dict[str, object]:
    """What a note of a launch holds; the nodes that ended before it are known to EC2 for about an hour only. Pure."""
    lost = [node for node in known if not node.alive and node.tags.get(names.TAG_LAUNCH) == ground.launch]
    return {
        "launch": ground.launch,
        "nodes_wanted": dict(missing),
        "image": ground.image,
        "release": ground.release,
        "nodes": node_details(lost),
    }


def _register(ctx: Context, held: Claim, view: ClusterView, ground: Ground) -> bool:
    """Write the launch's record and its row of ``hcluster.clusters``; what the first ``up`` wrote of it stays true.

    Returns whether this was the first.
    """
    row = ready_row(held, view, image=ground.image, release=ground.release, now=ctx.clock.now())
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


def _explain(ctx: Context, name: str, cause: HclusterError) -> None:
    """Add to an error what exists now and the commands that go on from here."""
    try:
        inventory = ctx.compute.inventory({**platform_tag(ctx), names.TAG_CLUSTER: name})
        exists = ", ".join(f"{count} {what}" for what, count in inventory.items() if count) or "nothing but the name"
    except HclusterError:
        exists = "unknown, the cloud does not answer"
    lines = [cause.hint] if cause.hint else []
    lines += [
        f"what exists now: {exists}",
        "continue: the same `hcluster up` again",
        f"remove: `hcluster down {name}`",
    ]
    cause.hint = "\n".join(lines)
