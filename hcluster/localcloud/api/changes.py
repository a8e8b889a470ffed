"""Which records changed since they were last written or shown.

Most of a cloud's records are few, and are compared with what was written. Those that grow with its instances lie in
``Kept`` collections instead, which note what is put in and taken out; attributes set on their values are noted by
``watch``, and what is changed in depth (a list of an instance) by whoever changes it, with ``touch``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Path = tuple[Any, ...]
"""Where a record is: (service, attribute of its backend, key, …)."""


_PASSING = "last_used"
"""Moto sets it on a key at each request, those that only read included; it is written with the next real change."""


class Changes:
    """Call with the cloud's lock held."""

    def __init__(self) -> None:
        self.homes: dict[int, Path] = {}
        """The path of each object that is a record, by its id()."""
        self.unwritten: dict[Path, None] = {}
        self.unshown: dict[Path, None] = {}
        """The same for whoever caches answers."""

    def note(self, path: Path) -> None:
        """The record there changed, came or went."""
        self.unwritten[path] = None
        self.unshown[path] = None

    def touch(self, *resources: Any) -> None:
        """Something in these objects changed."""
        for resource in resources:
            path = self.homes.get(id(resource))
            if path is not None:
                self.note(path)


def watch(base: Any, changes: Changes) -> None:
    """Note each attribute that is set on a record whose class extends ``base``."""
    homes, note = changes.homes, changes.note

    def setattr_(self: Any, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        path = homes.get(id(self))
        if path is not None and name != _PASSING:
            note(path)

    base.__setattr__ = setattr_


class Kept(dict[Any, Any]):
    """A dictionary of records that notes what comes and goes."""

    def __init__(self, where: Path, changes: Changes, content: Mapping[Any, Any] | None = None) -> None:
        super().__init__()
        self._where = where
        self._changes = changes
        self.update(content or {})

    def path(self, key: Any) -> Path:
        """Of the record under a key."""
        return (*self._where, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        path = (*self._where, key)
        changes = self._changes
        before = self.get(key)
        if before is not value:
            if before is not None and changes.homes.get(id(before)) == path:
                del changes.homes[id(before)]
            if hasattr(value, "__dict__"):
                changes.homes[id(value)] = path
        super().__setitem__(key, value)
        changes.note(path)

    def __delitem__(self, key: Any) -> None:
        path = (*self._where, key)
        before = self[key]
        if self._changes.homes.get(id(before)) == path:
            del self._changes.homes[id(before)]
        super().__delitem__(key)
        self._changes.note(path)

    _MISSING: Any = object()

    def pop(self, key: Any, default: Any = _MISSING) -> Any:
        """As a dictionary's."""
        if key not in self:
            if default is self._MISSING:
                raise KeyError(key)
            return default
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[Any, Any]:
        """As a dictionary's."""
        key = next(reversed(self))
        return key, self.pop(key)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """As a dictionary's."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *others: Any, **named: Any) -> None:
        """As a dictionary's."""
        for key, value in dict(*others, **named).items():
            self[key] = value

    def clear(self) -> None:
        """As a dictionary's."""
        for key in list(self):
            del self[key]

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[dict[Any, Any]]]:
        return dict, (dict(self),)


class KeptTags(Kept):
    """Tags by resource; asked for an unknown one it makes an empty entry, as moto's does."""

    def __missing__(self, key: Any) -> dict[str, str]:
        made: dict[str, str] = {}
        self[key] = made
        return made


def unhome(changes: Changes, collections: Iterable[Kept]) -> None:
    """Forget the homes of everything in collections that are replaced."""
    for collection in collections:
        for value in collection.values():
            changes.homes.pop(id(value), None)
