"""Take a cluster down, from its tags alone; repeating it is fine."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from hcluster.errors import DeadlineError, DeniedError, HclusterError, NotFoundError
from hcluster.flows.context import Context
from hcluster.flows.gather import gather
from hcluster.flows.history import record
from hcluster.flows.records import Claim, mark_ending, read_claim
from hcluster.flows.timeline import node_details, note
from hcluster.flows.waiting import platform_tag, wait_gone
from hcluster.model import names
from hcluster.model.actions import Action
from hcluster.model.events import Progress
from hcluster.model.forecast import Run
from hcluster.model.node import Instance
from hcluster.model.views import DownResult
from hcluster.plan.ending import NAME, THINGS, ending
from hcluster.plan.words import many

PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 3.0
"""Before it is looked whether all is gone: mostly it is at once."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Counts of what is gone."""

    terminated: int
    interfaces: int
    templates: int
    volumes: int

    def plus(self, other: Removed) -> Removed:
        """Both together."""
        return Removed(
            self.terminated + other.terminated,
            self.interfaces + other.interfaces,
            self.templates + other.templates,
            self.volumes + other.volumes,
        )


def down(ctx: Context, name: str, *, timeout: float = 300) -> DownResult:
    """End a cluster: nodes, interfaces, templates, volumes, check-ins; then its row is closed and its name is free.

    The claim is marked first, so that an ``up`` under way stops; what it launched meanwhile is found and ended, too.

    Raises:
        DeniedError: it belongs to another team.
        DeadlineError: its nodes do not end.
        ConflictError: its record keeps changing.
    """
    if name == names.PLATFORM_CLUSTER:
        raise DeniedError("`platform` is not a cluster", hint="use `hcluster platform down`")
    tags = {**platform_tag(ctx), names.TAG_CLUSTER: name}
    before = ctx.compute.instances(tags, alive_only=False)
    earlier = read_claim(ctx.store, name)
    _own(ctx, name, before, earlier[0] if earlier else None)
    held = mark_ending(ctx.store, name) if earlier else None
    checkins = ctx.checkins.listed(name) if held else {}
    removed = Removed(0, 0, 0, 0)
    began, pause = ctx.clock.now(), PAUSE_SECONDS
    while _still_ours(ctx, name, held):
        # Decided anew each time: an `up` beside this may have launched more before it saw the mark.
        found = ctx.compute.instances(tags, alive_only=False)
        actions = ending(found, ctx.compute.inventory(tags), held.launch if held else "")
        pending = [action for action in actions if action.thing != NAME]
        if not pending:
            if held:
                # What nodes are known by goes in a moment: this note is where it is kept.
                own = [node for node in before if node.tags.get(names.TAG_LAUNCH) == held.launch]
                told = {"launch": held.launch, "nodes": node_details(own, checkins)}
                note(ctx, name, "down", f"{removed.terminated} nodes ended", told)
            _forget(ctx, name, held)
            if held and removed.terminated:
                now = ctx.clock.now()
                record(ctx, Run("down", name, held.launch, removed.terminated, "", round(now - began, 1), now))
            break
        if ctx.clock.now() > began + timeout:
            raise DeadlineError(f"cluster {name} still has {_left(pending)}", hint=f"run `hcluster down {name}` again")
        removed = removed.plus(_perform(ctx, tags, found, pending))
        ctx.clock.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
    return DownResult(name, removed.terminated, removed.interfaces, removed.templates, removed.volumes)


def plan_down(ctx: Context, name: str) -> tuple[list[Action], list[Instance]]:
    """What ``down`` would do now, in order, and the nodes that there are; nothing is changed.

    Raises:
        DeniedError: it belongs to another team.
        NotFoundError: there is nothing of this name.
    """
    if name == names.PLATFORM_CLUSTER:
        raise DeniedError("`platform` is not a cluster", hint="use `hcluster platform down`")
    tags = {**platform_tag(ctx), names.TAG_CLUSTER: name}
    found = ctx.compute.instances(tags, alive_only=False)
    earlier = read_claim(ctx.store, name)
    _own(ctx, name, found, earlier[0] if earlier else None)
    return ending(found, ctx.compute.inventory(tags), earlier[0].launch if earlier else ""), found


