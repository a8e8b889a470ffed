"""Launches that nobody stays for, whoever waits for them, and counts that grow without the YAML."""

from __future__ import annotations

import json
import threading

import pytest

from hcluster.errors import (
    CapacityError,
    ConflictError,
    DeadlineError,
    DeniedError,
    NodeFailedError,
    NotFoundError,
    UsageError,
)
from hcluster.flows import down as down_flow
from hcluster.flows import forecast, history, listing, platform, resize, up, wait
from hcluster.flows.records import mark_ending, read_claim
from hcluster.model import names
from hcluster.model.forecast import Amount
from hcluster.testing import NodeScript
from tests.unit.test_flows import World, flights
from tests.unit.test_flows_planning import READS


@pytest.fixture
def world() -> World:
    made = World()
    platform.up(made.context())
    return made


def row(world: World, launch: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(world.cloud.store.get(names.registry_key("flights", launch))[0])
    return found


def registered(world: World) -> list[str]:
    return [key for key, _ in world.cloud.store.list(names.REGISTRY_PREFIX)]


def test_up_without_waiting_returns_after_the_launch_calls_and_registers_nothing(world: World) -> None:
    view = up.up(world.context(), flights(), wait=False)
    assert (view.state, view.ready_nodes, len(view.nodes)) == ("starting", 0, 3)
    assert registered(world) == []


def test_whoever_waits_registers_the_launch_as_up_would_have(world: World) -> None:
    launch = up.up(world.context(), flights(), wait=False).launch
    waited = wait.until_ready(world.context(user="bob"), "flights")
    assert (waited.state, waited.ready_nodes, waited.owner) == ("ready", 3, "ann")
    found = row(world, launch)
    straight = World()
    platform.up(straight.context())
    other = row(straight, up.up(straight.context(), flights()).launch)
    moving = {"launch", "started", "ready", "spec", "master"}
    assert {key: value for key, value in found.items() if key not in moving} == {
        key: value for key, value in other.items() if key not in moving
    }
    assert found["release"] == "d" * 64
    (run,) = history.runs(world.context())
    assert (run.kind, run.nodes, run.launch, run.image) == ("launch", 3, launch, world.image.id)
    assert 40 < run.seconds < 60
    assert run.phases["ready"] == run.seconds


def test_several_may_wait_and_up_may_be_run_again_meanwhile(world: World) -> None:
    launch = up.up(world.context(), flights(), wait=False).launch
    for user in ("ann", "bob"):
        wait.until_ready(world.context(user=user), "flights")
    first = row(world, launch)
    assert up.up(world.context(), flights()).launch == launch
    assert row(world, launch) == first
    assert len(history.runs(world.context())) == 1


def test_waiting_for_a_cluster_that_is_ready_ends_at_once(world: World) -> None:
    up.up(world.context(), flights())
    before = world.cloud.clock.now()
    assert wait.until_ready(world.context(), "flights").state == "ready"
    assert world.cloud.clock.now() == before
    assert [one.kind for one in history.runs(world.context())] == ["launch"]


def test_a_failed_node_fails_the_wait_with_the_words_of_up(world: World) -> None:
    world.scripts = lambda node: (
        NodeScript.failing("puppet", "no such package") if node.market == "spot" else NodeScript()
    )
    up.up(world.context(), flights(), wait=False)
    with pytest.raises(NodeFailedError) as waited:
        wait.until_ready(world.context(user="bob"), "flights")
    other = World(world.scripts)
    world.scripts = lambda _: NodeScript()
    other.scripts = lambda node: (
        NodeScript.failing("puppet", "no such package") if node.market == "spot" else NodeScript()
    )
    platform.up(other.context())
    with pytest.raises(NodeFailedError) as straight:
        up.up(other.context(), flights())
    assert waited.value.message == straight.value.message
    assert waited.value.reference == straight.value.reference


def test_a_node_that_ends_before_it_is_ready_fails_the_wait(world: World) -> None:
    world.scripts = lambda node: NodeScript(phases=(), ends=10) if node.market == "spot" else NodeScript()
    up.up(world.context(), flights(), wait=False)
    with pytest.raises(NodeFailedError, match="SpotInstanceTermination"):
        wait.until_ready(world.context(), "flights")


def test_nodes_that_nobody_launches_are_told_after_the_time_that_was_given(world: World) -> None:
    world.cloud.compute.limit("m5.large", 1, ["spot"])
    with pytest.raises(CapacityError):
        up.up(world.context(), flights(), wait=False)
    with pytest.raises(DeadlineError, match="1 of 2 core") as raised:
        wait.until_ready(world.context(), "flights", timeout=60)
    assert raised.value.reference == "not-launched"
    assert "hcluster up" in raised.value.hint


def test_a_node_that_fails_while_others_are_still_missing_is_told_at_once(world: World) -> None:
    world.scripts = lambda node: NodeScript.failing("puppet", "no such package")
    world.cloud.compute.limit("m5.large", 1, ["spot"])
    with pytest.raises(CapacityError):
        up.up(world.context(), flights(), wait=False)
    before = world.cloud.clock.now()
    with pytest.raises(NodeFailedError, match="no such package"):
        wait.until_ready(world.context(), "flights", timeout=900)
    assert world.cloud.clock.now() - before < 60


def test_a_silent_node_ends_the_wait_at_its_deadline(world: World) -> None:
    world.scripts = lambda node: NodeScript(phases=()) if node.market == "spot" else NodeScript()
    up.up(world.context(), flights(), wait=False)
    with pytest.raises(DeadlineError, match="never heard of"):
        wait.until_ready(world.context(), "flights", timeout=120)


def test_another_teams_cluster_none_and_one_that_goes_are_not_waited_for(world: World) -> None:
    with pytest.raises(NotFoundError) as missing:
        wait.until_ready(world.context(), "flights")
    assert missing.value.reference == "no-cluster"
    up.up(world.context(), flights(), wait=False)
    with pytest.raises(DeniedError) as refused:
        wait.until_ready(world.context(team="science"), "flights")
    assert "HCLUSTER_TEAM=analytics" in refused.value.hint

    def probe(moment: str, name: str) -> None:
        if (moment, name) == ("after", "checkins.listed"):
            world.cloud.watch(lambda _moment, _name: None)
            down_flow.down(world.context(), "flights")

    world.cloud.watch(probe)
    with pytest.raises((ConflictError, NodeFailedError)):
        wait.until_ready(world.context(), "flights")


def test_told_nodes_are_waited_for_and_their_failure_is_the_waits(world: World) -> None:
    up.up(world.context(), flights())
    grown = flights(core={"count": 3})
    try:
        up.up(world.context(), grown, wait=False)
    except UsageError as cause:
        pytest.fail(f"growing restarts nothing and can be left alone: {cause.context}")
    view = wait.until_ready(world.context(user="bob"), "flights")
    assert view.ready_nodes == 4


SMALL = {"core": {"count": 1}, "site": {"yarn-site": {"a.b": "1"}}}
"""One node a group: each is told in one batch."""


def test_nodes_that_were_told_something_are_waited_for_until_they_have_applied_it(world: World) -> None:
    up.up(world.context(), flights(core={"count": 1}))
    up.up(world.context(), flights(**SMALL), wait=False)
    before = world.cloud.clock.now()
    wait.until_ready(world.context(user="bob"), "flights")
    assert world.cloud.clock.now() - before >= 5
    assert forecast.forecast_up(world.context(), flights(**SMALL)).actions == ()


def test_a_node_that_cannot_apply_what_it_is_told_fails_the_wait_and_not_the_next_one(world: World) -> None:
    def follow(script: NodeScript) -> None:
        scripts = world.cloud.compute._script
        scripts.update(dict.fromkeys(scripts, script))

    up.up(world.context(), flights(core={"count": 1}))
    follow(NodeScript(refuses="no such property"))
    up.up(world.context(), flights(**SMALL), wait=False)
    with pytest.raises(NodeFailedError, match="no such property") as failed:
        wait.until_ready(world.context(), "flights")
    assert failed.value.reference == "not-converged"
    follow(NodeScript())
    world.cloud.clock.sleep(60)
    up.up(world.context(), flights(**SMALL), wait=False)
    assert wait.until_ready(world.context(), "flights").state == "ready"


def test_a_cluster_that_is_taken_down_while_it_is_waited_for_is_not_registered(world: World) -> None:
    up.up(world.context(), flights(), wait=False)
    store = world.cloud.store

    def probe(moment: str, name: str) -> None:
        nodes = world.cloud.compute._nodes.values()
        ready = [node for node in nodes if store._objects.get(names.checkin_key("flights", node.id, "ready"))]
        if (moment, name) == ("after", "checkins.listed") and len(ready) == 3:
            world.cloud.watch(lambda _moment, _name: None)
            mark_ending(store, "flights")

    world.cloud.watch(probe)
    with pytest.raises(ConflictError) as refused:
        wait.until_ready(world.context(), "flights")
    assert refused.value.reference == "being-taken-down"
    assert registered(world) == []


def test_what_goes_batch_by_batch_cannot_be_left_alone(world: World) -> None:
    up.up(world.context(), flights(core={"count": 4}))
    bigger = flights(core={"count": 4, "types": ["m5.xlarge"]})
    with pytest.raises(UsageError) as refused:
        up.up(world.context(), bigger, replace=True, wait=False)
    assert refused.value.reference == "needs-waiting"
    assert "without --no-wait" in refused.value.hint
    assert {node.instance.type for node in listing.show(world.context(), "flights").nodes if node.group == "core"} == {
        "m5.large"
    }


# The end


def test_the_end_of_a_cluster_can_be_waited_for(world: World) -> None:
    up.up(world.context(), flights())
    ended = threading.Event()

    def probe(moment: str, name: str) -> None:
        if (moment, name) == ("after", "compute.instances") and not ended.is_set():
            ended.set()
            down_flow.down(world.context(), "flights")

    world.cloud.watch(probe)
    wait.until_gone(world.context(user="bob"), "flights")
    assert ended.is_set()
    assert read_claim(world.cloud.store, "flights") is None


def test_one_that_is_gone_already_is_not_waited_for_and_one_that_never_was_is_told(world: World) -> None:
    up.up(world.context(), flights())
    down_flow.down(world.context(), "flights")
    wait.until_gone(world.context(), "flights")
    with pytest.raises(NotFoundError) as missing:
        wait.until_gone(world.context(), "fligths")
    assert missing.value.reference == "no-cluster"


def test_nodes_without_a_claim_are_waited_for_too(world: World) -> None:
    up.up(world.context(), flights())
    world.cloud.store.delete(names.spec_key("flights"))
    with pytest.raises(DeadlineError, match="3 nodes, unclaimed"):
        wait.until_gone(world.context(), "flights", timeout=10)


def test_a_name_that_is_taken_anew_ends_the_wait_for_the_one_before(world: World) -> None:
    up.up(world.context(), flights())
    taken: list[str] = []

    def probe(moment: str, name: str) -> None:
        if (moment, name) == ("after", "compute.instances") and not taken:
            taken.append(name)
            down_flow.down(world.context(), "flights")
            up.up(world.context(), flights())

    world.cloud.watch(probe)
    wait.until_gone(world.context(user="bob"), "flights", timeout=300)
    assert listing.show(world.context(), "flights").ready_nodes == 3


def test_a_cluster_that_stays_ends_the_wait_at_its_deadline(world: World) -> None:
    up.up(world.context(), flights())
    with pytest.raises(DeadlineError, match="still there after 30 s: 3 nodes"):
        wait.until_gone(world.context(), "flights", timeout=30)


# More nodes


def test_a_cluster_grows_without_its_yaml(world: World) -> None:
    up.up(world.context(), flights(tags={"project": "x"}))
    spec = resize.resized(world.context(), "flights", {"core": 4, "task": 1})
    assert spec == flights(tags={"project": "x"}, core={"count": 4}, task={"count": 1})
    view = up.up(world.context(), spec)
    assert view.wanted == {"master": 1, "core": 4, "task": 1}
    assert view.ready_nodes == 6
    assert resize.resized(world.context(), "flights", {"core": 4}) == spec


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"core": 1}, "core.count cannot be changed"),
        ({"master": 2}, "master cannot be resized"),
        ({"core": 99999}, "cannot have these counts"),
    ],
)
def test_what_cannot_be_resized_is_refused_with_the_reason(world: World, counts: dict[str, int], said: str) -> None:
    up.up(world.context(), flights())
    with pytest.raises(UsageError, match=said) as refused:
        resize.resized(world.context(), "flights", counts)
    assert refused.value.context or refused.value.hint
    assert listing.show(world.context(), "flights").wanted == {"master": 1, "core": 2}


