"""Operations on objects: put, get, head, delete, copy, their tags and attributes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from hcluster.localcloud.api.s3 import checksums, conditions, names, tags
from hcluster.localcloud.api.s3.answer import Answer, FileBody, regions
from hcluster.localcloud.api.s3.body import announced, receive
from hcluster.localcloud.api.s3.context import Context, read_document
from hcluster.localcloud.api.s3.documents import document, http_date, tag
from hcluster.localcloud.api.s3.encryption import encryption_headers
from hcluster.localcloud.api.s3.files import disk_problem
from hcluster.localcloud.api.s3.problem import problem
from hcluster.localcloud.api.s3.request import Request
from hcluster.localcloud.api.s3.store import (
    NULL,
    Bucket,
    Version,
    current,
    drop_version,
    one_version,
    put_version,
    versioning,
)

_KEPT = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-amz-website-redirect-location",
)
_SHOWN = {
    "content-type": "Content-Type",
    "cache-control": "Cache-Control",
    "content-disposition": "Content-Disposition",
    "content-encoding": "Content-Encoding",
    "content-language": "Content-Language",
    "expires": "Expires",
}
_METADATA = "x-amz-meta-"
_MOST_METADATA = 2048
_UNSUPPORTED = (
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold",
    "x-amz-write-offset-bytes",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write-acp",
)
TRIES = 5
"""Looks at a record whose file was replaced meanwhile."""


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """What is stored with an object. Raises MetadataTooLarge."""
    found = {name: headers[name] for name in _KEPT if headers.get(name)}
    if "aws-chunked" in found.get("content-encoding", ""):
        # It says how the body was sent, not what it is.
        rest = [one.strip() for one in found["content-encoding"].split(",") if one.strip() != "aws-chunked"]
        if rest:
            found["content-encoding"] = ",".join(rest)
        else:
            del found["content-encoding"]
    metadata = {name: value for name, value in headers.items() if name.startswith(_METADATA)}
    size = sum(len(name) - len(_METADATA) + len(value.encode()) for name, value in metadata.items())
    if size > _MOST_METADATA:
        raise problem("MetadataTooLarge", Size=str(size), MaxSizeAllowed=str(_MOST_METADATA))
    return found | metadata


def check_written(headers: Mapping[str, str]) -> None:
    """Raises for what a write asks for and S3 (or this one) does not do."""
    for name in _UNSUPPORTED:
        if name in headers:
            raise problem("NotImplemented", f"{name} is not supported by the local cloud.", Header=name)
    acl = headers.get("x-amz-acl", "")
    if acl and acl not in names.CANNED_ACLS:
        raise problem("InvalidArgument", ArgumentName="x-amz-acl", ArgumentValue=acl)
    if acl not in ("", "bucket-owner-full-control"):
        raise problem("AccessControlListNotSupported")
    names.check_storage_class(headers.get("x-amz-storage-class", "STANDARD"))


def check_target(cloud: Context, ask: Request) -> Bucket:
    """The bucket of a write that the caller may do. Raises what needs no body to be known."""
    names.check_key(ask.key)
    check_written(ask.headers)
    return cloud.bucket(ask)


def check_condition(connection: sqlite3.Connection, ask: Request) -> None:
    """The conditions of a write, within its transaction or before its body. Raises PreconditionFailed or NoSuchKey."""
    if "if-none-match" in ask.headers or "if-match" in ask.headers:
        found = current(connection, ask.bucket, ask.key)
        conditions.check_write(ask.headers, None if found is None or found.marker else found.etag, ask.key)


def commit_version(cloud: Context, ask: Request, made: Version) -> None:
    """Record a version when the request's conditions hold; what it replaces goes."""
    with cloud.store.database.write() as connection:
        mode = versioning(connection, ask.bucket)
        check_condition(connection, ask)
        gone = put_version(connection, made, mode)
    cloud.store.files.remove(gone)


def put_object(cloud: Context, ask: Request) -> Answer:
    """PutObject: the body goes to a file as it comes, the record is made when all of it is there and right."""
    bucket = check_target(cloud, ask)
    said = announced(ask.headers)
    made = Version(
        ask.bucket,
        ask.key,
        NULL,
        headers=kept_headers(ask.headers) | encryption_headers(cloud.store, bucket.name, ask.headers),
        tags=tags.from_header(ask.headers.get("x-amz-tagging", "")),
        storage=ask.headers.get("x-amz-storage-class", "STANDARD"),
    )
    with cloud.store.database.read() as connection:
        check_condition(connection, ask)
    with cloud.store.files.create() as file:
        received = receive(ask.source, said, ask.signer, file.write)
        made.size, made.etag = received.size, received.md5.hex()
        made.files = [(file.name, received.size)]
        made.modified = cloud.store.now()
        if received.algorithm:
            made.sums = sums_of(received.algorithm, checksums.FULL_OBJECT, checksums.encoded(received.checksum))
        commit_version(cloud, ask, made)
        file.keep()
    return Answer(200, written_headers(made))


