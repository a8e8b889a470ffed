"""Uploads in parts: each part is a file, and stays one when the object is made of them.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hcluster.localcloud.api.s3 import checksums, conditions, tags
from hcluster.localcloud.api.s3.answer import Answer, regions
from hcluster.localcloud.api.s3.body import MAX_PUT, announced, receive
from hcluster.localcloud.api.s3.context import Context, read_document
from hcluster.localcloud.api.s3.copying import copied_version
from hcluster.localcloud.api.s3.documents import document, iso, parsed, required, tag, text_of, truth
from hcluster.localcloud.api.s3.encryption import encryption_headers
from hcluster.localcloud.api.s3.files import disk_problem
from hcluster.localcloud.api.s3.objects import (
    TRIES,
    check_condition,
    check_target,
    check_written,
    kept_headers,
    shown_encryption,
    shown_version,
    sums_of,
)
from hcluster.localcloud.api.s3.problem import problem
from hcluster.localcloud.api.s3.request import Request
from hcluster.localcloud.api.s3.store import NULL, Upload, Version, one_upload, put_version, versioning

LEAST_PART = 5 << 20
"""Bytes of every part but the last."""
MOST_PARTS = 10_000
_NUMBER = re.compile(r"[1-9][0-9]{0,4}")


@dataclass(frozen=True, slots=True)
class _Part:
    number: int
    size: int
    etag: str
    modified: float
    file: str
    sum: str


def create_upload(cloud: Context, ask: Request) -> Answer:
    """CreateMultipartUpload."""
    bucket = check_target(cloud, ask)
    algorithm = ask.headers.get("x-amz-checksum-algorithm", "").upper()
    if algorithm and algorithm not in checksums.ALGORITHMS:
        raise problem(
            "InvalidRequest", "Checksum algorithm provided is unsupported. Please try again with any of the valid types"
        )
    kind = ask.headers.get("x-amz-checksum-type", "").upper()
    if kind and not algorithm:
        raise problem(
            "InvalidRequest",
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
        )
    kind = kind or (checksums.default_type(algorithm) if algorithm else "")
    if algorithm and not checksums.may_be(algorithm, kind):
        raise problem(
            "InvalidRequest",
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm.",
        )
    made = Upload(
        secrets.token_urlsafe(48).replace("-", "x"),
        ask.bucket,
        ask.key,
        cloud.store.now(),
        kept_headers(ask.headers) | encryption_headers(cloud.store, bucket.name, ask.headers),
        tags.from_header(ask.headers.get("x-amz-tagging", "")),
        ask.headers.get("x-amz-storage-class", "STANDARD"),
        algorithm,
        kind,
    )
    with cloud.store.database.write() as connection:
        versioning(connection, ask.bucket)
        connection.execute(
            "insert into uploads values(?,?,?,?,?,?,?,?,?)",
            (
                made.id,
                made.bucket,
                made.key,
                made.started,
                json.dumps(made.headers),
                json.dumps(made.tags),
                made.storage,
                made.algorithm,
                made.kind,
            ),
        )
    headers = {name: value for name, value in made.headers.items() if name.startswith("x-amz-server-side-encryption")}
    if algorithm:
        headers |= {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind}
    inner = tag("Bucket", made.bucket) + tag("Key", made.key) + tag("UploadId", made.id)
    return Answer.xml(document("InitiateMultipartUploadResult", inner), headers)


def _part_number(ask: Request) -> int:
    number = ask.query.get("partNumber", "")
    if not _NUMBER.fullmatch(number) or int(number) > MOST_PARTS:
        raise problem(
            "InvalidArgument",
            "Part number must be an integer between 1 and 10000, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=number,
        )
    return int(number)


def upload_part(cloud: Context, ask: Request) -> Answer:
    """UploadPart: as PutObject, for a part."""
    cloud.bucket(ask)
    number = _part_number(ask)
    check_written(ask.headers)
    said = announced(ask.headers)
    upload = cloud.store.upload(ask.bucket, ask.key, ask.query["uploadId"])
    if upload.algorithm and said.algorithm and said.algorithm != upload.algorithm:
        raise problem(
            "InvalidRequest",
            f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm.lower()}, "
            f"actual checksum Type: {said.algorithm.lower()}",
        )
    with cloud.store.files.create() as file:
        received = receive(ask.source, said, ask.signer, file.write, also=upload.algorithm)
        value = checksums.encoded(received.sums[upload.algorithm]) if upload.algorithm else ""
        part = _Part(number, received.size, received.md5.hex(), cloud.store.now(), file.name, value)
        _record(cloud, ask, part)
        file.keep()
    headers = {"ETag": f'"{part.etag}"'} | _encryption(upload.headers)
    if received.algorithm:
        headers[checksums.HEADERS[received.algorithm]] = checksums.encoded(received.checksum)
    return Answer(200, headers)


def upload_part_copy(cloud: Context, ask: Request) -> Answer:
    """UploadPartCopy: a part from an object that is there already."""
    cloud.bucket(ask)
    number = _part_number(ask)
    upload = cloud.store.upload(ask.bucket, ask.key, ask.query["uploadId"])
    for _ in range(TRIES):
        source = copied_version(cloud, ask)
        try:
            return _copied_part(cloud, ask, upload, number, source)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise disk_problem(error) from error
    raise problem("InternalError", "The source of the copy is gone.")


def _copied_part(cloud: Context, ask: Request, upload: Upload, number: int, source: Version) -> Answer:
    wanted = ask.headers.get("x-amz-copy-source-range")
    start, length = conditions.copy_range(wanted, source.size) if wanted else (0, source.size)
    if length > MAX_PUT:
        raise problem("InvalidRequest", f"The specified copy source is larger than the maximum part size: {MAX_PUT}")
    sums = checksums.Sums([upload.algorithm] if upload.algorithm else [])
    with cloud.store.files.create() as file:

        def take(piece: bytes) -> None:
            sums.update(piece)
            file.write(piece)

        cloud.store.files.feed(regions(source, start, length), take)
        value = checksums.encoded(sums.value(upload.algorithm)) if upload.algorithm else ""
        part = _Part(number, sums.size, sums.md5.hex(), cloud.store.now(), file.name, value)
        _record(cloud, ask, part)
        file.keep()
    inner = tag("LastModified", iso(part.modified)) + tag("ETag", f'"{part.etag}"')
    if value:
        inner += tag(f"Checksum{upload.algorithm}", value)
    headers = _encryption(upload.headers)
    if source.version != NULL:
        headers["x-amz-copy-source-version-id"] = source.version
    return Answer.xml(document("CopyPartResult", inner), headers)


def _record(cloud: Context, ask: Request, part: _Part) -> None:
    upload = ask.query["uploadId"]
    with cloud.store.database.write() as connection:
        one_upload(connection, ask.bucket, ask.key, upload)
        before = connection.execute(
            "select file from parts where upload=? and number=?", (upload, part.number)
        ).fetchone()
        connection.execute(
            "insert or replace into parts values(?,?,?,?,?,?,?)",
            (upload, part.number, part.size, part.etag, part.modified, part.file, part.sum),
        )
    if before is not None:
        cloud.store.files.remove([before[0]])


def _encryption(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("x-amz-server-side-encryption")}


def _parts(connection: sqlite3.Connection, upload: str, after: int = 0, most: int = -1) -> list[_Part]:
    found = connection.execute(
        "select number, size, etag, modified, file, sum from parts where upload=? and number>? order by number limit ?",
        (upload, after, most),
    )
    return [_Part(*row) for row in found]


def complete_upload(cloud: Context, ask: Request) -> Answer:
    """CompleteMultipartUpload: the parts become an object without moving a byte. It can be repeated."""
    cloud.bucket(ask)
    identity = ask.query["uploadId"]
    wanted = _wanted(read_document(ask))
    with cloud.store.database.write() as connection:
        mode = versioning(connection, ask.bucket)
        done = connection.execute(
            "select version, etag from completed where upload=? and bucket=? and key=?", (identity, ask.bucket, ask.key)
        ).fetchone()
        if done is not None:
            return _completed(cloud, ask, Version(ask.bucket, ask.key, done[0], etag=done[1]))
        upload = one_upload(connection, ask.bucket, ask.key, identity)
        check_condition(connection, ask)
        parts = _parts(connection, identity)
        chosen = _chosen(upload, wanted, {part.number: part for part in parts})
        made = _object(cloud, ask, upload, chosen)
        gone = put_version(connection, made, mode)
        _forget(connection, identity)
        connection.execute(
            "insert into completed values(?,?,?,?,?,?)",
            (identity, made.bucket, made.key, made.version, made.etag, made.modified),
        )
    used = {part.file for part in chosen}
    cloud.store.files.remove([*gone, *(part.file for part in parts if part.file not in used)])
    return _completed(cloud, ask, made)


def _completed(cloud: Context, ask: Request, made: Version) -> Answer:
    inner = (
        tag("Location", f"https://{ask.bucket}.s3.{cloud.region}.amazonaws.com/{ask.key}")
        + tag("Bucket", ask.bucket)
        + tag("Key", ask.key)
        + tag("ETag", f'"{made.etag}"')
    )
    if made.sums:
        inner += tag("Checksum" + made.sums["algorithm"], made.sums["value"]) + tag("ChecksumType", made.sums["type"])
    return Answer.xml(document("CompleteMultipartUploadResult", inner), shown_encryption(made) | shown_version(made))


def _wanted(body: bytes) -> list[tuple[int, str, dict[str, str]]]:
    """(number, ETag, checksums) of each part that the caller names. Raises MalformedXML or InvalidPartOrder."""
    found: list[tuple[int, str, dict[str, str]]] = []
    for one in parsed(body, "CompleteMultipartUpload").findall("Part"):
        number = required(one, "PartNumber")
        if not _NUMBER.fullmatch(number):
            raise problem("MalformedXML")
        if found and int(number) <= found[-1][0]:
            raise problem("InvalidPartOrder")
        sums = {name: text for name in checksums.ALGORITHMS if (text := text_of(one, f"Checksum{name}"))}
        found.append((int(number), conditions.bare(required(one, "ETag")), sums))
    if not found or len(found) > MOST_PARTS:
        raise problem("MalformedXML")
    return found


def _chosen(upload: Upload, wanted: list[tuple[int, str, dict[str, str]]], parts: dict[int, _Part]) -> list[_Part]:
    chosen: list[_Part] = []
    for number, etag, sums in wanted:
        part = parts.get(number)
        if part is None or part.etag != etag or any(value != part.sum for value in sums.values()):
            raise problem("InvalidPart", UploadId=upload.id, PartNumber=str(number), ETag=etag)
        if chosen and chosen[-1].size < LEAST_PART:
            small = chosen[-1]
            raise problem(
                "EntityTooSmall",
                ProposedSize=str(small.size),
                MinSizeAllowed=str(LEAST_PART),
                PartNumber=str(small.number),
                ETag=small.etag,
            )
        chosen.append(part)
    return chosen


def _object(cloud: Context, ask: Request, upload: Upload, chosen: list[_Part]) -> Version:
    size = sum(part.size for part in chosen)
    expected = ask.headers.get("x-amz-mp-object-size")
    if expected is not None and expected != str(size):
        raise problem(
            "InvalidRequest",
            f"The provided 'x-amz-mp-object-size' header value {expected} does not match what was computed: {size}",
        )
    digests = b"".join(bytes.fromhex(part.etag) for part in chosen)
    whole = hashlib.md5(digests, usedforsecurity=False).hexdigest()
    return Version(
        upload.bucket,
        upload.key,
        NULL,
        size=size,
        etag=f"{whole}-{len(chosen)}",
        # S3 dates an object by the beginning of its upload.
        modified=cloud.store.now(),
        files=[(part.file, part.size) for part in chosen],
        headers=dict(upload.headers),
        tags=dict(upload.tags),
        sums=_sums(ask, upload, chosen),
        storage=upload.storage,
        parts=[part.size for part in chosen],
    )


def _sums(ask: Request, upload: Upload, chosen: list[_Part]) -> dict[str, str]:
    """The checksum of the whole, of those of its parts. Raises BadDigest when the caller expects another."""
    if not upload.algorithm:
        return {}
    values = [checksums.decoded(upload.algorithm, part.sum) or b"" for part in chosen]
    if upload.kind == checksums.COMPOSITE:
        digest = checksums.digest_of(upload.algorithm)
        digest.update(b"".join(values))
        value = f"{checksums.encoded(digest.digest())}-{len(chosen)}"
    else:
        sizes = [part.size for part in chosen]
        value = checksums.encoded(checksums.joined_crc(upload.algorithm, zip(values, sizes, strict=True)))
    expected = ask.headers.get(checksums.HEADERS[upload.algorithm])
    if expected is not None and expected != value and expected != value.rpartition("-")[0]:
        raise problem("BadDigest", f"The {upload.algorithm} you specified did not match the calculated checksum.")
    return sums_of(upload.algorithm, upload.kind, value)


def _forget(connection: sqlite3.Connection, upload: str) -> None:
    connection.execute("delete from parts where upload=?", (upload,))
    connection.execute("delete from uploads where id=?", (upload,))


def abort_upload(cloud: Context, ask: Request) -> Answer:
    """AbortMultipartUpload."""
    cloud.bucket(ask)
    drop_upload(cloud, ask.bucket, ask.key, ask.query["uploadId"])
    return Answer(204)


def drop_upload(cloud: Context, bucket: str, key: str, upload: str) -> None:
    """End an upload and remove its parts. Raises NoSuchUpload."""
    with cloud.store.database.write(frees=True) as connection:
        one_upload(connection, bucket, key, upload)
        gone = [part.file for part in _parts(connection, upload)]
        _forget(connection, upload)
    cloud.store.files.remove(gone)
    cloud.store.database.after_freeing()


def list_parts(cloud: Context, ask: Request) -> Answer:
    """ListParts."""
    cloud.bucket(ask)
    most, after = number_of(ask, "max-parts", 1000), number_of(ask, "part-number-marker", 0, MOST_PARTS)
    with cloud.store.database.read() as connection:
        upload = one_upload(connection, ask.bucket, ask.key, ask.query["uploadId"])
        parts = _parts(connection, upload.id, after, most + 1)
    more, parts = len(parts) > most, parts[:most]
    inner = "".join(
        (
            tag("Bucket", upload.bucket),
            tag("Key", upload.key),
            tag("UploadId", upload.id),
            tag("PartNumberMarker", after),
            tag("NextPartNumberMarker", parts[-1].number) if parts else "",
            tag("MaxParts", most),
            tag("IsTruncated", truth(more)),
            tag("ChecksumAlgorithm", upload.algorithm) + tag("ChecksumType", upload.kind) if upload.algorithm else "",
            *(_part_xml(part, upload.algorithm) for part in parts),
            f"<Initiator>{tag('ID', cloud.account)}</Initiator><Owner>{tag('ID', cloud.account)}</Owner>",
            tag("StorageClass", upload.storage),
        )
    )
    return Answer.xml(document("ListPartsResult", inner))


def _part_xml(part: _Part, algorithm: str) -> str:
    inner = (
        tag("PartNumber", part.number)
        + tag("LastModified", iso(part.modified))
        + tag("ETag", f'"{part.etag}"')
        + tag("Size", part.size)
    )
    return f"<Part>{inner}{tag(f'Checksum{algorithm}', part.sum) if algorithm else ''}</Part>"


def number_of(ask: Request, name: str, default: int, most: int = 1000) -> int:
    """A number of the query, ``most`` at most. Raises InvalidArgument."""
    text: Any = ask.query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) > 2**31 - 1:
        raise problem(
            "InvalidArgument",
            f"Provided {name} not an integer or within integer range",
            ArgumentName=name,
            ArgumentValue=text,
        )
    return min(int(text), most)
