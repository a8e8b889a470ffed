"""`hcluster events`: one line each, for people and for programs, also of what has ended, also as it goes on."""

from __future__ import annotations

import pytest

from tests.unit.cli_world import FLIGHTS, Cli


@pytest.fixture
def ready(cli: Cli) -> Cli:
    """Flights: a master and two core nodes."""
    cli.prepare()
    assert cli("up", FLIGHTS) == 0, cli.err
    return cli


def test_each_event_is_a_line_with_time_kind_node_and_who(ready: Cli) -> None:
    assert ready("events", "flights") == 0
    header, first, *_, last = ready.out.splitlines()
    assert header.split() == ["TIME", "(UTC)", "EVENT", "NODE", "WHAT", "BY"]
    assert "launch  " in first
    assert "1 master, 2 core" in first
    assert first.endswith("jane (analytics), up")
    assert "3 nodes ready" in last
    assert len(ready.out.splitlines()) == 1 + 2 + 3 * 2


def test_programs_get_every_field_and_a_lost_node_is_seen_not_dated(ready: Cli) -> None:
    node = next(one["instance"] for one in ready.json("nodes", "flights") if one["group"] == "core")
    ready.cloud.compute.end(node["id"], "Server.SpotInstanceTermination: Spot instance termination")
    found = ready.json("events", "flights")
    assert {"at", "kind", "text", "exact", "user", "team", "command", "instance", "group", "launch"} == set(found[0])
    (lost,) = [one for one in found if one["kind"] == "lost"]
    assert (lost["instance"], lost["exact"], lost["user"]) == (node["id"], False, "")
    assert ready("events", "flights") == 0
    assert any(line.startswith("<") and "spot interruption" in line for line in ready.out.splitlines())


def test_a_cluster_that_has_ended_still_has_its_story(ready: Cli) -> None:
    assert ready("down", "flights", "--yes") == 0
    found = ready.json("events", "flights")
    assert [one["kind"] for one in found if one["user"]][-1] in {"down", "ended"}
    assert "down" in {one["kind"] for one in found}


def test_since_cuts_off_what_was_before(ready: Cli) -> None:
    ready.cloud.clock.sleep(7200)
    assert ready.json("events", "flights", "--since", "1h") == []
    assert len(ready.json("events", "flights", "--since", "3h")) == 8
    assert ready("events", "flights", "--since", "1h") == 0
    assert ready.out == "nothing happened\n"
    assert ready("events", "flights", "--since", "yesterday") == 2
    assert "30m" in ready.err or "unit" in ready.err


def test_a_limit_leaves_the_newest_events(ready: Cli) -> None:
    every = ready.json("events", "flights")
    assert ready.json("events", "flights", "--limit", "3") == every[-3:]
    assert ready.json("events", "flights", "-n", "500") == every


def test_following_tells_each_event_once_until_ctrl_c(ready: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    node = next(one["instance"] for one in ready.json("nodes", "flights") if one["group"] == "core")
    turns = iter(range(4))

    def sleep(_seconds: float) -> None:
        turn = next(turns)
        if turn == 0:
            ready.cloud.compute.end(node["id"], "Server.SpotInstanceTermination: Spot instance termination")
        ready.cloud.clock.sleep(5)
        if turn == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("hcluster.cli.events.time.sleep", sleep)
    assert ready("events", "flights", "--follow") == 0
    assert len(ready.out.splitlines()) == 8 + 1
    assert ready.out.count("lost") == 1
    assert ready("events", "flights", "--follow", "--output", "json") == 2


def test_a_limit_is_for_what_happened_so_far_and_not_for_what_is_followed(
    ready: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cores = [one["instance"]["id"] for one in ready.json("nodes", "flights") if one["group"] == "core"]
    turns = iter(range(2))

    def sleep(_seconds: float) -> None:
        if next(turns):
            raise KeyboardInterrupt
        for core in cores:
            ready.cloud.compute.end(core, "Server.SpotInstanceTermination: Spot instance termination")
        ready.cloud.clock.sleep(5)

    monkeypatch.setattr("hcluster.cli.events.time.sleep", sleep)
    assert ready("events", "flights", "--follow", "--limit", "1") == 0
    assert len(ready.out.splitlines()) == 1 + len(cores)
    assert ready.out.count("lost") == len(cores) == 2


def test_of_a_cluster_that_never_was_nothing_is_told(ready: Cli) -> None:
    assert ready("events", "nosuch") == 1
    assert "no-cluster" in ready.err
