"""Create a cluster, continue where an earlier ``up`` was cut off, or let a running one follow a changed spec."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from hcluster.errors import DeniedError, HclusterError, NotFoundError, UsageError
from hcluster.flows.context import Context
from hcluster.flows.converging import Course, census, drained, quiet, tell
from hcluster.flows.down import close
from hcluster.flows.gather import gather
from hcluster.flows.launch import Ground, GroupPlan, launch, pin_release, resolve_image
from hcluster.flows.listing import show
from hcluster.flows.ready import settle
from hcluster.flows.records import (
    Claim,
    Seen,
    claim,
    demand_claim,
    expired,
    launch_id,
    next_attempt,
    read_claim,
    read_platform,
    taken_up,
)
from hcluster.flows.replacing import (
    demand_listening_master,
    group_plan,
    of_master,
    release_master,
    replace_nodes,
    restore,
)
from hcluster.flows.timeline import node_details, note
from hcluster.flows.waiting import platform_tag, wait_gone, wait_ready
from hcluster.model import names
from hcluster.model.actions import Action
from hcluster.model.events import Progress
from hcluster.model.node import Instance
from hcluster.model.platform import PlatformRecord
from hcluster.model.views import ClusterView
from hcluster.plan.changes import Change, changes
from hcluster.plan.converge import Member, Wanted, converge, made_mark, refuse
from hcluster.plan.expected import kind_of, nodes_of
from hcluster.plan.nodes import expires_at, node_config, worker_types
from hcluster.plan.words import many
from hcluster.spec.cluster import ClusterSpec

DRAIN_SECONDS = 600.0
"""How long work on a node that is replaced may go on by default."""
STEPWISE = ("restore", "drain", "replace")
"""Kinds of actions in which the master is told something before and after."""


@dataclass(frozen=True, slots=True)
class Aim:
    """A spec with everything that it names looked up; nothing is changed for it."""

    spec: ClusterSpec
    record: PlatformRecord
    image: str
    release: str
    memory: Mapping[str, int]
    """MiB by instance type."""


def up(
    ctx: Context,
    spec: ClusterSpec,
    *,
    timeout: float = 900,
    replace: bool = False,
    drain: float = DRAIN_SECONDS,
    wait: bool = True,
) -> ClusterView:
    """Bring ``spec`` up and wait until every node is ready and follows it; safe to repeat at any point.

    The number of calls does not grow with the nodes: one interface, a template and a fleet a
    group, two listings a poll.

    Args:
        ctx: who, where and by which ports.
        spec: what is wanted.
        timeout: seconds that nodes may take to get ready, or to apply what they are told.
        replace: whether workers may be replaced for what a running node cannot follow.
        drain: seconds that work on a node which is replaced may go on.
        wait: False returns after the launch calls; ``hcluster.flows.wait`` does the rest.

    Raises:
        DeniedError: the spec's team is not the caller's.
        ConflictError: somebody else holds the name, or changes the spec meanwhile.
        NotFoundError: no platform, image or release.
        UsageError: the changed spec holds a change that is refused, or one that cannot be made without waiting.
        CapacityError, NodeFailedError, DeadlineError: not all nodes came or followed; what exists stays, and is named.
    """
    aim = _aim(ctx, spec)
    held, changed = _claim(ctx, spec)
    try:
        return _bring_up(ctx, aim, held, changed, timeout=timeout, replace=replace, drain=drain, wait=wait)
    except HclusterError as cause:
        note(ctx, spec.name, "failed", cause.message, {"launch": held.launch, "reference": cause.reference})
        _explain(ctx, spec.name, cause)
        raise


def plan_up(ctx: Context, spec: ClusterSpec, *, replace: bool = False) -> list[Action]:
    """What ``up`` would do now, in order; nothing is changed.

    Raises:
        HclusterError: ``up`` would be refused, with the same error.
    """
    aim = _aim(ctx, spec)
    seen = read_claim(ctx.store, spec.name)
    wanted = _wanted_claim(ctx, spec)
    held, changed = taken_up(seen, wanted), _changes(seen, spec, wanted.created)
    refuse(spec.name, changed)
    known = ctx.compute.instances({**platform_tag(ctx), names.TAG_CLUSTER: spec.name}, alive_only=False)
    masters = [node for node in known if node.alive and node.tags.get(names.TAG_GROUP) == "master"]
    course = _course(ctx, aim, held, masters[0].private_dns if masters else "")
    return _decide(ctx, course, known, changed, replace=replace)[0]


def _aim(ctx: Context, spec: ClusterSpec) -> Aim:
    if spec.team != ctx.principal.team:
        raise DeniedError(
            f"cluster {spec.name} is for team {spec.team}, you act for team {ctx.principal.team}",
            hint=f"if that is your team: HCLUSTER_TEAM={spec.team} hcluster up …",
            reference="other-team",
        )
    for text in spec.warnings():
        ctx.report(Progress("warning", f"warning: {text}", state="ok"))
    record = read_platform(ctx.store)
    if spec.team not in record.profiles:
        raise NotFoundError(
            f"the platform has no role and security group for team {spec.team} yet", hint="run `hcluster platform up`"
        )
    image, release = gather([lambda: resolve_image(ctx, spec.image), lambda: pin_release(ctx, spec.puppet.channel)])
    # The master's too, so that a type that does not exist is told before anything is made.
    memory = ctx.compute.memory_mib([*worker_types(spec), *spec.master.types])
    return Aim(spec, record, image, release, memory)


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


def _wanted_claim(ctx: Context, spec: ClusterSpec) -> Claim:
    now = ctx.clock.now()
    return Claim(
        cluster=spec.name,
        team=spec.team,
        owner=spec.owner or ctx.principal.user,
        launch=launch_id(now),
        created=now,
        spec=json.loads(spec.to_json()),
        by=ctx.principal.user,
        written=now,
    )


def _changes(seen: Seen, spec: ClusterSpec, now: float) -> list[Change]:
    """What differs from the spec so far; nothing of a launch that is over."""
    if seen is None or expired(seen[0], now):
        return []
    return changes(ClusterSpec.from_json(json.dumps(seen[0].spec)), spec)


def _claim(ctx: Context, spec: ClusterSpec) -> tuple[Claim, list[Change]]:
    wanted, seen = _wanted_claim(ctx, spec), read_claim(ctx.store, spec.name)
    taken_up(seen, wanted)
    changed = _changes(seen, spec, wanted.created)
    refuse(spec.name, changed)
    if seen and expired(seen[0], wanted.created):
        ctx.report(Progress("lifetime", f"the lifetime of launch {seen[0].launch} is over", state="ok"))
        close(ctx, seen[0])
        note(ctx, spec.name, "expired", "its lifetime was over", {"launch": seen[0].launch})
    held = claim(ctx.store, wanted, seen)
    text = f"launch {held.launch}" if held.launch == wanted.launch else f"continuing launch {held.launch}"
    ctx.report(Progress("claim", f"{spec.name} of team {spec.team}: {text}", state="ok"))
    for one in changed:
        ctx.report(Progress(f"change {one.field}", f"{one.field}: {one.policy} ({one.reason})", state="ok"))
    return held, changed


def _course(
    ctx: Context, aim: Aim, held: Claim, master_host: str, timeout: float = 900, drain: float = DRAIN_SECONDS
) -> Course:
    spec, record = aim.spec, aim.record
    ends = expires_at(held.created, spec.lifetime)
    ground = Ground(
        cluster=spec.name,
        launch=held.launch,
        image=aim.image,
        profile=record.profiles[spec.team],
        security_group=record.groups[spec.team],
        subnets=record.subnets,
        release=aim.release,
        tags=cluster_tags(ctx, spec, held),
        attempt=held.attempt,
        expires_at=ends,
    )
    config = node_config(spec, record, master_host=master_host, memory_mib=aim.memory, ends=ends)
    return Course(spec, held, ground, config, timeout, drain)


def _decide(
    ctx: Context, course: Course, known: Sequence[Instance], changed: Sequence[Change], *, replace: bool
) -> tuple[list[Action], Course]:
    """The actions of an ``up`` that finds these nodes, and what its master is told."""
    spec, members = course.spec, census(ctx, course.spec.name, known)
    wanted = Wanted(
        launch=course.held.launch,
        image=course.ground.image,
        made={group: made_mark(spec, group) for group in spec.groups()},
        told=course.told if course.config["master_host"] else None,
        quiet=quiet(ctx, course, members),
        once_ready=_master_is_missing(members) and _was_ready(ctx, course.held),
        left_out=drained(ctx, course, members),
    )
    actions = converge(spec, members, wanted, changed=changed, replace=replace)
    demand_listening_master(members, actions)
    return actions, of_master(course, known, actions, wanted.left_out)


def _master_is_missing(members: Sequence[Member]) -> bool:
    masters = [one for one in members if one.group == "master"]
    return bool(masters) and not any(one.node.alive and one.phase != "failed" for one in masters)


def _bring_up(
    ctx: Context,
    aim: Aim,
    held: Claim,
    changed: Sequence[Change],
    *,
    timeout: float,
    replace: bool,
    drain: float,
    wait: bool,
) -> ClusterView:
    spec, began = aim.spec, ctx.clock.now()
    tags = {**platform_tag(ctx), names.TAG_CLUSTER: spec.name}
    known = ctx.compute.instances(tags, alive_only=False)
    interface, _, master_host = ctx.compute.ensure_interface(
        subnet=aim.record.subnets[0],
        groups=[aim.record.groups[spec.team]],
        description=f"master of hcluster cluster {spec.name}",
        client_token=f"hc-{held.launch}-master",
        # Not by all tags: those of the spec may have changed since it was made.
        tags={**tags, names.TAG_GROUP: "master"},
        more_tags={**cluster_tags(ctx, spec, held), "Name": f"{spec.name}-master"},
    )
    course = _course(ctx, aim, held, master_host, timeout, drain)
    if going := [node for node in known if node.state == "shutting-down"]:
        wait_gone(ctx, going)
    actions, masters = _decide(ctx, course, known, changed, replace=replace)
    if not wait:
        _demand_unattended(actions)
    kept = _end(ctx, actions, [node for node in known if node.alive])
    instances = _launch(ctx, course, group_plans(spec, kept, known, interface), known)
    for action in actions:
        if action.kind == "tell":
            tell(ctx, masters if action.group == "master" else course, action, wait=wait)
        elif action.kind == "restore":
            restore(ctx, course, action)
    if not wait:
        return show(ctx, spec.name)
    checkins = wait_ready(ctx, spec.name, instances, timeout=timeout)
    _replace(ctx, course, actions)
    view = settle(
        ctx,
        held,
        image=aim.image,
        release=aim.release,
        new=set(instances) - {node.id for node in kept},
        checkins=checkins,
        done=(kind_of(actions, anew=not kept), nodes_of(actions)),
        began=began,
    )
    _say_pending(ctx, spec.name, actions)
    return view


def _demand_unattended(actions: Sequence[Action]) -> None:
    """Refuse to begin what goes on batch by batch when nobody waits for the first before the second.

    Raises:
        UsageError: there is such an action.
    """
    attended = [one for one in actions if one.kind in STEPWISE or (one.kind == "tell" and one.batches > 1)]
    if attended:
        raise UsageError(
            f"this cannot be done with --no-wait: {'; '.join(f'{one.group}: {one.what}' for one in attended)}",
            context="it is done batch by batch, each when the one before is finished, and somebody must see to that",
            hint="the same command without --no-wait",
            reference="needs-waiting",
        )


def _end(ctx: Context, actions: Sequence[Action], alive: Sequence[Instance]) -> list[Instance]:
    """End what cannot be gone on with; the nodes that stay."""
    ids = {name for action in actions if action.kind == "end" for name in action.nodes}
    doomed = [node for node in alive if node.id in ids]
    if doomed:
        ctx.report(Progress("replace", f"replacing {many(len(doomed), 'node')}"))
        ctx.compute.terminate([node.id for node in doomed])
        wait_gone(ctx, doomed)
        cluster = doomed[0].tags.get(names.TAG_CLUSTER, "")
        why = "failed, or still on their way to something else than is wanted now"
        note(ctx, cluster, "replace", f"{many(len(doomed), 'node')} ({why})", {"nodes": node_details(doomed)})
        ctx.report(Progress("replace", f"{many(len(doomed), 'node')} ended, to be replaced", state="ok"))
    return [node for node in alive if node.id not in ids]


def _launch(ctx: Context, course: Course, plans: Sequence[GroupPlan], known: Sequence[Instance]) -> list[str]:
    """Launch what is missing; ids of all nodes, old and new."""
    demand_claim(ctx.store, course.held)
    missing = {plan.group: plan.missing for plan in plans if plan.missing}
    if missing:
        # Before the call, so that it is known also when this process does not live to see the answer.
        detail = _launch_detail(course.ground, missing, known)
        note(ctx, course.spec.name, "launch", _counted(missing), detail)
    try:
        return launch(ctx, course.ground, plans, course.config)
    except HclusterError:
        # EC2 remembers a token's failure, too: the next call must be a new one for it.
        with suppress(HclusterError):
            next_attempt(ctx.store, course.held)
        raise


def _replace(ctx: Context, course: Course, actions: Sequence[Action]) -> None:
    for action in actions:
        if action.kind in ("drain", "replace"):
            replace_nodes(ctx, course, action)
    if any(action.kind in STEPWISE for action in actions):
        release_master(ctx, course)


def _say_pending(ctx: Context, cluster: str, actions: Sequence[Action]) -> None:
    for action in actions:
        if action.kind == "pending":
            text = f"{action.group}: pending: {action.what} ({action.reason}); `hcluster up --replace` does it"
            ctx.report(Progress(f"pending {action.group}", text, state="ok"))
        elif action.kind == "keep":
            ctx.report(Progress(f"keep {action.group}", f"{cluster}: {action.what} ({action.reason})", state="ok"))


def group_plans(
    spec: ClusterSpec, alive: Sequence[Instance], known: Sequence[Instance], interface: str
) -> list[GroupPlan]:
    """What each group misses. Pure."""
    plans = []
    for name, group in spec.groups().items():
        there = [node for node in alive if node.tags.get(names.TAG_GROUP) == name]
        if group.count or there:
            missing = max(0, group.count - len(there))
            plans.append(group_plan(spec, name, there, known, missing, interface if name == "master" else ""))
    return plans


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
