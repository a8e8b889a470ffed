"""`hcluster exec`: which nodes, what is written where as it comes, what is folded, and how it ends."""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from hcluster.cli import fanout
from hcluster.errors import UnreachableError
from hcluster.model import names
from hcluster.model.events import Progress
from hcluster.model.node import Instance
from tests.unit.cli_world import FLIGHTS, Cli

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def node(identity: str, group: str = "core", address: str = "10.0.0.1") -> Instance:
    tags = {names.TAG_GROUP: group}
    return Instance(identity, "running", address, "", "m5.large", "us-east-1a", "spot", "ami-1", NOW, tags)


MASTER, CORE = node("i-1", "master", "10.0.0.10"), node("i-2", "core", "10.0.0.9")


@pytest.fixture
def ready(cli: Cli) -> Cli:
    """Flights: a master and two core nodes."""
    cli.prepare()
    assert cli("up", FLIGHTS) == 0, cli.err
    return cli


def addresses(cli: Cli) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in cli.json("nodes", "flights"):
        found.setdefault(one["group"], []).append(one["instance"]["private_ip"])
    return found


def test_lines_of_several_nodes_have_the_node_in_front_of_them(ready: Cli) -> None:
    at = addresses(ready)
    ready.answers["core"] = (7, b"one\ntwo", b"no such thing\n")
    assert ready("exec", "flights", "--", "echo", "a b", "--flag") == 1
    width = max(len(f"{group} {ip}") for group, ips in at.items() for ip in ips)
    master = f"master {at['master'][0]}".ljust(width)
    told = [f"{master} | master: echo 'a b' --flag"]
    for ip in at["core"]:
        label = f"core {ip}".ljust(width)
        told += [f"{label} | one", f"{label} | two"]
        assert f"{label} | no such thing\n" in ready.err
        assert f"  core {ip}: exit code 7\n" in ready.err
    assert sorted(ready.out.splitlines()) == sorted(told)
    assert "2 of 3 nodes failed:" in ready.err


def test_one_nodes_output_and_exit_code_are_handed_on(ready: Cli) -> None:
    ready.answers["core"] = (7, b"half a line", b"warning")
    assert ready("exec", "flights", "--group", "core", "--instance", "core", "false") == 7
    assert (ready.out, ready.err) == ("half a line", "warning")
    assert ready("exec", "flights", "-i", "master", "true") == 0
    assert (ready.out, ready.err) == ("master: true\n", "")


def test_groups_and_instances_may_be_named_several_times(ready: Cli) -> None:
    def ran(*options: str) -> list[str]:
        assert ready("exec", "flights", *options, "--output", "json", "--", "true") == 0
        return sorted(one["group"] for one in json.loads(ready.out))

    at = addresses(ready)
    assert ran("-g", "core", "-g", "master") == ["core", "core", "master"]
    assert ran("-i", "master", "-i", at["core"][1]) == ["core", "master"]
    assert ran("-i", at["core"][1], "-i", at["core"][1]) == ["core"]
    assert ready("exec", "flights", "-g", "task", "-i", "i-none", "-i", "10.9.9.9", "true") == 1
    assert "cluster flights has no such node: task, i-none, 10.9.9.9" in ready.err


def test_what_several_nodes_said_alike_is_folded(ready: Cli) -> None:
    at = addresses(ready)
    ready.answers["core"] = (3, b"same\n", b"warned")
    assert ready("exec", "flights", "--fold", "--", "x") == 1
    assert ready.out == (
        f"== 1 of 3: master {at['master'][0]}\nmaster: x\n"
        f"== 2 of 3: core {at['core'][0]}, core {at['core'][1]}, exit code 3\nsame\nwarned\n"
    )


def test_json_has_each_nodes_streams_and_nothing_beside_it(ready: Cli) -> None:
    ready.answers["core"] = (7, b"", b"no such thing\n")
    assert ready("exec", "flights", "--output", "json", "--", "false") == 1
    found = json.loads(ready.out)
    assert [(one["group"], one["exit_code"], one["stderr"]) for one in found] == [
        ("master", 0, ""),
        ("core", 7, "no such thing\n"),
        ("core", 7, "no such thing\n"),
    ]


@pytest.mark.parametrize("form", [[], ["--fold"], ["--output", "json"]])
def test_a_node_that_is_lost_is_told_and_the_others_results_are_intact(
    ready: Cli, monkeypatch: pytest.MonkeyPatch, form: list[str]
) -> None:
    lost = addresses(ready)["core"][0]
    answer = ready.answer

    def answering(instance: Instance, command: str) -> tuple[int, bytes, bytes]:
        if instance.private_ip == lost:
            raise UnreachableError("the SSH connection ended")
        return answer(instance, command)

    monkeypatch.setattr(ready.cloud.connector, "responder", answering)
    assert ready("exec", "flights", *form, "--", "x") == 1
    said = ready.out + ready.err
    assert said.count("core: x") == 1
    assert said.count("master: x") == 1
    assert "the SSH connection ended" in said
    if form == ["--output", "json"]:
        assert [one["exit_code"] for one in json.loads(ready.out) if one["address"] == lost] == [255]


