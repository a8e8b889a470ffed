"""What ``up`` decides to do, from what runs and what is wanted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hcluster.errors import NodeFailedError, UsageError
from hcluster.model import names
from hcluster.model.actions import Action
from hcluster.model.node import Instance
from hcluster.model.told import CONVERGED, UNCONVERGED, Told, can_hear, latest_answers
from hcluster.plan.changes import changes
from hcluster.plan.converge import Member, Wanted, converge, made_mark, refuse
from hcluster.spec.cluster import ClusterSpec

OLD, NEW = Told("a" * 64, "d" * 64), Told("b" * 64, "d" * 64)
SPEC = ClusterSpec.model_validate({"name": "flights", "team": "analytics"})


def spec(**fields: object) -> ClusterSpec:
    return ClusterSpec.model_validate({"name": "flights", "team": "analytics", **fields})


def wanted(of: ClusterSpec = SPEC, told: Told | None = OLD, *, once_ready: bool = True, quiet: bool = False) -> Wanted:
    made = {group: made_mark(of, group) for group in of.groups()}
    return Wanted("l1", "ami-1", made, told, frozenset({OLD}) if quiet else frozenset(), once_ready)


def member(identity: str, group: str = "core", *, told: Told = OLD, phase: str = "ready", **fields: Any) -> Member:
    one = SPEC.groups()[group]
    tags = {
        names.TAG_GROUP: group,
        names.TAG_LAUNCH: "l1",
        names.TAG_TOLD: told.tag(),
        names.TAG_MADE: made_mark(SPEC, group),
    }
    at = datetime(2026, 11, 22, tzinfo=UTC)
    node = Instance(identity, "running", "10.0.0.1", "ip-10-0-0-1", one.types[0], "a", one.market, "ami-1", at, tags)
    ready = phase == "ready"
    return Member(replace(node, **fields), phase, ready, frozenset({told.answer(CONVERGED)} if ready else ()))


def nodes(core: int = 2, told: Told = OLD) -> list[Member]:
    return [member("i-m", "master", told=told), *(member(f"i-{number}", told=told) for number in range(core))]


def brief(actions: list[Action]) -> list[tuple[str, str, int]]:
    return [(one.kind, one.group, one.count) for one in actions]


def test_a_cluster_that_does_not_exist_is_launched_group_by_group() -> None:
    found = converge(SPEC, [], wanted(told=None, once_ready=False))
    assert brief(found) == [("launch", "master", 1), ("launch", "core", 2)]
    assert found[1].what == "launch 2 spot nodes (m5.large)"
    assert all(one.reason and one.policy == "live" for one in found)


def test_a_cluster_that_is_what_it_should_be_needs_nothing() -> None:
    assert converge(SPEC, nodes(), wanted()) == []


def test_more_workers_are_launched_and_the_others_told_at_once() -> None:
    grown = spec(core={"count": 4})
    found = converge(grown, nodes(), wanted(grown, NEW, quiet=True), changed=changes(SPEC, grown))
    assert brief(found) == [("launch", "core", 2), ("tell", "master", 1), ("tell", "core", 2)]
    assert found[0].reason == "2 of 4 are there"
    assert (found[2].batches, found[2].nodes, found[2].reason) == (1, ("i-0", "i-1"), "changed: core.count")


def test_what_daemons_restart_for_comes_to_the_master_first_and_to_workers_in_batches() -> None:
    found = converge(spec(core={"count": 9}), nodes(9), wanted(told=NEW))
    assert [(one.kind, one.group, one.batches) for one in found] == [("tell", "master", 1), ("tell", "core", 4)]
    assert found[0].what == "tell 1 node the configuration"


def test_a_new_release_is_named() -> None:
    (found, _) = converge(SPEC, nodes(), wanted(told=Told("a" * 64, "e" * 64)))
    assert found.what == "tell 1 node the Puppet release"


def test_a_node_that_has_not_answered_yet_is_told_and_waited_for_again() -> None:
    late = replace(member("i-0", told=NEW), answers=frozenset({OLD.answer(CONVERGED)}))
    failed = replace(member("i-1", told=NEW), answers=frozenset({NEW.answer(UNCONVERGED)}))
    found = converge(SPEC, [member("i-m", "master", told=NEW), late, failed], wanted(told=NEW))
    assert [(one.kind, one.nodes) for one in found] == [("tell", ("i-0", "i-1"))]


def test_a_node_that_boots_with_what_is_wanted_is_left_alone() -> None:
    assert converge(SPEC, [*nodes(1), member("i-9", phase="booted")], wanted()) == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "m4.large"}, "type m5.large instead of m4.large"),
        ({"market": "on-demand"}, "spot instead of on-demand"),
        ({"image": "ami-0"}, "image ami-1 instead of ami-0"),
    ],
)
def test_what_a_running_node_cannot_become_is_pending_until_it_may_be_replaced(
    fields: dict[str, Any], reason: str
) -> None:
    there = [member("i-m", "master"), member("i-0", **fields), member("i-1")]
    (pending,) = converge(SPEC, there, wanted())
    assert (pending.kind, pending.policy, pending.nodes, pending.reason) == (
        "pending",
        "replace-nodes",
        ("i-0",),
        reason,
    )
    (found,) = converge(SPEC, there, wanted(), replace=True)
    assert (found.kind, found.nodes, found.batches) == ("replace", ("i-0",), 1)


def test_disks_scripts_and_tags_are_known_by_the_mark_that_a_node_was_launched_with() -> None:
    other = spec(bootstrap=[{"name": "x", "script": "#!/bin/sh"}])
    found = converge(other, nodes(), wanted(other, OLD), replace=True)
    assert brief(found) == [("keep", "master", 1), ("replace", "core", 2)]
    assert "HDFS's names live on the master" in found[0].reason
    unmarked = [replace(one, node=replace(one.node, tags={**one.node.tags})) for one in nodes()]
    for one in unmarked:
        del one.node.tags[names.TAG_MADE]  # type: ignore[attr-defined]
    assert converge(other, unmarked, wanted(other, OLD)) == []


def test_another_order_of_types_replaces_nobody() -> None:
    other = spec(core={"types": ["r5.large", "m5.large"]})
    assert converge(other, nodes(), wanted(other)) == []


def test_those_who_are_replaced_are_not_told_and_a_draining_master_goes_on() -> None:
    there = [member("i-m", "master"), member("i-0", type="m4.large"), member("i-1")]
    found = converge(SPEC, there, wanted(told=NEW, quiet=True), replace=True)
    assert [(one.kind, one.nodes) for one in found] == [("tell", ("i-1",)), ("replace", ("i-0",))]
    found = converge(SPEC, there, wanted(told=NEW, quiet=True))
    assert [one.kind for one in found] == ["tell", "tell", "pending"]


BIGGER = spec(core={"types": ["r5.large"], "count": 2})


def begun(**successor: Any) -> list[Member]:
    """A replacement by another type that was cut off: one node has its successor, which is there."""
    return [*nodes(), member("i-9", type="r5.large", **successor)]


def left(*ids: str, of: ClusterSpec = BIGGER) -> Wanted:
    return replace(wanted(of, NEW, quiet=True), left_out=frozenset(ids))


def steps(found: list[Action]) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.kind, one.nodes) for one in found if one.kind != "tell"]


@pytest.mark.parametrize("drained", [(), ("i-0",), ("i-1",)])
def test_what_a_cut_off_replacement_has_successors_for_is_finished_without_being_asked(
    drained: tuple[str, ...],
) -> None:
    found = converge(BIGGER, begun(), left(*drained))
    going = drained or ("i-0",)
    other = "i-0" if going == ("i-1",) else "i-1"
    assert steps(found) == [("drain", going), ("pending", (other,))]
    assert "cut off" in found[-2].reason
    assert all(one.group != "master" for one in found), "it goes on draining as it is"
    found = converge(BIGGER, begun(), left(*drained), replace=True)
    assert steps(found) == [("drain", going), ("replace", (other,))]


def test_nodes_that_were_drained_and_stay_serve_again_and_the_master_hears_of_it_first() -> None:
    lost = [one for one in begun() if one.node.id != "i-9"]
    found = converge(BIGGER, lost, left("i-1"))
    assert [(one.kind, one.nodes) for one in found] == [
        ("tell", ("i-m",)),
        ("restore", ("i-1",)),
        ("tell", ("i-0",)),
        ("pending", ("i-0", "i-1")),
    ]
    found = converge(BIGGER, lost, left("i-1"), replace=True)
    assert steps(found) == [("replace", ("i-1",)), ("replace", ("i-0",))]
    assert [one.batches for one in found if one.kind == "replace"] == [1, 1]


def test_a_spec_that_is_as_it_was_ends_the_successor_and_restores_the_node_that_was_drained() -> None:
    found = converge(SPEC, begun(told=NEW), left("i-0", of=SPEC))
    assert [(one.kind, one.nodes) for one in found] == [
        ("tell", ("i-m",)),
        ("restore", ("i-0",)),
        ("tell", ("i-1",)),
        ("drain", ("i-9",)),
    ]


def test_of_nodes_that_are_all_as_wanted_the_one_that_was_drained_goes_else_the_newest() -> None:
    both = spec(core={"types": ["m5.large", "r5.large"], "count": 2})
    newest = begun(launched=datetime(2026, 11, 23, tzinfo=UTC))
    assert steps(converge(both, newest, left("i-0", of=both))) == [("drain", ("i-0",))]
    assert steps(converge(both, newest, left(of=both))) == [("drain", ("i-9",))]


def test_failed_nodes_and_those_on_their_way_to_something_else_end_and_are_launched_anew() -> None:
    there = [*nodes(), member("i-2", phase="failed"), member("i-3", told=NEW, phase="booted")]
    found = converge(spec(core={"count": 3}), there, wanted())
    assert [(one.kind, one.nodes, one.reason) for one in found[:2]] == [
        ("end", ("i-2",), "failed"),
        ("end", ("i-3",), "still on its way to be what is no longer wanted"),
    ]
    assert brief(found[2:]) == [("launch", "core", 1)]


def test_a_master_that_is_gone_ends_a_cluster_that_was_ready_and_restarts_one_that_was_not() -> None:
    gone = replace(member("i-m", "master"), node=replace(member("i-m", "master").node, state="terminated"))
    with pytest.raises(NodeFailedError, match="has lost its master"):
        converge(SPEC, [gone, member("i-0")], wanted())
    found = converge(SPEC, [gone, member("i-0")], wanted(once_ready=False))
    assert brief(found) == [("end", "core", 1), ("launch", "master", 1), ("launch", "core", 2)]


def test_nodes_of_a_launch_that_is_over_end() -> None:
    found = converge(SPEC, nodes(), replace(wanted(once_ready=False), launch="l2"))
    assert {one.reason for one in found if one.kind == "end"} == {"of a launch whose lifetime is over"}


def test_a_node_that_cannot_hear_is_replaced_for_what_others_are_told() -> None:
    there = nodes()
    deaf = [replace(one, node=replace(one.node, tags={**one.node.tags, "cost center": "1"})) for one in there]
    assert converge(SPEC, deaf, wanted()) == []
    assert converge(SPEC, deaf, wanted(told=NEW, quiet=True)) == []
    assert brief(converge(SPEC, deaf, wanted(told=NEW))) == [("keep", "master", 1), ("pending", "core", 2)]
    old = [replace(one, node=replace(one.node, tags={**one.node.tags, names.TAG_TOLD: "aaaa-dddd"})) for one in nodes()]
    assert brief(converge(SPEC, old, wanted(told=NEW))) == [("keep", "master", 1), ("pending", "core", 2)]


def test_refused_changes_are_all_named_with_their_reasons() -> None:
    other = spec(core={"count": 1}, master={"types": ["r5.large"]})
    with pytest.raises(UsageError, match=r"master\.types, core\.count cannot be changed") as raised:
        refuse("flights", changes(SPEC, other))
    assert "HDFS's names" in raised.value.context
    assert "comes with elasticity" in raised.value.context


def test_what_a_node_is_told_reads_back_and_earlier_forms_are_none() -> None:
    assert Told.parse(NEW.tag()) == NEW
    assert Told.parse(NEW.tag(again=1_800_000_000)) == NEW
    assert NEW.tag(again=1) != NEW.tag()
    for text in ("", "a" * 16 + "-" + "b" * 16, NEW.tag() + "-x", NEW.tag() + "\n", "z" * 64 + "-" + "b" * 64):
        assert Told.parse(text) is None, text
    assert len(NEW.tag(again=999_999_999_999)) <= 256, "EC2's longest value of a tag"


def test_the_newest_answer_counts_and_check_ins_are_none() -> None:
    assert latest_answers({"ready": 9.0, "booted": 1.0}) == set()
    assert latest_answers({"converged.a": 1.0, "unconverged.b": 2.0, "drained.b": 3.0}) == {"unconverged.b"}
    assert latest_answers({"converged.a": 2.0, "converged.b": 2.0}) == {"converged.a", "converged.b"}


def test_only_tags_that_ec2_shows_to_nodes_can_be_heard() -> None:
    assert can_hear(["hcluster:told", "aws:ec2:fleet-id", "Name", "a+b=c,d@e"])
    for key in ("cost center", "app/tier", "Größe", ".", "_index", ""):
        assert not can_hear(["Name", key]), key
