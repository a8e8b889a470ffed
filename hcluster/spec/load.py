"""Reading platform.yaml and cluster.yaml: layers, bootstrap files, and all findings at once."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hcluster.errors import SpecError
from hcluster.spec import settings
from hcluster.spec.base import Schema
from hcluster.spec.platform import PlatformSpec
from hcluster.spec.yamlfile import Document, Found, Place, dotted, layered, read

if typing.TYPE_CHECKING:
    # Most commands read platform.yaml alone, and the classes of the others take as long to make as all the rest.
    from hcluster.spec.cluster import ClusterSpec
    from hcluster.spec.image import ImageSpec

S = TypeVar("S", bound=Schema)

Kind = typing.Literal["platform", "cluster", "image"]

_BOUNDS = {"greater_than_equal": "at least", "less_than_equal": "at most"}
"""What pydantic calls a number that is too small or too large."""

_NOT_IN_DEFAULTS = ("name", "team", "owner")
"""Who a cluster is cannot be the same for all clusters."""


def load_platform(path: Path) -> PlatformSpec:
    """Read and check platform.yaml. ``aws.directory`` becomes an absolute path.

    Raises:
        SpecError: with everything that is wrong, its ``defaults`` included.
    """
    document = read(path, _shown(path))
    found = list(document.found)
    spec, wrong = _validated(PlatformSpec, document)
    found += [*wrong, *_defaults_findings(document)]
    if found or spec is None:
        _refuse("platform", _shown(path), found)
    if not spec.aws.directory:
        return spec
    directory = (path.parent / Path(spec.aws.directory).expanduser()).resolve()
    return spec.model_copy(update={"aws": spec.aws.model_copy(update={"directory": str(directory)})})


def load_cluster(path: Path, platform: PlatformSpec, given: Sequence[str] = ()) -> ClusterSpec:
    """Read and check cluster.yaml over the platform's defaults; bootstrap files are read into the spec.

    ``given`` are settings of the command line (``hcluster.spec.settings``), which win over the file.

    Raises:
        SpecError: with everything that is wrong.
    """
    from hcluster.spec.cluster import ClusterSpec

    own = read(path, _shown(path))
    if not own.value:
        _refuse("cluster", _shown(path), own.found)
    document = settings.over(layered(_platform_layer(platform), own), given, ClusterSpec)
    found = list(document.found)
    found += _read_scripts(document, path.parent)
    spec, wrong = _validated(ClusterSpec, document)
    found += wrong
    team = document.value.get("team")
    if isinstance(team, str) and team not in platform.teams:
        guess = _guess(team, platform.teams)
        message = f"`{team}` is no team of platform {platform.name}{guess} (teams: {', '.join(platform.teams)})"
        found.append(Found(*document.place(("team",)), "team", message))
    if found or spec is None:
        _refuse("cluster", _shown(path), found)
    return spec


def load_image(path: Path) -> ImageSpec:
    """Read and check an image's YAML, which is called like the image; files that it names must lie beside it.

    Raises:
        SpecError: with everything that is wrong.
    """
    from hcluster.spec.image import ImageSpec

    document = read(path, _shown(path))
    found = list(document.found)
    spec, wrong = _validated(ImageSpec, document)
    found += wrong
    name = document.value.get("name")
    if isinstance(name, str) and name != path.stem:
        found.append(Found(*document.place(("name",)), "name", f"is {name!r}, but the file is called {path.name}"))
    for part, key in (("jars", "file"), ("files", "source")):
        entries = document.value.get(part)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            given = entry.get(key) if isinstance(entry, dict) else None
            if isinstance(given, str) and not (path.parent / given).is_file():
                place = (part, index, key)
                found.append(Found(*document.place(place), dotted(place), f"{path.parent / given} is no file"))
    if found or spec is None:
        _refuse("image", _shown(path), found)
    return spec


def schema(kind: Kind) -> dict[str, Any]:
    """The JSON Schema of one kind of file, for editors."""
    from hcluster.spec.cluster import ClusterSpec
    from hcluster.spec.image import ImageSpec

    models: dict[Kind, type[Schema]] = {"platform": PlatformSpec, "cluster": ClusterSpec, "image": ImageSpec}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **models[kind].model_json_schema()}


def kind_of(path: Path) -> Kind:
    """What a file seems to describe, from its keys."""
    keys = read(path).value.keys()
    if {"bucket", "teams", "network"} & keys:
        return "platform"
    return "image" if {"parent", "packages", "python", "jars", "checks"} & keys else "cluster"


def _shown(path: Path) -> str:
    """The path as given, but relative when it is below the folder that we are in."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _refuse(kind: str, shown: str, found: list[Found]) -> NoReturn:
    unique = sorted(dict.fromkeys(found), key=lambda one: (one.file, one.line))
    number = f"{len(unique)} findings" if len(unique) > 1 else "1 finding"
    raise SpecError(
        f"{shown} does not describe {'an' if kind == 'image' else 'a'} {kind}: {number}",
        findings=tuple(str(one) for one in unique),
        hint=f"see `hcluster spec schema {kind}` and the commented example in examples/",
    )


def _platform_layer(platform: PlatformSpec) -> Document:
    """What the platform says about a cluster that says nothing."""
    own = Document(value={"image": platform.images.name, "puppet": {"channel": platform.puppet.channel}})
    return layered(own, Document(value=platform.defaults, places={(): ("platform.yaml (defaults)", 0)}))


