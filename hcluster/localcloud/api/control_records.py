"""The records of EC2, IAM, STS and other services that moto keeps: which rows changed, and how a start reads them."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

import moto.backends

from hcluster.errors import LocalCloudError
from hcluster.localcloud.api.changes import Changes, Kept, KeptTags, Path, unhome
from hcluster.localcloud.api.parts import PARTITION, ec2_backends, iam_backends, sts_backends
from hcluster.localcloud.api.rows import FORGETTABLE, KEPT, Rest, decode, encode
from hcluster.localcloud.api.store import Store
from hcluster.localcloud.settings import CloudSettings

log = logging.getLogger(__name__)

_IDENTITY = ("iam", "sts")
_backend_of: Any = moto.backends.get_backend
_OLD = "control.pickle"
_CURE = "hcluster local reset (removes its instances, images and objects)"


class ControlRecords:
    """Call with the cloud's lock held."""

    def __init__(self, settings: CloudSettings, changes: Changes, store: Store) -> None:
        """Moto's backends of the account are there already, and empty."""
        self._account, self._region = settings.account_id, settings.region
        self._changes = changes
        self._store = store
        self._old = settings.folder / "records" / _OLD
        self._written: dict[str, int] = {}
        """A hash of each row on disk: what did not change is not written again."""
        self._rest = {service: Rest(service, changes) for service in ("ec2", *_IDENTITY)}
        self._suspects = {"ec2", *_IDENTITY}
        """Services of which more than Kept records may have changed."""
        self._read: set[str] = set()
        """Rows as a start found them. Pickle may write the same record otherwise the first time: which of its strings
        are one object is another matter after they were read."""
        self._useless: list[str] = []
        """Names of rows that a start found without use."""
        self.adopt()

    @property
    def backends(self) -> dict[str, Any]:
        """Those whose objects know each other."""
        return {
            "ec2": ec2_backends[self._account][self._region],
            "iam": iam_backends[self._account][PARTITION],
            "sts": sts_backends[self._account][PARTITION],
        }

    def adopt(self) -> None:
        """Note from now on what changes in the collections that grow."""
        for service, backend in self.backends.items():
            self._changes.homes[id(backend)] = (service,)
            for name in KEPT.get(service, ()):
                kind = KeptTags if name == "tags" else Kept
                value = getattr(backend, name)
                if not isinstance(value, Kept):
                    setattr(backend, name, kind((service, name), self._changes, value))

    def suspect(self, service: str) -> None:
        """A request of the service may have changed something."""
        self._suspects.update(_IDENTITY if service in _IDENTITY else (service,))

    def stage(self) -> dict[str, bytes | None]:
        """The rows that changed since the last call; None for those that are gone."""
        rows: dict[str, bytes | None] = {}
        if not self._ours():
            return rows
        kept = [path for path in self._changes.unwritten if _is_kept(path)]
        backends = self.backends
        suspects = self._suspects | {path[0] for path in self._changes.unwritten if not _is_kept(path)}
        # The few first: they make known where each record is at home.
        for service in sorted(suspects):
            found = self._rest[service].rows(backends[service]) if service in backends else self._other(service)
            for path, content in found:
                self._compare(rows, path, content)
        for path in kept:
            collection = getattr(backends[path[0]], path[1])
            if path[2] in collection:
                self._compare(rows, path, encode(path, collection[path[2]], self._changes.homes))
            elif self._written.pop(repr(path), None) is not None:
                rows[repr(path)] = None
        rows.update(dict.fromkeys(self._useless))
        self._useless.clear()
        self._suspects.clear()
        self._changes.unwritten.clear()
        return rows

    def kept(self) -> list[Path]:
        """Where all records of the collections that grow are, but for those that never change."""
        if not self._ours():
            return []
        return [
            (service, name, key)
            for service, names in KEPT.items()
            for name in names
            if name not in FORGETTABLE
            for key in getattr(self.backends[service], name)
        ]

    def missed(self, path: Path) -> bool:
        """Whether that record is not as it was written, though nobody said so; it is noted then."""
        collection = getattr(self.backends[path[0]], path[1])
        if path in self._changes.unwritten or path[2] not in collection:
            return False
        name = repr(path)
        if self._written.get(name) == hash(encode(path, collection[path[2]], self._changes.homes)):
            return False
        self._changes.note(path)
        return name not in self._read

    def _compare(self, rows: dict[str, bytes | None], path: Path, content: bytes) -> None:
        name, mark = repr(path), hash(content)
        if self._written.get(name) != mark:
            self._written[name] = mark
            self._read.discard(name)
            rows[name] = content

    def _ours(self) -> bool:
        """Whether the process still serves the cloud whose records these are."""
        return self._changes.homes.get(id(self.backends["ec2"])) == ("ec2",)

    def _other(self, service: str) -> Iterator[tuple[Path, bytes]]:
        """Services that moto answers alone: the whole of one, when it can be kept."""
        path: Path = ("other", service)
        try:
            yield path, encode(path, dict(_backend_of(service)[self._account]), self._changes.homes)
        except Exception as error:  # noqa: BLE001 - whatever pickle says of what it cannot keep
            log.debug("%s is not kept: %s", service, error)

    # Reading

    def load(self) -> None:
        """Restore what was written. Raises LocalCloudError, which names the cure, when it cannot be read."""
        rows = dict(self._store.rows())
        if rows:
            self._restore(rows)
        elif self._old.exists():
            self._migrate()

    def _restore(self, rows: dict[str, bytes]) -> None:
        backends = self.backends
        try:
            restored = decode(rows.values(), backends)
        except Exception as error:
            raise _unreadable(self._store.path, f"{type(error).__name__}: {error}") from error
        self._written = {name: hash(content) for name, content in rows.items()}
        self._read = set(rows)
        for (service, name), value in restored.attributes.items():
            if service in backends:
                setattr(backends[service], name, value)
            else:
                self._restore_other(name, value)
        for service, names in KEPT.items():
            backend = backends[service]
            for name in names:
                collection: Kept = getattr(backend, name)
                unhome(self._changes, [collection])
                entries = restored.entries.get((service, name), {})
                setattr(backend, name, type(collection)((service, name), self._changes, entries))
        for service, rest in self._rest.items():
            rest.adopt({path: record for path, record in restored.records.items() if path[0] == service})
        self._changes.unwritten.clear()
        self._useless = [repr(path) for path in restored.useless]
        for name in self._useless:
            self._written.pop(name, None)

    def _restore_other(self, service: str, backends: dict[str, Any]) -> None:
        try:
            _backend_of(service)[self._account].update(backends)
        except Exception:
            log.exception("the records of %s are not taken up", service)

    def _migrate(self) -> None:
        """Records as they were written before there were rows: one pickle of everything."""
        try:
            document = pickle.loads(self._old.read_bytes())  # noqa: S301 - our own file, in the user's own folder
            control = document["records"]
            for reservation in control["ec2"].reservations.values():
                for instance in reservation.instances:
                    instance.reservation_id = reservation.id
            ec2_backends[self._account][self._region] = control["ec2"]
            iam_backends[self._account][PARTITION] = control["iam"]
            sts_backends[self._account][PARTITION] = control["sts"]
        except Exception as error:
            raise _unreadable(self._old, f"{type(error).__name__}: {error}") from error
        self.adopt()
        log.info("the records of an earlier version are taken over")

    def migrated(self) -> None:
        """Everything is written as rows: what an earlier version left is of no use."""
        self._old.unlink(missing_ok=True)


def _is_kept(path: Path) -> bool:
    return len(path) == 3 and path[1] in KEPT.get(path[0], ())


def _unreadable(path: File, detail: str) -> LocalCloudError:
    return LocalCloudError(f"the local cloud's records in {path} cannot be read", context=detail, hint=_CURE)
