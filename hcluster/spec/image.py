"""The schema of an image's YAML, ``images/NAME.yaml``: what a layer adds to its parent."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from hcluster.spec.base import Name, Schema, live

BASE = "base"
"""The parent that stands for platform.yaml's ``images.base``: an image on it gets Hadoop itself."""

BUCKET_FOLDER = "data/images/"
"""Jars that come from the platform's bucket lie below it."""

RESERVED = (
    *("/dev", "/proc", "/sys", "/run", "/tmp", "/boot"),  # noqa: S108 - refused, not used
    *("/etc/hadoop", "/etc/hcluster", "/etc/hive", "/etc/hive-metastore", "/etc/tez", "/etc/puppet", "/etc/ssh"),
    *("/opt/hadoop", "/opt/hcluster", "/usr/local/lib/hcluster", "/var/cache/hcluster", "/var/lib/hcluster"),
)
"""Folders whose content is not an image's to set: the machine's own, or written by hcluster's Puppet code."""

_BAKES = "the next bake uses it; existing images stay"
_HASH = re.compile(r" --hash=sha256:[0-9a-f]{64}")
MAX_CHECK_SECONDS = 300
"""Longest time that one check may take (ami/scripts/50-validate.sh)."""


def _not_base(name: str) -> str:
    if name == BASE:
        raise ValueError(f"`{BASE}` is reserved: as a parent it stands for the platform's base image")
    return name


def _own_path(path: str) -> str:
    parts = PurePosixPath(path).parts
    if ".." in parts or str(PurePosixPath(path)) != path:
        raise ValueError("write the path without `..`, `.`, double slashes and a slash at its end")
    for folder in RESERVED:
        if parts[: len(PurePosixPath(folder).parts)] == PurePosixPath(folder).parts:
            raise ValueError(f"{folder} is not an image's to set; Hadoop's own files are set by Puppet modules")
    return path


def _beside(path: str) -> str:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError("must be a file beside this one or in a folder below")
    return path


ImageName = Annotated[Name, AfterValidator(_not_base)]
Source = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_beside)]
_PACKAGE = r"^[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9][A-Za-z0-9.+:~-]*)?$"
_REQUIREMENT = (
    r"^[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?==[A-Za-z0-9][A-Za-z0-9.+!-]*( --hash=sha256:[0-9a-f]{64})*$"
)


def _package(text: str) -> str:
    if not re.fullmatch(_PACKAGE, text):
        raise ValueError(f"{text!r} is no package of Debian: write NAME or NAME=VERSION")
    return text


def _requirement(text: str) -> str:
    if not re.fullmatch(_REQUIREMENT, text):
        raise ValueError(f"{text!r} is no pinned package: write NAME==VERSION, if wanted with --hash=sha256:… after it")
    return text


Package = Annotated[str, AfterValidator(_package), Field(json_schema_extra={"pattern": _PACKAGE})]
Requirement = Annotated[str, AfterValidator(_requirement), Field(json_schema_extra={"pattern": _REQUIREMENT})]


class JarSpec(Schema):
    """A jar of a layer, from exactly one place, with its digest."""

    maven: Annotated[str, StringConstraints(pattern=r"^([\w.-]+:){2}[\w.-]+(:[\w.-]+)?$")] | None = Field(
        default=None,
        description="Coordinates GROUP:ARTIFACT:VERSION[:CLASSIFIER]; the jar alone, not what it depends on.",
        json_schema_extra=live(_BAKES),
    )
    file: Source | None = Field(
        default=None,
        description="A file beside this one, as a relative path.",
        json_schema_extra=live(_BAKES),
    )
    s3: Annotated[str, StringConstraints(pattern=rf"^{BUCKET_FOLDER}[\w./+=-]+$", max_length=512)] | None = Field(
        default=None,
        description="Key of an object in the platform's bucket, below data/images/ (`hcluster data put` writes it).",
        json_schema_extra=live(_BAKES),
    )
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="SHA-256 of the jar, in hexadecimal.", json_schema_extra=live(_BAKES)
    )
    sha512: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")] | None = Field(
        default=None,
        description="SHA-512 of the jar, in hexadecimal; instead of sha256.",
        json_schema_extra=live(_BAKES),
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(one is not None for one in (self.maven, self.file, self.s3)) != 1:
            raise ValueError("name one place that it comes from: maven, file or s3")
        if (self.sha256 is None) == (self.sha512 is None):
            raise ValueError("needs one digest: sha256 or sha512")
        if not self.filename.endswith(".jar"):
            raise ValueError(f"{self.filename} is no jar: its name must end with .jar")
        return self

    @property
    def filename(self) -> str:
        """What it is called in the image."""
        if self.maven is None:
            return PurePosixPath(self.file or self.s3 or "").name
        _, artifact, *rest = self.maven.split(":")
        return "-".join((artifact, *rest)) + ".jar"

    @property
    def expected(self) -> str:
        """The digest that is given."""
        return self.sha256 or self.sha512 or ""

    @property
    def place(self) -> str:
        """Where it comes from, for people."""
        return self.maven or self.file or self.s3 or ""


