"""Where images come from: the template and the Hadoop stack of a checkout, and the folders with images' YAML files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hcluster.errors import NotFoundError, UsageError
from hcluster.spec.image import ImageSpec
from hcluster.spec.load import load_image

MAX_LAYERS = 8
"""The names of an image and of all below it go into one tag, which holds 256 letters."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The folder that images are made of: a checkout, or what an installed hcluster brings along."""

    root: Path
    package: Path
    """Hcluster's own code."""

    @staticmethod
    def checkout(root: Path) -> Sources:
        """Those of a checkout."""
        return Sources(root, root / "hcluster")

    def check(self) -> None:
        """Raises NotFoundError when the folder holds no template."""
        if not self.template.is_file():
            raise NotFoundError(
                f"{self.root} holds no ami/{self.template.name}",
                hint="run it in a checkout of hcluster, or name one: --source DIR",
            )

    @property
    def ami(self) -> Path:
        """Template, scripts and distribution."""
        return self.root / "ami"

    @property
    def template(self) -> Path:
        """Packer's, one for all images."""
        return self.ami / "image.pkr.hcl"

    @property
    def images(self) -> Path:
        """YAML files of the images that hcluster ships."""
        return self.ami / "images"

    @property
    def puppet(self) -> Path:
        """The Puppet code."""
        return self.root / "puppet"

    @property
    def lock(self) -> Path:
        """The pinned Python packages."""
        return self.root / "uv.lock"


@dataclass(frozen=True, slots=True)
class Recipe:
    """An image's YAML, read, and the folder that it lies in."""

    spec: ImageSpec
    folder: Path

    @property
    def lock(self) -> Path:
        """The pinned Python packages of its layer."""
        return self.folder / f"{self.spec.name}.lock"


def lineage(name: str, folders: Sequence[Path]) -> list[Recipe]:
    """The recipes of an image and of the images below it, lowest first; the first one's parent has none.

    Args:
        name: of the image.
        folders: where NAME.yaml is looked for; the first that has it wins.

    Raises:
        NotFoundError: there is no NAME.yaml.
        SpecError: one of them is wrong.
        UsageError: an image stands on itself, or on too many others.
    """
    found = [_required(name, folders)]
    while found[0].spec.layered and (below := _find(found[0].spec.parent, folders)):
        known = [one.spec.name for one in found]
        if below.spec.name in known:
            raise UsageError(
                f"image {name} stands on itself: {' on '.join([*reversed(known), below.spec.name])}",
                hint=f"correct `parent` in {found[0].folder / known[0]}.yaml",
            )
        if len(found) == MAX_LAYERS:
            raise UsageError(f"image {name} has more than {MAX_LAYERS} layers", hint="put several layers into one")
        found.insert(0, below)
    return found


def available(folders: Sequence[Path]) -> list[str]:
    """Names of the images that the folders have a YAML of, sorted."""
    return sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})


def _find(name: str, folders: Sequence[Path]) -> Recipe | None:
    path = next((folder / f"{name}.yaml" for folder in folders if (folder / f"{name}.yaml").is_file()), None)
    return Recipe(load_image(path), path.parent) if path else None


def _required(name: str, folders: Sequence[Path]) -> Recipe:
    found = _find(name, folders)
    if found is None:
        known = ", ".join(available(folders)) or "none"
        raise NotFoundError(
            f"no folder of images holds {name}.yaml (images there: {known})",
            context="\n".join(str(folder) for folder in folders),
            hint=f"write {folders[0] / name}.yaml, or name its folder: --images DIR; see docs/own-image.md",
            reference="no-image-file",
        )
    return found
