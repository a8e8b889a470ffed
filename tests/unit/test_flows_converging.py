"""``up`` on a running cluster: what it tells, what it replaces, how it goes on after it was cut off."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hcluster.errors import CapacityError, ConflictError, DeadlineError, HclusterError, NodeFailedError, UsageError
from hcluster.flows import down as down_flow
from hcluster.flows import listing, platform, reach, up
from hcluster.model import names
from hcluster.model.node import Instance
from hcluster.model.told import Told
from hcluster.spec.cluster import ClusterSpec
from hcluster.testing import NodeScript
from tests.unit.test_flows import NOTHING, Cut, World, at_call, cut_off, flights

SITE = {"yarn-site": {"yarn.scheduler.minimum-allocation-mb": "256"}}
RUNNING = flights(core={"count": 2}, task={"count": 1})
CHANGED = flights(core={"count": 2}, task={"count": 1}, site=SITE)


@pytest.fixture
def world() -> World:
    made = World()
    platform.up(made.context())
    up.up(made.context(), RUNNING)
    return made


def nodes(world: World, group: str = "") -> list[Instance]:
    found = reach.alive(world.context(), "flights")
    return [node for node in found if group in ("", node.tags[names.TAG_GROUP])]


def config_of(world: World, node: Instance) -> dict[str, Any]:
    """What a node is told now."""
    told = Told.parse(node.tags[names.TAG_TOLD])
    assert told is not None
    key = names.node_config_key("flights", node.tags[names.TAG_LAUNCH], told.config)
    found: dict[str, Any] = json.loads(world.cloud.store.get(key)[0])
    return found


def publish(world: World, digest: str) -> None:
    world.cloud.store.put(names.release_key(digest), b"packed")
    world.cloud.store.put(names.channel_key("stable"), json.dumps({"digest": digest}).encode())


def later_image(world: World) -> str:
    world.cloud.clock.sleep(60)
    tags = {names.TAG_PLATFORM: "test", names.TAG_IMAGE_NAME: "hadoop"}
    return world.cloud.images.register("hcluster-hadoop-2", tags=tags).id


def test_a_plan_changes_nothing_and_is_what_up_does(world: World) -> None:
    changed = flights(core={"count": 3}, task={"count": 1}, site=SITE)
    before = dict(world.cloud.store._objects)
    planned = up.plan_up(world.context(), changed)
    assert dict(world.cloud.store._objects) == before
    assert [(one.kind, one.group, one.count) for one in planned] == [
        ("launch", "core", 1),
        ("tell", "master", 1),
        ("tell", "core", 2),
        ("tell", "task", 1),
    ]
    ids = {node.id for node in nodes(world)}
    view = up.up(world.context(), changed)
    assert len({node.instance.id for node in view.nodes} - ids) == 1
    assert up.plan_up(world.context(), changed) == []


def test_a_plan_of_a_cluster_that_does_not_exist_launches_its_groups() -> None:
    world = World()
    platform.up(world.context())
    planned = up.plan_up(world.context(), RUNNING)
    assert [(one.kind, one.group, one.count) for one in planned] == [
        ("launch", "master", 1),
        ("launch", "core", 2),
        ("launch", "task", 1),
    ]
    assert listing.clusters(world.context()) == []


def test_a_changed_site_reaches_every_node_and_nobody_is_launched(world: World) -> None:
    ids = {node.id for node in nodes(world)}
    up.up(world.context(), CHANGED)
    assert {node.id for node in nodes(world)} == ids
    for node in nodes(world):
        assert config_of(world, node)["site"] == SITE


def test_the_master_is_told_first_and_workers_batch_by_batch(world: World) -> None:
    told: list[set[str]] = []
    tag = world.cloud.compute.tag

    def noting(instances: Any, tags: Any) -> None:
        told.append({node.tags[names.TAG_GROUP] for node in nodes(world) if node.id in instances})
        tag(instances, tags)

    world.cloud.compute.tag = noting  # type: ignore[method-assign]
    up.up(world.context(), CHANGED)
    assert told == [{"master"}, {"core"}, {"core"}, {"task"}]


def test_the_calls_of_a_change_do_not_grow_with_the_nodes() -> None:
    def calls(count: int) -> list[str]:
        one = World()
        platform.up(one.context())
        up.up(one.context(), flights(core={"count": count}))
        start = one.cloud.calls
        up.up(one.context(), flights(core={"count": count}, site=SITE))
        names_of = [name for port in one.cloud._ports() for name in port.calls]
        return [str(one.cloud.calls - start), *(name for name in names_of if name == "compute.tag")]

    assert calls(8) == calls(80)


def test_the_calls_of_a_replacement_do_not_grow_with_the_nodes() -> None:
    def calls(count: int) -> int:
        one = World()
        platform.up(one.context())
        up.up(one.context(), flights(core={"count": count}))
        start = one.cloud.calls
        up.up(one.context(), flights(core={"count": count, "types": ["r5.large"]}), replace=True)
        return one.cloud.calls - start

    assert calls(8) == calls(80)


def test_a_moved_channel_is_told_to_running_nodes_and_is_in_the_row(world: World) -> None:
    publish(world, "e" * 64)
    view = up.up(world.context(), RUNNING)
    assert {Told.parse(node.tags[names.TAG_TOLD]).release for node in nodes(world)} == {"e" * 64}  # type: ignore[union-attr]
    row = json.loads(world.cloud.store.get(names.registry_key("flights", view.launch))[0])
    assert row["release"] == "e" * 64


def test_more_nodes_are_told_of_at_once_and_nobody_restarts(world: World) -> None:
    planned = up.plan_up(world.context(), flights(core={"count": 6}, task={"count": 1}))
    assert {one.batches for one in planned} == {1}
    up.up(world.context(), flights(core={"count": 6}, task={"count": 1}))
    assert {config_of(world, node)["workers"] for node in nodes(world)} == {7}


def test_a_changed_lifetime_is_told(world: World) -> None:
    view = up.up(world.context(), flights(core={"count": 2}, task={"count": 1}, lifetime="4h"))
    assert view.created is not None
    ends = int(view.created.timestamp()) + 4 * 3600
    assert {config_of(world, node)["expires_at"] for node in nodes(world)} == {ends}


def test_a_node_that_cannot_apply_it_fails_up_with_its_words_and_later_batches_are_spared(world: World) -> None:
    master = nodes(world, "master")[0]
    world.cloud.compute._script[master.id] = NodeScript(refuses="puppet apply failed with exit code 4")
    with pytest.raises(NodeFailedError, match="exit code 4") as raised:
        up.up(world.context(), CHANGED)
    assert raised.value.reference == "not-converged"
    assert {config_of(world, node)["site"] == {} for node in nodes(world, "core")} == {True}
    assert listing.show(world.context(), "flights").state == "ready"
    # The same again is tried again, and does not fail for the earlier answer.
    world.cloud.compute._script[master.id] = NodeScript()
    assert up.up(world.context(), CHANGED).state == "ready"
    assert up.plan_up(world.context(), CHANGED) == []


def test_a_change_that_is_taken_back_is_not_taken_for_followed_by_an_earlier_answer(world: World) -> None:
    """A, then B, then A again while the node is still busy with B: its newest answer is that of the first A."""
    master = nodes(world, "master")[0]
    world.cloud.compute._script[master.id] = NodeScript(converges=200.0)
    with pytest.raises(DeadlineError):
        up.up(world.context(), CHANGED, timeout=30)
    began = world.cloud.clock.now()
    up.up(world.context(), RUNNING)
    assert world.cloud.clock.now() - began >= 200
    assert up.plan_up(world.context(), RUNNING) == []


def test_a_node_that_does_not_answer_is_named_after_the_deadline(world: World) -> None:
    worker = nodes(world, "task")[0]
    world.cloud.compute._script[worker.id] = NodeScript(converges=0)
    with pytest.raises(DeadlineError, match=worker.id) as raised:
        up.up(world.context(), CHANGED, timeout=60)
    assert raised.value.reference == "not-converged"


def test_a_worker_that_ends_while_it_is_told_fails_up_and_is_launched_anew(world: World) -> None:
    worker = nodes(world, "task")[0]
    world.cloud.compute._script[worker.id] = NodeScript(converges=0)
    gone = at_call("compute.tag", lambda: world.cloud.compute.end(worker.id, "Server.SpotInstanceTermination"))
    world.cloud.watch(gone)
    with pytest.raises(NodeFailedError, match="SpotInstanceTermination"):
        up.up(world.context(), CHANGED)
    assert up.up(world.context(), CHANGED).ready_nodes == 4


def test_what_needs_new_nodes_is_said_and_left_until_it_is_asked_for(world: World) -> None:
    changed = flights(core={"count": 2, "types": ["r5.large"]}, task={"count": 1}, site=SITE)
    before = {node.id for node in nodes(world)}
    up.up(world.context(), changed)
    assert {node.id for node in nodes(world)} == before
    assert any("pending" in one.text and "--replace" in one.text for one in world.told)
    (left,) = up.plan_up(world.context(), changed)
    assert (left.kind, left.policy) == ("pending", "replace-nodes")


def test_replacing_drains_before_it_terminates_and_keeps_the_count(world: World) -> None:
    changed = flights(core={"count": 2, "types": ["r5.large"]}, task={"count": 1})
    old = {node.id for node in nodes(world, "core")}
    seen: list[tuple[int, set[str]]] = []

    def before_terminate() -> None:
        config = config_of(world, nodes(world, "master")[0])
        drained = [name for name in world.cloud.store._objects if "/drained." in name]
        seen.append((len(drained), set(config["excluded"]["hdfs"])))
        assert len(nodes(world, "core")) == 3, "the successor is there first"

    world.cloud.watch(at_call("compute.terminate", before_terminate))
    addresses = {node.private_ip for node in nodes(world, "core")}
    view = up.up(world.context(), changed, replace=True)
    assert [count for count, _ in seen] == [1]
    assert seen[0][1] < addresses
    assert {node.type for node in nodes(world, "core")} == {"r5.large"}
    assert not old & {node.id for node in nodes(world)}
    assert (view.ready_nodes, view.state) == (4, "ready")
    assert config_of(world, nodes(world, "master")[0])["excluded"] == {"hdfs": [], "yarn": []}
    assert up.plan_up(world.context(), changed, replace=True) == []


def test_a_new_image_replaces_all_workers_and_keeps_the_master(world: World) -> None:
    image = later_image(world)
    master = nodes(world, "master")[0]
    up.up(world.context(), RUNNING, replace=True)
    assert {node.image for node in nodes(world, "core") + nodes(world, "task")} == {image}
    assert nodes(world, "master")[0].id == master.id
    assert any("HDFS's names live on the master" in one.text for one in world.told)


def test_nodes_that_do_not_get_empty_stay(world: World) -> None:
    master = nodes(world, "master")[0]
    world.cloud.compute._script[master.id] = NodeScript(drains=0)
    changed = flights(core={"count": 2, "types": ["r5.large"]}, task={"count": 1})
    old = {node.id for node in nodes(world, "core")}
    with pytest.raises(DeadlineError) as raised:
        up.up(world.context(), changed, replace=True, drain=60)
    assert raised.value.reference == "not-drained"
    assert old <= {node.id for node in nodes(world)}
    world.cloud.compute._script[master.id] = NodeScript()
    up.up(world.context(), changed)
    assert config_of(world, nodes(world, "master")[0])["excluded"] == {"hdfs": [], "yarn": []}
    up.up(world.context(), changed, replace=True)
    assert {node.type for node in nodes(world, "core")} == {"r5.large"}


def test_a_master_that_ends_while_it_drains_is_no_sign_of_empty_nodes(world: World) -> None:
    master = nodes(world, "master")[0]
    changed = flights(core={"count": 2, "types": ["r5.large"]}, task={"count": 1})
    old = {node.id for node in nodes(world, "core")}
    world.cloud.watch(at_call("compute.tag", lambda: world.cloud.compute.end(master.id, "Server.InternalError")))
    with pytest.raises(NodeFailedError, match=r"Server\.InternalError") as raised:
        up.up(world.context(), changed, replace=True)
    assert raised.value.reference == "no-master"
    assert old <= {node.id for node in nodes(world)}


def test_a_master_that_is_not_listed_for_a_moment_is_waited_for(world: World) -> None:
    master = nodes(world, "master")[0]
    world.cloud.compute._script[master.id] = NodeScript(drains=0)
    listed = world.cloud.compute.instances

    def forgetful(tags: Any, *, alive_only: bool = True) -> list[Instance]:
        found = listed(tags, alive_only=alive_only)
        return [node for node in found if node.id != master.id or "excluded" not in told_of(master.id)]

    def told_of(identity: str) -> str:
        now = world.cloud.compute._nodes[identity]
        return "excluded" if any(config_of(world, now)["excluded"].values()) else ""

    world.cloud.compute.instances = forgetful  # type: ignore[method-assign]
    old = {node.id for node in nodes(world, "core")}
    changed = flights(core={"count": 2, "types": ["r5.large"]}, task={"count": 1})
    with pytest.raises(DeadlineError):
        up.up(world.context(), changed, replace=True, drain=30)
    assert old <= {node.id for node in nodes(world)}


def test_without_capacity_for_successors_nothing_is_drained(world: World) -> None:
    world.cloud.compute.limit("r5.large", 0)
    with pytest.raises(CapacityError):
        up.up(world.context(), flights(core={"count": 2, "types": ["r5.large"]}, task={"count": 1}), replace=True)
    assert len(nodes(world, "core")) == 2
    assert config_of(world, nodes(world, "master")[0])["excluded"] == {"hdfs": [], "yarn": []}


def test_tags_by_which_nodes_could_not_be_told_anything_are_warned_of_before_anything_is_made(world: World) -> None:
    deaf = flights(tags={"cost center": "1", "project": "x"})
    for flow in (up.plan_up, up.up):
        world.told.clear()
        down_flow.down(world.context(), "flights")
        flow(world.context(), deaf)
        (warned,) = [one.text for one in world.told if one.step == "warning"]
        assert "`cost center`" in warned
        assert "project" not in warned
    world.told.clear()
    up.plan_up(world.context(), flights(tags={"project": "x"}))
    assert not [one for one in world.told if one.step == "warning"]


def test_a_master_that_cannot_hear_cannot_drain(world: World) -> None:
    down_flow.down(world.context(), "flights")
    tagged = flights(tags={"cost center": "1"})
    up.up(world.context(), tagged)
    with pytest.raises(UsageError, match="cannot be told which ones to drain"):
        up.up(world.context(), flights(tags={"cost center": "2"}), replace=True)
    up.up(world.context(), flights(tags={"cost center": "2"}))


def killed_anywhere(flow: Callable[[World], object], check: Callable[[World], None]) -> int:
    """Cut ``flow`` off at each moment, then run it again to its end."""
    quick = NodeScript(1.0, (("booted", 1.0), ("ready", 2.0)), converges=1.0, drains=1.0, shutting_down=1.0)
    for nth in range(1, 400):
        world = World(lambda _: quick)
        platform.up(world.context())
        up.up(world.context(), RUNNING)
        at = cut_off(world, Cut(nth), lambda world=world: flow(world))  # type: ignore[misc]
        flow(world)
        try:
            check(world)
        except AssertionError as cause:
            raise AssertionError(f"cut off {at}") from cause
        if not at:
            return nth
    raise AssertionError("never came to its end")


@pytest.mark.slow
def test_a_change_that_is_killed_at_any_moment_goes_on() -> None:
    changed = flights(core={"count": 3}, task={"count": 1}, site=SITE)

    def check(world: World) -> None:
        assert up.plan_up(world.context(), changed) == []
        assert listing.show(world.context(), "flights").ready_nodes == 5

    assert killed_anywhere(lambda world: up.up(world.context(), changed), check) > 20


@pytest.mark.slow
def test_a_replacement_that_is_killed_at_any_moment_goes_on_and_down_leaves_nothing() -> None:
    changed = flights(core={"count": 2, "types": ["r5.large"]}, task={"count": 1})

    def check(world: World) -> None:
        assert up.plan_up(world.context(), changed, replace=True) == []
        assert {node.type for node in nodes(world, "core")} == {"r5.large"}
        assert len(nodes(world, "core")) == 2
        assert config_of(world, nodes(world, "master")[0])["excluded"] == {"hdfs": [], "yarn": []}
        down_flow.down(world.context(), "flights")
        assert world.inventory() == NOTHING

    assert killed_anywhere(lambda world: up.up(world.context(), changed, replace=True), check) > 30


REPLACED = flights(core={"count": 2, "types": ["r5.large"]}, task={"count": 1})


EITHER = flights(core={"count": 2, "types": ["m5.large", "r5.large"]}, task={"count": 1})


@pytest.mark.parametrize(
    ("after", "step"),
    [
        pytest.param(REPLACED, 1, id="the same"),
        pytest.param(RUNNING, 1, id="taken back"),
        pytest.param(REPLACED.model_copy(update={"site": SITE}), 3, id="more"),
        pytest.param(EITHER, 3, id="either"),
    ],
)
def test_after_a_replacement_that_is_killed_at_any_moment_up_without_it_leaves_no_node_idle_or_over(
    after: ClusterSpec, step: int
) -> None:
    quick = NodeScript(1.0, (("booted", 1.0), ("ready", 2.0)), converges=1.0, drains=1.0, shutting_down=1.0)
    kinds: set[str] = set()
    for nth in range(1, 400, step):
        world = World(lambda _: quick)
        ctx = world.context()
        platform.up(ctx)
        up.up(ctx, RUNNING)
        at = cut_off(world, Cut(nth), lambda ctx=ctx: up.up(ctx, REPLACED, replace=True))  # type: ignore[misc]
        kinds |= {one.kind for one in up.plan_up(ctx, after)}
        # The repetition is cut off, too, each time at another moment.
        cut_off(world, Cut(1 + nth * 7 % 40), lambda ctx=ctx: up.up(ctx, after))  # type: ignore[misc]
        up.up(ctx, after)
        assert all(world.cloud.compute.serves(node.id) for node in nodes(world)), at
        assert (len(nodes(world, "core")), len(nodes(world, "task"))) == (2, 1), at
        config = config_of(world, nodes(world, "master")[0])
        assert (config["excluded"], "returning" in config) == ({"hdfs": [], "yarn": []}, False), at
        assert {one.kind for one in up.plan_up(ctx, after)} <= {"pending"}, at
        if not at:
            break
    assert "drain" in kinds
    assert "restore" in kinds or after != RUNNING


def test_what_goes_on_step_by_step_after_a_cut_off_replacement_is_not_done_unattended(world: World) -> None:
    master = nodes(world, "master")[0]
    world.cloud.compute._script[master.id] = NodeScript(drains=0)
    with pytest.raises(DeadlineError):
        up.up(world.context(), REPLACED, replace=True, drain=60)
    with pytest.raises(UsageError) as raised:
        up.up(world.context(), REPLACED, wait=False)
    assert raised.value.reference == "needs-waiting"


OWNED = flights(owner="both", core={"count": 2}, task={"count": 1})


@pytest.fixture
def shared() -> World:
    """A cluster that two people answer for."""
    made = World()
    platform.up(made.context())
    up.up(made.context(), OWNED)
    return made


def owned(**fields: object) -> Any:
    return flights(owner="both", task={"count": 1}, **fields)


def test_who_writes_a_changed_spec_second_is_told_who_changed_what_and_loses_nothing(shared: World) -> None:
    def bobs() -> None:
        up.up(shared.context(user="bob"), owned(core={"count": 4}))

    # Ann has read the spec, and is about to write.
    shared.cloud.watch(at_call("store.put", bobs))
    with pytest.raises(ConflictError, match="bob changed the spec of cluster flights at 2027-01-1") as raised:
        up.up(shared.context(user="ann"), owned(core={"count": 2}, site=SITE))
    assert raised.value.reference == "spec-changed"
    assert "core.count: 4 by bob, 2 here" in raised.value.context
    shown = listing.show(shared.context(), "flights")
    assert (shown.wanted["core"], shown.ready_nodes, shown.state) == (4, 6, "ready")
    up.up(shared.context(user="ann"), owned(core={"count": 4}, site=SITE))
    assert listing.show(shared.context(), "flights").ready_nodes == 6


@pytest.mark.parametrize("call", ["compute.instances", "compute.ensure_interface", "compute.tag"])
def test_an_up_whose_spec_is_changed_while_it_works_stops_and_the_other_one_is_whole(shared: World, call: str) -> None:
    shared.cloud.watch(at_call(call, lambda: up.up(shared.context(user="bob"), owned(core={"count": 4}))))
    with pytest.raises(ConflictError, match="bob changed the spec"):
        up.up(shared.context(user="ann"), owned(core={"count": 2}, site=SITE))
    shown = listing.show(shared.context(), "flights")
    assert (shown.wanted["core"], shown.spec["site"]) == (4, {})
    assert up.up(shared.context(user="bob"), owned(core={"count": 4})).ready_nodes == 6
    assert up.plan_up(shared.context(user="bob"), owned(core={"count": 4})) == []


def test_two_who_want_the_same_do_not_disturb_each_other(shared: World) -> None:
    wanted = owned(core={"count": 4})
    shared.cloud.watch(at_call("store.put", lambda: up.up(shared.context(user="bob"), wanted)))
    assert up.up(shared.context(user="ann"), wanted).ready_nodes == 6


def test_a_down_beside_a_change_stops_it(world: World) -> None:
    world.cloud.watch(at_call("compute.tag", lambda: down_flow.down(world.context(), "flights")))
    with pytest.raises(HclusterError):
        up.up(world.context(), CHANGED)
    assert world.inventory() == NOTHING