class FileSpec(Schema):
    """A file that a layer brings."""

    path: Annotated[str, StringConstraints(pattern=r"^/[^\x00-\x1f]+$", max_length=255), AfterValidator(_own_path)] = (
        Field(description="Absolute path in the image; missing folders are made.", json_schema_extra=live(_BAKES))
    )
    source: Source | None = Field(
        default=None,
        description="A file beside this one with the content, as a relative path.",
        json_schema_extra=live(_BAKES),
    )
    content: Annotated[str, StringConstraints(max_length=256 * 1024)] | None = Field(
        default=None, description="The content itself, instead of source.", json_schema_extra=live(_BAKES)
    )
    mode: Annotated[str, StringConstraints(pattern=r"^[0-7]{3,4}$")] = Field(
        default="0644", description="Mode in octal digits, quoted.", json_schema_extra=live(_BAKES)
    )

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        if (self.source is None) == (self.content is None):
            raise ValueError("needs one of source and content")
        return self


def _name_of(entry: object) -> str:
    """What may be there only once."""
    if isinstance(entry, JarSpec):
        return entry.filename
    if isinstance(entry, FileSpec):
        return entry.path
    return project(str(entry))


class ImageSpec(Schema):
    """An image: a parent, and the layer on it."""

    name: ImageName = Field(
        description="Name of the image and of its family, as the file is called: clusters say `image: NAME`.",
        json_schema_extra=live(_BAKES),
    )
    parent: Annotated[str, StringConstraints(pattern=r"^(ami-[0-9a-f]{8,17}|[a-z][a-z0-9-]{0,29})$")] = Field(
        description=(
            "What it is built on: the name of another image, an image's id (ami-…, one with hcluster's Hadoop), or "
            "`base`: platform.yaml's images.base; an image on `base` gets Hadoop, Hive and Tez."
        ),
        json_schema_extra=live(_BAKES),
    )
    description: Annotated[str, StringConstraints(pattern=r"^[ -~]{1,200}$")] = Field(
        description="One line for people, in ASCII.", json_schema_extra=live(_BAKES)
    )
    packages: tuple[Package, ...] = Field(
        default=(), description="Debian packages, NAME or NAME=VERSION.", json_schema_extra=live(_BAKES)
    )
    python: tuple[Requirement, ...] = Field(
        default=(),
        description=(
            "Python packages, NAME==VERSION, if wanted with `--hash=sha256:…`; with what they depend on, pinned in "
            "NAME.lock beside this file, they become the environment /opt/hcluster/python/NAME."
        ),
        json_schema_extra=live(_BAKES),
    )
    jars: tuple[JarSpec, ...] = Field(
        default=(),
        description="Jars for commands, containers and HiveServer2, last on their class path.",
        json_schema_extra=live(_BAKES),
    )
    files: tuple[FileSpec, ...] = Field(default=(), description="Files.", json_schema_extra=live(_BAKES))
    checks: tuple[Annotated[str, StringConstraints(min_length=1, max_length=16384)], ...] = Field(
        default=(),
        description=(
            "Commands of bash that must succeed before this becomes an image, or one on it; all daemons run then. "
            "$PYTHON is the Python of the layer's environment, $JARS the folder of its jars."
        ),
        json_schema_extra=live(_BAKES),
    )

    @field_validator("packages", "python", "jars", "files")
    @classmethod
    def _each_once(cls, entries: tuple[object, ...]) -> tuple[object, ...]:
        names = [_name_of(entry) for entry in entries]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"given twice: {', '.join(twice)}")
        return entries

    @model_validator(mode="after")
    def _not_on_itself(self) -> Self:
        if self.parent == self.name:
            raise ValueError(f"parent: {self.name} cannot stand on itself")
        return self

    @property
    def layered(self) -> bool:
        """Whether it stands on an image that has Hadoop already."""
        return self.parent != BASE


def project(requirement: str) -> str:
    """The normalised name (PEP 503) in a requirement; Debian's names come through as they are."""
    return re.sub(r"[-_.]+", "-", re.split(r"\[|=", requirement, maxsplit=1)[0]).lower()


def without_hashes(requirement: str) -> str:
    """The requirement alone."""
    return _HASH.sub("", requirement)


def hashes(requirement: str) -> tuple[str, ...]:
    """``sha256:…`` of each hash in a requirement."""
    return tuple(found.removeprefix(" --hash=") for found in _HASH.findall(requirement))
