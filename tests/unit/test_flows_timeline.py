"""What happened to a cluster, by whom: notes in the bucket, and what they make of a timeline."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hcluster.errors import NodeFailedError, NotFoundError, ThrottledError
from hcluster.flows import down, platform, timeline, up
from hcluster.model import names
from hcluster.model.events import Progress
from hcluster.plan.timeline import Event
from hcluster.testing import NodeScript
from tests.unit.test_flows import World, flights


def notes(world: World, cluster: str = "flights") -> list[dict[str, object]]:
    store = world.cloud.store
    return [json.loads(store.get(key)[0]) for key, _ in store.list(names.events_prefix(cluster))]


def test_a_note_says_what_was_done_when_by_whom_and_with_which_verb() -> None:
    world = World()
    context = replace(world.context(user="ann"), command="hcluster up")
    timeline.note(context, "flights", "launch", "3 nodes", {"launch": "l1"})
    world.cloud.clock.sleep(5)
    timeline.note(context, "flights", "ready", "3 nodes ready")
    first, second = notes(world)
    assert (first["kind"], first["text"], first["user"], first["team"], first["command"], first["detail"]) == (
        "launch",
        "3 nodes",
        "ann",
        "analytics",
        "hcluster up",
        {"launch": "l1"},
    )
    assert second["kind"] == "ready"
    assert str(first["at"]) < str(second["at"])


def test_a_note_that_cannot_be_written_fails_nothing_and_is_told() -> None:
    world = World()
    said: list[Progress] = []

    def throttled(_moment: str, name: str) -> None:
        if name == "store.put":
            raise ThrottledError("slow down")

    world.cloud.watch(throttled)
    timeline.note(replace(world.context(), report=said.append), "flights", "launch", "3 nodes")
    assert [(one.state, one.text) for one in said] == [("failed", "the event was not written down: slow down")]


def test_of_a_name_only_the_last_notes_are_kept() -> None:
    world = World()
    store = world.cloud.store
    for number in range(timeline.KEPT_NOTES + 50):
        store.put(names.event_key("flights", f"20200101t000000.{number:06}-aaaa"), b"{}")
    store.put(names.event_key("other", "20200101t000000.000000-aaaa"), b"{}")
    for _ in range(4):
        timeline.note(world.context(), "flights", "change", "core.count: 2 to 3")
    kept = [key for key, _ in store.list(names.events_prefix("flights"))]
    assert len(kept) == timeline.KEPT_NOTES
    assert kept[0].endswith(".000054-aaaa.json"), "the oldest go first"
    assert len(list(store.list(names.events_prefix("other")))) == 1


SPEC = flights(core={"types": ["m5.large"], "market": "spot", "count": 2})
SPOT = "Server.SpotInstanceTermination: Spot instance termination"


def kinds(found: list[Event]) -> list[str]:
    return [event.kind for event in found]


def test_a_clusters_life_is_told_from_its_launch_to_after_its_end() -> None:
    world = World()
    platform.up(world.context())
    context = replace(world.context(user="ann"), command="hcluster up")
    up.up(context, SPEC)
    assert kinds(timeline.events(context, "flights")) == ["launch", *["launched"] * 3, *["joined"] * 3, "ready"]
    world.cloud.clock.sleep(100)
    lost = next(n for n in world.cloud.compute.instances({names.TAG_CLUSTER: "flights"}) if n.market == "spot")
    world.cloud.compute.end(lost.id, SPOT)
    (loss,) = [one for one in timeline.events(context, "flights") if one.kind == "lost"]
    assert (loss.instance, loss.group, loss.exact) == (lost.id, "core", False)
    assert "spot interruption" in loss.text
    up.up(context, SPEC)
    world.cloud.clock.sleep(100)
    before = timeline.events(context, "flights")
    down.down(replace(world.context(user="bob"), command="hcluster down"), "flights")
    world.cloud.clock.sleep(7200)
    after = timeline.events(context, "flights")
    assert kinds(after)[-1] == "down"
    assert (after[-1].user, after[-1].command) == ("bob", "hcluster down")
    assert [one for one in kinds(after) if one != "ended"] == [*kinds(before), "down"]
    assert [one.user for one in after if one.kind == "ended"] == ["bob"] * 3
    assert loss.instance in {one.instance for one in after if one.kind == "lost"}


def test_a_failed_launch_is_told_with_the_nodes_own_words() -> None:
    world = World()
    platform.up(world.context())
    world.scripts = lambda _: NodeScript.failing("puppet", "no such class")
    with pytest.raises(NodeFailedError):
        up.up(world.context(), SPEC)
    found = timeline.events(world.context(), "flights")
    assert {one.text for one in found if one.kind == "node failed"} == {"in step puppet: no such class"}
    assert "failed in step puppet" in next(one.text for one in found if one.kind == "failed")


def test_what_is_asked_for_is_bounded_however_long_the_story_is() -> None:
    world = World()
    for number in range(300):
        world.cloud.store.put(names.event_key("flights", f"20260101t{number:06}.0-aaaa"), b'{"kind": "change"}')
    world.cloud.store.put(names.event_key("flights", "20260102t000000.0-aaaa"), b"not json")
    before = len(world.cloud.store.calls)
    assert len(timeline.events(world.context(), "flights", limit=50)) == 49
    assert len(world.cloud.store.calls) - before <= 53


def test_only_what_happened_since_then_is_told() -> None:
    world = World()
    timeline.note(world.context(), "flights", "change", "first")
    world.cloud.clock.sleep(100)
    begin = world.cloud.clock.now()
    timeline.note(world.context(), "flights", "change", "second")
    assert [one.text for one in timeline.events(world.context(), "flights", since=begin)] == ["second"]


def test_of_a_cluster_that_never_was_nothing_is_known() -> None:
    with pytest.raises(NotFoundError, match="nothing is known of a cluster nosuch") as caught:
        timeline.events(World().context(), "nosuch")
    assert caught.value.reference == "no-cluster"
