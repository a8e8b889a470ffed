"""Wait for what another call began: a cluster that gets ready, or one that goes away."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from hcluster.errors import DeadlineError, DeniedError, NodeFailedError, NotFoundError
from hcluster.flows.context import Context
from hcluster.flows.converging import census, demand_able
from hcluster.flows.ready import settle
from hcluster.flows.records import Claim, demand_claim, read_claim
from hcluster.flows.waiting import POLL_SECONDS, platform_tag, wait_ready
from hcluster.model import names
from hcluster.model.events import Progress
from hcluster.model.node import Instance
from hcluster.model.told import Told
from hcluster.model.views import ClusterView
from hcluster.plan.converge import Member


def until_ready(ctx: Context, name: str, *, timeout: float = 900) -> ClusterView:
    """Wait until every node that is wanted is ready and follows what it was told; then register the launch, as `up`
    would have done. Anybody of the team may wait, and several may at once.

    Raises:
        NotFoundError: there is no such cluster.
        DeniedError: it is another team's.
        ConflictError: it is being taken down.
        NodeFailedError: a node failed, or ended before it was ready.
        DeadlineError: not all are ready in time, or were never launched.
    """
    held = _held(ctx, name)
    end = ctx.clock.now() + timeout
    ids = _all_launched(ctx, held, end, timeout)
    checkins = wait_ready(ctx, name, ids, timeout=max(0.0, end - ctx.clock.now()))
    members = _all_follow(ctx, held, end, timeout)
    image, release = _launched_with(members)
    return settle(ctx, held, image=image, release=release, new=(), checkins=checkins)


def until_gone(ctx: Context, name: str, *, timeout: float = 300) -> None:
    """Wait until nothing of a cluster is left and its name is free, or another launch has it.

    Raises:
        NotFoundError: there never was such a cluster.
        DeadlineError: it is still there.
    """
    end = ctx.clock.now() + timeout
    seen = read_claim(ctx.store, name)
    tags = {**platform_tag(ctx), names.TAG_CLUSTER: name}
    if seen is None and not ctx.compute.instances(tags) and not ctx.store.folders(f"clusters/{name}/"):
        raise _no_cluster(ctx, name)
    while True:
        now = read_claim(ctx.store, name)
        if seen and now and now[0].launch != seen[0].launch:
            break
        nodes = ctx.compute.instances(tags)
        if now is None and not nodes:
            break
        state = now[0].state if now else "unclaimed"
        ctx.report(Progress("gone", f"{len(nodes)} nodes of cluster {name} run ({state})"))
        if ctx.clock.now() > end:
            raise DeadlineError(
                f"cluster {name} is still there after {timeout:.0f} s: {len(nodes)} nodes, {state}",
                hint=f"`hcluster down {name}` takes it down",
            )
        ctx.clock.sleep(POLL_SECONDS)
    ctx.report(Progress("gone", f"cluster {name} is gone", state="ok"))


def _held(ctx: Context, name: str) -> Claim:
    seen = read_claim(ctx.store, name)
    if seen is None:
        raise _no_cluster(ctx, name)
    held = seen[0]
    if held.team != ctx.principal.team:
        raise DeniedError(
            f"cluster {name} belongs to team {held.team}, you act for team {ctx.principal.team}",
            hint=f"if that is your team: HCLUSTER_TEAM={held.team} hcluster wait {name}",
            reference="other-team",
        )
    demand_claim(ctx.store, held)
    return held


def _no_cluster(ctx: Context, name: str) -> NotFoundError:
    return NotFoundError(
        f"there is no cluster {name} on platform {ctx.platform.name}",
        hint="`hcluster list` shows what runs, `hcluster up FILE` starts a cluster",
        reference="no-cluster",
    )


def _all_launched(ctx: Context, held: Claim, end: float, timeout: float) -> list[str]:
    """Ids of the cluster's nodes, once there are as many as are wanted. Those that fail meanwhile are not waited for:
    the same failure as from the wait for all."""
    wanted = _wanted(held)
    while True:
        alive = _alive(ctx, held.cluster)
        missing = _missing(wanted, alive)
        if not missing:
            return [node.id for node in alive]
        members = census(ctx, held.cluster, alive)
        if failed := [one.node.id for one in members if one.phase == "failed"]:
            wait_ready(ctx, held.cluster, failed, timeout=0)
        demand_claim(ctx.store, held)
        said = ", ".join(f"{count} of {wanted[group]} {group} missing" for group, count in missing.items())
        ctx.report(Progress("launched", f"nodes are not launched yet: {said}", len(alive), sum(wanted.values())))
        if ctx.clock.now() > end:
            raise DeadlineError(
                f"cluster {held.cluster} has not all of its nodes after {timeout:.0f} s: {said}",
                hint="the `up` that began it failed, or nodes have ended since: run the same `hcluster up` again",
                reference="not-launched",
            )
        ctx.clock.sleep(POLL_SECONDS)


def _all_follow(ctx: Context, held: Claim, end: float, timeout: float) -> list[Member]:
    """The cluster's nodes, once each has said that it applied what it is told."""
    while True:
        members = demand_able(ctx, held.cluster, _alive(ctx, held.cluster))
        pending = [one.node.id for one in members if one.told and one.hears and not one.follows(one.told)]
        if not pending:
            return members
        ctx.report(Progress("follow", "nodes apply their configuration", len(members) - len(pending), len(members)))
        if ctx.clock.now() > end:
            raise DeadlineError(
                f"{len(pending)} of {len(members)} nodes of cluster {held.cluster} have not said within "
                f"{timeout:.0f} s that they apply what they were told, such as {pending[0]}",
                hint=f"`hcluster logs {held.cluster} {pending[0]}` tells what it does",
                reference="not-converged",
            )
        ctx.clock.sleep(POLL_SECONDS)


def _alive(ctx: Context, name: str) -> list[Instance]:
    return ctx.compute.instances({**platform_tag(ctx), names.TAG_CLUSTER: name})


def _wanted(held: Claim) -> dict[str, int]:
    groups = ("master", "core", "task")
    return {
        group: int(value["count"])
        for group in groups
        if isinstance(value := held.spec.get(group), Mapping) and value.get("count")
    }


def _missing(wanted: Mapping[str, int], alive: Sequence[Instance]) -> dict[str, int]:
    there = {group: sum(node.tags.get(names.TAG_GROUP) == group for node in alive) for group in wanted}
    return {group: count - there[group] for group, count in wanted.items() if there[group] < count}


def _launched_with(members: Collection[Member]) -> tuple[str, str]:
    """(image, Puppet release) of a launch, from its master."""
    one = next((one for one in members if one.group == "master"), None)
    if one is None:
        raise NodeFailedError("the master ended while it was waited for", reference="no-master")
    told: Told | None = one.told
    return one.node.image, told.release if told else ""
