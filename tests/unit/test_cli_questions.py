"""Verbs that lose something ask first, say what is lost, and do nothing where nobody can answer."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from hcluster.cli import app
from hcluster.cli.app import ENTRIES
from hcluster.cli.lazy import load
from tests.unit.cli_world import Cli


class Typed(io.StringIO):
    """A terminal on which this is typed."""

    def isatty(self) -> bool:
        return True


def typing(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", Typed(text))


def asking() -> dict[str, Any]:
    """Commands with --yes, by their words."""
    found = {}
    for name, entry in ENTRIES.items():
        command = load(name, entry)
        for inner, one in getattr(command, "commands", {"": command}).items():
            if "--yes" in {option for parameter in one.params for option in parameter.opts}:
                found[f"{name} {inner}".strip()] = one
    return found


WORDS: dict[str, tuple[str, ...]] = {
    "down": ("flights",),
    "platform down": ("--delete-data",),
    "local reset": ("--name", "nobody"),
    "spec init": (),
    "job kill": ("flights", "application_1_0001"),
}
"""What each command that asks is called with."""


@pytest.mark.parametrize("command", asking())
def test_where_nobody_can_answer_it_is_wrong_usage_and_nothing_happens(ready: Cli, command: str) -> None:
    before = len(ready.cloud.compute.calls)
    assert ready(*command.split(), *WORDS[command]) == 2
    assert "[nobody-to-ask]" in ready.err
    if command != "spec init":
        assert f"`hcluster {command} {' '.join(WORDS[command])} --yes`" in ready.err
    assert len(ready.cloud.compute.calls) == before


def test_down_says_what_is_lost_and_no_is_the_default(ready: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in ("\n", "n\n"):
        typing(monkeypatch, answer)
        assert ready("down", "flights") == 1
        assert "Cluster flights of jane, team analytics" in ready.err
        for lost in ("3 nodes (1 master, 2 core)", "its HDFS", "its name"):
            assert f"  - {lost}" in ready.err
        assert "End cluster flights? [y/N]" in ready.err
        assert ready.err.endswith("Nothing was done.\n")
        assert ready.out == ""
    assert ready.json("show", "flights")["ready_nodes"] == 3


def test_down_by_a_prefix_asks_for_the_cluster_it_found_and_ends_that(
    ready: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    typing(monkeypatch, "y\n")
    assert ready("down", "fli") == 0
    assert "End cluster flights? [y/N]" in ready.err
    assert "flights: removed 3 nodes" in ready.out


def test_down_with_yes_takes_whole_names_only(ready: Cli) -> None:
    assert ready("down", "fli", "--yes") == 0
    assert "fli: there was nothing left to remove" in ready.out
    assert ready.json("show", "flights")["ready_nodes"] == 3


def test_what_has_ended_is_not_asked_about_and_what_is_misspelt_is_no_success(
    ready: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    typing(monkeypatch, "")
    assert ready("down", "flihgts") == 1
    assert "did you mean flights?" in ready.err
    assert ready("down", "flights", "--yes") == 0
    assert ready("down", "flights") == 0
    assert "nothing left to remove" in ready.out


def test_end_of_input_is_no(ready: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    typing(monkeypatch, "")
    assert ready("down", "flights") == 1
    assert ready.err.endswith("Nothing was done.\n")


def test_the_end_of_a_platform_names_what_stays_and_what_goes(ready: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    typing(monkeypatch, "n\n")
    assert ready("platform", "down") == 1
    assert "Bucket hcluster-demo and the volume with the metastore's tables stay." in ready.err
    assert "teams analytics, science" in ready.err
    typing(monkeypatch, "n\n")
    assert ready("platform", "down", "--delete-data") == 1
    assert "BUCKET hcluster-demo WITH ALL FILES" in ready.err
    assert "VOLUME vol-" in ready.err
    assert "End it and delete its data? [y/N]" in ready.err


def test_a_cloud_that_is_not_there_is_reset_without_a_question(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("HCLUSTER_STATE", str(tmp_path))
    from hcluster.localcloud import control

    deleted: list[str] = []

    def reset(name: str, state: Path, _report: object) -> control.CloudStatus:
        deleted.append(name)
        return control.status(name, state)

    monkeypatch.setattr(control, "reset", reset)
    typing(monkeypatch, "")
    assert app.run(["local", "reset", "--name", "nobody"]) == 0
    assert "[y/N]" not in capsys.readouterr().err
    assert deleted == ["nobody"]