def _defaults_findings(document: Document) -> list[Found]:
    """Check ``defaults`` as the part of a cluster.yaml that it is, with the lines of platform.yaml."""
    value = document.value.get("defaults")
    if not isinstance(value, dict) or not value:
        return []
    from hcluster.spec.cluster import ClusterSpec

    found = []
    for key in _NOT_IN_DEFAULTS:
        if key in value:
            file, line = document.place(("defaults", key))
            found.append(
                Found(file, line, f"defaults.{key}", "cannot have a default; it belongs into each cluster.yaml")
            )
    for index, script in enumerate(value.get("bootstrap") or ()):
        if isinstance(script, dict) and "file" in script:
            at: Place = ("defaults", "bootstrap", index, "file")
            found.append(Found(*document.place(at), dotted(at), "cannot be a file here; write the text into `script`"))
    places = {path[1:]: place for path, place in document.places.items() if path[:1] == ("defaults",)}
    rest = {key: entry for key, entry in value.items() if key not in _NOT_IN_DEFAULTS}
    part = Document(value={"name": "defaults", "team": "defaults", **rest}, places=places)
    _, wrong = _validated(ClusterSpec, part)
    return found + [Found(one.file, one.line, f"defaults.{one.path}", one.message) for one in wrong]


def _read_scripts(document: Document, folder: Path) -> list[Found]:
    """Replace each ``bootstrap[].file`` by the text it holds."""
    found: list[Found] = []
    entries = document.value.get("bootstrap")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(entry, dict) or not isinstance(entry.get("file"), str) or "script" in entry:
            continue
        at: Place = ("bootstrap", index, "file")
        text, problem = _script(folder / Path(entry["file"]).expanduser())
        if problem:
            found.append(Found(*document.place(at), dotted(at), problem))
        # What could not be read is told above; a stand-in keeps the schema from telling it again.
        entry["script"] = text or "#!unread"
        del entry["file"]
        document.places.setdefault((*at[:-1], "script"), document.place(at))
    return found


def _script(path: Path) -> tuple[str, str]:
    """(text, what is wrong with it) of a bootstrap script's file."""
    from hcluster.spec.cluster import MAX_SCRIPT_BYTES

    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_SCRIPT_BYTES + 1)
        text = raw.decode()
    except OSError as cause:
        return "", f"{path} cannot be read: {cause.strerror or cause}"
    except UnicodeDecodeError:
        return "", f"{path} is not UTF-8 text"
    if len(raw) > MAX_SCRIPT_BYTES:
        return "", f"{path} is larger than {MAX_SCRIPT_BYTES // 1024} KiB; put large things into the bucket"
    return text, "" if text else f"{path} is empty"


def _validated(model: type[S], document: Document) -> tuple[S | None, list[Found]]:
    if not document.value:
        return None, []
    try:
        return model.model_validate(document.value), []
    except ValidationError as cause:
        every = cause.errors(include_url=False)
        # A list whose entries are all wrong is not too short, too.
        told = [one for one in every if one["type"] != "too_short" or not one["input"]]
        return None, [_finding(model, document, error) for error in told]


def _finding(model: type[BaseModel], document: Document, error: ErrorDetails) -> Found:
    path = tuple(part for part in error["loc"] if part != "[key]")
    file, line = document.place(path)
    kind = error["type"]
    message = error["msg"].removeprefix("Value error, ")
    if kind in _BOUNDS:
        message = f"must be {_BOUNDS[kind]} {next(iter(error.get('ctx', {}).values()), '')}"
    elif kind == "extra_forbidden":
        known = _fields(model, path[:-1])
        message = f"unknown key{_guess(str(path[-1]), known)} (known: {', '.join(known)})"
    elif kind == "missing":
        message = "is required"
    elif kind == "literal_error":
        expected = str(error.get("ctx", {}).get("expected", ""))
        names = [name.strip("' ") for name in expected.replace(" or ", ", ").split(",")]
        given = error["input"]
        message = f"must be {expected}, not {given!r}" + (_guess(given, names) if isinstance(given, str) else "")
    elif kind == "string_pattern_mismatch":
        message = f"{error['input']!r} does not match {error.get('ctx', {}).get('pattern', '')}"
    elif kind in ("string_type", "int_type", "tuple_type", "dict_type", "model_type"):
        wanted = {
            "string": "text",
            "int": "a whole number",
            "tuple": "a list",
            "dict": "a mapping",
            "model": "a mapping",
        }
        message = f"must be {wanted[kind.removesuffix('_type')]}, not {error['input']!r}"
        if kind == "string_type" and isinstance(error["input"], bool | int | float):
            message += "; quote it"
    return Found(file, line, dotted(path), message[:1].lower() + message[1:])


def _guess(wrong: str, known: typing.Iterable[str]) -> str:
    close = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f", did you mean `{close[0]}`?" if close else ""


def _fields(model: type[BaseModel], path: Place) -> list[str]:
    """Names of the fields of the model that lies at ``path`` below ``model``."""
    here: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        fields = getattr(here, "model_fields", {})
        here = _model_in(fields[part].annotation) if part in fields else None
    return list(getattr(here, "model_fields", {}))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation such as ``tuple[DiskSpec, ...]``."""
    if not typing.get_args(annotation):
        return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    return next((found for part in typing.get_args(annotation) if (found := _model_in(part))), None)
