"""The contract suite itself: what it must be, apart from what it says of AWS."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.contract.aws import spend

ROOT = Path(__file__).parents[2]
SUITE = ROOT / "tests" / "contract" / "aws"
PAGE = re.compile(r"\bdocs\.aws\.amazon\.com/\S+\.html\b")


def _tests() -> list[tuple[str, str]]:
    """(file and name, docstring) of each test of the suite."""
    return [
        (f"{file.name}::{node.name}", ast.get_docstring(node) or "")
        for file in sorted(SUITE.glob("test_*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def test_each_test_names_the_page_of_aws_that_it_states() -> None:
    assert [name for name, text in _tests() if not PAGE.search(text)] == []


def test_the_suite_states_over_a_hundred_behaviours_each_once() -> None:
    names = [name for name, _ in _tests()]
    assert len(names) > 100
    assert len({name.split("::")[1] for name in names}) == len(names)


def test_a_run_on_a_real_account_costs_less_than_a_dollar() -> None:
    assert 0 < spend.bound() < 1
    shown = spend.table("mine", "eu-west-1")
    assert "mine" in shown
    assert "eu-west-1" in shown
    assert f"{spend.bound():.2f} USD" in shown
    assert f"{spend.INSTANCES} x {spend.INSTANCE_TYPE}" in shown


def _make(*words: str, told: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", "contract-aws", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
        input=told,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.skipif(not (ROOT / ".venv" / ".synced").exists(), reason="not installed by make")
def test_a_real_account_is_never_touched_without_a_profile_and_a_yes() -> None:
    without = _make()
    assert without.returncode != 0
    assert "PROFILE=" in without.stderr
    for answer in ("", "no\n"):
        declined = _make("PROFILE=no-such-profile", told=answer)
        assert declined.returncode != 0
        assert "USD" in declined.stdout
        assert "nothing was called" in declined.stderr
        assert "passed" not in declined.stdout
