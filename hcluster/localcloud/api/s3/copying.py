"""CopyObject: another record of the same bytes, which the file system shares."""

from __future__ import annotations

from urllib.parse import unquote

from hcluster.localcloud.api.s3 import checksums, conditions, tags
from hcluster.localcloud.api.s3.answer import Answer
from hcluster.localcloud.api.s3.body import MAX_PUT
from hcluster.localcloud.api.s3.context import Context
from hcluster.localcloud.api.s3.documents import document, iso, tag
from hcluster.localcloud.api.s3.encryption import encryption_headers
from hcluster.localcloud.api.s3.files import Region, disk_problem
from hcluster.localcloud.api.s3.objects import (
    TRIES,
    check_target,
    commit_version,
    found_version,
    kept_headers,
    shown_encryption,
    shown_version,
    sums_of,
)
from hcluster.localcloud.api.s3.problem import problem
from hcluster.localcloud.api.s3.request import Request, parse_query
from hcluster.localcloud.api.s3.store import NULL, Bucket, Version


def source_of(ask: Request) -> tuple[str, str, str]:
    """(bucket, key, version id or "") of x-amz-copy-source. Raises InvalidArgument."""
    header = ask.headers["x-amz-copy-source"]
    path, _, query = header.partition("?")
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    if not bucket or not key:
        raise problem(
            "InvalidArgument",
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            ArgumentName="x-amz-copy-source",
            ArgumentValue=header,
        )
    return bucket, key, parse_query(query).get("versionId", "")


def copied_version(cloud: Context, ask: Request) -> Version:
    """The source of a copy that the caller may read and whose conditions hold."""
    bucket, key, version = source_of(ask)
    cloud.store.bucket(bucket, cloud.account)
    found = found_version(cloud, ask, key, version, bucket)
    conditions.check_copy(ask.headers, found.etag, found.modified)
    return found


def copy_object(cloud: Context, ask: Request) -> Answer:
    """CopyObject: another record of the same bytes."""
    target = check_target(cloud, ask)
    for _ in range(TRIES):
        found = copied_version(cloud, ask)
        try:
            return _copied(cloud, ask, found, target)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise disk_problem(error) from error
    raise problem("InternalError", "The source of the copy is gone.")


def _copied(cloud: Context, ask: Request, found: Version, target: Bucket) -> Answer:
    replaced = _directive(ask, "x-amz-metadata-directive")
    if found.size > MAX_PUT:
        raise problem(
            "InvalidRequest",
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
        )
    changed = replaced or any(
        name in ask.headers
        for name in ("x-amz-storage-class", "x-amz-server-side-encryption", "x-amz-website-redirect-location")
    )
    if (found.bucket, found.key) == (ask.bucket, ask.key) and not changed and not source_of(ask)[2]:
        raise problem(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing the"
            " object's metadata, storage class, website redirect location or encryption attributes.",
        )
    kept = {name: value for name, value in found.headers.items() if not name.startswith("x-amz-server-side-encryption")}
    made = Version(
        ask.bucket,
        ask.key,
        NULL,
        size=found.size,
        headers=(kept_headers(ask.headers) if replaced else kept)
        | encryption_headers(cloud.store, target.name, ask.headers),
        tags=tags.from_header(ask.headers.get("x-amz-tagging", ""))
        if _directive(ask, "x-amz-tagging-directive")
        else found.tags,
        storage=ask.headers.get("x-amz-storage-class", "STANDARD"),
    )
    made.etag, made.sums = _resummed(cloud, ask, found)
    linked: list[str] = []
    try:
        for name, size in found.files:
            linked.append(cloud.store.files.link(name))
            made.files.append((linked[-1], size))
        made.modified = cloud.store.now()
        commit_version(cloud, ask, made)
    except BaseException:
        cloud.store.files.remove(linked)
        raise
    inner = tag("LastModified", iso(made.modified)) + tag("ETag", f'"{made.etag}"')
    if made.sums:
        inner += tag("Checksum" + made.sums["algorithm"], made.sums["value"]) + tag("ChecksumType", made.sums["type"])
    headers = shown_encryption(made) | shown_version(made)
    if found.version != NULL:
        headers["x-amz-copy-source-version-id"] = found.version
    return Answer.xml(document("CopyObjectResult", inner), headers)


def _resummed(cloud: Context, ask: Request, found: Version) -> tuple[str, dict[str, str]]:
    """ETag and checksum of a copy: it is one object, so those of an upload in parts are not its own."""
    asked = ask.headers.get("x-amz-checksum-algorithm", "").upper()
    if asked and asked not in checksums.ALGORITHMS:
        raise problem(
            "InvalidRequest", "Checksum algorithm provided is unsupported. Please try again with any of the valid types"
        )
    algorithm = asked or found.sums.get("algorithm", "")
    kept = (
        found.sums if found.sums.get("type") == checksums.FULL_OBJECT and algorithm == found.sums["algorithm"] else {}
    )
    if not found.parts and (kept or not algorithm):
        return found.etag, kept
    sums = checksums.Sums([algorithm] if algorithm and not kept else [])
    cloud.store.files.feed([Region(name, 0, size) for name, size in found.files], sums.update)
    if algorithm and not kept:
        kept = sums_of(algorithm, checksums.FULL_OBJECT, checksums.encoded(sums.value(algorithm)))
    return sums.md5.hex(), kept


def _directive(ask: Request, name: str) -> bool:
    value = ask.headers.get(name, "COPY").upper()
    if value not in ("COPY", "REPLACE"):
        raise problem("InvalidArgument", "Unknown directive.", ArgumentName=name, ArgumentValue=value)
    return value == "REPLACE"
