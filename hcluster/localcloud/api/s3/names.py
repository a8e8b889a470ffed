"""What may be called a bucket, a key, an algorithm: S3's rules of names.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address

from hcluster.localcloud.api.s3.problem import problem

MAX_KEY = 1024
"""Bytes of a key in UTF-8."""
STORAGE_CLASSES = frozenset(
    {
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "DEEP_ARCHIVE",
        "GLACIER_IR",
    }
)
CANNED_ACLS = frozenset(
    {
        "private",
        "public-read",
        "public-read-write",
        "authenticated-read",
        "aws-exec-read",
        "bucket-owner-read",
        "bucket-owner-full-control",
        "log-delivery-write",
    }
)

_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]")
_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def valid_bucket(name: str) -> bool:
    """Whether a bucket may be made with this name."""
    if not _BUCKET.fullmatch(name) or ".." in name or name.startswith(_PREFIXES) or name.endswith(_SUFFIXES):
        return False
    try:
        IPv4Address(name)
    except AddressValueError:
        return True
    return False


def check_bucket(name: str) -> None:
    """Raises InvalidBucketName."""
    if not valid_bucket(name):
        raise problem("InvalidBucketName", BucketName=name)


def check_key(key: str) -> None:
    """Raises KeyTooLongError."""
    size = len(key.encode("utf-8", "surrogatepass"))
    if size > MAX_KEY:
        raise problem("KeyTooLongError", Size=str(size), MaxSizeAllowed=str(MAX_KEY))


def check_storage_class(name: str) -> None:
    """Raises InvalidStorageClass."""
    if name not in STORAGE_CLASSES:
        raise problem("InvalidStorageClass", StorageClassRequested=name)


def successor(prefix: str) -> str:
    """The first string after all that begin with ``prefix``, in the order of UTF-8 bytes; "" when there is none."""
    for position in range(len(prefix) - 1, -1, -1):
        point = ord(prefix[position])
        if point < 0x10FFFF:
            # Surrogates are no characters: UTF-8 goes from U+D7FF straight to U+E000.
            return prefix[:position] + chr(0xE000 if point == 0xD7FF else point + 1)
    return ""
