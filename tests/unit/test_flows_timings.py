"""How a launch came up, over the in-memory cloud, and as bars."""

from __future__ import annotations

import json

import pytest

from hcluster.cli.output.timings import timings_text
from hcluster.errors import IntegrityError, NodeFailedError, NotFoundError
from hcluster.flows import platform, timings, up
from hcluster.model import names
from hcluster.model.node import Instance
from hcluster.testing import NodeScript
from hcluster.testing.script import HOST_KEY
from tests.unit.test_flows import World, flights


def noting(world: World) -> NodeScript:
    """A node that is ready 50 s after its launch and says how it came there."""
    at = world.cloud.clock.now()
    names_of = ("boot", "identity", "fetch", "puppet", "scripts", "smoke", "health", "joining", "smoke-rest", "ready")
    marks = dict(
        zip(names_of, [at + 20, at + 21, at + 25, at + 27, at + 32, *[at + 32] * 2, *[at + 50] * 3], strict=True)
    )
    body = {"marks": marks, "started": {}, "daemons": {"namenode": at + 45}, "joined": {}, "smoke": {"s3a": 6.0}}
    return NodeScript(bodies={"booted": {"host_keys": [HOST_KEY]}, "ready": body})


@pytest.fixture
def world() -> World:
    made = World()
    platform.up(made.context())
    made.scripts = lambda _: noting(made)
    return made


def test_every_node_of_a_launch_tells_its_phases(world: World) -> None:
    ctx = world.context()
    up.up(ctx, flights(core={"count": 2}))
    found = timings.timings(ctx, "flights")
    assert [node.group for node in found.nodes] == ["master", "core", "core"]
    for node in found.nodes:
        assert [span.name for span in node.phases] == ["launch", "boot", "identity", "release", "puppet", "daemons"]
        assert node.phases[-1].end == node.ready
    assert found.ready == max(node.ready or 0.0 for node in found.nodes)


def test_a_node_that_came_later_is_counted_from_its_own_launch(world: World) -> None:
    ctx = world.context()
    up.up(ctx, flights(core={"count": 1}))
    before = timings.timings(ctx, "flights")
    world.cloud.clock.sleep(3600)
    up.up(ctx, flights(core={"count": 2}))
    found = timings.timings(ctx, "flights")
    late = next(node for node in found.nodes if node.instance not in {one.instance for one in before.nodes})
    assert late.ready is not None
    assert late.ready < 120
    assert late.origin > found.began
    assert found.ready == before.ready


def test_a_launch_that_failed_shows_where(world: World) -> None:
    ctx = world.context()

    def script(node: Instance) -> NodeScript:
        failing = node.tags.get(names.TAG_GROUP) == "core"
        return NodeScript.failing("puppet", "no such package") if failing else noting(world)

    world.scripts = script
    with pytest.raises(NodeFailedError):
        up.up(ctx, flights(core={"count": 1}))
    found = timings.timings(ctx, "flights")
    assert found.ready is None
    assert {node.group: node.phase for node in found.nodes}["core"] == "failed"
    assert "core: 1 node; it is" in timings_text(found)
    assert "; failed" in timings_text(found)


def test_there_is_nothing_to_tell_of_a_cluster_that_is_not_there(world: World) -> None:
    with pytest.raises(NotFoundError, match="no cluster"):
        timings.timings(world.context(), "flights")


def test_a_record_that_cannot_be_read_is_told(world: World) -> None:
    ctx = world.context()
    view = up.up(ctx, flights(core={"count": 1}))
    ctx.store.put(names.launch_key("flights", view.launch), b"[]")
    with pytest.raises(IntegrityError, match=view.launch):
        timings.timings(ctx, "flights")


def test_reads_are_one_a_node_and_nothing_is_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = world.context()
    up.up(ctx, flights(core={"count": 3}))
    read: list[str] = []
    once = ctx.checkins.read

    def counted(cluster: str, instance: str, phase: str) -> object:
        read.append(f"{instance}/{phase}")
        return once(cluster, instance, phase)

    monkeypatch.setattr(ctx.checkins, "read", counted)
    before = sorted(ctx.store.list(""))
    timings.timings(ctx, "flights")
    assert len(read) == len(set(read)) == 4
    assert sorted(ctx.store.list("")) == before


def test_bars_are_drawn_for_the_slowest_node_of_each_group_without_control_characters(world: World) -> None:
    ctx = world.context()
    up.up(ctx, flights(core={"count": 2}))
    text = timings_text(timings.timings(ctx, "flights"))
    lines = text.splitlines()
    assert lines[1].startswith("3 of 3 nodes ready, ")
    assert sum(line.startswith(("master: ", "core: ")) for line in lines) == 2
    assert any(line.split()[0] == "puppet" and "█" in line for line in lines if line.strip())
    assert any(line.split()[0] == "namenode" and "▒" in line for line in lines if line.strip())
    assert max(map(len, lines)) <= 110
    assert json.dumps(text)
    assert "\x1b" not in text
