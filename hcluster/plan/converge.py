"""From what runs to what is wanted: the actions of ``up``, in order, each with its reason.

Decided by what the nodes are (their type, image, market and tags), not by the last spec: an ``up`` that was cut off
anywhere finds the rest of its work when it is run again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hcluster.errors import NodeFailedError, UsageError
from hcluster.model import names
from hcluster.model.actions import Action, Kind
from hcluster.model.node import Instance
from hcluster.model.told import CONVERGED, UNCONVERGED, Told, can_hear
from hcluster.plan.changes import Change
from hcluster.spec.cluster import ClusterSpec

BATCHES = 4
"""A group is told and replaced in at most so many runs, so that calls do not grow with its nodes."""
WORKERS = ("core", "task")
_MASTER_STAYS = "HDFS's names live on the master: only `hcluster down`, then `hcluster up`, makes another one"


@dataclass(frozen=True, slots=True)
class Member:
    """A node as the cloud and its check-ins tell it."""

    node: Instance
    phase: str = ""
    """The latest of booted, configured, ready and failed; "" before the first."""
    was_ready: bool = False
    answers: frozenset[str] = frozenset()
    """Its newest answer to what it was told; see ``hcluster.model.told``."""
    phases: frozenset[str] = frozenset()
    """All its check-ins."""

    @property
    def group(self) -> str:
        """Its group."""
        return self.node.tags.get(names.TAG_GROUP, "")

    @property
    def told(self) -> Told | None:
        """What its tag tells it."""
        return Told.parse(self.node.tags.get(names.TAG_TOLD, ""))

    @property
    def again(self) -> int:
        """The number with which its tag tells it."""
        return Told.again(self.node.tags.get(names.TAG_TOLD, ""))

    def failed_to(self, told: Told) -> bool:
        """Whether it is told this, and has said that it could not apply it."""
        return self.told == told and told.answer(UNCONVERGED, self.again) in self.answers

    @property
    def hears(self) -> bool:
        """Whether it can be told anything."""
        return self.told is not None and can_hear(self.node.tags)

    def follows(self, told: Told | None) -> bool:
        """Whether it is told this, and has said that it applied it."""
        return told is not None and self.told == told and told.answer(CONVERGED, self.again) in self.answers


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the nodes of a launch are to be."""

    launch: str
    image: str
    made: Mapping[str, str]
    """``made_mark`` of each group."""
    told: Told | None
    """Configuration and release; None while they cannot be known, as there is no master yet."""
    quiet: Collection[Told] = ()
    """What differs from ``told`` by nothing that a daemon is restarted for."""
    once_ready: bool = False
    """Whether this launch was ready before."""
    left_out: Collection[str] = ()
    """Ids of nodes that the master was told to drain, and was not told anything else since."""


def made_mark(spec: ClusterSpec, group: str) -> str:
    """What a node is launched with, cannot become later, and does not show in its record. The value of a tag."""
    whole = spec.model_dump(mode="json")
    facts = {"disks": whole[group]["disks"], "bootstrap": whole["bootstrap"], "tags": whole["tags"]}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def refuse(name: str, changed: Sequence[Change]) -> None:
    """Stop at changes that what exists cannot follow.

    Raises:
        UsageError: there are some; the context has a line with the reason of each.
    """
    refused = [change for change in changed if change.policy == "refused"]
    if refused:
        raise UsageError(
            f"cluster {name} exists, and its {', '.join(change.field for change in refused)} cannot be changed",
            context="\n".join(f"{change.field}: {change.reason}" for change in refused),
            hint=f"undo the change, or `hcluster down {name}` first",
            reference="change-refused",
        )


