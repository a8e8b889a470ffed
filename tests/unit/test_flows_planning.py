"""What is told before anything is done: actions, prices, seconds; and what is noted down for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from hcluster.errors import DeniedError
from hcluster.flows import down as down_flow
from hcluster.flows import forecast, history, platform, up
from hcluster.model import names
from hcluster.model.forecast import Amount, Run
from hcluster.model.node import CheckIn, Instance
from tests.unit.test_flows import World, flights


@pytest.fixture
def world() -> World:
    made = World()
    platform.up(made.context())
    return made


READS = {
    "account.vcpus",
    "checkins.listed",
    "checkins.read",
    "compute.caller",
    "compute.console",
    "compute.instances",
    "compute.inventory",
    "compute.memory_mib",
    "compute.region",
    "compute.subnet_zones",
    "images.image",
    "images.images",
    "store.exists",
    "store.folders",
    "store.get",
    "store.list",
    "prices.on_demand",
    "prices.spot",
}
"""Calls that change nothing."""


def calls(world: World) -> list[str]:
    return [name for port in world.cloud._ports() for name in port.calls]


def run(kind: str = "launch", seconds: float = 60, at: float = 1, cluster: str = "flights", nodes: int = 3) -> Run:
    return Run(kind, cluster, f"l-{at}", nodes, "ami-1", seconds, at)


def test_the_plan_of_down_changes_nothing_and_down_does_what_it_says(world: World) -> None:
    up.up(world.context(), flights())
    before = calls(world)
    found = forecast.forecast_down(world.context(), "flights")
    new = calls(world)
    for name in before:
        new.remove(name)
    assert set(new) <= READS
    assert world.inventory()["instances"] == 3
    counted = {(one.kind, one.group or one.thing): one.count for one in found.actions}
    result = down_flow.down(world.context(), "flights")
    assert counted == {
        ("end", "core"): 2,
        ("end", "master"): 1,
        ("remove", "interfaces"): 3,
        ("remove", "templates"): result.templates,
        ("remove", "volumes"): 3,
        ("remove", "name"): 1,
    }
    assert result.terminated == 3
    assert forecast.forecast_down(world.context(), "flights").actions == ()


def test_the_plan_of_down_says_what_is_saved_and_how_long_earlier_ones_took(world: World) -> None:
    up.up(world.context(), flights())
    first = forecast.forecast_down(world.context(), "flights")
    assert first.expected.seconds is None
    total = first.cost.groups[-1]
    assert total.before is not None
    assert total.difference == Amount(-total.before.high, -total.before.low)
    assert total.after == Amount(0, 0)
    down_flow.down(world.context(), "flights")
    up.up(world.context(), flights())
    second = forecast.forecast_down(world.context(), "flights")
    assert second.expected.runs == 1
    assert second.expected.like == "down of 3 nodes"
    assert second.expected.seconds
    assert 0 < second.expected.seconds < 60


def test_the_plan_of_anothers_cluster_is_refused(world: World) -> None:
    up.up(world.context(), flights())
    with pytest.raises(DeniedError, match="belongs to team analytics"):
        forecast.forecast_down(world.context(team="science"), "flights")
    with pytest.raises(DeniedError):
        forecast.forecast_down(world.context(), "platform")


def test_whoever_may_not_read_prices_sees_the_plan_without_them(world: World) -> None:
    up.up(world.context(), flights())
    world.cloud.prices.denied = True
    found = forecast.forecast_down(world.context(), "flights")
    assert len(found.actions) == 6
    assert found.cost.groups[-1].before is None
    assert len(found.cost.unknown) == 2
    assert any("pricing:GetProducts" in text for text in found.cost.unknown)


# The history


def test_runs_are_kept_the_newest_of_each_kind(world: World) -> None:
    ctx = world.context()
    for number in range(history.KEPT + 5):
        history.record(ctx, run(at=number))
    history.record(ctx, run("down", at=0))
    kept = history.runs(ctx)
    assert len(kept) == history.KEPT + 1
    assert {one.at for one in kept if one.kind == "launch"} == set(range(5, history.KEPT + 5))


def test_a_run_that_two_tell_of_is_one_run(world: World) -> None:
    ctx = world.context()
    history.record(ctx, run(seconds=60))
    history.record(ctx, run(seconds=61))
    assert [one.seconds for one in history.runs(ctx)] == [61]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"null",
        b'{"runs": 7}',
        b'{"runs": [null, {}, {"kind": "launch", "nodes": "many"}]}',
        b"\xff\xfe",
    ],
)
def test_a_broken_history_is_none_and_is_written_anew(world: World, body: bytes) -> None:
    ctx = world.context()
    ctx.store.put(names.HISTORY_KEY, body)
    assert history.runs(ctx) == []
    history.record(ctx, run())
    assert history.runs(ctx) == [run()]


def test_what_is_sound_of_a_broken_history_stays(world: World) -> None:
    ctx = world.context()
    history.record(ctx, run())
    document = json.loads(ctx.store.get(names.HISTORY_KEY)[0])
    document["runs"].append({"kind": "launch"})
    ctx.store.put(names.HISTORY_KEY, json.dumps(document).encode())
    assert history.runs(ctx) == [run()]


def test_two_who_write_at_once_are_both_noted_down(world: World) -> None:
    ctx = world.context()
    left = [run(at=7)]

    def probe(moment: str, name: str) -> None:
        if (moment, name) == ("before", "store.put") and left:
            history.record(ctx, left.pop())

    world.cloud.watch(probe)
    history.record(ctx, run(at=8))
    assert {one.at for one in history.runs(ctx)} == {7, 8}


def test_a_history_that_cannot_be_written_fails_nothing_and_is_told(world: World) -> None:
    def probe(moment: str, name: str) -> None:
        if (moment, name) == ("before", "store.put"):
            raise DeniedError("not yours")

    world.cloud.watch(probe)
    history.record(world.context(), run())
    assert world.told[-1].state == "failed"
    assert "not yours" in world.told[-1].text


def test_the_phases_are_those_of_the_slowest_node() -> None:
    start = datetime(2026, 11, 22, tzinfo=UTC)

    def node(name: str) -> Instance:
        return Instance(name, "running", "", "", "m5.large", "a", "spot", "ami-1", start)

    def seen(name: str, **after: float) -> dict[str, CheckIn]:
        return {phase: CheckIn(name, phase, start + timedelta(seconds=one)) for phase, one in after.items()}

    checkins = {
        "i-1": seen("i-1", booted=5, configured=20, ready=40),
        "i-2": seen("i-2", booted=6, configured=30, ready=50.25),
    }
    assert history.phases([node("i-1"), node("i-2"), node("i-3")], checkins) == {
        "booted": 6,
        "configured": 30,
        "ready": 50.2,
    }
