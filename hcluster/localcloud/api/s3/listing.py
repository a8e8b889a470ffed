"""Listings: objects, versions and uploads in pages, with prefixes and delimiters.

Keys are in the order of their UTF-8 bytes. A folder (what keys have in common up to a delimiter) is stepped over by
the index: its keys are not read, however many they are.
"""

from __future__ import annotations

import base64
import binascii
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hcluster.localcloud.api.s3.answer import Answer
from hcluster.localcloud.api.s3.context import Context
from hcluster.localcloud.api.s3.documents import document, iso, tag, truth, url_encoded
from hcluster.localcloud.api.s3.names import successor
from hcluster.localcloud.api.s3.problem import problem
from hcluster.localcloud.api.s3.request import Request
from hcluster.localcloud.api.s3.uploads import number_of

_TOP = "\U0010ffff" * 4


@dataclass(slots=True)
class Page:
    """Rows and folders of one answer."""

    rows: list[Any] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    more: bool = False
    last: str = ""
    """The key or folder that the page ends with."""
    last_id: str = ""
    """The id of the version or upload that it ends with."""


Fetch = Callable[[str, str, int], list[Any]]
"""(from this key, before that key, at most so many): rows whose first column is the key, the second an id, in order."""


def behind(key: str) -> str:
    """The first string after ``key``."""
    return key + "\0"


def page_of(fetch: Fetch, prefix: str, delimiter: str, start: str, most: int) -> Page:
    """One page of the rows whose key begins with ``prefix``, from the key ``start`` on."""
    page, end = Page(), successor(prefix) or _TOP
    told = start.removesuffix("\0")
    if delimiter and told != start and told.startswith(prefix) and told == _folder(told, prefix, delimiter):
        # The page before ended with this folder: all that is in it was told.
        start = successor(told) or _TOP
    start = max(start, prefix)
    while True:
        # One more than what fits, to know whether there is more.
        batch = fetch(start, end, most - len(page.rows) - len(page.folders) + 1)
        start = ""
        for row in batch:
            if len(page.rows) + len(page.folders) >= most:
                page.more = True
                return page
            folder = _folder(row[0], prefix, delimiter)
            if folder:
                page.folders.append(folder)
                page.last, page.last_id = folder, ""
                start = successor(folder) or _TOP
                break
            page.rows.append(row)
            page.last, page.last_id = row[0], row[1]
        if not start:
            return page


def _start(marker: str, identity: str) -> str:
    """Where a page goes on: within the marker's key when an id of it is named, else behind it."""
    return marker if identity or not marker else behind(marker)


def _folder(key: str, prefix: str, delimiter: str) -> str:
    if not delimiter:
        return ""
    position = key.find(delimiter, len(prefix))
    return "" if position < 0 else key[: position + len(delimiter)]


def _encoder(ask: Request) -> Callable[[str], str]:
    kind = ask.query.get("encoding-type", "")
    if kind not in ("", "url"):
        raise problem("InvalidArgument", "Invalid Encoding Method specified in Request", ArgumentName="encoding-type")
    return url_encoded if kind else str


def _objects(connection: sqlite3.Connection, bucket: str) -> Fetch:
    def fetch(start: str, end: str, most: int) -> list[Any]:
        return connection.execute(
            "select key, version, size, etag, modified, storage, sums from versions where bucket=? and latest=1"
            " and marker=0 and key>=? and key<? order by key limit ?",
            (bucket, start, end, most),
        ).fetchall()

    return fetch


