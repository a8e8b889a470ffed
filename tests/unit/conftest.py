"""Fixtures of the fast tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from hcluster.cli import wire
from tests.unit.cli_world import FLIGHTS, Cli


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
