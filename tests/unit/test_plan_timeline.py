"""A timeline from notes, check-ins and what EC2 says: what is told once, in which order, by whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hcluster.model import names
from hcluster.model.node import CheckIn, Instance
from hcluster.plan.timeline import Event, Note, cause, timeline

T0 = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SPOT = "Server.SpotInstanceTermination: Spot instance termination"
USER = "Client.UserInitiatedShutdown: User initiated shutdown"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def node(identity: str, group: str = "core", launched: float = 1, **more: Any) -> Instance:
    tags = {names.TAG_GROUP: group, names.TAG_LAUNCH: "l1"}
    base = Instance(identity, "running", "10.0.0.1", "", "m5.large", "us-east-1a", "spot", "ami-1", at(launched), tags)
    return replace(base, **more)


def checkins(identity: str, **phases: float) -> dict[str, dict[str, CheckIn]]:
    return {identity: {phase: CheckIn(identity, phase, at(when)) for phase, when in phases.items()}}


def told(
    notes: list[Note],
    instances: list[Instance],
    found: dict[str, dict[str, CheckIn]] | None = None,
    failures: dict[str, str] | None = None,
) -> list[Event]:
    return timeline(notes, instances, found or {}, failures or {}, at(1000))


def lines(events: list[Event]) -> list[tuple[float, str, str, str]]:
    return [((one.at - T0).total_seconds(), one.kind, one.instance, one.text) for one in events]


def test_a_launch_is_told_in_order_though_its_sources_differ() -> None:
    notes = [
        Note(at(40), "ready", "1 nodes ready", "ann", "analytics", "hcluster up", {"launch": "l1"}),
        Note(at(1), "launch", "1 core", "ann", "analytics", "hcluster up", {"launch": "l1"}),
    ]
    events = told(notes, [node("i-1")], checkins("i-1", booted=10, configured=20, ready=40))
    assert lines(events) == [
        (1, "launch", "", "1 core"),
        (1, "launched", "i-1", "m5.large spot us-east-1a"),
        (40, "joined", "i-1", "ready, 39 s after its launch"),
        (40, "ready", "", "1 nodes ready"),
    ]
    assert (events[0].user, events[0].team, events[0].command, events[0].launch) == (
        "ann",
        "analytics",
        "hcluster up",
        "l1",
    )
    assert (events[1].user, events[1].group, events[1].launch) == ("", "core", "l1")


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        (SPOT, "spot interruption"),
        (USER, "by an API call"),
        ("User initiated (2026-11-22 12:00:05 GMT)", "by an API call"),
        ("Client.InstanceInitiatedShutdown: Instance initiated shutdown", "it powered itself off"),
        ("Server.ScheduledStop: Stopped due to a scheduled retirement", "its host failed"),
        ("Server.InternalError: Server error", "its host failed"),
        ("Client.VolumeLimitExceeded: too much", "it could not be started"),
    ],
)
def test_ec2s_reasons_are_told_with_what_they_mean(reason: str, meaning: str) -> None:
    assert cause(reason) == f"{meaning} ({reason})"
    assert cause("") == "EC2 gives no reason"


def test_a_spot_interruption_is_told_when_it_was_seen_and_an_end_by_a_call_when_it_was() -> None:
    spot = node("i-1", state="terminated", reason=SPOT)
    user = node("i-2", state="terminated", reason=USER, ended=at(70))
    one, two = [event for event in told([], [spot, user]) if event.kind == "lost"]
    assert (one.instance, one.exact, one.at, one.text) == ("i-2", True, at(70), f"terminated: by an API call ({USER})")
    assert (two.instance, two.exact, two.at, two.text) == (
        "i-1",
        False,
        at(1000),
        f"terminated: spot interruption ({SPOT})",
    )


def test_what_a_verb_took_away_is_no_loss_and_says_by_whom() -> None:
    note = Note(at(90), "replace", "1 of group core", "bob", "analytics", "hcluster up", {"nodes": ["i-1"]})
    ended = node("i-1", state="terminated", reason=USER, ended=at(88))
    found = told([note], [ended])
    assert lines(found)[1:] == [(88, "ended", "i-1", "by `replace`"), (90, "replace", "", "1 of group core")]
    assert (found[1].user, found[1].command) == ("bob", "hcluster up")


def test_the_note_of_the_end_tells_of_nodes_that_everybody_else_has_forgotten() -> None:
    kept = {"group": "core", "type": "m5.large", "market": "spot", "zone": "a", "launched": at(1).isoformat()}
    detail = {
        "launch": "l1",
        "nodes": [
            {"id": "i-1", "state": "running", "reason": "", "phases": {"ready": at(40).isoformat()}, **kept},
            {"id": "i-2", "state": "terminated", "reason": SPOT, "phases": {}, **kept},
        ],
    }
    found = told([Note(at(300), "down", "1 nodes ended", "ann", "analytics", "hcluster down", detail)], [])
    assert lines(found) == [
        (1, "launched", "i-1", "m5.large spot a"),
        (1, "launched", "i-2", "m5.large spot a"),
        (40, "joined", "i-1", "ready, 39 s after its launch"),
        (300, "lost", "i-2", f"terminated: spot interruption ({SPOT})"),
        (300, "down", "", "1 nodes ended"),
    ]
    assert [one.exact for one in found] == [True, True, True, False, True]


def test_a_loss_that_a_launch_noted_is_told_from_then_on_though_ec2_still_shows_it() -> None:
    lost = {"id": "i-1", "state": "terminated", "reason": SPOT, "launched": at(1).isoformat(), "phases": {}}
    note = Note(at(200), "launch", "1 core", detail={"nodes": [lost]})
    found = told([note], [node("i-1", state="terminated", reason=SPOT)])
    assert [(one.at, one.exact) for one in found if one.kind == "lost"] == [(at(200), False)]


def test_a_node_that_failed_says_why() -> None:
    found = told([], [node("i-1")], checkins("i-1", booted=5, failed=9), {"i-1": "in step puppet: no such class"})
    assert lines(found)[1] == (9, "node failed", "i-1", "in step puppet: no such class")
    assert lines(told([], [], checkins("i-2", failed=999))) == [(999, "node failed", "i-2", "it reported a failure")]


def test_a_node_that_only_its_check_ins_know_is_gone_unless_it_came_just_now() -> None:
    assert lines(told([], [], checkins("i-9", booted=5, ready=9))) == [
        (9, "joined", "i-9", "ready"),
        (1000, "lost", "i-9", "gone: EC2 has forgotten why"),
    ]
    assert lines(told([], [], checkins("i-9", booted=980, ready=990))) == [(990, "joined", "i-9", "ready")]
    replaced = Note(at(90), "replace", "1 of group core", "bob", "analytics", "hcluster up", {"nodes": ["i-9"]})
    found = told([replaced], [], checkins("i-9", ready=9))
    assert [(one.kind, one.user) for one in found if one.instance] == [("joined", ""), ("ended", "bob")]


@pytest.mark.parametrize(
    "detail", [{"nodes": None}, {"nodes": [{}]}, {"nodes": [{"id": "i-1", "launched": "soon"}]}, {}]
)
def test_notes_of_other_versions_do_no_harm(detail: dict[str, Any]) -> None:
    assert lines(told([Note(at(1), "dance", "x", detail=detail)], [])) == [(1, "dance", "", "x")]
