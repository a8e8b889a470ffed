"""Take a cluster down, from its tags alone; repeating it is fine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from hcluster.errors import DeniedError, HclusterError, NotFoundError
from hcluster.flows.context import Context
from hcluster.flows.gather import gather
from hcluster.flows.records import Claim, read_claim
from hcluster.flows.waiting import platform_tag, wait_gone
from hcluster.model import names
from hcluster.model.events import Progress
from hcluster.model.node import Instance
from hcluster.model.views import DownResult


@dataclass(frozen=True, slots=True)
class Removed:
    """Counts of what is gone."""

    terminated: int
    interfaces: int
    templates: int
    volumes: int


def down(ctx: Context, name: str) -> DownResult:
    """End a cluster: nodes, interfaces, templates, volumes, check-ins; then its row is closed and its name is free.

    Raises:
        DeniedError: it belongs to another team.
        DeadlineError: its nodes do not end.
    """
    if name == names.PLATFORM_CLUSTER:
        raise DeniedError("`platform` is not a cluster", hint="use `hcluster platform down`")
    tags = {**platform_tag(ctx), names.TAG_CLUSTER: name}
    found = ctx.compute.instances(tags, alive_only=False)
    held = read_claim(ctx.store, name)
    _own(ctx, name, found, held[0] if held else None)
    removed = remove(ctx, tags, found)
    if held:
        _close(ctx, held[0])
    try:
        ctx.store.delete_prefix(names.checkins_prefix(name))
        # Last, so that until everything else is gone the name stays taken and `down` can be repeated.
        ctx.store.delete(names.spec_key(name))
    except NotFoundError:
        ctx.report(
            Progress("bucket", f"bucket {ctx.store.bucket} is gone, and with it the cluster's records", state="ok")
        )
    return DownResult(name, removed.terminated, removed.interfaces, removed.templates, removed.volumes)


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


def _close(ctx: Context, claim: Claim) -> None:
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