def list_objects(cloud: Context, ask: Request) -> Answer:
    """ListObjects and ListObjectsV2."""
    cloud.bucket(ask)
    second = ask.operation == "ListObjectsV2"
    query, encode = ask.query, _encoder(ask)
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    most = number_of(ask, "max-keys", 1000)
    token = query.get("continuation-token") if second else None
    after = _unpacked(token) if token is not None else query.get("start-after" if second else "marker", "")
    page = Page()
    if most:
        with cloud.store.database.read() as connection:
            page = page_of(_objects(connection, ask.bucket), prefix, delimiter, behind(after) if after else "", most)
    inner = [tag("Name", ask.bucket), tag("Prefix", encode(prefix)), tag("MaxKeys", most)]
    if delimiter:
        inner.append(tag("Delimiter", encode(delimiter)))
    if encode is url_encoded:
        inner.append("<EncodingType>url</EncodingType>")
    inner.append(tag("IsTruncated", truth(page.more)))
    if second:
        inner.append(tag("KeyCount", len(page.rows) + len(page.folders)))
        if token is not None:
            inner.append(tag("ContinuationToken", token))
        if "start-after" in query:
            inner.append(tag("StartAfter", encode(query["start-after"])))
        if page.more:
            inner.append(tag("NextContinuationToken", _packed(page.last)))
    else:
        inner.append(tag("Marker", encode(after)))
        if page.more and delimiter:
            inner.append(tag("NextMarker", encode(page.last)))
    owner = "" if second and query.get("fetch-owner", "").lower() != "true" else _owner(cloud.account)
    inner.extend(_object_xml(row, encode, owner) for row in page.rows)
    inner.extend(_folder_xml(folder, encode) for folder in page.folders)
    return Answer.xml(document("ListBucketResult", "".join(inner)))


def _owner(account: str) -> str:
    return f"<Owner>{tag('ID', account)}</Owner>"


def _object_xml(row: Any, encode: Callable[[str], str], owner: str) -> str:
    key, _, size, etag, modified, storage, sums = row
    summed = ""
    if len(sums) > 2:
        found = json.loads(sums)
        summed = tag("ChecksumAlgorithm", found["algorithm"]) + tag("ChecksumType", found["type"])
    return (
        f"<Contents>{tag('Key', encode(key))}<LastModified>{iso(modified)}</LastModified>"
        f"<ETag>&quot;{etag}&quot;</ETag>{summed}<Size>{size}</Size>{owner}<StorageClass>{storage}</StorageClass></Contents>"
    )


def _folder_xml(folder: str, encode: Callable[[str], str]) -> str:
    return f"<CommonPrefixes>{tag('Prefix', encode(folder))}</CommonPrefixes>"


