"""Take a cluster down, from its tags alone; repeating it is fine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from hcluster.errors import DeadlineError, DeniedError, HclusterError, NotFoundError
from hcluster.flows.context import Context
from hcluster.flows.gather import gather
from hcluster.flows.records import Claim, mark_ending, read_claim
from hcluster.flows.timeline import node_details, note
from hcluster.flows.waiting import POLL_SECONDS, platform_tag, wait_gone
from hcluster.model import names
from hcluster.model.events import Progress
from hcluster.model.node import Instance
from hcluster.model.views import DownResult

KINDS = ("instances", "interfaces", "templates", "volumes")
"""What a cluster has of its own; security groups are its team's."""


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
    found = ctx.compute.instances(tags, alive_only=False)
    earlier = read_claim(ctx.store, name)
    _own(ctx, name, found, earlier[0] if earlier else None)
    held = mark_ending(ctx.store, name) if earlier else None
    checkins = ctx.checkins.listed(name) if held else {}
    before, removed = list(found), Removed(0, 0, 0, 0)
    end = ctx.clock.now() + timeout
    while _still_ours(ctx, name, held):
        removed = removed.plus(remove(ctx, tags, found))
        left = ctx.compute.inventory(tags)
        if not any(left[kind] for kind in KINDS):
            if held:
                # What nodes are known by goes in a moment: this note is where it is kept.
                own = [node for node in before if node.tags.get(names.TAG_LAUNCH) == held.launch]
                told = {"launch": held.launch, "nodes": node_details(own, checkins)}
                note(ctx, name, "down", f"{removed.terminated} nodes ended", told)
            _forget(ctx, name, held)
            break
        if ctx.clock.now() > end:
            raise DeadlineError(
                f"cluster {name} still has {', '.join(f'{left[kind]} {kind}' for kind in KINDS if left[kind])}",
                hint=f"run `hcluster down {name}` again",
            )
        ctx.clock.sleep(POLL_SECONDS)
        found = ctx.compute.instances(tags, alive_only=False)
    return DownResult(name, removed.terminated, removed.interfaces, removed.templates, removed.volumes)


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


def remove(ctx: Context, tags: dict[str, str], found: list[Instance]) -> Removed:
    """End instances and delete everything else that carries ``tags``."""
    there = [node for node in found if node.state != "terminated"]
    if there:
        ctx.report(Progress("terminate", "terminating nodes", 0, len(there)))
        ctx.compute.terminate([node.id for node in there])
        wait_gone(ctx, there)
        ctx.report(Progress("terminate", "nodes terminated", len(there), len(there), "ok"))
    interfaces, templates, volumes = gather(
        [
            lambda: ctx.compute.delete_interfaces(tags),
            lambda: ctx.compute.delete_templates(tags),
            lambda: ctx.compute.delete_volumes(tags),
        ]
    )
    ctx.report(Progress("remove", f"removed {interfaces} interfaces, {templates} launch templates", state="ok"))
    return Removed(len(there), interfaces, templates, volumes)


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