def converge(
    spec: ClusterSpec,
    members: Sequence[Member],
    wanted: Wanted,
    *,
    changed: Sequence[Change] = (),
    replace: bool = False,
) -> list[Action]:
    """The actions that make a cluster what ``spec`` says, in the order in which they are executed.

    Args:
        spec: what is wanted.
        members: all nodes of the cluster, those that ended too, as far as the cloud still tells.
        wanted: what its nodes are to be.
        changed: what differs from the spec so far; gives reasons, decides nothing.
        replace: whether nodes may be replaced for what a running node cannot follow.

    Raises:
        NodeFailedError: the master of a cluster that was ready is gone, and with it what HDFS held.
    """
    ended = _ends(spec.name, members, wanted)
    gone = {name for action in ended for name in action.nodes}
    kept = [one for one in members if one.node.alive and one.node.id not in gone]
    outdated = {one.node.id: why for one in kept if (why := _outdated(spec, one, wanted))}
    fresh = not kept and not gone
    groups = {group: [one for one in kept if one.group == group] for group in spec.groups()}
    begun = {group: _begun(spec, group, there, outdated, wanted) for group, there in groups.items()}
    actions = [*ended]
    for group, there in groups.items():
        actions += _launches(spec, group, there, fresh=fresh)
    ending = [one for action in begun.values() for one in action]
    later: list[Action] = []
    for group, there in groups.items():
        late = [one for one in there if one.node.id in outdated and one not in ending]
        later += _drains(group, begun[group], outdated)
        later += _replacements(spec, group, late, outdated, wanted.left_out, replace=replace)
    going = {name for action in later if action.kind in ("drain", "replace") for name in action.nodes}
    back = {name for name in wanted.left_out if name not in going}
    for group, there in groups.items():
        # Whoever is about to go need not follow first. The master is told, before and after, whom to drain: one that
        # was draining when an earlier run was cut off goes on with it.
        staying = [one for one in there if one.node.id not in going and one.node.id not in back]
        staying = [one for one in staying if group in WORKERS or not going or back or one.told not in wanted.quiet]
        actions += _restores(group, [one for one in there if one.node.id in back])
        actions += _tells(group, staying, wanted, changed)
    return actions + later


def _ends(cluster: str, members: Sequence[Member], wanted: Wanted) -> list[Action]:
    """Nodes that cannot be gone on with: they failed, or are still on their way to be something else.

    What failed another node of the launch, and was cured in the spec since, would fail the latter, too.
    """
    alive = [one for one in members if one.node.alive]
    why: dict[str, str] = {}
    for one in alive:
        if one.node.tags.get(names.TAG_LAUNCH) != wanted.launch:
            why[one.node.id] = "of a launch whose lifetime is over"
        elif one.phase == "failed":
            why[one.node.id] = "failed"
        elif not one.was_ready and (one.told is None or one.told != wanted.told):
            why[one.node.id] = "still on its way to be what is no longer wanted"
    masters = [one for one in members if one.group == "master"]
    lost = bool(masters) and all(not one.node.alive or one.node.id in why for one in masters)
    if lost and len(why) < len(alive):
        if wanted.once_ready:
            raise NodeFailedError(
                f"cluster {cluster} has lost its master; its HDFS cannot be continued by another one",
                hint=f"`hcluster down {cluster}`, then `hcluster up` again; tables and data in S3 are kept",
                reference="no-master",
            )
        # Workers that met the lost master's HDFS would refuse a new one.
        why = {one.node.id: why.get(one.node.id, "met a master that is gone") for one in alive}
    return [
        Action("end", group, len(some), f"end {_nodes(len(some))}", reason, nodes=tuple(one.node.id for one in some))
        for group in dict.fromkeys(one.group for one in alive)
        for reason in dict.fromkeys(why.values())
        if (some := [one for one in alive if one.group == group and why.get(one.node.id) == reason])
    ]


def _launches(spec: ClusterSpec, group: str, there: Sequence[Member], *, fresh: bool) -> Iterator[Action]:
    one = spec.groups()[group]
    missing = one.count - len(there)
    if missing > 0:
        what = f"launch {missing} {one.market} {'node' if missing == 1 else 'nodes'} ({', '.join(one.types)})"
        reason = "the cluster does not exist yet" if fresh else f"{len(there)} of {one.count} are there"
        yield Action("launch", group, missing, what, reason, "live")


def _tells(group: str, there: Sequence[Member], wanted: Wanted, changed: Sequence[Change]) -> Iterator[Action]:
    """Running nodes that do not follow yet. One that is still booting with the wanted ones is not told again."""
    if wanted.told is None:
        return
    late = [one for one in there if one.was_ready and one.hears and not one.follows(wanted.told)]
    restarted = [one for one in late if one.told not in (wanted.told, *wanted.quiet)]
    fields = [change.field for change in changed if change.policy == "live"]
    for some, rolling in ((restarted, True), ([one for one in late if one not in restarted], False)):
        if not some:
            continue
        files = {one.told.config != wanted.told.config for one in some if one.told}
        code = {one.told.release != wanted.told.release for one in some if one.told}
        new = [name for name, differs in (("configuration", files), ("Puppet release", code)) if True in differs]
        what = f"tell {_nodes(len(some))} the {' and '.join(new) or 'configuration'}"
        reason = f"changed: {', '.join(fields)}" if fields else "what they apply is not what is wanted"
        batches = min(BATCHES, len(some)) if rolling and group in WORKERS else 1
        ids = tuple(one.node.id for one in some)
        yield Action("tell", group, len(some), what, reason, "live", nodes=ids, batches=batches)


