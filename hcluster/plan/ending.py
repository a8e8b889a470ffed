"""What taking a cluster down consists of. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hcluster.model.actions import Action
from hcluster.model.names import TAG_GROUP
from hcluster.model.node import Instance
from hcluster.plan.words import many

NAME = "name"
THINGS = {
    "interfaces": "network interface",
    "templates": "launch template",
    "volumes": "volume",
    NAME: "name",
}
"""What a cluster has beside its nodes, in the order in which it goes, and what people call one of it. Security groups
are its team's, not its own."""
_REASONS = {
    "interfaces": "those of the nodes end with them; the master's is the cluster's own",
    "templates": "nothing is launched from them any more",
    "volumes": "those of the nodes end with them; what is on them is lost, tables and data in S3 stay",
}
_GROUPS = ("task", "core", "master")
"""Those who compute end before those who hold files."""


def ending(nodes: Sequence[Instance], inventory: Mapping[str, int], launch: str) -> list[Action]:
    """The steps of ``down``, in order; none when nothing is left and nobody holds the name.

    Args:
        nodes: all that the cloud still tells of, ended ones too.
        inventory: how many interfaces, templates and volumes carry the cluster's tags.
        launch: of the claim, "" when the name is free.
    """
    there = [node for node in nodes if node.state != "terminated"]
    every = {node.tags.get(TAG_GROUP, "") for node in there}
    groups = [one for one in _GROUPS if one in every] + sorted(every - set(_GROUPS))
    return [
        *(_end(group, [node for node in there if node.tags.get(TAG_GROUP, "") == group]) for group in groups),
        *(_remove(thing, inventory[thing]) for thing in _REASONS if inventory.get(thing)),
        *([_free(launch)] if launch else []),
    ]


def _end(group: str, nodes: Sequence[Instance]) -> Action:
    return Action(
        kind="end",
        group=group,
        count=len(nodes),
        what=f"terminate {many(len(nodes), 'node')}",
        reason="the cluster's HDFS goes with its nodes" if group in ("master", "core") else "it holds no files of HDFS",
        nodes=tuple(node.id for node in nodes),
    )


def _remove(thing: str, count: int) -> Action:
    return Action("remove", "", count, f"remove {many(count, THINGS[thing])}", _REASONS[thing], thing=thing)


def _free(launch: str) -> Action:
    what = f"close launch {launch} and free the name"
    return Action("remove", "", 1, what, "its row in hcluster.clusters stays, as ended", thing=NAME)
