"""What the documentation shows can be typed: commands parse, specs are valid, Puppet code and shell lines are right."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
import yaml
from typer.core import TyperGroup
from typer.exceptions import TyperException

from hcluster.cli.app import app
from hcluster.spec.cluster import ClusterSpec
from hcluster.spec.image import ImageSpec
from hcluster.spec.platform import PlatformSpec

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROMPT = re.compile(r"[#$] (.*)")


def blocks(kind: str) -> list[tuple[str, str]]:
    """(page, text) of all blocks of a language."""
    return [
        (str(page.relative_to(ROOT)), text)
        for page in PAGES
        for language, text in BLOCK.findall(page.read_text())
        if language == kind
    ]


def typed() -> Iterator[tuple[str, str]]:
    """(page, line) of all lines behind a prompt; those that end with a backslash go on in the next."""
    for page, text in blocks("console"):
        for line in text.replace("\\\n", " ").splitlines():
            if found := PROMPT.fullmatch(line):
                yield page, found[1]


def commands() -> list[tuple[str, str]]:
    """(page, arguments) of each call of hcluster; placeholders in capitals stand for names."""
    found = []
    for page, line in typed():
        for part in re.split(r"&&|\|(?!\|)|;(?= hcluster)", re.sub(r"\s#\s.*$", "", line)):
            called = re.search(r"(?:^|\s|/)hcluster\s(.*)$", part)
            if called and not part.strip().startswith(("export", "cd ", "#")):
                found.append((page, re.sub(r"\s\d?>>?\s*\S+", "", called[1]).strip()))
    return sorted(set(found))


def lead(command: Any, words: list[str], parent: typer.Context | None = None) -> None:
    """Parse as a call would, down to the command that would run."""
    name = parent.command_path if parent else "hcluster"
    with command.make_context(name, words, parent=parent) as context:
        if isinstance(command, TyperGroup):
            rest = [*context._protected_args, *context.args]
            _, inner, left = command.resolve_command(context, rest)
            assert inner is not None, rest
            lead(inner, left, context)


def test_the_documentation_shows_commands() -> None:
    assert len(commands()) > 40


@pytest.mark.parametrize(("page", "line"), commands())
def test_documented_commands_parse(page: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert page
    monkeypatch.chdir(ROOT)
    # An ellipsis stands for more of the same.
    words = [word for word in shlex.split(line) if word not in ("…", "...")]
    # --help ends a call by itself.
    with contextlib.suppress(typer.Exit):
        lead(typer.main.get_command(app), words)


@pytest.mark.parametrize("line", ["nosuch", "up", "sql x --nosuch", "platform nosuch", "down", "list --output nosuch"])
def test_what_does_not_parse_is_found(line: str) -> None:
    with pytest.raises(TyperException):
        lead(typer.main.get_command(app), shlex.split(line))


@pytest.mark.parametrize(("page", "line"), sorted(set(typed())))
def test_documented_shell_lines_are_well_formed(page: str, line: str) -> None:
    assert page
    done = subprocess.run(["bash", "-n", "-c", line], capture_output=True, text=True, check=False, timeout=20)
    assert done.stderr == ""


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_documented_specs_are_valid(page: str, text: str) -> None:
    values = yaml.safe_load(text)
    if "of platform.yaml" in text or "bucket" in values:
        PlatformSpec.model_validate({"name": "x", "bucket": "xyz", "teams": ["analytics"]} | values)
    elif "team" in values:
        ClusterSpec.model_validate(values)
    elif "parent" in values:
        ImageSpec.model_validate(values)
    else:
        pytest.fail(f"{page}: neither a cluster, a platform nor an image; say which in its first line")


@pytest.mark.parametrize(("page", "text"), blocks("puppet"))
def test_documented_puppet_code_is_valid(page: str, text: str, tmp_path: Path) -> None:
    assert page
    file = tmp_path / "snippet.pp"
    file.write_text(text)
    done = subprocess.run(
        ["puppet", "parser", "validate", file], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    style = subprocess.run(
        ["puppet-lint", "--fail-on-warnings", "--no-autoloader_layout-check", file],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert style.returncode == 0, style.stdout
