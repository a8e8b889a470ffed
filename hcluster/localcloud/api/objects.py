"""S3's objects as files: written through when they arrive, read in pieces, joined and copied outside of memory.

Moto keeps an object's bytes in a buffer that lives with its record. Here the record knows a file below
``records/objects``; files never change, so copies share them by hard link, and a reader that opened one is not
disturbed by its deletion.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import shutil
import threading
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, overload

from moto.s3.exceptions import EntityTooSmall, InvalidPart, MalformedXML
from moto.settings import S3_UPLOAD_PART_MIN_SIZE

from hcluster.localcloud.api.parts import FakeKey, FakeMultipart, S3Backend, s3_backends

_CHUNK = 1 << 18
_COPY = 1 << 22


class FileSlice:
    """Bytes of a file, [start, end): sized, sliced and iterated like bytes, never read as a whole unless asked.

    The file is opened at once, so that the slice survives its deletion.
    """

    def __init__(self, path: Path, start: int, end: int, descriptor: int = -1) -> None:
        self.path, self.start, self.end = path, start, end
        self._descriptor = os.dup(descriptor) if descriptor >= 0 else os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __len__(self) -> int:
        return self.end - self.start

    @overload
    def __getitem__(self, index: int) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> FileSlice: ...

    def __getitem__(self, index: int | slice) -> int | FileSlice:
        if isinstance(index, int):
            return os.pread(self._descriptor, 1, self.start + range(len(self))[index])[0]
        first, last, step = index.indices(len(self))
        if step != 1:
            raise ValueError(step)
        return FileSlice(self.path, self.start + first, self.start + max(first, last), self._descriptor)

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks(_CHUNK)

    def chunks(self, size: int) -> Iterator[bytes]:
        """The bytes, ``size`` at a time."""
        position = self.start
        while position < self.end:
            chunk = os.pread(self._descriptor, min(size, self.end - position), position)
            if not chunk:
                raise OSError(f"{self.path} is shorter than its record says")
            yield chunk
            position += len(chunk)

    def decode(self, encoding: str = "utf-8") -> str:
        """All of it as text, for moto's own uses."""
        return b"".join(self).decode(encoding)

    def close(self) -> None:
        """Give the file back; repeatable."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


class Joined:
    """Parts that become one object."""

    def __init__(self, parts: Iterable[StoredKey]) -> None:
        self.parts = list(parts)

    def __len__(self) -> int:
        return sum(part.contentsize for part in self.parts)


class ObjectBackend(S3Backend):  # type: ignore[misc]
    """S3's records; ``folder`` holds the objects' files."""

    def __init__(self, region_name: str, account_id: str, folder: Path) -> None:
        super().__init__(region_name, account_id)
        self.folder = folder

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "folder"}

    @property
    def _url_module(self) -> Any:
        from moto.s3 import urls

        return urls

    def new_file(self) -> Path:
        """A path for a new object; 256 folders, so that none grows huge."""
        name = uuid.uuid4().hex
        path = self.folder / name[:2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def delete_object(
        self, bucket_name: str, key_name: str, version_id: str | None = None, bypass: object = None
    ) -> tuple[bool, dict[str, Any]]:
        """Remove the record, then the files that no record has any more."""
        before = self._stored(bucket_name, key_name)
        result = super().delete_object(bucket_name, key_name, version_id, bypass)
        after = {id(key) for key in self._stored(bucket_name, key_name)}
        for key in before:
            if id(key) not in after:
                key.dispose()
        return result  # type: ignore[no-any-return]

    def complete_multipart_upload(self, bucket_name: str, multipart_id: str, body: Any) -> Any:
        """Join the parts; those that the caller left out go."""
        multipart = self.get_bucket(bucket_name).multiparts.get(multipart_id)
        key = super().complete_multipart_upload(bucket_name, multipart_id, body)
        if multipart is not None and key is not None:
            multipart.finish()
        return key

    def copy_object(
        self, src_key: StoredKey, dest_bucket_name: str, dest_key_name: str, *args: Any, **kwargs: Any
    ) -> None:
        """A copy is one object: a checksum of the source's parts is not its own."""
        super().copy_object(src_key, dest_bucket_name, dest_key_name, *args, **kwargs)
        copied = self.get_bucket(dest_bucket_name).keys[dest_key_name]
        if getattr(src_key, "checksum_type", None) == "COMPOSITE":
            copied.checksum_algorithm = copied.checksum_value = None

    def delete_bucket(self, bucket_name: str) -> Any:
        """Unfinished uploads do not keep a bucket."""
        uploads = list(self.get_bucket(bucket_name).multiparts.values())
        bucket = super().delete_bucket(bucket_name)
        if bucket is not None:
            for upload in uploads:
                upload.dispose()
        return bucket

    def _stored(self, bucket_name: str, key_name: str) -> list[StoredKey]:
        versions = self.get_bucket(bucket_name).keys.getlist(key_name, [])
        return [key for key in versions if isinstance(key, StoredKey)]

    def files(self) -> set[str]:
        """Names of all files that a record has."""
        found: set[str] = set()
        for bucket in self.buckets.values():
            for _, versions in bucket.keys.iterlists():
                found.update(key.file for key in versions if isinstance(key, StoredKey))
            for upload in bucket.multiparts.values():
                found.update(part.file for part in upload.parts.values())
        return found

    def sweep(self) -> int:
        """Remove files that no record has (a crash between file and record leaves them); how many."""
        known, removed = self.files(), 0
        for path in self.folder.glob("??/*"):
            if path.name not in known:
                path.unlink(missing_ok=True)
                removed += 1
        return removed


