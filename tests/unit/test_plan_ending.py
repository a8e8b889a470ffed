"""The steps of taking a cluster down."""

from __future__ import annotations

from datetime import UTC, datetime

from hcluster.model.names import TAG_GROUP
from hcluster.model.node import Instance
from hcluster.plan.ending import NAME, THINGS, ending

NOW = datetime(2026, 11, 22, tzinfo=UTC)
FREE = {"instances": 0, "interfaces": 0, "templates": 0, "groups": 3, "volumes": 0}


def node(name: str, group: str, state: str = "running") -> Instance:
    return Instance(name, state, "", "", "m5.large", "a", "spot", "ami-1", NOW, {TAG_GROUP: group})


def test_nodes_end_by_group_workers_first_then_the_rest_goes_and_the_name_last() -> None:
    nodes = [node("i-m", "master"), node("i-1", "core"), node("i-2", "core", "shutting-down"), node("i-t", "task")]
    actions = ending(nodes, {**FREE, "interfaces": 4, "templates": 3, "volumes": 1}, "20261122t000000-ab12")
    assert [(one.kind, one.group, one.thing, one.count) for one in actions] == [
        ("end", "task", "", 1),
        ("end", "core", "", 2),
        ("end", "master", "", 1),
        ("remove", "", "interfaces", 4),
        ("remove", "", "templates", 3),
        ("remove", "", "volumes", 1),
        ("remove", "", NAME, 1),
    ]
    assert actions[1].nodes == ("i-1", "i-2")
    assert actions[1].what == "terminate 2 nodes"
    assert [one.what for one in actions[3:6]] == [
        "remove 4 network interfaces",
        "remove 3 launch templates",
        "remove 1 volume",
    ]
    assert all(one.reason for one in actions)


def test_of_what_is_gone_nothing_is_done() -> None:
    assert ending([node("i-1", "core", "terminated")], FREE, "") == []


def test_a_name_without_anything_is_freed() -> None:
    assert [one.thing for one in ending([], FREE, "l")] == [NAME]


def test_everything_that_a_cluster_has_is_thought_of() -> None:
    """A new kind of thing in the inventory must be removed, too."""
    assert set(FREE) - {"instances", "groups"} == set(THINGS) - {NAME}
