"""What a request to S3 is called: REST tells it by method, path and query only. Pure.

Names as in the API reference: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

_BUCKET = {"GET": "ListObjects", "PUT": "CreateBucket", "DELETE": "DeleteBucket", "HEAD": "HeadBucket"}
_OBJECT = {"GET": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject", "HEAD": "HeadObject"}
_VERBS = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}
_PARTS = {
    "acl": "Acl",
    "cors": "Cors",
    "encryption": "Encryption",
    "lifecycle": "LifecycleConfiguration",
    "location": "Location",
    "logging": "Logging",
    "notification": "NotificationConfiguration",
    "ownershipControls": "OwnershipControls",
    "policy": "Policy",
    "publicAccessBlock": "PublicAccessBlock",
    "tagging": "Tagging",
    "versioning": "Versioning",
    "website": "Website",
}
_ALONE = ("PublicAccessBlock",)
"""Of a bucket, but not named so."""


def s3_operation(environ: Mapping[str, Any]) -> str:
    """The operation of a request with its bucket in the path (the local cloud's endpoint is an address)."""
    method = str(environ.get("REQUEST_METHOD", "GET"))
    bucket, _, key = str(environ.get("PATH_INFO", "")).lstrip("/").partition("/")
    query = dict(parse_qsl(str(environ.get("QUERY_STRING", "")), keep_blank_values=True))
    if not bucket:
        return "ListBuckets"
    if key:
        return _of_object(method, query, copied="HTTP_X_AMZ_COPY_SOURCE" in environ)
    return _of_bucket(method, query)


def _of_object(method: str, query: Mapping[str, str], *, copied: bool) -> str:
    if "uploadId" in query:
        upload = {
            "PUT": "UploadPartCopy" if copied else "UploadPart",
            "POST": "CompleteMultipartUpload",
            "DELETE": "AbortMultipartUpload",
            "GET": "ListParts",
        }
        return upload.get(method, method)
    if method == "POST":
        known = {"uploads": "CreateMultipartUpload", "restore": "RestoreObject", "select": "SelectObjectContent"}
        return next((name for part, name in known.items() if part in query), "PostObject")
    for part in ("tagging", "acl", "attributes"):
        if part in query and method in _VERBS:
            return f"{_VERBS[method]}Object{part.capitalize()}"
    if copied and method == "PUT":
        return "CopyObject"
    return _OBJECT.get(method, method)


def _of_bucket(method: str, query: Mapping[str, str]) -> str:
    if method == "POST":
        return "DeleteObjects" if "delete" in query else "PostObject"
    if method == "GET":
        listings = {"uploads": "ListMultipartUploads", "versions": "ListObjectVersions", "list-type": "ListObjectsV2"}
        if found := next((name for part, name in listings.items() if part in query), ""):
            return found
    for part, name in _PARTS.items():
        if part in query and method in _VERBS:
            return f"{_VERBS[method]}{'' if name in _ALONE else 'Bucket'}{name}"
    return _BUCKET.get(method, method)
