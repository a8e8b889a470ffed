"""Records as rows: each record by itself, with the others that it knows named in their place, and back again.

A backend of moto is a web of objects. One row is one of them (an instance, a volume, a role), or one attribute of a
backend: its plain values, and for collections which records are in them. A change then costs its own rows.
"""

from __future__ import annotations

import io
import logging
import pickle
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hcluster.localcloud.api.changes import Changes, Kept, Path
from hcluster.localcloud.api.parts import BaseModel

log = logging.getLogger(__name__)

KEPT = {
    "ec2": (
        "by_id",
        "reservations",
        "enis",
        "volumes",
        "spot_instance_requests",
        "iam_instance_profile_associations",
        "tags",
        "tokens",
        "fleets",
    ),
}
"""Collections that grow with the cloud's instances, by service."""
FORGETTABLE = ("tokens",)
"""Collections whose records never change, and go when something that they name is gone."""
_PROTOCOL = pickle.HIGHEST_PROTOCOL
_PLAIN: Any = object.__reduce_ex__


def _named(path: Path) -> Any:
    """Stands in a row for another record. Reading replaces it: see ``_Reader``."""
    raise AssertionError(path)


class _Writer(pickle.Pickler):
    def __init__(self, out: io.BytesIO, homes: Mapping[int, Path]) -> None:
        super().__init__(out, _PROTOCOL)
        self._homes = homes

    def reducer_override(self, obj: Any) -> Any:
        path = self._homes.get(id(obj))
        return NotImplemented if path is None else (_named, (path,))


def encode(path: Path, value: Any, homes: Mapping[int, Path]) -> bytes:
    """The row of what is at ``path``; ``homes``: the path of each record by its id()."""
    out = io.BytesIO()
    if homes.get(id(value)) == path:
        pickle.dump((path, type(value)), out, _PROTOCOL)
        value = value.__getstate__()
    else:
        pickle.dump((path, None), out, _PROTOCOL)
    _Writer(out, homes).dump(value)
    return out.getvalue()


class _Reader(pickle.Unpickler):
    def __init__(self, content: io.BytesIO, found: Mapping[Path, Any]) -> None:
        super().__init__(content)
        self._found = found
        self.missing: list[Path] = []
        self.known: list[Path] = []

    def find_class(self, module: str, name: str) -> Any:
        if name == "_named" and module == __name__:
            return self._record
        return super().find_class(module, name)

    def _record(self, path: Path) -> Any:
        if path not in self._found:
            self.missing.append(path)
            return None
        self.known.append(path)
        return self._found[path]


@dataclass(slots=True)
class Restored:
    """What rows held: values of backends' attributes by (service, attribute), records of Kept collections in order."""

    attributes: dict[Path, Any] = field(default_factory=dict)
    entries: dict[Path, dict[Any, Any]] = field(default_factory=dict)
    records: dict[Path, Any] = field(default_factory=dict)
    """The records of all other collections."""
    useless: list[Path] = field(default_factory=list)
    """Rows that nothing needs any more."""


def decode(rows: Iterable[bytes], backends: Mapping[str, Any]) -> Restored:
    """Read rows. Raises whatever pickle does for content that is none of ours."""
    found: dict[Path, Any] = {(service,): backend for service, backend in backends.items()}
    waiting: list[tuple[Path, Any, io.BytesIO]] = []
    for row in rows:
        content = io.BytesIO(row)
        path, kind = pickle.load(content)  # noqa: S301 - our own file, in a folder of the user's own
        if kind is not None:
            found[path] = kind.__new__(kind)
        waiting.append((path, kind, content))
    restored, named = Restored(), set[Path]()
    for path, kind, content in waiting:
        reader = _Reader(content, found)
        value = reader.load()
        named.update(known for known in reader.known if known != path)
        if reader.missing:
            log.info("%s named what is gone: %s", path, reader.missing)
            if path[1] in FORGETTABLE:
                restored.useless.append(path)
                continue
        if kind is not None:
            value = _filled(found[path], value)
        if len(path) == 2:
            restored.attributes[path] = value
        elif path[1] in KEPT.get(path[0], ()):
            restored.entries.setdefault(path[:2], {})[path[2]] = value
        else:
            restored.records[path] = value
    for path in [path for path in restored.records if path not in named]:
        del restored.records[path]
        restored.useless.append(path)
    return restored


def _filled(record: Any, state: Any) -> Any:
    if hasattr(record, "__setstate__"):
        record.__setstate__(state)
    else:
        record.__dict__.update(state or {})
    return record


class Rest:
    """All records of a backend but the Kept ones: few, and compared as a whole."""

    def __init__(self, service: str, changes: Changes) -> None:
        self._service = service
        self._homes = changes.homes
        self._records: dict[Path, Any] = {}
        self._gone: list[Any] = []
        """What was removed may still be known to other records, so it keeps its row, and its id() is no one else's."""
        self._refused: set[str] = set()

    def adopt(self, records: Mapping[Path, Any]) -> None:
        """Records that were read, with those that are in no collection any more but known to others."""
        for path, record in records.items():
            self._home(path, record)

    def rows(self, backend: Any) -> Iterator[tuple[Path, bytes]]:
        """Each row as it is now."""
        attributes = {name: value for name, value in _attributes(backend) if name not in KEPT.get(self._service, ())}
        for name, value in attributes.items():
            for keys, record in _records(value):
                self._home((self._service, name, *keys), record)
        for name, value in attributes.items():
            path = (self._service, name)
            try:
                yield path, encode(path, value, self._homes)
            except Exception:
                if name not in self._refused:
                    log.exception("%s cannot be kept", path)
                    self._refused.add(name)
        for path, record in self._records.items():
            try:
                yield path, encode(path, record, self._homes)
            except Exception:
                if repr(path) not in self._refused:
                    log.exception("%s cannot be kept", path)
                    self._refused.add(repr(path))

    def _home(self, path: Path, record: Any) -> None:
        before = self._records.get(path)
        if before is record:
            return
        known = self._homes.get(id(record))
        if known is not None and known != path:
            # In two collections: it is at home in the first.
            return
        if before is not None:
            self._gone.append(before)
        self._records[path] = record
        self._homes[id(record)] = path


def _attributes(backend: Any) -> Iterable[tuple[str, Any]]:
    state = backend.__getstate__()
    return list((state or {}).items())


def _records(value: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Keys and records of a collection, at most two deep."""
    if isinstance(value, Kept):
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            if _is_record(inner):
                yield (key,), inner
            elif isinstance(inner, dict):
                yield from (((key, k), v) for k, v in inner.items() if _is_record(v))
    elif isinstance(value, list):
        # Sessions; lists of moto have no other names for what is in them.
        yield from (((v.access_key_id,), v) for v in value if _is_record(v) and hasattr(v, "access_key_id"))


def _is_record(value: Any) -> bool:
    kind: Any = type(value)
    # What knows how it is pickled stays a part of what it lies in.
    return isinstance(value, BaseModel) and not isinstance(value, dict) and kind.__reduce_ex__ is _PLAIN
