"""The command that prints what callers may."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hcluster.cli.app import run
from hcluster.plan import callers
from tests.unit.test_cli_outputs import commands

PLATFORM = str(Path(__file__).parents[2] / "examples" / "platform.yaml")


def test_groups_are_listed_without_a_platform(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policies"]) == 0
    said = capsys.readouterr().out
    assert all(group in said for group in callers.VERBS)


def test_a_policy_is_printed_as_iam_takes_it_and_needs_no_credentials(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--platform", PLATFORM, "policies", "operator", "--account", "123456789012", "--team", "science"]
    assert run(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"Version", "Statement"}
    assert "hcluster:team" in json.dumps(document)
    assert run([*arguments, "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == document


def test_all_of_them_at_once_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--platform", PLATFORM, "--output", "json", "policies", "--account", "123456789012"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(callers.VERBS)


OF_THIS_MACHINE = {"local", "spec", "completion", "version", "policies", "ami dist", "ami lock"}
"""Commands that ask nothing of a platform."""


def test_every_command_is_somebodys_right() -> None:
    verbs = {verb for group in callers.VERBS.values() for verb in group}
    missing = {command for command in commands() if not {command, command.split()[0]} & (verbs | OF_THIS_MACHINE)}
    assert missing == set(), "name them in plan/callers.py, with the rights that they need"
