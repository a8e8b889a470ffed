"""The documentation keeps up with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hcluster.cli.app import ENTRIES
from hcluster.cli.lazy import load

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def references() -> set[str]:
    texts = [path.read_text() for path in (ROOT / "hcluster").rglob("*.py")]
    return {found for text in texts for found in re.findall(r'reference(?:: str)? ?= ?"([a-z0-9-]+)"', text)}


def test_every_error_reference_is_documented_and_none_that_does_not_exist() -> None:
    documented = set(re.findall(r"^\| `([a-z0-9-]+)` \|", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE))
    assert documented == references()


def test_the_readme_has_every_verb_and_none_that_does_not_exist() -> None:
    listed = re.search(r"^## All verbs\n(.*?)^## ", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert listed is not None
    rows = re.findall(r"^\|[^|]*\|(.*)\|$", listed[1], re.MULTILINE)
    named = {verb for row in rows for verb in re.findall(r"`([^`]+)`", row)}
    groups = {name: getattr(load(name, entry), "commands", {}) for name, entry in ENTRIES.items()}
    known = {f"{name} {inner}".strip() for name, group in groups.items() for inner in group or [""]}
    # What only prepares a bake, and the faults, have pages of their own.
    elsewhere = {f"ami {verb}" for verb in ("dist", "lock")}
    elsewhere |= {f"local {verb}" for verb in groups["local"] if verb not in ("start", "status", "stop", "reset")}
    assert named == known - elsewhere


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


def anchors(page: Path) -> set[str]:
    """What headings of a page can be linked to as, by GitHub's rule."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_heading_leads_to_one(page: Path) -> None:
    found = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text())
    missing = [
        (target, anchor) for target, anchor in found if anchor not in anchors(page.parent / target if target else page)
    ]
    assert missing == []
