"""What an image adds to its parent, as values for the hash of its inputs and as files for the machine that is baked.

Puppet installs it there (class ``layer``), told by a Hiera layer of its own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hcluster.images import jars, lockfile, python_packages
from hcluster.images.sources import Recipe
from hcluster.model.events import Report, silent


@dataclass(frozen=True, slots=True)
class Layer:
    """A recipe with everything pinned that it names."""

    recipe: Recipe
    requirements: str
    """Pinned Python packages with digests, "" for none."""
    files: Mapping[str, str]
    """SHA-256 (hex) of each file's content, by path in the image."""

    @property
    def name(self) -> str:
        """Of the image."""
        return self.recipe.spec.name

    def inputs(self) -> dict[str, object]:
        """All that decides what the layer is."""
        spec = self.recipe.spec.model_dump(mode="json")
        return {"spec": spec, "requirements": self.requirements, "files": dict(self.files)}

    def about(self) -> dict[str, object]:
        """What /etc/hcluster/image.json tells of it."""
        spec = self.recipe.spec
        pins = [line.split()[0] for line in self.requirements.splitlines() if line[:1].isalnum()]
        return {
            "name": spec.name,
            "parent": spec.parent,
            "description": spec.description,
            "packages": list(spec.packages),
            "python": pins,
            "jars": {jar.filename: jar.expected for jar in spec.jars},
            "files": dict(self.files),
            "checks": len(spec.checks),
        }


def pin(recipe: Recipe, logs: Path, *, report: Report = silent) -> Layer:
    """Pin what the recipe names; without changes since the last time it asks nobody."""
    contents = {
        one.path: lockfile.digest_of_text(one.content)
        if one.content is not None
        else lockfile.digest_of(recipe.folder / (one.source or ""))
        for one in recipe.spec.files
    }
    return Layer(recipe, python_packages.pinned(recipe, logs, report=report), contents)


def gather(layer: Layer, folder: Path, cache: Path, from_bucket: jars.Fetch, *, report: Report = silent) -> None:
    """Put what the machine needs into ``folder``: layer.yaml, python.tar.zst, jars/, files/ and checks/.

    Raises:
        IntegrityError: a jar or a package is not what it should be.
        HclusterError: something could not be had.
    """
    recipe = layer.recipe
    found = jars.fetch(recipe, cache, from_bucket, report=report)
    for name in ("jars", "files", "checks"):
        (folder / name).mkdir()
    for name, path in found.items():
        shutil.copyfile(path, folder / "jars" / name)
    for number, one in enumerate(recipe.spec.files):
        target = folder / "files" / str(number)
        if one.content is not None:
            target.write_text(one.content)
        else:
            shutil.copyfile(recipe.folder / (one.source or ""), target)
    for number, check in enumerate(recipe.spec.checks):
        (folder / "checks" / str(number)).write_text(check + "\n")
    if layer.requirements:
        python = folder / "python.tar.zst"
        python_packages.build(recipe, layer.requirements, python, cache / "logs", report=report)
    # JSON is YAML.
    (folder / "layer.yaml").write_text(json.dumps(hiera(layer, found), indent=1, sort_keys=True) + "\n")


def hiera(layer: Layer, found: Mapping[str, Path]) -> dict[str, object]:
    """The parameters of Puppet's profile::layer; ``found`` are the jars."""
    spec = layer.recipe.spec
    versions = {name: version or "installed" for name, _, version in (one.partition("=") for one in spec.packages)}
    values = {
        "image": spec.name,
        "packages": versions,
        "python": bool(layer.requirements),
        "jars": {name: lockfile.digest_of(path) for name, path in found.items()},
        "files": [{"path": _literal(one.path), "mode": one.mode.zfill(4)} for one in spec.files],
        "checks": len(spec.checks),
    }
    return {f"profile::layer::{key}": value for key, value in values.items()}


def _literal(text: str) -> str:
    """Text that Hiera takes as it is."""
    return text.replace("%{", "%{literal('%')}{")
