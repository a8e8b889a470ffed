"""What requests to S3 need. Pure.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, unquote

from hcluster.localcloud.api.access.need import Need
from hcluster.localcloud.api.policy import Value

ACTIONS = {
    "AbortMultipartUpload": "AbortMultipartUpload",
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteBucketWebsite": "DeleteBucketWebsite",
    "DeleteObjects": "DeleteObject",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "GetObjectAttributes": "GetObjectAttributes",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "PostObject": "PutObject",
    "PutBucketCors": "PutBucketCORS",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
"""What the API's operations are called in policies, where the names differ."""
_VERSIONED = {
    "GetObject": "GetObjectVersion",
    "DeleteObject": "DeleteObjectVersion",
    "GetObjectTagging": "GetObjectVersionTagging",
    "PutObjectTagging": "PutObjectVersionTagging",
    "DeleteObjectTagging": "DeleteObjectVersionTagging",
    "GetObjectAcl": "GetObjectVersionAcl",
    "PutObjectAcl": "PutObjectVersionAcl",
    "GetObjectAttributes": "GetObjectVersionAttributes",
}
_LISTS = ("ListBucket", "ListBucketVersions", "ListBucketMultipartUploads")
_WRITES = ("PutObject",)
_WRITE_HEADERS = (
    "x-amz-acl",
    "x-amz-copy-source",
    "x-amz-metadata-directive",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-storage-class",
    "x-amz-object-ownership",
    "x-amz-website-redirect-location",
)
_CONDITIONAL = ("if-match", "if-none-match")
_CREATIONS = ("PutObject", "CopyObject", "PostObject", "CompleteMultipartUpload")
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html"""
_ALWAYS = ("x-amz-content-sha256",)


def arn(bucket: str, key: str = "") -> str:
    """Of a bucket or an object."""
    return f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"


def needs(operation: str, bucket: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]) -> list[Need]:
    """``operation``: the API's name; ``key`` is "" for a bucket's; header names in lower case.

    DeleteObjects needs DeleteObject on each of its keys, which are in the body.
    """
    action = ACTIONS.get(operation, operation)
    version = query.get("versionId", "")
    if version:
        action = _VERSIONED.get(action, action)
    keys: dict[str, Value] = {f"s3:{name}": headers[name] for name in _ALWAYS if headers.get(name)}
    keys["s3:signatureversion"] = "AWS4-HMAC-SHA256"
    keys["s3:authType"] = "REST-QUERY-STRING" if "X-Amz-Signature" in query else "REST-HEADER"
    if version:
        keys["s3:VersionId"] = version
    if action in _LISTS:
        keys |= {f"s3:{name}": query[name] for name in ("prefix", "delimiter", "max-keys") if name in query}
    if action in _WRITES:
        keys |= {f"s3:{name}": headers[name] for name in (*_WRITE_HEADERS, *_CONDITIONAL) if headers.get(name)}
        keys["s3:ObjectCreationOperation"] = "true" if operation in _CREATIONS else "false"
    if action == "DeleteObject" and headers.get("if-match"):
        keys["s3:if-match"] = headers["if-match"]
    if not bucket:
        return [Need(f"s3:{action}", "*", keys)]
    found = [Need(f"s3:{action}", arn(bucket, key), keys)]
    source = headers.get("x-amz-copy-source", "")
    if source and action == "PutObject":
        found.append(_source(source))
    if operation == "PutObject" and headers.get("x-amz-tagging"):
        tags = {name: values[0] for name, values in parse_qs(headers["x-amz-tagging"], keep_blank_values=True).items()}
        tagged: dict[str, Value] = {f"s3:RequestObjectTag/{name}": value for name, value in tags.items()}
        tagged["s3:RequestObjectTagKeys"] = tuple(tags)
        found.append(Need("s3:PutObjectTagging", arn(bucket, key), keys | tagged))
    if operation == "PutObject" and headers.get("x-amz-acl"):
        found.append(Need("s3:PutObjectAcl", arn(bucket, key), keys))
    return found


def _source(header: str) -> Need:
    path, _, query = header.partition("?")
    version = query.removeprefix("versionId=") if query.startswith("versionId=") else ""
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    if version:
        return Need("s3:GetObjectVersion", arn(bucket, key), {"s3:VersionId": version})
    return Need("s3:GetObject", arn(bucket, key))
