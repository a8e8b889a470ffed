"""From the marks of nodes to the phases of a launch."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hcluster.model.node import CheckIn, Instance
from hcluster.plan.timings import NodeTimings, Span, node_timings, slowest

BEGAN = datetime(2026, 1, 10, 12, tzinfo=UTC)
ZERO = BEGAN.timestamp()
MARKS = {
    "boot": ZERO + 3,
    "identity": ZERO + 4,
    "lifetime": ZERO + 4.1,
    "check-in": ZERO + 4.2,
    "fetch": ZERO + 5,
    "puppet": ZERO + 6,
    "scripts": ZERO + 10,
    "smoke": ZERO + 10,
    "health": ZERO + 10,
    "joining": ZERO + 18,
    "smoke-rest": ZERO + 19,
    "ready": ZERO + 20,
}
BODY: dict[str, object] = {
    "marks": MARKS,
    "started": {"nodemanager": ZERO + 8, "datanode": ZERO + 8.5},
    "daemons": {"nodemanager": ZERO + 18, "datanode": ZERO + 14},
    "joined": {"yarn": ZERO + 19, "hdfs": ZERO + 18.5},
    "smoke": {"s3a": 6.0},
}


def node(instance: str = "i-1", launched: float = 2.0) -> Instance:
    return Instance(
        id=instance,
        state="running",
        private_ip="10.0.0.5",
        private_dns="ip-10-0-0-5",
        type="m5.large",
        zone="a",
        market="spot",
        image="ami-1",
        launched=BEGAN + timedelta(seconds=launched),
    )


def timed(phase: str = "ready", **body: object) -> NodeTimings:
    checkin = CheckIn("i-1", phase, BEGAN + timedelta(seconds=21), {**BODY, **body})
    return node_timings(node(), "core", checkin, BEGAN)


def test_the_phases_of_a_node_follow_each_other_without_gaps() -> None:
    assert timed().phases == (
        Span("launch", 0.0, 3.0),
        Span("boot", 3.0, 4.0),
        Span("identity", 4.0, 5.0),
        Span("release", 5.0, 6.0),
        Span("puppet", 6.0, 10.0),
        Span("daemons", 10.0, 18.0),
        Span("joining", 18.0, 19.0),
        Span("smoke tests", 19.0, 20.0),
    )
    assert timed().ready == 20.0


def test_daemons_what_was_joined_and_smoke_tests_stand_beside_the_phases() -> None:
    beside = {span.name: (span.begin, span.end) for span in timed().spans if span not in timed().phases}
    assert beside == {
        "nodemanager": (8.0, 18.0),
        "datanode": (8.5, 14.0),
        "joined hdfs": (18.0, 18.5),
        "joined yarn": (18.0, 19.0),
        "smoke s3a": (10.0, 16.0),
    }


def test_scripts_show_when_there_are_any() -> None:
    found = timed(marks={**MARKS, "smoke": ZERO + 12, "health": ZERO + 12}).phases
    assert Span("scripts", 10.0, 12.0) in found


def test_a_platform_node_tests_after_its_daemons() -> None:
    marks = {name: at for name, at in MARKS.items() if name not in ("joining", "smoke-rest")}
    found = timed(marks={**marks, "smoke": ZERO + 18}, joined={}).phases
    assert found[-2:] == (Span("daemons", 10.0, 18.0), Span("smoke tests", 18.0, 20.0))


def test_a_node_of_an_older_image_tells_what_it_can() -> None:
    marks = {name: at for name, at in MARKS.items() if name not in ("boot", "joining", "smoke-rest")}
    checkin = CheckIn("i-1", "ready", BEGAN, {"marks": marks, "daemons": {"datanode": ZERO + 14}, "smoke": {}})
    found = node_timings(node(), "core", checkin, BEGAN)
    assert found.phases[:2] == (Span("launch", 0.0, 2.0), Span("boot", 2.0, 4.0))
    assert Span("datanode", 10.0, 14.0) in found.spans


def test_a_node_that_failed_shows_the_step_in_which_it_did() -> None:
    marks = {name: MARKS[name] for name in ("boot", "identity", "lifetime", "check-in", "fetch", "puppet")}
    found = timed("failed", marks=marks, started={}, daemons={}, joined={}, smoke={})
    assert found.ready is None
    assert found.phases[-1] == Span("puppet", 6.0, 21.0)


def test_a_node_that_has_not_been_heard_of_has_no_phases_yet() -> None:
    found = node_timings(node(), "core", None, BEGAN)
    assert (found.phase, found.spans, found.ready) == ("", (), None)


def test_what_a_node_wrote_is_not_trusted() -> None:
    nonsense: dict[str, object] = {
        "marks": {
            "boot": "soon",
            "identity": float("nan"),
            "fetch": ZERO + 5,
            "puppet": True,
            "ready": ZERO + 9,
            "x": 1,
        },
        "started": [1],
        "daemons": {"\x1b[2J": ZERO + 8, "datanode": None},
        "joined": 7,
        "smoke": {"s3a": "1"},
    }
    found = node_timings(node(), "core", CheckIn("i-1", "ready", BEGAN, nonsense), BEGAN)
    assert found.phases == (Span("launch", 0.0, 2.0), Span("boot", 2.0, 5.0), Span("release", 5.0, 9.0))
    assert found.ready == 9.0


def test_clocks_that_differ_give_no_negative_spans() -> None:
    early = {name: at - 100 for name, at in MARKS.items()}
    assert all(span.end >= span.begin >= 0 for span in timed(marks=early).spans)


def test_the_slowest_of_each_group_comes_master_first() -> None:
    first, last = timed(), replace(timed(), instance="i-2", ready=30.0)
    master, lost = replace(timed(), instance="i-3", group="master"), replace(timed(), instance="i-4", ready=None)
    assert [one.instance for one in slowest((first, last, master))] == ["i-3", "i-2"]
    # One that is not ready yet is later than all that are.
    assert [one.instance for one in slowest((first, lost))] == ["i-4"]
