"""Who may do what: the policies of the nodes' roles, each as small as the node's work allows.

People's policies are not made here: they come with the account.
"""

from __future__ import annotations

from collections.abc import Sequence

from hcluster.model.names import PLATFORM_KEY, REGISTRY_PREFIX, WAREHOUSE_PREFIX

_OBJECT_RW = (
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
)
_TEAM_DATA = (WAREHOUSE_PREFIX, "data/", "tmp/", "logs/", "registry/")
"""What jobs read and write. Tables are shared by the teams of a platform, hence no folders of teams."""


def _partition(region: str) -> str:
    """The ARN partition of a region."""
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")


def _statement(sid: str, actions: Sequence[str], resources: Sequence[str]) -> dict[str, object]:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


def _common(bucket: str) -> list[dict[str, object]]:
    """What every node needs to boot and to report."""
    return [
        _statement(
            "FindTheBucket", ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"], [bucket]
        ),
        _statement(
            "ReadWhatToBe",
            ["s3:GetObject"],
            [
                f"{bucket}/puppet/releases/*",
                f"{bucket}/puppet/channels/*",
                f"{bucket}/clusters/*/spec.json",
                f"{bucket}/clusters/*/launches/*",
                f"{bucket}/{PLATFORM_KEY}",
            ],
        ),
        _statement("CheckIn", ["s3:PutObject"], [f"{bucket}/clusters/*/nodes/*"]),
    ]


def team_policy(bucket: str, region: str) -> dict[str, object]:
    """The policy of a team's nodes: boot, report, and read and write data; no call of EC2 or IAM."""
    arn = f"arn:{_partition(region)}:s3:::{bucket}"
    data = [f"{arn}/{prefix}*" for prefix in _TEAM_DATA]
    return {"Version": "2012-10-17", "Statement": [*_common(arn), _statement("Data", _OBJECT_RW, data)]}


def platform_policy(bucket: str, region: str) -> dict[str, object]:
    """The policy of the platform's node: the metastore makes and removes the folders of tables."""
    arn = f"arn:{_partition(region)}:s3:::{bucket}"
    data = [f"{arn}/{prefix}*" for prefix in (WAREHOUSE_PREFIX, "data/", "tmp/", "logs/")]
    return {
        "Version": "2012-10-17",
        "Statement": [
            *_common(arn),
            _statement("Tables", _OBJECT_RW, data),
            _statement("Registry", ["s3:GetObject"], [f"{arn}/{REGISTRY_PREFIX}*"]),
        ],
    }