def sums_of(algorithm: str, kind: str, value: str) -> dict[str, str]:
    """The checksum of a version as it is recorded."""
    return {"algorithm": algorithm, "type": kind, "value": value}


def written_headers(made: Version) -> dict[str, str]:
    """What a write answers in headers."""
    found = {"ETag": f'"{made.etag}"'}
    found.update(shown_encryption(made))
    found.update(shown_version(made))
    found.update(shown_sums(made))
    return found


def shown_encryption(found: Version) -> dict[str, str]:
    """The headers of encryption at rest."""
    return {name: value for name, value in found.headers.items() if name.startswith("x-amz-server-side-encryption")}


def shown_version(found: Version) -> dict[str, str]:
    """The version's id; buckets that never had versioning tell none."""
    return {} if found.version == NULL else {"x-amz-version-id": found.version}


def shown_sums(found: Version) -> dict[str, str]:
    """The checksum's headers."""
    if not found.sums:
        return {}
    return {
        checksums.HEADERS[found.sums["algorithm"]]: found.sums["value"],
        "x-amz-checksum-type": found.sums["type"],
    }


def found_version(cloud: Context, ask: Request, key: str = "", version: str = "", bucket: str = "") -> Version:
    """The version that a read means. Raises NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker, and
    AccessDenied instead of NoSuchKey for callers who may not list the bucket."""
    bucket, key, version = bucket or ask.bucket, key or ask.key, version or ("" if key else ask.version)
    found = cloud.store.version(bucket, key, version) if version else cloud.store.current(bucket, key)
    if found is not None and not found.marker:
        return found
    headers = {}
    if found is not None:
        headers = {"x-amz-delete-marker": "true"} | shown_version(found)
        if version:
            raise problem("MethodNotAllowed", headers=headers | {"Last-Modified": http_date(found.modified)})
    if not cloud.may(ask, "ListBucket", bucket=bucket):
        # Whether something is there is told only to those who may list.
        raise problem("AccessDenied")
    if version:
        raise problem("NoSuchVersion", Key=key, VersionId=version)
    raise problem("NoSuchKey", headers=headers, Key=key)


def get_object(cloud: Context, ask: Request) -> Answer:
    """GetObject and HeadObject."""
    cloud.bucket(ask)
    for _ in range(TRIES):
        found = found_version(cloud, ask)
        try:
            return _read(cloud, ask, found)
        except FileNotFoundError:
            # Replaced between the look at the record and that at the file: the record tells the new one now.
            continue
        except OSError as error:
            raise disk_problem(error) from error
    raise problem("InternalError", f"The bytes of {ask.key} are gone.")


def _read(cloud: Context, ask: Request, found: Version) -> Answer:
    headers = shown_headers(ask, found)
    if conditions.not_modified(ask.headers, found.etag, found.modified):
        return Answer(304, {name: headers[name] for name in ("ETag", "Last-Modified") if name in headers})
    wanted = _wanted(ask, found, headers)
    start, length = wanted or (0, found.size)
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{found.size}"
    elif ask.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        headers.update(shown_sums(found))
    status = 200 if wanted is None else 206
    if ask.method == "HEAD":
        return Answer(status, headers, length=length)
    return Answer(status, headers, FileBody(cloud.store.files, regions(found, start, length)))