def test_downwards_says_why_and_what_to_do(world: World) -> None:
    up.up(world.context(), flights())
    with pytest.raises(UsageError) as refused:
        resize.resized(world.context(), "flights", {"core": 1})
    assert refused.value.reference == "change-refused"
    assert "comes with elasticity" in refused.value.context
    assert refused.value.hint


def test_nobody_resizes_what_is_not_theirs_or_not_there(world: World) -> None:
    with pytest.raises(NotFoundError):
        resize.resized(world.context(), "flights", {"core": 3})
    up.up(world.context(), flights(lifetime="1h"))
    with pytest.raises(DeniedError):
        resize.resized(world.context(team="science"), "flights", {"core": 3})
    world.cloud.clock.sleep(3600)
    with pytest.raises(UsageError, match="lifetime"):
        resize.resized(world.context(), "flights", {"core": 3})


# Forecasts of `up`


def test_the_plan_of_a_new_cluster_tells_launches_and_prices_and_makes_nothing(world: World) -> None:
    before = {id(port): len(port.calls) for port in world.cloud._ports()}
    found = forecast.forecast_up(world.context(), flights())
    made = {name for port in world.cloud._ports() for name in port.calls[before[id(port)] :]}
    assert made <= READS
    assert [(one.kind, one.group, one.count) for one in found.actions] == [
        ("launch", "master", 1),
        ("launch", "core", 2),
    ]
    total = found.cost.groups[-1]
    assert total.before == Amount(0, 0)
    assert total.after is not None
    assert 0.192 < total.after.low <= total.after.high < 0.4
    assert found.expected.seconds is None


