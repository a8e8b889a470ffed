"""What the fakes can do beyond the ports: nodes that act by themselves, shortages, crashes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hcluster.errors import ConflictError, HostKeyError, NotFoundError, UnreachableError
from hcluster.model.launch import FleetRequest, FleetResult, TemplateRequest
from hcluster.model.names import TAG_CLUSTER
from hcluster.model.node import Instance
from hcluster.testing import Crash, CrashPoint, FakeCloud, ManualClock, NodeScript

TAGS = {TAG_CLUSTER: "c1"}


def launched(
    cloud: FakeCloud, count: int = 1, types: Sequence[str] = ("m5.large", "m5.xlarge"), attempt: str = "t"
) -> FleetResult:
    cloud.store.ensure_bucket({})
    image = cloud.images.register("hadoop").id
    template = cloud.compute.ensure_template(TemplateRequest("t", image, "p", (), "{}", TAGS))
    return cloud.compute.create_fleet(FleetRequest(template, count, tuple(types), (), "spot", attempt, TAGS))


def test_time_passes_only_in_sleep_and_events_happen_in_it_in_order() -> None:
    clock = ManualClock(1000.0)
    seen: list[tuple[str, float]] = []
    clock.after(5, lambda: seen.append(("b", clock.now())))
    clock.after(1, lambda: clock.after(2, lambda: seen.append(("a", clock.now()))))
    clock.sleep(4)
    assert seen == [("a", 1003.0)]
    clock.sleep(10)
    assert seen == [("a", 1003.0), ("b", 1005.0)]
    assert clock.now() == 1014.0


def test_a_node_boots_and_checks_in_by_itself() -> None:
    cloud = FakeCloud()
    (node,) = launched(cloud).instances
    assert cloud.compute.instances(TAGS)[0].state == "pending"
    cloud.clock.sleep(26)
    assert cloud.compute.instances(TAGS)[0].state == "running"
    assert set(cloud.checkins.listed("c1")[node]) == {"booted"}
    cloud.clock.sleep(30)
    assert set(cloud.checkins.listed("c1")[node]) == {"booted", "configured", "ready"}
    assert cloud.checkins.read("c1", node, "booted").body["host_keys"]


def test_each_node_can_follow_its_own_script() -> None:
    def scripts(instance: Instance) -> NodeScript:
        return NodeScript.failing("puppet", "no catalog") if instance.id.endswith("1") else NodeScript(ends=40)

    cloud = FakeCloud(scripts=scripts)
    first, second = launched(cloud, 2).instances
    cloud.clock.sleep(60)
    assert cloud.checkins.read("c1", first, "failed").body["step"] == "puppet"
    ended = {one.id: one for one in cloud.compute.instances(TAGS, alive_only=False)}[second]
    assert (ended.state, ended.reason) == ("terminated", "Server.SpotInstanceTermination: Spot instance termination")
    assert "ready" not in cloud.checkins.listed("c1")[second]


def test_a_shortage_is_filled_from_the_next_type_and_told() -> None:
    cloud = FakeCloud()
    cloud.compute.limit("m5.large", 1)
    result = launched(cloud, 3)
    assert [one.type for one in cloud.compute.instances(TAGS)] == ["m5.large", "m5.xlarge", "m5.xlarge"]
    assert [code for code, _ in result.errors] == ["InsufficientInstanceCapacity"]


def test_with_no_capacity_at_all_the_result_holds_errors_alone() -> None:
    cloud = FakeCloud()
    for kind in ("m5.large", "m5.xlarge"):
        cloud.compute.limit(kind, markets=("spot",))
    result = launched(cloud, 2)
    assert result.instances == ()
    assert len(result.errors) == 2


def test_a_token_with_other_arguments_is_a_conflict() -> None:
    cloud = FakeCloud()
    launched(cloud, 1)
    with pytest.raises(ConflictError):
        launched(cloud, 2)


def test_ids_are_the_same_in_every_run() -> None:
    first, second = (launched(FakeCloud(), 2).instances for _ in range(2))
    assert first == second == ("i-00000000000000001", "i-00000000000000002")


@pytest.mark.parametrize(("moment", "nodes"), [("before", 0), ("after", 2)])
def test_a_crash_falls_right_before_or_right_after_the_call_took_effect(moment: str, nodes: int) -> None:
    cloud = FakeCloud(probe=CrashPoint("compute.create_fleet", moment))  # type: ignore[arg-type]
    with pytest.raises(Crash):
        launched(cloud, 2)
    assert len(cloud.compute.instances(TAGS)) == nodes
    # Once only: the next run of the same caller goes on.
    assert launched(cloud, 2, attempt="u").instances


def test_a_crash_can_wait_for_the_nth_call_and_a_cloud_can_be_watched_anew() -> None:
    cloud = FakeCloud(probe=CrashPoint("store.put", "before", nth=2))
    cloud.store.ensure_bucket({})
    cloud.store.put("a", b"")
    with pytest.raises(Crash):
        cloud.store.put("b", b"")
    seen: list[tuple[str, str]] = []
    cloud.watch(lambda moment, name: seen.append((moment, name)))
    cloud.store.put("b", b"")
    assert seen == [("before", "store.put"), ("after", "store.put")]


def test_nodes_go_on_checking_in_while_their_caller_is_dead() -> None:
    cloud = FakeCloud(probe=CrashPoint("compute.create_fleet"))
    with pytest.raises(Crash):
        launched(cloud)
    cloud.clock.sleep(60)
    assert "ready" in next(iter(cloud.checkins.listed("c1").values()))


def test_only_a_node_that_has_checked_in_can_be_reached(tmp_path: Path) -> None:
    cloud = FakeCloud(responder=lambda node, line: (3, f"{node.id}: {line}".encode(), b"err"))
    launched(cloud)
    (node,) = cloud.compute.instances(TAGS)
    with pytest.raises(HostKeyError):
        cloud.connector.connect(node, "c1")
    cloud.clock.sleep(60)
    (node,) = cloud.compute.instances(TAGS)
    remote = cloud.connector.connect(node, "c1")
    pieces: list[bytes] = []
    assert remote.run(["echo", "a b"], on_output=pieces.append) == (3, f"{node.id}: echo 'a b'".encode(), b"err")
    assert pieces == [f"{node.id}: echo 'a b'".encode(), b"err"]
    file = tmp_path / "file"
    file.write_bytes(b"body")
    remote.put([str(file)], "/tmp/file")
    assert cloud.connector.files[node.id, "/tmp/file"] == b"body"
    with pytest.raises(UnreachableError):
        remote.open_channel("127.0.0.1", 10000)
    remote.close()
    remote.close()
    with pytest.raises(UnreachableError):
        remote.run("true")
    cloud.compute.end(node.id, "Server.SpotInstanceTermination")
    with pytest.raises(UnreachableError):
        cloud.connector.connect(cloud.compute.instances(TAGS, alive_only=False)[0], "c1")


def test_a_platform_without_a_default_vpc_can_be_had() -> None:
    cloud = FakeCloud()
    cloud.compute.has_default_vpc = False
    assert cloud.compute.default_network() is None
    with pytest.raises(NotFoundError):
        cloud.compute.network("vpc-1")