def _wanted(ask: Request, found: Version, headers: dict[str, str]) -> tuple[int, int] | None:
    number = ask.query.get("partNumber")
    if number is None:
        return conditions.range_of(ask.headers.get("range"), found.size)
    if "range" in ask.headers:
        raise problem("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
    sizes = found.parts or [found.size]
    if not number.isdigit() or int(number) < 1:
        raise problem("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
    if int(number) > len(sizes):
        raise problem("InvalidPartNumber", ActualPartCount=str(len(sizes)), PartNumberRequested=number)
    if found.parts:
        headers["x-amz-mp-parts-count"] = str(len(sizes))
    start = sum(sizes[: int(number) - 1])
    return (start, sizes[int(number) - 1]) if found.size else None


def shown_headers(ask: Request, found: Version) -> dict[str, str]:
    """What is told about an object beside its body."""
    kept = found.headers
    headers = {
        "Last-Modified": http_date(found.modified),
        "ETag": f'"{found.etag}"',
        "Accept-Ranges": "bytes",
        "Content-Type": "binary/octet-stream",
    }
    for name, value in kept.items():
        headers[_SHOWN.get(name, name)] = value
    headers.update(shown_version(found))
    if found.storage != "STANDARD":
        headers["x-amz-storage-class"] = found.storage
    if found.tags:
        headers["x-amz-tagging-count"] = str(len(found.tags))
    for name, shown in _SHOWN.items():
        if override := ask.query.get(f"response-{name}"):
            headers[shown] = override
    return headers


def delete_object(cloud: Context, ask: Request) -> Answer:
    """DeleteObject: gone already is no error."""
    match = ask.headers.get("if-match")
    if match is not None and match.strip() != "*":
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-delete-enforce.html
        cloud.demand(ask, "GetObject", ask.key)
    cloud.bucket(ask)
    with cloud.store.database.write(frees=True) as connection:
        mode = versioning(connection, ask.bucket)
        gone, headers = delete_version(connection, (ask.bucket, ask.key, ask.version), mode, match, cloud.store.now())
    cloud.store.files.remove(gone)
    cloud.store.database.after_freeing()
    return Answer(204, headers)


def delete_version(
    connection: sqlite3.Connection, what: tuple[str, str, str], mode: str, match: str | None, now: float
) -> tuple[list[str], dict[str, str]]:
    """Delete a version, or put a marker before the others where versioning asks for it.

    ``what``: bucket, key, version id or "". Files that no record has any more, and headers of the answer.
    """
    bucket, key, version = what
    latest = current(connection, bucket, key)
    if match is not None:
        conditions.check_write({"if-match": match}, None if latest is None or latest.marker else latest.etag, key)
    if version or not mode:
        found = latest if not version or (latest is not None and latest.version == version) else None
        if found is None and version:
            found = one_version(connection, bucket, key, version)
        if found is None:
            return [], {"x-amz-version-id": version} if version and version != NULL else {}
        headers = {"x-amz-version-id": version} if version else {}
        if found.marker:
            headers["x-amz-delete-marker"] = "true"
        return drop_version(connection, found), headers
    marker = Version(bucket, key, NULL, modified=now, marker=True)
    gone = put_version(connection, marker, mode)
    return gone, {"x-amz-delete-marker": "true", "x-amz-version-id": marker.version}


def _update(cloud: Context, found: Version, column: str, value: str) -> None:
    with cloud.store.database.write() as connection:
        changed = connection.execute(f"update versions set {column}=? where id=?", (value, found.id))  # noqa: S608
        if not changed.rowcount:
            raise problem("NoSuchKey", Key=found.key)


def object_tagging(cloud: Context, ask: Request) -> Answer:
    """GetObjectTagging, PutObjectTagging, DeleteObjectTagging."""
    cloud.bucket(ask)
    found = found_version(cloud, ask)
    if ask.method == "GET":
        return Answer.xml(tags.to_xml(found.tags), shown_version(found))
    given = tags.from_xml(read_document(ask), tags.OBJECT) if ask.method == "PUT" else {}
    _update(cloud, found, "tags", json.dumps(given))
    return Answer(200 if ask.method == "PUT" else 204, shown_version(found))


def object_attributes(cloud: Context, ask: Request) -> Answer:
    """GetObjectAttributes."""
    cloud.bucket(ask)
    found = found_version(cloud, ask)
    wanted = {one.strip() for one in ask.headers.get("x-amz-object-attributes", "").split(",")}
    inner = tag("ETag", found.etag) if "ETag" in wanted else ""
    if "Checksum" in wanted and found.sums:
        name = "Checksum" + found.sums["algorithm"]
        inner += f"<Checksum>{tag(name, found.sums['value'])}{tag('ChecksumType', found.sums['type'])}</Checksum>"
    if "ObjectParts" in wanted and found.parts:
        inner += f"<ObjectParts>{tag('PartsCount', len(found.parts))}</ObjectParts>"
    if "StorageClass" in wanted:
        inner += tag("StorageClass", found.storage)
    if "ObjectSize" in wanted:
        inner += tag("ObjectSize", found.size)
    headers = {"Last-Modified": http_date(found.modified)} | shown_version(found)
    return Answer.xml(document("GetObjectAttributesResponse", inner), headers)
