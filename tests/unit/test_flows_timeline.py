"""What happened to a cluster, by whom: notes in the bucket, and what they make of a timeline."""

from __future__ import annotations

import json
from dataclasses import replace

from hcluster.errors import ThrottledError
from hcluster.flows import timeline
from hcluster.model import names
from hcluster.model.events import Progress
from tests.unit.test_flows import World


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
