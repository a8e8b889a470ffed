"""The reference in docs/ is what the code says today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hcluster.cli import reference
from hcluster.spec.load import Kind, schema
from tests.unit.test_cli_outputs import commands

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGES = reference.pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_as_new_as_the_code(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name], "run `make reference`, and read the difference"


def test_no_page_is_there_that_nothing_makes() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES)


def test_every_command_is_documented_with_an_example() -> None:
    parts = re.split(r"^### hcluster ", PAGES["commands.md"], flags=re.MULTILINE)[1:]
    shown = {part.partition("\n")[0]: part for part in parts}
    assert set(shown) == set(commands())
    for command, part in shown.items():
        assert re.search(rf"^\$ .*hcluster .*{command.split()[-1]}", part, re.MULTILINE), f"{command} has no example"


@pytest.mark.parametrize("kind", ["cluster", "platform", "image"])
def test_every_field_of_a_yaml_is_documented(kind: Kind) -> None:
    document = schema(kind)
    for body in (document, *document.get("$defs", {}).values()):
        for name, field in body.get("properties", {}).items():
            row = re.search(rf"^\| `{name}` \|.*$", PAGES[f"{kind}-yaml.md"], re.MULTILINE)
            assert row, f"{kind}: {name}"
            assert field.get("description", "") or "$ref" in field, f"{kind}: {name} has no words"


def test_every_anchor_leads_to_a_heading() -> None:
    for name, text in PAGES.items():
        headings = {line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("## ")}
        assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings, name


def test_pages_are_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference.main(tmp_path)
    assert capsys.readouterr().out.count("is new") == len(PAGES)
    reference.main(tmp_path)
    assert capsys.readouterr().out == ""
