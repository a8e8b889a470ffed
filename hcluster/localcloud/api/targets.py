"""Which instances a fault is for: named one by one, or by the tags that hcluster gives them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hcluster.errors import NotFoundError, UsageError
from hcluster.model.names import TAG_CLUSTER, TAG_GROUP, TAG_ROLE


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of one instance that has not ended."""

    id: str
    state: str
    spot: bool = False
    address: str = ""
    dns_name: str = ""
    """"ip-10-64-16-5.ec2.internal"."""
    tags: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> set[str]:
        """Everything that it is called."""
        return {self.id, self.address, self.dns_name, self.dns_name.partition(".")[0]} - {""}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Instances by id, private DNS name or address; or those of a cluster, of one of its groups, ``count`` of them."""

    nodes: tuple[str, ...] = ()
    cluster: str = ""
    group: str = ""
    """master, core, task, or the name of the role."""
    count: int = 0
    """0: all."""


def choose(wanted: Wanted, there: Sequence[Candidate], *, spot: bool = False) -> list[Candidate]:
    """Those that are meant, in the order of their ids; with ``spot`` only spot instances can be meant.

    Raises:
        UsageError: nothing, or too little, was said about what is meant.
        NotFoundError: there are none, or fewer than wanted.
    """
    if wanted.nodes and (wanted.cluster or wanted.group or wanted.count):
        raise UsageError("name instances, or a cluster with --group and --count; not both")
    if not wanted.nodes and not wanted.cluster:
        raise UsageError("nothing says which instances are meant", hint="name them, or use --cluster NAME")
    found = _named(wanted.nodes, there) if wanted.nodes else _tagged(wanted, there, spot=spot)
    for one in found:
        if one.state != "running":
            raise NotFoundError(f"{one.id} is {one.state}, not running")
        if spot and not one.spot:
            raise UsageError(
                f"{one.id} is an on-demand instance: only spot instances are interrupted",
                hint=f"as when its host fails: hcluster local kill {one.id}",
            )
    return found


def _named(nodes: Sequence[str], there: Sequence[Candidate]) -> list[Candidate]:
    found = {}
    for name in nodes:
        match = [one for one in there if name in one.names()]
        if not match:
            raise NotFoundError(
                f"the local cloud has no instance {name}",
                hint="ids, private DNS names and addresses are listed by `hcluster nodes CLUSTER`",
            )
        found[match[0].id] = match[0]
    return list(found.values())


def _tagged(wanted: Wanted, there: Sequence[Candidate], *, spot: bool) -> list[Candidate]:
    found = [one for one in there if one.state == "running" and one.tags.get(TAG_CLUSTER) == wanted.cluster]
    if wanted.group:
        found = [one for one in found if wanted.group in (one.tags.get(TAG_GROUP), one.tags.get(TAG_ROLE))]
    if spot:
        found = [one for one in found if one.spot]
    kind = "running spot" if spot else "running"
    what = f"{kind} nodes{f' of the group {wanted.group}' if wanted.group else ''} in the cluster {wanted.cluster}"
    if not found:
        raise NotFoundError(f"there are no {what}", hint=f"`hcluster nodes {wanted.cluster}`")
    if wanted.count > len(found):
        raise NotFoundError(f"there are only {len(found)} {what}, not {wanted.count}")
    return sorted(found, key=lambda one: one.id)[: wanted.count or None]