def _begun(
    spec: ClusterSpec, group: str, there: Sequence[Member], outdated: Mapping[str, str], wanted: Wanted
) -> list[Member]:
    """Nodes that are one too many each: a replacement was cut off when their successors had been launched.

    What differs from the spec goes first, then what is being drained, then the newest, which holds least.
    """
    surplus = len(there) - spec.groups()[group].count if group in WORKERS else 0

    def rank(one: Member) -> tuple[bool, bool, float, str]:
        age = one.node.launched.timestamp()
        old = one.node.id in outdated
        return not old, one.node.id not in wanted.left_out, age if old else -age, one.node.id

    return sorted(there, key=rank)[: max(0, surplus)]


def _drains(group: str, some: Sequence[Member], outdated: Mapping[str, str]) -> Iterator[Action]:
    if some:
        ids = tuple(one.node.id for one in some)
        why = list(dict.fromkeys(outdated[name] for name in ids if name in outdated))
        reason = "; ".join(["successors are there, as a replacement was cut off", *why])
        what = f"drain {_nodes(len(some))}, then end {'it' if len(some) == 1 else 'them'}"
        yield Action("drain", group, len(some), what, reason, "replace-nodes", nodes=ids)


def _restores(group: str, some: Sequence[Member]) -> Iterator[Action]:
    ids = tuple(one.node.id for one in some if one.was_ready and one.hears)
    if ids:
        what = f"let {_nodes(len(ids))} serve again"
        yield Action("restore", group, len(ids), what, "a replacement was cut off, and they stay", "live", nodes=ids)


def _replacements(
    spec: ClusterSpec,
    group: str,
    there: Sequence[Member],
    outdated: Mapping[str, str],
    left_out: Collection[str],
    *,
    replace: bool,
) -> Iterator[Action]:
    """Those that are being drained are one batch, the first, so that none of them waits idly for another."""
    ordered = [one.node.id for one in sorted(there, key=lambda one: (one.node.launched, one.node.id))]
    if group not in WORKERS:
        if ordered:
            reason = f"{_reasons(ordered, outdated)}; {_MASTER_STAYS}"
            yield Action("keep", group, len(ordered), "keep the master as it is", reason, nodes=tuple(ordered))
        return
    one = spec.groups()[group]
    kind: Kind = "replace" if replace else "pending"
    draining = [name for name in ordered if replace and name in left_out]
    for some, most in ((draining, 1), ([name for name in ordered if name not in draining], BATCHES)):
        if some:
            what = f"replace {_nodes(len(some))} by {one.market} nodes ({', '.join(one.types)})"
            reason, batches = _reasons(some, outdated), min(most, len(some))
            yield Action(kind, group, len(some), what, reason, "replace-nodes", nodes=tuple(some), batches=batches)


def _reasons(ids: Sequence[str], outdated: Mapping[str, str]) -> str:
    return "; ".join(dict.fromkeys(outdated[name] for name in ids))


def _outdated(spec: ClusterSpec, member: Member, wanted: Wanted) -> str:
    """Why a running node can become what is wanted only by being replaced, "" when it need not be."""
    group, node = spec.groups().get(member.group), member.node
    if group is None:
        return ""
    why = []
    if node.image != wanted.image:
        why.append(f"image {wanted.image} instead of {node.image}")
    if node.type not in group.types:
        why.append(f"type {' or '.join(group.types)} instead of {node.type}")
    if node.market != group.market:
        why.append(f"{group.market} instead of {node.market}")
    # What has no such tag was launched by an earlier version, which says nothing about it.
    if node.tags.get(names.TAG_MADE, wanted.made[member.group]) != wanted.made[member.group]:
        why.append("other disks, bootstrap scripts or tags")
    if member.told is None:
        why.append("it was launched by a version of hcluster that could not tell it anything later")
    elif not member.hears and wanted.told not in (None, member.told) and member.told not in wanted.quiet:
        why.append("it cannot be told of changes, as keys of its tags have other characters than A-Z a-z 0-9 _.:=,+@-")
    return ", ".join(why)


def _nodes(count: int) -> str:
    return f"{count} {'node' if count == 1 else 'nodes'}"
