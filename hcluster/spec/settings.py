"""``--set PATH=VALUE``: a field of a spec given on the command line, over what the YAML says.

A path is the field's place, its parts joined by dots: ``core.count``. Where a schema lets people choose the keys (the
properties of ``site``, ``tags``), all that is left of the path is one key, dots and all:
``site.yarn-site.yarn.nodemanager.vmem-check-enabled``. A part in double quotes is one part whatever it holds. A
value is YAML on one line, so it may be a number, text, a list or a mapping; nothing at all is the empty text.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from hcluster.spec.base import Schema
from hcluster.spec.yamlfile import Document, Found, layered, value_of

OPTION = "--set"
_PART = re.compile(r'"(?P<quoted>[^"]+)"|(?P<plain>[^."\[\]]+)')
_EXAMPLE = "--set core.count=5"


def over(document: Document, given: Sequence[str], model: type[Schema]) -> Document:
    """``document`` of a ``model`` with settings over it: mappings are merged, all else is replaced, and of two settings
    of one field the later one counts.

    What is wrong with a setting itself is in ``found``; findings about its field name the setting as their place.
    """
    root = document.places.get((), ("", 0))
    for text in given:
        document = layered(document, _document(text, model))
        # What a spec lacks is the file's own matter.
        document.places[()] = root
    return document


def _document(text: str, model: type[Schema]) -> Document:
    name = f"{OPTION} {text}"
    key, equals, raw = _split(text)
    if not equals:
        return Document(found=[Found(name, 0, "", f"is not PATH=VALUE, such as {_EXAMPLE}")])
    parts, wrong = _parts(key)
    if wrong:
        return Document(found=[Found(name, 0, "", wrong)])
    path = _path(parts, model)
    value, problem = value_of(raw)
    if problem:
        return Document(found=[Found(name, 0, ".".join(path), problem)])
    document = Document(places={path[:depth]: (name, 0) for depth in range(1, len(path) + 1)})
    for part in reversed(path):
        value = {part: value}
    document.value = typing.cast("dict[str, Any]", value)
    return document


def _split(text: str) -> tuple[str, str, str]:
    """Path, ``=`` and value; an equals sign in quotes belongs to the path."""
    quoted = False
    for place, letter in enumerate(text):
        quoted ^= letter == '"'
        if letter == "=" and not quoted:
            return text[:place].strip(), "=", text[place + 1 :]
    return text, "", ""


def _parts(key: str) -> tuple[list[str], str]:
    """The parts of a path, or what is wrong with it."""
    if re.search(r"\[\d*\]", key):
        return [], "an entry of a list cannot be set; give the whole list: --set core.types=[m5.large,m5a.large]"
    parts: list[str] = []
    at = 0
    while match := _PART.match(key, at):
        parts.append(match["quoted"] or match["plain"].strip())
        at = match.end()
        if at == len(key):
            return parts, "" if all(parts) else f"a part of the path is empty; write {_EXAMPLE}"
        if key[at] != ".":
            break
        at += 1
    return (
        [],
        f"the path cannot be read; it is parts joined by dots, as in {_EXAMPLE}, each in double quotes if need be",
    )


def _path(parts: Sequence[str], model: type[BaseModel]) -> tuple[str, ...]:
    """The keys that the parts stand for: one each, until a mapping with keys of people's own takes all the rest."""
    here: Any = model
    for place, _ in enumerate(parts):
        kind = _mapping(here)
        if kind is not None and kind[0] is not typing.Literal:
            return (*parts[:place], ".".join(parts[place:]))
        here = kind[1] if kind is not None else _field(here, parts[place])
    return tuple(parts)


def _field(here: Any, name: str) -> Any:
    """The type of a model's field; None for one that does not exist, which validation tells."""
    fields = getattr(_bare(here), "model_fields", {})
    return fields[name].annotation if name in fields else None


def _mapping(here: Any) -> tuple[Any, Any] | None:
    """(what kind its keys are: Literal when the schema names them, what its values are) of a mapping, else None."""
    bare = _bare(here)
    if typing.get_origin(bare) is not dict:
        return None
    keys, values = typing.get_args(bare)
    return typing.get_origin(_bare(keys)), values


def _bare(annotation: Any) -> Any:
    """Without ``Annotated``."""
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is typing.Annotated else annotation