class Streams:
    """Standard streams that remember what was written to them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, terminal: bool = False) -> None:
        self.out, self.err = io.BytesIO(), io.BytesIO()
        for name, buffer in (("stdout", self.out), ("stderr", self.err)):
            monkeypatch.setattr(sys, name, SimpleNamespace(buffer=buffer, isatty=lambda: terminal, flush=lambda: None))


def test_bytes_of_one_node_pass_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(monkeypatch)
    with fanout.Live([CORE]) as live:
        live.output(CORE, b"\x00\xff\r", stderr=False)
        live.output(CORE, b"warn", stderr=True)
        live.ended(CORE, 0, "")
    assert (streams.out.getvalue(), streams.err.getvalue()) == (b"\x00\xff\r", b"warn")


def test_pieces_become_lines_each_whole_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(monkeypatch)
    with fanout.Live([MASTER, CORE]) as live:
        for piece in (b"a", b"b\nc", b"\n\nlast"):
            live.output(MASTER, piece, stderr=False)
            live.output(CORE, b"x\n", stderr=False)
        live.output(CORE, b"oops", stderr=True)
        live.ended(MASTER, 0, "")
        live.ended(CORE, 1, "")
    core, master = b"core 10.0.0.9    | ", b"master 10.0.0.10 | "
    lines = streams.out.getvalue().splitlines(keepends=True)
    assert [line for line in lines if line.startswith(b"m")] == [
        master + text for text in (b"ab\n", b"c\n", b"\n", b"last\n")
    ]
    assert [line for line in lines if line.startswith(b"c")] == [core + b"x\n"] * 3
    assert streams.err.getvalue() == core + b"oops\n"


def test_a_line_without_an_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(monkeypatch)
    with fanout.Live([MASTER, CORE]) as live:
        for _ in range(100):
            live.output(CORE, bytes(10_000), stderr=False)
        assert max(map(len, live._rest.values())) <= fanout.LONGEST_LINE
        live.ended(CORE, 0, "")
    assert streams.out.getvalue().count(b"\x00") == 1_000_000


def test_on_a_terminal_silence_is_filled_and_the_filling_goes_with_the_next_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    streams = Streams(monkeypatch, terminal=True)
    monkeypatch.setattr(fanout, "SILENCE_SECONDS", 0.01)
    with fanout.Live([MASTER, CORE]) as live:
        assert until(lambda: b"2 of 2 nodes still run it" in streams.err.getvalue())
        live.output(CORE, b"x\n", stderr=False)
        assert streams.err.getvalue().endswith(b"\r\x1b[K")
    assert streams.out.getvalue() == b"core 10.0.0.9    | x\n"


def test_where_no_terminal_is_a_line_tells_of_silence_once_for_each_number(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(monkeypatch)
    monkeypatch.setattr(fanout, "SILENCE_SECONDS", 0.01)
    monkeypatch.setattr(fanout, "PIPED_SECONDS", 0.01)
    with fanout.Live([MASTER, CORE]) as live:
        assert until(lambda: b"2 of 2 nodes still run it\n" in streams.err.getvalue())
        live.ended(CORE, 0, "")
        assert until(lambda: b"1 of 2 nodes still run it\n" in streams.err.getvalue())
        live.ended(MASTER, 0, "")
    told = [line[9:] for line in streams.err.getvalue().splitlines()]
    assert told[:2] == [b"2 of 2 nodes still run it", b"1 of 2 nodes still run it"]
    assert (b"\x1b" in streams.err.getvalue(), streams.out.getvalue()) == (False, b"")


def test_of_one_node_silence_is_told_too_and_never_within_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "SILENCE_SECONDS", 0.01)
    monkeypatch.setattr(fanout, "PIPED_SECONDS", 0.01)
    piped = Streams(monkeypatch)
    with fanout.Live([CORE]):
        assert until(lambda: piped.err.getvalue().endswith(b" core 10.0.0.9 still runs it\n"))
    assert (piped.err.getvalue().count(b"\n"), piped.out.getvalue()) == (1, b"")
    screen = Streams(monkeypatch, terminal=True)
    with fanout.Live([CORE]) as live:
        live.output(CORE, b"half a line", stderr=False)
        told = len(screen.err.getvalue())
        looks = Looks(monkeypatch, live)
        assert until(lambda: looks.count > 2)
        assert len(screen.err.getvalue()) == told
        live.output(CORE, b", whole\n", stderr=False)
        assert until(lambda: screen.err.getvalue().endswith("… core 10.0.0.9 still runs it".encode()))
    assert screen.err.getvalue().endswith(b"\r\x1b[K")
    assert screen.out.getvalue() == b"half a line, whole\n"


class Looks:
    """Counts how often it was looked whether anything was said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, live: fanout.Live) -> None:
        self.count = 0
        wait = live._said.wait

        def counted(seconds: float) -> bool:
            self.count += 1
            return wait(seconds)

        monkeypatch.setattr(live._said, "wait", counted)


def until(holds: Callable[[], bool]) -> bool:
    pause = threading.Event()
    for _ in range(6000):
        if holds():
            return True
        pause.wait(0.01)
    return False


def test_progress_is_counted_only_when_it_takes_a_while() -> None:
    told: list[Progress] = []
    with fanout.Count(2, told.append) as count:
        count.ended(MASTER, 0, "")
        assert not told
        count._begin()
        count.ended(CORE, 0, "")
    assert [(one.done, one.total, one.state) for one in told] == [(1, 2, "running"), (2, 2, "ok")]