def _left(actions: list[Action]) -> str:
    return ", ".join(f"{action.count} {action.thing or f'{action.group} nodes'}" for action in actions)


def _still_ours(ctx: Context, name: str, held: Claim | None) -> bool:
    """Whether nobody else has finished this ``down`` and taken the name anew meanwhile."""
    now = read_claim(ctx.store, name)
    if held is None:
        return now is None
    return now is not None and now[0].launch == held.launch


def _forget(ctx: Context, name: str, held: Claim | None) -> None:
    if held:
        close(ctx, held)
    try:
        ctx.store.delete_prefix(names.checkins_prefix(name))
        # Last, so that until everything else is gone the name stays taken and `down` can be repeated.
        ctx.store.delete(names.spec_key(name))
    except NotFoundError:
        ctx.report(Progress("bucket", f"bucket {ctx.store.bucket} is gone, with the cluster's records", state="ok"))


def _perform(ctx: Context, tags: dict[str, str], found: list[Instance], actions: list[Action]) -> Removed:
    doomed = {node for action in actions if action.kind == "end" for node in action.nodes}
    things = [action.thing for action in actions if action.kind == "remove"]
    return remove(ctx, tags, [node for node in found if node.id in doomed], things)


def remove(
    ctx: Context, tags: dict[str, str], found: list[Instance], things: Collection[str] = tuple(THINGS)
) -> Removed:
    """End instances in one call, then delete those of ``things`` that carry ``tags``, side by side."""
    there = [node for node in found if node.state != "terminated"]
    if there:
        ctx.report(Progress("terminate", "terminating nodes", 0, len(there)))
        ctx.compute.terminate([node.id for node in there])
        wait_gone(ctx, there)
        ctx.report(Progress("terminate", "nodes terminated", len(there), len(there), "ok"))
    deletes = {
        "interfaces": ctx.compute.delete_interfaces,
        "templates": ctx.compute.delete_templates,
        "volumes": ctx.compute.delete_volumes,
    }
    gone = [thing for thing in deletes if thing in things]
    counts = dict(zip(gone, gather([partial(deletes[thing], tags) for thing in gone]), strict=True))
    if said := ", ".join(many(count, THINGS[thing]) for thing, count in counts.items() if count):
        ctx.report(Progress("remove", f"removed {said}", state="ok"))
    return Removed(len(there), counts.get("interfaces", 0), counts.get("templates", 0), counts.get("volumes", 0))


def _own(ctx: Context, name: str, found: list[Instance], claim: Claim | None) -> None:
    teams = {node.tags.get(names.TAG_TEAM, "") for node in found if node.state != "terminated"}
    teams |= {claim.team} if claim else set()
    others = teams - {ctx.principal.team}
    if others:
        raise DeniedError(
            f"cluster {name} belongs to team {', '.join(sorted(others))}, you act for team {ctx.principal.team}",
            hint=f"if that is your team: HCLUSTER_TEAM={min(others)} hcluster down {name}",
            reference="other-team",
        )


def close(ctx: Context, claim: Claim) -> None:
    """Write the end into the launch's record and its row; a cluster that was never ready has no row."""
    now = datetime.fromtimestamp(ctx.clock.now(), UTC).isoformat(timespec="seconds")
    for key in (names.registry_key(claim.cluster, claim.launch), names.launch_key(claim.cluster, claim.launch)):
        try:
            body, etag = ctx.store.get(key)
        except NotFoundError:
            continue
        record = json.loads(body) | {"state": "ended", "ended": now, "ended_by": ctx.principal.user}
        try:
            ctx.store.put(key, (json.dumps(record, sort_keys=True) + "\n").encode(), if_match=etag)
        except HclusterError as cause:
            ctx.report(Progress("registry", f"{key} was not closed: {cause.message}", state="failed"))
