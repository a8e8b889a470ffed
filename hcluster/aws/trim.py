"""The part of the SDK's description of a service that hcluster needs; the whole of EC2's has four million letters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

OPERATIONS: Mapping[str, Sequence[str]] = {
    "ec2": (
        "AttachVolume",
        "AuthorizeSecurityGroupIngress",
        "CreateFleet",
        "CreateLaunchTemplate",
        "CreateLaunchTemplateVersion",
        "CreateNetworkInterface",
        "CreateSecurityGroup",
        "CreateTags",
        "CreateVolume",
        "DeleteLaunchTemplate",
        "DeleteNetworkInterface",
        "DeleteSecurityGroup",
        "DeleteSnapshot",
        "DeleteVolume",
        "DeregisterImage",
        "DescribeImages",
        "DescribeInstanceTypes",
        "DescribeInstances",
        "DescribeLaunchTemplateVersions",
        "DescribeLaunchTemplates",
        "DescribeNetworkInterfaces",
        "DescribeRouteTables",
        "DescribeSecurityGroups",
        "DescribeSnapshots",
        "DescribeSpotPriceHistory",
        "DescribeSubnets",
        "DescribeVolumes",
        "DescribeVpcs",
        "GetConsoleOutput",
        "ModifyImageAttribute",
        "ModifyLaunchTemplate",
        "RevokeSecurityGroupIngress",
        "TerminateInstances",
    ),
    "s3": (
        "AbortMultipartUpload",
        "CompleteMultipartUpload",
        "CreateBucket",
        "CreateMultipartUpload",
        "DeleteBucket",
        "DeleteObject",
        "DeleteObjects",
        "GetBucketEncryption",
        "GetBucketPolicyStatus",
        "GetBucketTagging",
        "GetObject",
        "GetPublicAccessBlock",
        "HeadBucket",
        "HeadObject",
        "ListMultipartUploads",
        "ListObjectVersions",
        "ListObjectsV2",
        "PutBucketEncryption",
        "PutBucketTagging",
        "PutObject",
        "PutPublicAccessBlock",
        "UploadPart",
    ),
}
"""What hcluster calls of the services whose descriptions are large; a test compares this with the adapter's code.

Whatever the SDK itself calls to find credentials (STS, SSO) must not stand here: of that it needs all.
"""

_WORDS = ("documentation", "documentationUrl")


def trimmed(model: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """``model`` with the ``wanted`` operations, all that they refer to, all exceptions, and nothing for people to read.

    Raises:
        KeyError: it lacks one of them, or is not such a description at all.
    """
    operations = {name: _without_words(model["operations"][name]) for name in wanted}
    shapes = model["shapes"]
    left = [shape for operation in operations.values() for shape in _referred(operation)]
    left += [name for name, shape in shapes.items() if shape.get("exception")]
    kept: dict[str, Any] = {}
    while left:
        name = left.pop()
        if name not in kept:
            kept[name] = _without_words(shapes[name])
            left += _referred(kept[name])
    rest = {key: value for key, value in model.items() if key not in _WORDS}
    return {**rest, "operations": operations, "shapes": kept}


def _referred(part: Any) -> Iterator[str]:
    """Names of the shapes that a part of a description refers to."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "shape" and isinstance(value, str):
                yield value
            else:
                yield from _referred(value)
    elif isinstance(part, list):
        for entry in part:
            yield from _referred(entry)


def _without_words(part: Any) -> Any:
    if isinstance(part, dict):
        # A member may be called "documentation", too; what is for people is text.
        return {k: _without_words(v) for k, v in part.items() if k not in _WORDS or not isinstance(v, str)}
    return [_without_words(entry) for entry in part] if isinstance(part, list) else part