def test_the_master_has_the_price_of_its_own_zone(world: World) -> None:
    found = forecast.forecast_up(world.context(), flights(master={"market": "spot"}))
    master, core = found.cost.groups[:2]
    assert master.after is not None
    assert core.after is not None
    assert master.after.low == master.after.high
    assert core.after.low < core.after.high


def test_a_plan_expects_the_seconds_that_the_same_launch_took(world: World) -> None:
    up.up(world.context(), flights())
    down_flow.down(world.context(), "flights")
    (took,) = (run.seconds for run in history.runs(world.context()) if run.kind == "launch")
    found = forecast.forecast_up(world.context(), flights(name="other"))
    assert (found.expected.seconds, found.expected.runs) == (took, 1)
    assert found.expected.like == "launch of 3 nodes from this image"


def test_a_plan_of_growing_costs_the_new_nodes_alone_and_up_does_just_that(world: World) -> None:
    up.up(world.context(), flights())
    grown = flights(core={"count": 4})
    found = forecast.forecast_up(world.context(), grown)
    core = next(line for line in found.cost.groups if line.group == "core")
    assert (core.nodes_before, core.nodes_after) == (2, 4)
    assert core.difference is not None
    assert 0 < core.difference.low < 0.1
    launched = [(one.group, one.count) for one in found.actions if one.kind == "launch"]
    assert launched == [("core", 2)]
    assert up.up(world.context(), grown).ready_nodes == 5
    kinds = [run.kind for run in history.runs(world.context())]
    assert kinds[0] == "launch"
    assert kinds[1].startswith("grow")
    assert [one.kind for one in forecast.forecast_up(world.context(), grown).actions] == []


def test_a_plan_that_up_would_refuse_is_refused_alike(world: World) -> None:
    up.up(world.context(), flights())
    with pytest.raises(UsageError) as planned:
        forecast.forecast_up(world.context(), flights(core={"count": 1}))
    with pytest.raises(UsageError) as done:
        up.up(world.context(), flights(core={"count": 1}))
    assert planned.value.message == done.value.message


def test_up_notes_its_seconds_in_two_calls_whatever_the_number_of_nodes() -> None:
    def calls(count: int) -> int:
        one = World()
        platform.up(one.context())
        before = one.cloud.calls
        up.up(one.context(), flights(core={"count": count}))
        assert [run.nodes for run in history.runs(one.context())] == [count + 1]
        return one.cloud.calls - before

    assert calls(2) == calls(60)
