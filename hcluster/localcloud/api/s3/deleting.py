"""DeleteObjects: up to a thousand keys in one request and one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.s3 import checksums, names
from hcluster.localcloud.api.s3.answer import Answer
from hcluster.localcloud.api.s3.context import Context, read_document
from hcluster.localcloud.api.s3.documents import document, parsed, tag, text_of
from hcluster.localcloud.api.s3.objects import delete_version
from hcluster.localcloud.api.s3.problem import problem
from hcluster.localcloud.api.s3.request import Request
from hcluster.localcloud.api.s3.store import versioning

MOST = 1000


@dataclass(frozen=True, slots=True)
class _Wanted:
    key: str
    version: str
    etag: str | None


def delete_objects(cloud: Context, ask: Request) -> Answer:
    """Each key is judged and answered by itself."""
    cloud.bucket(ask)
    if not _digested(ask):
        raise problem("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
    body = parsed(read_document(ask), "Delete")
    wanted = [
        _Wanted(text_of(one, "Key"), text_of(one, "VersionId"), text_of(one, "ETag") or None)
        for one in body.findall("Object")
    ]
    if not 0 < len(wanted) <= MOST or any(not one.key for one in wanted):
        raise problem("MalformedXML")
    quiet = text_of(body, "Quiet").lower() == "true"
    answers: list[str] = []
    files: list[str] = []
    permitted = [_permitted(cloud, ask, one) for one in wanted]
    with cloud.store.database.write(frees=True) as connection:
        mode, now = versioning(connection, ask.bucket), cloud.store.now()
        for one, refused in zip(wanted, permitted, strict=True):
            if refused is not None:
                answers.append(_error(one, refused))
                continue
            try:
                gone, headers = delete_version(connection, (ask.bucket, one.key, one.version), mode, one.etag, now)
            except Fault as fault:
                answers.append(_error(one, fault))
                continue
            files.extend(gone)
            if not quiet:
                answers.append(_deleted(one, headers))
    cloud.store.files.remove(files)
    cloud.store.database.after_freeing()
    return Answer.xml(document("DeleteResult", "".join(answers)))


def _digested(ask: Request) -> bool:
    if "content-md5" in ask.headers or "x-amz-trailer" in ask.headers:
        return True
    return any(name in ask.headers for name in checksums.HEADERS.values())


def _permitted(cloud: Context, ask: Request, one: _Wanted) -> Fault | None:
    try:
        names.check_key(one.key)
        cloud.demand(ask, "DeleteObject", one.key, one.version)
        if one.etag is not None and one.etag != "*":
            cloud.demand(ask, "GetObject", one.key)
    except Fault as fault:
        return fault
    return None


def _deleted(one: _Wanted, headers: dict[str, str]) -> str:
    inner = tag("Key", one.key)
    if one.version:
        inner += tag("VersionId", one.version)
    if headers.get("x-amz-delete-marker"):
        inner += "<DeleteMarker>true</DeleteMarker>"
        inner += tag("DeleteMarkerVersionId", headers.get("x-amz-version-id", one.version))
    return f"<Deleted>{inner}</Deleted>"


def _error(one: _Wanted, fault: Fault) -> str:
    inner = tag("Key", one.key) + (tag("VersionId", one.version) if one.version else "")
    return f"<Error>{inner}{tag('Code', fault.code)}{tag('Message', fault.message)}</Error>"