def _packed(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _unpacked(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise problem("InvalidArgument", "The continuation token provided is incorrect") from None


def _page(
    cloud: Context, ask: Request, limit: str, rows: Callable[[sqlite3.Connection, str, str, str], Fetch], identity: str
) -> tuple[int, Page]:
    """(how many were asked for by the parameter ``limit``, the page behind the markers: a key and ``identity``)."""
    query, most = ask.query, number_of(ask, limit, 1000)
    if not most:
        return most, Page()
    marker = query.get("key-marker", "")
    with cloud.store.database.read() as connection:
        fetch = rows(connection, ask.bucket, marker, identity)
        start = _start(marker, identity)
        return most, page_of(fetch, query.get("prefix", ""), query.get("delimiter", ""), start, most)


def list_versions(cloud: Context, ask: Request) -> Answer:
    """ListObjectVersions: of each key the latest first."""
    cloud.bucket(ask)
    query, encode = ask.query, _encoder(ask)
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    marker, version_marker = query.get("key-marker", ""), query.get("version-id-marker", "")
    if version_marker and not marker:
        raise problem("InvalidArgument", "A version-id marker cannot be specified without a key marker.")
    most, page = _page(cloud, ask, "max-keys", _versions, version_marker)
    inner = [
        tag("Name", ask.bucket),
        tag("Prefix", encode(prefix)),
        tag("KeyMarker", encode(marker)),
        tag("VersionIdMarker", version_marker),
        tag("MaxKeys", most),
        tag("IsTruncated", truth(page.more)),
    ]
    if delimiter:
        inner.append(tag("Delimiter", encode(delimiter)))
    if encode is url_encoded:
        inner.append("<EncodingType>url</EncodingType>")
    if page.more:
        inner.append(tag("NextKeyMarker", encode(page.last)))
        if page.last_id:
            inner.append(tag("NextVersionIdMarker", page.last_id))
    owner = _owner(cloud.account)
    inner.extend(_version_xml(row, encode, owner) for row in page.rows)
    inner.extend(_folder_xml(folder, encode) for folder in page.folders)
    return Answer.xml(document("ListVersionsResult", "".join(inner)))


def _versions(connection: sqlite3.Connection, bucket: str, key: str, version: str) -> Fetch:
    """Rows of versions; of ``key``, those that are older than ``version`` only."""
    row = connection.execute(
        "select id from versions where bucket=? and key=? and version=?", (bucket, key, version)
    ).fetchone()
    older = row[0] if row is not None else 0

    def fetch(start: str, end: str, most: int) -> list[Any]:
        return connection.execute(
            "select key, version, size, etag, modified, storage, latest, marker, id from versions"
            " where bucket=? and key>=? and key<? and (key<>? or ?=0 or id<?)"
            " order by key, id desc limit ?",
            (bucket, start, end, key if version else "", older if version else 0, older, most),
        ).fetchall()

    return fetch


def _version_xml(row: Any, encode: Callable[[str], str], owner: str) -> str:
    key, version, size, etag, modified, storage, latest, marker, _ = row
    inner = (
        tag("Key", encode(key))
        + tag("VersionId", version)
        + tag("IsLatest", truth(latest))
        + tag("LastModified", iso(modified))
    )
    if marker:
        return f"<DeleteMarker>{inner}{owner}</DeleteMarker>"
    inner += tag("ETag", f'"{etag}"') + tag("Size", size) + tag("StorageClass", storage)
    return f"<Version>{inner}{owner}</Version>"


def list_uploads(cloud: Context, ask: Request) -> Answer:
    """ListMultipartUploads."""
    cloud.bucket(ask)
    query, encode = ask.query, _encoder(ask)
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    marker = query.get("key-marker", "")
    upload_marker = query.get("upload-id-marker", "") if marker else ""
    most, page = _page(cloud, ask, "max-uploads", _uploads, upload_marker)
    inner = [
        tag("Bucket", ask.bucket),
        tag("KeyMarker", encode(marker)),
        tag("UploadIdMarker", upload_marker),
        tag("NextKeyMarker", encode(page.last)) if page.more else "",
        tag("NextUploadIdMarker", page.last_id) if page.more else "",
        tag("Prefix", encode(prefix)),
        tag("Delimiter", encode(delimiter)) if delimiter else "",
        "<EncodingType>url</EncodingType>" if encode is url_encoded else "",
        tag("MaxUploads", most),
        tag("IsTruncated", truth(page.more)),
    ]
    inner.extend(_upload_xml(row, encode, cloud.account) for row in page.rows)
    inner.extend(_folder_xml(folder, encode) for folder in page.folders)
    return Answer.xml(document("ListMultipartUploadsResult", "".join(inner)))


def _uploads(connection: sqlite3.Connection, bucket: str, key: str, upload: str) -> Fetch:
    def fetch(start: str, end: str, most: int) -> list[Any]:
        return connection.execute(
            "select key, id, started, storage, algorithm, kind from uploads"
            " where bucket=? and key>=? and key<? and (key<>? or id>?)"
            " order by key, id limit ?",
            (bucket, start, end, key if upload else "", upload, most),
        ).fetchall()

    return fetch


def _upload_xml(row: Any, encode: Callable[[str], str], account: str) -> str:
    key, identity, started, storage, algorithm, kind = row
    inner = tag("Key", encode(key)) + tag("UploadId", identity)
    inner += f"<Initiator>{tag('ID', account)}</Initiator>{_owner(account)}"
    inner += tag("StorageClass", storage) + tag("Initiated", iso(started))
    if algorithm:
        inner += tag("ChecksumAlgorithm", algorithm) + tag("ChecksumType", kind)
    return f"<Upload>{inner}</Upload>"
