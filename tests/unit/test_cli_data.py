"""`hcluster data`: what it prints, and what it tells meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hcluster.cli import app, wire
from hcluster.cli.output import progress
from hcluster.cli.output.progress import Counter
from hcluster.flows import data
from hcluster.model.events import Progress
from tests.unit.cli_world import Cli


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    made = Cli(capsys)
    made.cloud.store.ensure_bucket({})
    monkeypatch.setattr(wire, "context", made.context)
    # Everything takes a second here.
    monkeypatch.setattr(progress, "SILENT_SECONDS", 0.0)
    return made


def test_what_is_put_is_listed_and_read_and_progress_stays_on_standard_error(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "flights.csv"
    file.write_bytes(b"a,b\n" * 100)
    assert cli("data", "put", str(file), "data/") == 0
    assert (cli.out, "uploading flights.csv" in cli.err) == ("s3a://hcluster-demo/data/flights.csv\n", True)
    assert cli("data", "list", "data/") == 0
    assert cli.out.endswith("  data/flights.csv\n")
    assert "listing data/: 1 object\n" in cli.err
    assert cli("data", "cat", "data/flights.csv") == 0
    assert cli.out == "a,b\n" * 100
    assert "reading data/flights.csv: 0 MiB" in cli.err
    assert "\x1b" not in cli.err
    assert cli("data", "list", "data/", "--output", "json") == 0
    assert [one["key"] for one in json.loads(cli.out)] == ["data/flights.csv"]


def test_what_is_done_at_once_is_not_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SILENT_SECONDS", 3600.0)
    cli.cloud.store.put("data/a", b"x")
    assert cli("data", "list", "data/") == 0
    assert cli("data", "cat", "data/a") == 0
    assert cli.err == ""


def test_an_object_that_is_not_there_is_an_error_as_ever(cli: Cli) -> None:
    assert cli("data", "cat", "data/nothing") == 1
    assert (cli.out, "not" in cli.err) == ("", True)


def test_a_reader_that_has_seen_enough_ends_a_listing_well(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    def broken(*_: object) -> Iterator[tuple[str, float]]:
        yield "data/a", 0.0
        raise BrokenPipeError

    monkeypatch.setattr(data, "listing", broken)
    monkeypatch.setattr("hcluster.cli.output.pipes.drop_output", lambda: None)
    assert app.run(["data", "list", "data/"]) == 0


def test_what_is_counted_is_told_after_a_while_and_then_every_few_seconds() -> None:
    told: list[Progress] = []
    seconds = [0.0]
    counter = Counter(told.append, "data", lambda count: f"{count} objects", now=lambda: seconds[0])
    for at in (0.5, 1.0, 2.0, 5.9, 6.0):
        seconds[0] = at
        counter.add(10)
    counter.end()
    assert [(one.text, one.state) for one in told] == [
        ("20 objects", "running"),
        ("50 objects", "running"),
        ("50 objects", "ok"),
    ]
