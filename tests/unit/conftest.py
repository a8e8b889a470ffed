"""Fixtures of the fast tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from hcluster.cli import fanout, wire
from hcluster.cli.output import progress
from tests.unit.cli_world import FLIGHTS, Cli


@pytest.fixture(autouse=True)
def no_silence_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test may be held up for long: what is told of silence is tested by itself."""
    monkeypatch.setattr(progress, "ASKING_SECONDS", 3600.0)
    monkeypatch.setattr(fanout, "SILENCE_SECONDS", 3600.0)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    found = Cli(capsys)
    monkeypatch.setattr(wire, "context", found.context)
    monkeypatch.setenv("HCLUSTER_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("HCLUSTER_PLATFORM", raising=False)
    return found


@pytest.fixture
def ready(cli: Cli) -> Cli:
    """With cluster `flights` up."""
    cli.prepare()
    assert cli("up", FLIGHTS) == 0, cli.err
    return cli
