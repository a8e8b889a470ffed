"""Where images are made from: a checkout, or what an installed hcluster brings; and who stands on whom."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from hcluster.cli import ami
from hcluster.errors import NotFoundError, SpecError
from hcluster.images.sources import Sources, available, lineage

ROOT = Path(__file__).parents[2]


def write(folder: Path, name: str, parent: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(f"name: {name}\nparent: {parent}\ndescription: of a test\n")


def test_a_wheel_brings_all_that_images_and_releases_are_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    brought = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    package = tmp_path / "hcluster"
    for source, target in brought.items():
        assert (ROOT / source).exists()
        (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / target).symlink_to(ROOT / source)
    monkeypatch.setattr(ami, "__file__", str(package / "cli" / "ami.py"))
    found = ami.sources()
    assert (found.package, found.root) == (package, package / "_sources")
    found.check()
    assert all(path.exists() for path in (found.lock, found.puppet / "hiera.yaml", found.images / "hadoop.yaml"))


def test_a_checkout_is_its_own_source_and_another_may_be_named(tmp_path: Path) -> None:
    assert ami.sources() == Sources(ROOT, ROOT / "hcluster")
    assert ami.sources(tmp_path) == Sources.checkout(tmp_path)
    with pytest.raises(NotFoundError, match=r"image\.pkr\.hcl"):
        ami.sources(tmp_path).check()


def test_images_stand_on_each_other_across_folders_and_the_first_folder_wins(tmp_path: Path) -> None:
    own, shipped = tmp_path / "own", tmp_path / "shipped"
    write(own, "jobs", "tools")
    write(own, "tools", "hadoop")
    write(shipped, "tools", "base")
    write(shipped, "hadoop", "base")
    found = lineage("jobs", [own, shipped])
    assert [(one.spec.name, one.folder.name) for one in found] == [
        ("hadoop", "shipped"),
        ("tools", "own"),
        ("jobs", "own"),
    ]
    assert available([own, shipped, tmp_path / "nowhere"]) == ["hadoop", "jobs", "tools"]


def test_a_parent_without_a_yaml_ends_the_line(tmp_path: Path) -> None:
    write(tmp_path / "own", "jobs", "elsewhere")
    assert [one.spec.name for one in lineage("jobs", [tmp_path / "own"])] == ["jobs"]


def test_a_parents_yaml_that_is_wrong_is_told_with_its_own_name(tmp_path: Path) -> None:
    write(tmp_path / "own", "jobs", "tools")
    (tmp_path / "own" / "tools.yaml").write_text("name: tools\n")
    with pytest.raises(SpecError, match=r"tools\.yaml does not describe an image: 2 findings"):
        lineage("jobs", [tmp_path / "own"])
