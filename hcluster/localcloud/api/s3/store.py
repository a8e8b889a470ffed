"""Versions of objects, uploads and buckets as values, and the statements that read and write them."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hcluster.localcloud.api.s3.database import Database
from hcluster.localcloud.api.s3.files import FileStore
from hcluster.localcloud.api.s3.problem import problem

NULL = "null"
"""Id of the version that a bucket without versioning keeps."""
_COLUMNS = "id, bucket, key, version, latest, marker, size, etag, modified, files, headers, tags, sums, storage, parts"


@dataclass(slots=True)
class Version:
    """One version of an object, or a delete marker."""

    bucket: str
    key: str
    version: str
    size: int = 0
    etag: str = ""
    """Without quotes."""
    modified: float = 0.0
    files: list[tuple[str, int]] = field(default_factory=list)
    """(name, size) in order; each part of an upload stays a file of its own."""
    headers: dict[str, str] = field(default_factory=dict)
    """What is told with the object as it was told to us: its type, its user's metadata, its encryption."""
    tags: dict[str, str] = field(default_factory=dict)
    sums: dict[str, str] = field(default_factory=dict)
    """"algorithm", "type" and "value" of the checksum, or nothing."""
    storage: str = "STANDARD"
    parts: list[int] = field(default_factory=list)
    """Sizes of the parts that it was uploaded in."""
    marker: bool = False
    latest: bool = True
    id: int = 0

    @property
    def names(self) -> list[str]:
        """Names of its files."""
        return [name for name, _ in self.files]


def version_of(row: Sequence[Any]) -> Version:
    """The value of a row of ``_COLUMNS``."""
    return Version(
        id=row[0],
        bucket=row[1],
        key=row[2],
        version=row[3],
        latest=bool(row[4]),
        marker=bool(row[5]),
        size=row[6],
        etag=row[7],
        modified=row[8],
        files=[(name, size) for name, size in json.loads(row[9])],
        headers=json.loads(row[10]),
        tags=json.loads(row[11]),
        sums=json.loads(row[12]),
        storage=row[13],
        parts=json.loads(row[14]),
    )


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket."""

    name: str
    account: str
    region: str
    created: float
    versioning: str
    """"", "Enabled" or "Suspended"."""


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload in parts that is under way."""

    id: str
    bucket: str
    key: str
    started: float
    headers: Mapping[str, str]
    tags: Mapping[str, str]
    storage: str
    algorithm: str
    """Of its checksum, or ""."""
    kind: str
    """COMPOSITE or FULL_OBJECT, or ""."""


class Store:
    """Everything that S3 keeps: records and files of one cloud."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        """``folder``: the cloud's records. ``now``: the API's clock."""
        self.database = Database(folder / "objects.sqlite")
        self.files = FileStore(folder / "objects")
        self.now = now

    def bucket(self, name: str, account: str) -> Bucket:
        """Raises NoSuchBucket, or AccessDenied for another account's."""
        row = self.database.row("select name, account, region, created, versioning from buckets where name=?", (name,))
        if row is None:
            raise problem("NoSuchBucket", BucketName=name)
        if row[1] != account:
            raise problem("AccessDenied")
        return Bucket(*row)

    def bucket_and_policy(self, name: str) -> tuple[Bucket | None, str]:
        """A bucket of any account, None when there is none, and its policy (JSON) or ""."""
        row = self.database.row(
            "select name, account, region, created, versioning, document from buckets"
            " left join settings on bucket=name and kind='policy' where name=?",
            (name,),
        )
        return (None, "") if row is None else (Bucket(*row[:5]), row[5] or "")

    def setting(self, bucket: str, kind: str) -> str | None:
        """A bucket's configuration document, None when it has none."""
        row = self.database.row("select document from settings where bucket=? and kind=?", (bucket, kind))
        return None if row is None else str(row[0])

    def current(self, bucket: str, key: str) -> Version | None:
        """The latest version, be it a delete marker."""
        with self.database.read() as connection:
            return current(connection, bucket, key)

    def version(self, bucket: str, key: str, version: str) -> Version | None:
        """The version with that id."""
        with self.database.read() as connection:
            return one_version(connection, bucket, key, version)

    def upload(self, bucket: str, key: str, upload: str) -> Upload:
        """Raises NoSuchUpload."""
        with self.database.read() as connection:
            return one_upload(connection, bucket, key, upload)


