"""Encryption at rest, as far as a caller sees it: every object is told to be encrypted, by default with SSE-S3."""

from __future__ import annotations

from collections.abc import Mapping

from hcluster.localcloud.api.s3.documents import Element, document, parsed, tag, text_of
from hcluster.localcloud.api.s3.problem import problem
from hcluster.localcloud.api.s3.store import Store

ALGORITHM = "x-amz-server-side-encryption"
KEY = "x-amz-server-side-encryption-aws-kms-key-id"
BUCKET_KEY = "x-amz-server-side-encryption-bucket-key-enabled"
_ALGORITHMS = ("AES256", "aws:kms", "aws:kms:dsse")
DEFAULT = document(
    "ServerSideEncryptionConfiguration",
    "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
    "</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule>",
).decode()
"""What a bucket has that nobody configured: https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html"""


def encryption_headers(store: Store, bucket: str, headers: Mapping[str, str]) -> dict[str, str]:
    """What an object is encrypted with, as headers: what its writer asks for, else what its bucket says."""
    algorithm, key = headers.get(ALGORITHM, ""), headers.get(KEY, "")
    if algorithm and algorithm not in _ALGORITHMS:
        raise problem("InvalidEncryptionAlgorithmError", ArgumentName=ALGORITHM, ArgumentValue=algorithm)
    if key and algorithm == "AES256":
        raise problem("InvalidArgument", "Server Side Encryption with AES256 takes no key", ArgumentName=KEY)
    bucket_key = headers.get(BUCKET_KEY, "")
    if not algorithm:
        configured = store.setting(bucket, "encryption")
        if configured is None:
            return {ALGORITHM: "AES256"}
        algorithm, key, bucket_key = _by_default(parsed(configured.encode(), "ServerSideEncryptionConfiguration"))
    found = {ALGORITHM: algorithm}
    if algorithm != "AES256":
        if key:
            found[KEY] = key
        if bucket_key.lower() == "true":
            found[BUCKET_KEY] = "true"
    return found


def _by_default(configuration: Element) -> tuple[str, str, str]:
    rule = configuration.find("Rule")
    default = rule.find("ApplyServerSideEncryptionByDefault") if rule is not None else None
    if rule is None or default is None:
        return "AES256", "", ""
    return text_of(default, "SSEAlgorithm"), text_of(default, "KMSMasterKeyID"), text_of(rule, "BucketKeyEnabled")


def checked(body: bytes) -> str:
    """A configuration that a caller gives a bucket. Raises MalformedXML or InvalidArgument."""
    found = parsed(body, "ServerSideEncryptionConfiguration")
    rules = found.findall("Rule")
    if len(rules) != 1:
        raise problem("MalformedXML")
    algorithm, key, bucket_key = _by_default(found)
    if algorithm not in _ALGORITHMS:
        raise problem("MalformedXML")
    if key and algorithm == "AES256":
        raise problem(
            "InvalidArgument", "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms"
        )
    default = tag("SSEAlgorithm", algorithm) + (tag("KMSMasterKeyID", key) if key else "")
    return document(
        "ServerSideEncryptionConfiguration",
        f"<Rule><ApplyServerSideEncryptionByDefault>{default}</ApplyServerSideEncryptionByDefault>"
        f"{tag('BucketKeyEnabled', 'true' if bucket_key.lower() == 'true' else 'false')}</Rule>",
    ).decode()
