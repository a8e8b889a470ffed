"""What a request asks for: its operation by S3's own name, found from method, path and query. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from hcluster.localcloud.api.s3.body import Source
from hcluster.localcloud.api.s3.problem import problem
from hcluster.localcloud.api.s3.store import Bucket
from hcluster.localcloud.api.signature import ChunkSigner

# Sub-resources of a bucket: what operations on them are called, after Get, Put and Delete.
_BUCKET = {
    "acl": "BucketAcl",
    "policy": "BucketPolicy",
    "policyStatus": "BucketPolicyStatus",
    "tagging": "BucketTagging",
    "encryption": "BucketEncryption",
    "publicAccessBlock": "PublicAccessBlock",
    "ownershipControls": "BucketOwnershipControls",
    "lifecycle": "BucketLifecycleConfiguration",
    "versioning": "BucketVersioning",
    "location": "BucketLocation",
    "cors": "BucketCors",
    "website": "BucketWebsite",
    "replication": "BucketReplication",
    "logging": "BucketLogging",
    "notification": "BucketNotificationConfiguration",
    "accelerate": "BucketAccelerateConfiguration",
    "requestPayment": "BucketRequestPayment",
    "object-lock": "ObjectLockConfiguration",
    "analytics": "BucketAnalyticsConfiguration",
    "inventory": "BucketInventoryConfiguration",
    "metrics": "BucketMetricsConfiguration",
    "intelligent-tiering": "BucketIntelligentTieringConfiguration",
    "metadataTable": "BucketMetadataTableConfiguration",
    "metadataConfiguration": "BucketMetadataConfiguration",
    "abac": "BucketAbac",
}
_OBJECT = {
    "acl": "ObjectAcl",
    "tagging": "ObjectTagging",
    "attributes": "ObjectAttributes",
    "retention": "ObjectRetention",
    "legal-hold": "ObjectLegalHold",
    "torrent": "ObjectTorrent",
}
_VERBS = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}
_LISTINGS = {
    "uploads": "ListMultipartUploads",
    "versions": "ListObjectVersions",
    "session": "CreateSession",
    "list-type": "ListObjectsV2",
}
_POSTED = {
    "uploads": "CreateMultipartUpload",
    "uploadId": "CompleteMultipartUpload",
    "restore": "RestoreObject",
    "select": "SelectObjectContent",
}
_PLAIN_BUCKET = {"GET": "ListObjects", "HEAD": "HeadBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket"}
_PLAIN_OBJECT = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}


@dataclass(slots=True)
class Request:
    """One request of a caller who is known."""

    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By name in lower case."""
    operation: str
    source: Source
    signer: ChunkSigner | None
    environ: Mapping[str, Any]
    """Of WSGI, with the caller that the gateway verified."""
    request_id: str
    found: Bucket | None = None
    """The bucket, if there is one."""
    policy: str = ""
    """The bucket's policy (JSON), or ""."""

    @property
    def version(self) -> str:
        """The version that is asked for, or ""."""
        return self.query.get("versionId", "")

    @property
    def resource(self) -> str:
        """The path, for errors."""
        return f"/{self.bucket}/{self.key}" if self.key else f"/{self.bucket}"


def split_path(raw: str) -> tuple[str, str]:
    """(bucket, key) of a path as it came on the wire; keys may hold anything, encoded slashes and "//" among it."""
    bucket, _, key = raw.split("?", 1)[0].lstrip("/" if raw.startswith("/") else "").partition("/")
    if raw.startswith("//"):
        bucket, _, key = raw[1:].split("?", 1)[0].partition("/")
    try:
        return unquote(bucket, errors="strict"), unquote(key, errors="strict")
    except UnicodeDecodeError:
        raise problem("InvalidArgument", "The key is not valid UTF-8.") from None


def parse_query(text: str) -> dict[str, str]:
    """The query's parameters; of a repeated one the first counts."""
    found: dict[str, str] = {}
    for part in text.split("&"):
        if part:
            name, _, value = part.partition("=")
            found.setdefault(unquote(name.replace("+", " ")), unquote(value.replace("+", " ")))
    return found


def operation_of(method: str, bucket: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """The operation's name. Raises MethodNotAllowed."""
    if not bucket:
        if method == "GET":
            return "ListBuckets"
        raise _not_allowed(method, "SERVICE")
    found = _of_object(method, query, headers) if key else _of_bucket(method, query)
    if not found:
        raise _not_allowed(method, "OBJECT" if key else "BUCKET")
    return found


def _not_allowed(method: str, kind: str) -> Exception:
    return problem("MethodNotAllowed", Method=method, ResourceType=kind)


def _of_bucket(method: str, query: Mapping[str, str]) -> str:
    for name, noun in _BUCKET.items():
        if name in query and method in _VERBS:
            if name == "lifecycle" and method == "DELETE":
                return "DeleteBucketLifecycle"
            listed = method == "GET" and name in ("analytics", "inventory", "metrics", "intelligent-tiering")
            return f"List{noun}s" if listed and "id" not in query else _VERBS[method] + noun
    if method == "GET":
        return next((operation for name, operation in _LISTINGS.items() if name in query), "ListObjects")
    if method == "POST":
        return "DeleteObjects" if "delete" in query else "PostObject"
    return _PLAIN_BUCKET.get(method, "")


def _of_object(method: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    for name, noun in _OBJECT.items():
        if name in query and method in _VERBS:
            return _VERBS[method] + noun
    if method == "POST":
        return next((operation for name, operation in _POSTED.items() if name in query), "")
    copied = "x-amz-copy-source" in headers
    if "uploadId" in query:
        if method == "PUT":
            return "UploadPartCopy" if copied else "UploadPart"
        return {"GET": "ListParts", "DELETE": "AbortMultipartUpload"}.get(method, "")
    if method == "PUT" and "renameObject" in query:
        return "RenameObject"
    return "CopyObject" if method == "PUT" and copied else _PLAIN_OBJECT.get(method, "")
