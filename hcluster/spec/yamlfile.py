"""YAML read with the line of every value, so that a finding can say where it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Place = tuple[str | int, ...]
"""Keys and indexes from the root of a document to a value."""

MAX_BYTES = 1024 * 1024
"""Of one file: a spec is written by people."""

_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float")}
_KEPT_AS_TEXT = {f"tag:yaml.org,2002:{name}" for name in ("str", "timestamp")}
"""Timestamps stay text: no field is a date, and `2013-01-01` is a likely value of a tag."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that is wrong; ``line`` counts from 1, 0 stands for the whole file."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


@dataclass(slots=True)
class Document:
    """A value with the place of everything in it, or the reasons why it could not be read."""

    value: dict[str, Any] = field(default_factory=dict)
    places: dict[Place, tuple[str, int]] = field(default_factory=dict)
    """(file, line) of each path."""
    found: list[Found] = field(default_factory=list)

    def place(self, path: Place) -> tuple[str, int]:
        """(file, line) of a path, or of the nearest thing around it that the files hold."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, ("", 0))


def dotted(path: Place) -> str:
    """``core.types[0]`` for ``("core", "types", 0)``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def read(path: Path, shown: str = "") -> Document:
    """Read a mapping from a file; what is wrong with it is in ``found``. ``shown`` is the name for people."""
    name = shown or str(path)
    try:
        raw = path.read_bytes()
    except OSError as cause:
        return Document(found=[Found(name, 0, "", f"cannot be read: {cause.strerror or cause}")])
    if len(raw) > MAX_BYTES:
        return Document(found=[Found(name, 0, "", f"larger than {MAX_BYTES // 1024} KiB")])
    return parse(raw, name)


def parse(raw: bytes, name: str) -> Document:
    """The same of bytes that were read before."""
    document = Document()
    try:
        node = yaml.compose(raw.decode(), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark or cause.context_mark
        text = "; ".join(part for part in (cause.problem, cause.context) if part)
        document.found.append(Found(name, mark.line + 1 if mark else 0, "", f"not valid YAML: {text}"))
        return document
    except UnicodeDecodeError:
        document.found.append(Found(name, 0, "", "not UTF-8 text, hence not YAML"))
        return document
    except yaml.YAMLError as cause:
        document.found.append(Found(name, 0, "", f"not valid YAML: {' '.join(str(cause).split())}"))
        return document
    document.places[()] = (name, 1)
    if node is None:
        document.found.append(Found(name, 1, "", "the file is empty"))
    elif not isinstance(node, yaml.MappingNode):
        document.found.append(Found(name, node.start_mark.line + 1, "", "the file must hold a mapping (key: value)"))
    else:
        value = _Reader(name, document).value(node, (), ())
        document.value = value if isinstance(value, dict) else {}
    return document


def value_of(text: str) -> tuple[object, str]:
    """(value, what is wrong with it) of YAML on one line, read as in a file; nothing at all is the empty text."""
    if not text.strip():
        return "", ""
    name = "value"
    # In a mapping of its own, so that it is read by the same rules as a file; on a line below its key, as `a: b` may
    # not stand beside one.
    body = "\n  ".join(text.strip().splitlines())
    document = parse(f"{name}:\n  {body}\n".encode(), name)
    if document.found:
        return None, document.found[0].message
    return document.value[name], ""


class _Reader:
    """Turns nodes into values, and notes where each one is."""

    def __init__(self, name: str, document: Document) -> None:
        self._name = name
        self._document = document
        self._construct = yaml.SafeLoader("")

    def _wrong(self, node: yaml.Node, path: Place, message: str) -> None:
        self._document.found.append(Found(self._name, node.start_mark.line + 1, dotted(path), message))

    def value(self, node: yaml.Node, path: Place, around: tuple[yaml.Node, ...]) -> object:
        self._document.places.setdefault(path, (self._name, node.start_mark.line + 1))
        if any(node is outer for outer in around):
            self._wrong(node, path, "an alias may not hold itself")
            return None
        if isinstance(node, yaml.MappingNode):
            return dict(self._entries(node, path, (*around, node)))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index), (*around, node)) for index, item in enumerate(node.value)]
        if node.tag in _KEPT_AS_TEXT:
            return str(node.value)
        if node.tag in _SCALARS:
            return self._construct.construct_object(node)
        self._wrong(node, path, f"the tag {node.tag} is not allowed here")
        return None

    def _entries(
        self, node: yaml.MappingNode, path: Place, around: tuple[yaml.Node, ...]
    ) -> Iterator[tuple[str, object]]:
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._wrong(key_node, path, "a key must be plain text (text in braces must be quoted)")
                continue
            key = str(key_node.value)
            if key_node.tag == "tag:yaml.org,2002:merge":
                self._wrong(key_node, path, "merge keys (<<) are not supported; write the values out")
            elif key in lines:
                self._wrong(key_node, (*path, key), f"given twice, first in line {lines[key]}")
            else:
                lines[key] = line
                self._document.places[(*path, key)] = (self._name, line)
                yield key, self.value(value_node, (*path, key), around)


def layered(below: Document, above: Document) -> Document:
    """``above`` over ``below``: mappings are merged, everything else is replaced. Both keep their places."""
    merged = Document(places={(): above.places.get((), ("", 0))}, found=[*below.found, *above.found])
    merged.value = _merge(below, above, below.value, above.value, (), merged)
    return merged


def _merge(
    below: Document, above: Document, low: Mapping[str, Any], high: Mapping[str, Any], path: Place, into: Document
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key in [*low, *(key for key in high if key not in low)]:
        here = (*path, key)
        if isinstance(low.get(key), dict) and isinstance(high.get(key), dict):
            into.places[here] = above.places.get(here, ("", 0))
            result[key] = _merge(below, above, low[key], high[key], here, into)
            continue
        source, value = (above, high[key]) if key in high else (below, low[key])
        into.places.update({at: place for at, place in source.places.items() if at[: len(here)] == here})
        result[key] = value
    return result