class StoredKey(FakeKey):  # type: ignore[misc]
    """The record of an object, or of an upload's part, whose bytes are a file."""

    file = ""
    disposed: bool
    _etag: str | None
    _value_buffer: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._value_buffer.close()
        self._value_buffer = None

    @property
    def _path(self) -> Path:
        folder: Path = s3_backends[self.account_id][self.partition_name].folder
        return folder / self.file[:2] / self.file

    @property
    def partition_name(self) -> str:
        """Moto's S3 has one backend per partition."""
        return str(self.partition)

    @property
    def value(self) -> Any:
        """The bytes, as a slice of the file."""
        return FileSlice(self._path, 0, self.contentsize)

    @value.setter
    def value(self, content: Any) -> None:
        backend = s3_backends[self.account_id][self.partition_name]
        path: Path = backend.new_file()
        digest = hashlib.md5(usedforsecurity=False)
        try:
            size = _write(path, content, digest)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self.contentsize = size
        self.file = path.name
        if self._etag is None:
            self._etag = digest.hexdigest()

    @property
    def etag(self) -> str:
        """In quotes."""
        return f'"{self._etag}"'

    def dispose(self, garbage: object = None) -> None:
        """Remove the file; a record that is merely collected keeps it."""
        if garbage or self.disposed or not self.file:
            return
        self._path.unlink(missing_ok=True)
        self.disposed = True

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.lock = threading.Lock()


class StoredMultipart(FakeMultipart):  # type: ignore[misc]
    """An upload in parts, each of them a file."""

    parts: dict[int, StoredKey]
    chosen: tuple[int, ...] = ()
    """Numbers of the parts that the caller completes the upload with; () before that."""

    def complete(self, body: Iterable[tuple[int, str]]) -> tuple[Joined, str, tuple[str, str, int] | None]:
        """The parts in order, the ETag of the whole, and (type, value, parts) of its checksum when it has one.

        Raises InvalidPart, EntityTooSmall or MalformedXML.
        """
        chosen: list[StoredKey] = []
        for number, etag in body:
            part = self.parts.get(number)
            if part is None or part.etag.strip('"') != etag.strip('"'):
                raise InvalidPart
            if chosen and chosen[-1].contentsize < S3_UPLOAD_PART_MIN_SIZE:
                raise EntityTooSmall
            chosen.append(part)
        if not chosen:
            raise MalformedXML
        self.chosen = tuple(number for number, part in sorted(self.parts.items()) if any(part is c for c in chosen))
        digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in chosen)
        whole = hashlib.md5(digests, usedforsecurity=False).hexdigest()
        return Joined(chosen), f"{whole}-{len(chosen)}", self._checksum(chosen)

    def _checksum(self, parts: list[StoredKey]) -> tuple[str, str, int] | None:
        algorithm = self.metadata.get("x-amz-checksum-algorithm")
        if not algorithm or algorithm not in _SUMS:
            return None
        if (self.metadata.get("x-amz-checksum-type") or "COMPOSITE") == "COMPOSITE":
            sums = b"".join(_sum(part.value, algorithm) for part in parts)
            return "COMPOSITE", base64.b64encode(_sum([sums], algorithm)).decode(), len(parts)
        chunks = (chunk for part in parts for chunk in part.value)
        return "FULL_OBJECT", base64.b64encode(_sum(chunks, algorithm)).decode(), 1

    def finish(self) -> None:
        """The parts became an object: only their sizes are still asked for (HeadObject by part number)."""
        for part in self.parts.values():
            part.dispose()
        self.partlist = list(self.chosen)
        self.parts = {number: self.parts[number] for number in self.partlist}

    def dispose(self) -> None:
        """Remove the files of an abandoned upload. Moto disposes of finished ones, too, before it joined them."""
        if not self.chosen:
            for part in self.parts.values():
                part.dispose()


_SUMS = ("CRC32", "SHA1", "SHA256")


def _sum(chunks: Iterable[bytes], algorithm: str) -> bytes:
    if algorithm in ("SHA1", "SHA256"):
        digest = hashlib.new(algorithm.lower(), usedforsecurity=False)
        for chunk in chunks:
            digest.update(chunk)
        return digest.digest()
    # CRC32; moto answers so for CRC32C and CRC64NVME, too, when their libraries are absent.
    value = 0
    for chunk in chunks:
        value = binascii.crc32(chunk, value)
    return value.to_bytes(4, "big")


def compute_checksum(body: Any, algorithm: str, encode_base64: object = 1) -> bytes:
    """Moto's function of this name, for bytes and for slices of files."""
    result = _sum(body if isinstance(body, FileSlice) else [bytes(body)], algorithm)
    return base64.b64encode(result) if encode_base64 else result


def _write(path: Path, content: Any, digest: Any) -> int:
    """Make the file; its size. The digest is fed unless the caller has an ETag already (joined parts)."""
    if isinstance(content, FileSlice):
        for chunk in content.chunks(_COPY):
            digest.update(chunk)
        if content.start == 0 and content.end == content.path.stat().st_size:
            os.link(content.path, path)
            return len(content)
        with path.open("xb") as out:
            out.writelines(content.chunks(_COPY))
        return len(content)
    if isinstance(content, Joined):
        with path.open("xb") as out:
            for part in content.parts:
                with part._path.open("rb") as source:  # noqa: SLF001 - the same module's
                    shutil.copyfileobj(source, out, _COPY)
        return len(content)
    data = content.encode() if isinstance(content, str) else bytes(content)
    digest.update(data)
    with path.open("xb") as out:
        out.write(data)
    return len(data)
