"""Wait until the nodes of a launch are ready, and say what stands in the way when they do not get there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hcluster.errors import DeadlineError, HclusterError, NodeFailedError
from hcluster.flows.context import Context
from hcluster.model.events import Progress
from hcluster.model.names import TAG_CLUSTER, TAG_PLATFORM
from hcluster.model.node import PHASES, CheckIn, Instance

POLL_SECONDS = 1.0
CONSOLE_LINES = 15


def latest_phase(checkins: Mapping[str, CheckIn]) -> CheckIn | None:
    """The check-in that tells where a node is now: the newest one, the later phase when two are equally old."""
    known = [checkin for phase, checkin in checkins.items() if phase in PHASES]
    return max(known, key=lambda checkin: (checkin.at, PHASES.index(checkin.phase)), default=None)


def wait_ready(
    ctx: Context, cluster: str, instances: Sequence[str], *, timeout: float
) -> Mapping[str, Mapping[str, CheckIn]]:
    """Wait until all ``instances`` have checked in as ready: two calls a poll, however many nodes there are.

    Returns the check-ins of all nodes as they were seen last, by instance and phase.

    Raises:
        NodeFailedError: one reported a failure or ended.
        DeadlineError: some are not ready in time.
    """
    end = ctx.clock.now() + timeout
    wanted = set(instances)
    tags = {**platform_tag(ctx), TAG_CLUSTER: cluster}
    while True:
        checkins = ctx.checkins.listed(cluster)
        phases = {instance: latest_phase(checkins.get(instance, {})) for instance in wanted}
        failed = sorted(name for name, checkin in phases.items() if checkin and checkin.phase == "failed")
        if failed:
            raise _failure(ctx, cluster, failed)
        ready = [name for name, checkin in phases.items() if checkin and checkin.phase == "ready"]
        ctx.report(Progress("nodes", _summary(phases), len(ready), len(wanted)))
        known = {instance.id: instance for instance in ctx.compute.instances(tags, alive_only=False)}
        ended = [known[name] for name in sorted(wanted) if name in known and not known[name].alive]
        if ended:
            raise NodeFailedError(
                f"{ended[0].id} of cluster {cluster} ended before it was ready: {ended[0].reason or ended[0].state}",
                context=console_tail(ctx, ended[0].id),
            )
        if len(ready) == len(wanted):
            return checkins
        if ctx.clock.now() > end:
            raise _late(ctx, cluster, phases, timeout)
        ctx.clock.sleep(POLL_SECONDS)


def platform_tag(ctx: Context) -> dict[str, str]:
    """The tag that all resources of the platform carry."""
    return {TAG_PLATFORM: ctx.platform.name}


def _summary(phases: Mapping[str, CheckIn | None]) -> str:
    counts: dict[str, int] = {}
    for checkin in phases.values():
        phase = checkin.phase if checkin else "launching"
        counts[phase] = counts.get(phase, 0) + 1
    return ", ".join(f"{counts[phase]} {phase}" for phase in ("launching", *PHASES) if phase in counts)


def _failure(ctx: Context, cluster: str, failed: Sequence[str]) -> NodeFailedError:
    body = ctx.checkins.read(cluster, failed[0], "failed").body
    others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return NodeFailedError(
        f"{failed[0]}{others} of cluster {cluster} failed in step {body.get('step')}: {body.get('message')}",
        context=str(body.get("log_tail", "")),
        reference=str(body.get("reference", "node-failed")),
    )


def _late(ctx: Context, cluster: str, phases: Mapping[str, CheckIn | None], timeout: float) -> DeadlineError:
    late = sorted(name for name, checkin in phases.items() if not checkin or checkin.phase != "ready")
    first = phases[late[0]]
    where = f"last heard of in phase {first.phase}" if first else "never heard of"
    return DeadlineError(
        f"{len(late)} of {len(phases)} nodes of cluster {cluster} are not ready after {timeout:.0f} s; "
        f"{late[0]} was {where}",
        context=console_tail(ctx, late[0]),
        reference="node-silent",
    )


def console_tail(ctx: Context, instance: str) -> str:
    """The end of a node's console, "" when it cannot be had."""
    try:
        return "\n".join(ctx.compute.console(instance).splitlines()[-CONSOLE_LINES:])
    except HclusterError:
        return ""


def wait_gone(ctx: Context, instances: Sequence[Instance], *, timeout: float = 180) -> None:
    """Wait until instances are terminated, so that what they held can be removed.

    Raises:
        DeadlineError: some are still there.
    """
    end = ctx.clock.now() + timeout
    pending = {instance.id for instance in instances}
    cluster = {instance.tags.get(TAG_CLUSTER, "") for instance in instances}
    while pending:
        tags = {**platform_tag(ctx), TAG_CLUSTER: next(iter(cluster))}
        now = {instance.id: instance.state for instance in ctx.compute.instances(tags, alive_only=False)}
        pending = {name for name in pending if now.get(name, "terminated") != "terminated"}
        ctx.report(Progress("terminate", "waiting for nodes to end", len(instances) - len(pending), len(instances)))
        if pending and ctx.clock.now() > end:
            raise DeadlineError(
                f"{len(pending)} nodes are still there {timeout:.0f} s after they were terminated: "
                f"{', '.join(sorted(pending)[:5])}",
                hint="run the same command again",
            )
        if pending:
            ctx.clock.sleep(POLL_SECONDS)
