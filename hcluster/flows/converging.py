"""Running nodes become what is wanted: they are told by their tags, and answer by check-ins."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hcluster.errors import DeadlineError, HclusterError, NodeFailedError, NotFoundError
from hcluster.flows.context import Context
from hcluster.flows.launch import Ground, told, write_config
from hcluster.flows.records import Claim, demand_claim
from hcluster.flows.timeline import note
from hcluster.flows.waiting import POLL_SECONDS, console_tail, latest_phase, platform_tag
from hcluster.model import names
from hcluster.model.actions import Action
from hcluster.model.events import Progress
from hcluster.model.node import CheckIn, Instance
from hcluster.model.told import CONVERGED, DRAINED, UNCONVERGED, Told, latest_answers
from hcluster.plan.converge import Member
from hcluster.plan.nodes import is_quiet, left_out
from hcluster.spec.cluster import ClusterSpec

MOST_READ = 4
"""Earlier configurations that are read to see what differs; nodes with others are restarted group by group."""


@dataclass(frozen=True, slots=True)
class Course:
    """What one ``up`` goes by from its claim to its end."""

    spec: ClusterSpec
    held: Claim
    ground: Ground
    config: Mapping[str, object]
    """What nodes are told, without anything to drain."""
    timeout: float
    """Seconds that a group of nodes may take to get ready, or to apply what they are told."""
    drain: float
    """Seconds that work on a node which is replaced may go on."""

    @property
    def told(self) -> Told:
        """Configuration and release, as nodes are told them."""
        return told(self.config, self.ground.release)


def census(ctx: Context, cluster: str, known: Sequence[Instance]) -> list[Member]:
    """Nodes joined with their check-ins; one listing when any of them is alive."""
    checkins = ctx.checkins.listed(cluster) if any(node.alive for node in known) else {}
    return [_member(node, checkins.get(node.id, {})) for node in known]


def demand_able(ctx: Context, cluster: str, nodes: Sequence[Instance]) -> list[Member]:
    """The same, for whoever did not tell them anything and waits for them to follow.

    Raises:
        NodeFailedError: one could not apply what it is told now.
    """
    checkins = ctx.checkins.listed(cluster)
    members = [_member(node, checkins.get(node.id, {})) for node in nodes]
    for one in members:
        if one.told is not None and one.failed_to(one.told) and not one.follows(one.told):
            raise _refusal(ctx, cluster, one.node.id, one.told.answer(UNCONVERGED, one.again))
    return members


def _member(node: Instance, phases: Mapping[str, CheckIn]) -> Member:
    last = latest_phase(phases)
    answers = latest_answers({phase: checkin.at.timestamp() for phase, checkin in phases.items()})
    return Member(node, last.phase if last else "", "ready" in phases, answers, frozenset(phases))


def quiet(ctx: Context, course: Course, members: Iterable[Member]) -> frozenset[Told]:
    """What nodes are told now that differs from what is wanted by nothing that a daemon is restarted for."""
    wanted = course.told
    told_now = dict.fromkeys(one.told for one in members if one.node.alive and one.told is not None)
    alike = [one for one in told_now if one != wanted and one.release == wanted.release][:MOST_READ]
    return frozenset(
        one for one in alike if (config := config_of(ctx, course, one)) and is_quiet(config, course.config)
    )


def drained(ctx: Context, course: Course, members: Sequence[Member]) -> frozenset[str]:
    """Ids of the nodes that the master was told to drain by a run that did not come to its end."""
    told_now = [one.told for one in members if one.group == "master" and one.node.alive and one.told]
    configs = [config_of(ctx, course, one) for one in told_now if one != course.told]
    return frozenset(name for config in configs for name in left_out(config, [one.node for one in members]))


def config_of(ctx: Context, course: Course, one: Told) -> dict[str, object]:
    """The configuration that nodes of this launch are told, {} when it is gone."""
    try:
        body, _ = ctx.store.get(names.node_config_key(course.spec.name, course.held.launch, one.config))
    except NotFoundError:
        return {}
    found: dict[str, object] = json.loads(body)
    return found


def tell(ctx: Context, course: Course, action: Action, *, wait: bool = True) -> None:
    """Let the nodes of an action apply what is wanted, batch after batch; ``wait``: until they have said that they did.

    Raises:
        ConflictError: the cluster is not ours any more, or its spec was changed.
        NodeFailedError: a node could not apply it; those of later batches were not told.
        DeadlineError: a node did not answer in time.
    """
    write_config(ctx, course.ground, course.config)
    for some in batches(action.nodes, action.batches):
        demand_claim(ctx.store, course.held)
        order(ctx, course, some, course.told, action.group, wait=wait)
    text = f"{action.group}: {action.what}"
    note(ctx, course.spec.name, "change", f"{text} ({action.reason})", {"nodes": list(action.nodes)[:50]})


def batches(ids: Sequence[str], count: int) -> list[Sequence[str]]:
    """``ids`` in ``count`` runs of about the same length, or in fewer. Pure."""
    size = -(-len(ids) // max(1, count))
    return [ids[start : start + size] for start in range(0, len(ids), size)] if ids else []


def order(
    ctx: Context,
    course: Course,
    ids: Sequence[str],
    what: Told,
    group: str,
    *,
    drain: float = 0,
    wait: bool = True,
    anew: bool = False,
) -> None:
    """Move the tag of nodes, and wait until they have said that they follow; with ``drain`` seconds, until the nodes
    that the master was told to leave out are empty, too. ``anew``: also of those that follow it."""
    tags = {**platform_tag(ctx), names.TAG_CLUSTER: course.spec.name}
    there = {one.node.id: one for one in census(ctx, course.spec.name, ctx.compute.instances(tags))}
    late = [one for one in ids if anew or one not in there or there[one].told != what or there[one].failed_to(what)]
    if late:
        # Never told twice by the same value: a node that followed it earlier would seem to follow it now.
        ctx.compute.tag(late, {names.TAG_TOLD: what.tag(int(ctx.clock.now()))})
    if not wait:
        return
    _wait(ctx, course, ids, what, group, _Waiting(CONVERGED, course.timeout, "apply their configuration"))
    if drain:
        wanted = _Waiting(DRAINED, drain, "empty the nodes that are replaced")
        _wait(ctx, course, ids, what, group, wanted)


@dataclass(frozen=True, slots=True)
class _Waiting:
    word: str
    seconds: float
    what: str


def _wait(ctx: Context, course: Course, ids: Sequence[str], what: Told, group: str, wanted: _Waiting) -> None:
    """Two calls a poll, however many nodes there are. Workers that end meanwhile are not waited for."""
    cluster, end = course.spec.name, ctx.clock.now() + wanted.seconds
    tags = {**platform_tag(ctx), names.TAG_CLUSTER: cluster}
    while True:
        there = {one.node.id: one for one in census(ctx, cluster, ctx.compute.instances(tags, alive_only=False))}
        pending = []
        for one in ids:
            # One that is not listed may be there all the same: only what is known to have ended has ended.
            member = there.get(one)
            if member is not None and not member.node.alive:
                if group == "master":
                    raise _master_ended(cluster, member.node)
                continue
            if member is None or not member.follows(what):
                if wanted.word == CONVERGED and member is not None and member.failed_to(what):
                    raise _refusal(ctx, cluster, one, what.answer(UNCONVERGED, member.again))
                pending.append(one)
            elif wanted.word == DRAINED and what.answer(DRAINED, member.again) not in member.phases:
                pending.append(one)
        done = len(ids) - len(pending)
        ctx.report(Progress(f"{wanted.word} {group}", f"{group}: nodes {wanted.what}", done, len(ids)))
        if not pending:
            ctx.report(Progress(f"{wanted.word} {group}", f"{group}: {len(ids)} done", done, len(ids), "ok"))
            return
        if ctx.clock.now() > end:
            raise _late(ctx, cluster, pending, len(ids), wanted)
        ctx.clock.sleep(POLL_SECONDS)


def _master_ended(cluster: str, node: Instance) -> NodeFailedError:
    return NodeFailedError(
        f"the master {node.id} of cluster {cluster} ended: {node.reason or node.state}",
        hint=f"`hcluster down {cluster}`, then `hcluster up` again; tables and data in S3 are kept",
        reference="no-master",
    )


def _refusal(ctx: Context, cluster: str, one: str, answer: str) -> NodeFailedError:
    try:
        body = ctx.checkins.read(cluster, one, answer).body
    except HclusterError:
        body = {}
    return NodeFailedError(
        f"{one} of cluster {cluster} could not apply what it was told: {body.get('message', 'it does not say why')}",
        context=str(body.get("log_tail", "")),
        hint="correct the spec or the Puppet release; nodes of later batches were not told",
        reference="not-converged",
    )


def _late(ctx: Context, cluster: str, pending: Sequence[str], total: int, wanted: _Waiting) -> DeadlineError:
    if wanted.word == DRAINED:
        return DeadlineError(
            f"the nodes of cluster {cluster} that are to be replaced are not empty after {wanted.seconds:.0f} s",
            hint="nothing was terminated, and the same `hcluster up` goes on with them; when the spec is as it was, "
            "they serve again",
            reference="not-drained",
        )
    return DeadlineError(
        f"{len(pending)} of {total} nodes of cluster {cluster} have not said within {wanted.seconds:.0f} s that they "
        f"{wanted.what}, such as {pending[0]}",
        context=console_tail(ctx, pending[0]),
        hint=f"`hcluster exec {cluster} -- journalctl -u hcluster-watch` tells what they do",
        reference="not-converged",
    )


def without(course: Course, excluded: Mapping[str, list[str]], returning: Sequence[str] = ()) -> Course:
    """The course of a master that shall empty some nodes.

    ``returning``: host names of nodes that it was told to empty and shall have again. It does nothing for them but to
    hold the note, until they have started what has ended meanwhile.
    """
    seconds = int(course.drain) if any(excluded.values()) else 0
    config = {**course.config, "excluded": dict(excluded), "drain_seconds": seconds}
    return replace(course, config=config | ({"returning": sorted(returning)} if returning else {}))
