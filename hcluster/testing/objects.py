"""A bucket and the check-ins in it, in memory."""

from __future__ import annotations

import builtins
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hcluster.errors import ConflictError, IntegrityError, NotFoundError
from hcluster.model import names
from hcluster.model.node import CheckIn
from hcluster.ports import Clock, Sent, unheard
from hcluster.testing.probes import Probe, Probed, no_probe, probed

PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Object:
    body: bytes
    modified: float

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


class InMemoryObjectStore(Probed):
    """Implements ``hcluster.ports.ObjectStore``. ``foreign``: the bucket's name is somebody else's."""

    port = "store"

    def __init__(self, bucket: str, clock: Clock, *, foreign: bool = False, probe: Probe = no_probe) -> None:
        super().__init__(probe)
        self.bucket = bucket
        self.tags: dict[str, str] = {}
        self._clock = clock
        self._foreign = foreign
        self._exists = False
        self._objects: dict[str, _Object] = {}

    def endpoint(self) -> str:
        """URL of S3 as this adapter reaches it; nothing listens there."""
        return "http://s3.invalid"

    @probed
    def exists(self) -> bool:
        """Whether the bucket exists and may be read."""
        return self._exists

    @probed
    def ensure_bucket(self, tags: Mapping[str, str]) -> None:
        """Create or adopt the bucket. Raises ConflictError when it is somebody else's."""
        if self._foreign:
            raise ConflictError(f"bucket {self.bucket} belongs to another account")
        self._exists = True
        self.tags.update(tags)

    @probed
    def delete_bucket(self) -> None:
        """Delete every object and the bucket; gone already is no error."""
        self._exists = False
        self._objects.clear()
        self.tags.clear()

    @probed
    def get(self, key: str) -> tuple[bytes, str]:
        """(body, etag). Raises NotFoundError."""
        found = self._object(key)
        return found.body, found.etag

    @probed
    def stream(self, key: str) -> Iterator[bytes]:
        """The body of an object of any size, piece by piece; errors come when a piece is asked for."""
        return self._pieces(key)

    @probed
    def put(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str = "") -> str:
        """Write; returns the etag. With a condition that does not hold: ConflictError, nothing written."""
        self._demand_bucket()
        present = self._objects.get(key)
        if if_none_match and present is not None:
            raise ConflictError(f"s3://{self.bucket}/{key} exists already")
        if if_match and (present is None or present.etag != if_match):
            raise ConflictError(f"s3://{self.bucket}/{key} has changed or is gone")
        return self._write(key, body)

    @probed
    def put_file(self, key: str, path: str, sent: Sent = unheard) -> None:
        """Upload a file of any size."""
        file = Path(path)
        if not file.is_file():
            raise NotFoundError(f"no file {path} to upload to s3://{self.bucket}/{key}")
        self._demand_bucket()
        self._write(key, file.read_bytes())
        sent(file.stat().st_size)

    @probed
    def delete(self, key: str) -> None:
        """Gone already is no error."""
        self._demand_bucket()
        self._objects.pop(key, None)

    @probed
    def delete_prefix(self, prefix: str) -> int:
        """Delete all below a prefix; how many."""
        self._demand_bucket()
        keys = [key for key in self._objects if key.startswith(prefix)]
        for key in keys:
            del self._objects[key]
        return len(keys)

    @probed
    def list(self, prefix: str) -> Iterator[tuple[str, float]]:
        """(key, last modified in epoch seconds) of all below a prefix, in order."""
        self._demand_bucket()
        return iter(sorted((key, one.modified) for key, one in self._objects.items() if key.startswith(prefix)))

    @probed
    def folders(self, prefix: str) -> builtins.list[str]:
        """Names of the folders right below a prefix (which ends with a slash, or is ""), without what is in them."""
        self._demand_bucket()
        below = [key.removeprefix(prefix) for key in self._objects if key.startswith(prefix)]
        return sorted({key.split("/", 1)[0] for key in below if "/" in key})

    def read_as_node(self, key: str) -> bytes:
        """What a node reads. Raises NotFoundError."""
        return self._object(key).body

    def write_as_node(self, key: str, body: Mapping[str, object]) -> None:
        """What a node writes, past the probe: the caller's crash does not stop a node."""
        with self.lock:
            if self._exists:
                self._write(key, json.dumps(body).encode())

    def _pieces(self, key: str) -> Iterator[bytes]:
        with self.lock:
            body = self._object(key).body
        for start in range(0, len(body), PIECE_BYTES):
            yield body[start : start + PIECE_BYTES]

    def _write(self, key: str, body: bytes) -> str:
        self._objects[key] = made = _Object(body, self._clock.now())
        return made.etag

    def _demand_bucket(self) -> None:
        if not self._exists:
            raise NotFoundError(f"no bucket {self.bucket}")

    def _object(self, key: str) -> _Object:
        self._demand_bucket()
        found = self._objects.get(key)
        if found is None:
            raise NotFoundError(f"no s3://{self.bucket}/{key}")
        return found


class InMemoryCheckIns(Probed):
    """Implements ``hcluster.ports.CheckIns`` over the fake bucket."""

    port = "checkins"

    def __init__(self, store: InMemoryObjectStore, *, probe: Probe = no_probe) -> None:
        super().__init__(probe)
        self._store = store

    @probed
    def listed(self, cluster: str) -> dict[str, dict[str, CheckIn]]:
        """By instance and phase, without bodies."""
        found: dict[str, dict[str, CheckIn]] = {}
        prefix = names.checkins_prefix(cluster)
        for key, modified in self._store.list(prefix):
            parts = key.removeprefix(prefix).split("/")
            if len(parts) == 2 and all(parts):
                instance, phase = parts
                found.setdefault(instance, {})[phase] = CheckIn(instance, phase, datetime.fromtimestamp(modified, UTC))
        return found

    @probed
    def read(self, cluster: str, instance: str, phase: str) -> CheckIn:
        """With its body. Raises NotFoundError, and IntegrityError when it is not a JSON object."""
        key = names.checkin_key(cluster, instance, phase)
        listed = dict(self._store.list(key))
        if key not in listed:
            raise NotFoundError(f"{instance} of cluster {cluster} has not checked in as {phase}")
        try:
            body = json.loads(self._store.get(key)[0])
        except ValueError as cause:
            raise IntegrityError(f"{key} is not JSON", context=str(cause)) from cause
        if not isinstance(body, dict):
            raise IntegrityError(f"{key} is not a JSON object")
        return CheckIn(instance, phase, datetime.fromtimestamp(listed[key], UTC), body)