def current(connection: sqlite3.Connection, bucket: str, key: str) -> Version | None:
    """The latest version, be it a delete marker."""
    row = connection.execute(
        f"select {_COLUMNS} from versions where bucket=? and key=? and latest=1",  # noqa: S608 - a constant
        (bucket, key),
    ).fetchone()
    return None if row is None else version_of(row)


def one_version(connection: sqlite3.Connection, bucket: str, key: str, version: str) -> Version | None:
    """The version with that id."""
    row = connection.execute(
        f"select {_COLUMNS} from versions where bucket=? and key=? and version=?",  # noqa: S608 - a constant
        (bucket, key, version),
    ).fetchone()
    return None if row is None else version_of(row)


def one_upload(connection: sqlite3.Connection, bucket: str, key: str, upload: str) -> Upload:
    """Raises NoSuchUpload."""
    row = connection.execute(
        "select id, bucket, key, started, headers, tags, storage, algorithm, kind from uploads where id=?", (upload,)
    ).fetchone()
    if row is None or (row[1], row[2]) != (bucket, key):
        raise problem("NoSuchUpload", UploadId=upload)
    return Upload(row[0], row[1], row[2], row[3], json.loads(row[4]), json.loads(row[5]), row[6], row[7], row[8])


def versioning(connection: sqlite3.Connection, bucket: str) -> str:
    """Of a bucket, within the transaction that writes to it. Raises NoSuchBucket when it was deleted meanwhile."""
    row = connection.execute("select versioning from buckets where name=?", (bucket,)).fetchone()
    if row is None:
        raise problem("NoSuchBucket", BucketName=bucket)
    return str(row[0])


def put_version(connection: sqlite3.Connection, made: Version, mode: str) -> list[str]:
    """Make ``made`` the latest version, in the place of its predecessor unless versioning (``mode``) keeps that.

    Gives ``made`` its version id; the names of files that no record has any more.
    """
    gone: list[str] = []
    made.version = _new_id() if mode == "Enabled" else NULL
    if made.version == NULL:
        row = connection.execute(
            "select id, files from versions where bucket=? and key=? and version=?", (made.bucket, made.key, NULL)
        ).fetchone()
        if row is not None:
            gone = [name for name, _ in json.loads(row[1])]
            connection.execute("delete from versions where id=?", (row[0],))
    if mode:
        connection.execute(
            "update versions set latest=0 where bucket=? and key=? and latest=1", (made.bucket, made.key)
        )
    connection.execute(
        "insert into versions(bucket, key, version, latest, marker, size, etag, modified, files, headers, tags, sums,"
        " storage, parts) values(?,?,?,1,?,?,?,?,?,?,?,?,?,?)",
        (
            made.bucket,
            made.key,
            made.version,
            int(made.marker),
            made.size,
            made.etag,
            made.modified,
            json.dumps(made.files),
            json.dumps(made.headers),
            json.dumps(made.tags),
            json.dumps(made.sums),
            made.storage,
            json.dumps(made.parts),
        ),
    )
    return gone


def drop_version(connection: sqlite3.Connection, gone: Version) -> list[str]:
    """Remove one version for good; the one before it is the latest again. The names of its files."""
    connection.execute("delete from versions where id=?", (gone.id,))
    if gone.latest:
        connection.execute(
            "update versions set latest=1 where id=(select max(id) from versions where bucket=? and key=?)",
            (gone.bucket, gone.key),
        )
    return gone.names


def _new_id() -> str:
    return secrets.token_urlsafe(24).replace("-", "x").replace("_", "y")
