"""Who may do what: the policies of the nodes' roles, each as small as the node's work allows.

People's policies are in ``hcluster.plan.callers``.
"""

from __future__ import annotations

from collections.abc import Sequence

from hcluster.model.dumps import PREFIX as DUMPS_PREFIX
from hcluster.model.names import PLATFORM_CLUSTER, PLATFORM_KEY, REGISTRY_PREFIX, WAREHOUSE_PREFIX, checkins_prefix

_OBJECT_RW = (
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
)
_TEAM_DATA = (WAREHOUSE_PREFIX, "data/", "tmp/", "logs/")
"""What jobs read and write. Tables are shared by the teams of a platform, hence no folders of teams."""


def partition(region: str) -> str:
    """The ARN partition of a region."""
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")


def _statement(sid: str, actions: Sequence[str], resources: Sequence[str]) -> dict[str, object]:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


def _folders(bucket: str, prefixes: Sequence[str]) -> list[str]:
    """All below the prefixes, and the objects that S3A looks for where a folder stands: their names without the slash.

    S3 answers a look at a key that may not be read with 403, whether it exists or not, and Hive takes that as it is.
    """
    return [f"{bucket}/{name}" for prefix in prefixes for name in (prefix.rstrip("/"), f"{prefix}*")]


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
    ]


def team_policy(bucket: str, region: str) -> dict[str, object]:
    """The policy of a team's nodes: boot, report, and read and write data; no call of EC2 or IAM."""
    arn = f"arn:{partition(region)}:s3:::{bucket}"
    statements = [
        *_common(arn),
        # Of any cluster, as keys do not say whose it is; but not as the platform's node, whose host keys all trust.
        _statement("CheckIn", ["s3:PutObject"], [f"{arn}/{checkins_prefix('*')}*"]),
        {
            "Sid": "NeverAsThePlatform",
            "Effect": "Deny",
            "Action": ["s3:PutObject", "s3:DeleteObject"],
            "Resource": [f"{arn}/clusters/{PLATFORM_CLUSTER}/*"],
        },
        _statement("Data", _OBJECT_RW, _folders(arn, _TEAM_DATA)),
        _statement("ReadRegistry", ["s3:GetObject"], _folders(arn, ("registry/",))),
        # A node that ends itself writes the end of its launch into the launch's row.
        _statement("CloseRows", ["s3:PutObject"], [f"{arn}/{REGISTRY_PREFIX}*.json"]),
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def platform_policy(bucket: str, region: str) -> dict[str, object]:
    """The policy of the platform's node: the metastore makes and removes the folders of tables, the registry's too.
    The node dumps the metastore's database, restores it, and prunes what is too old."""
    arn = f"arn:{partition(region)}:s3:::{bucket}"
    tables = _folders(arn, (WAREHOUSE_PREFIX, "registry/", "data/", "tmp/"))
    dumps = _statement("Dumps", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], [f"{arn}/{DUMPS_PREFIX}*"])
    checks_in = _statement("CheckIn", ["s3:PutObject"], [f"{arn}/{checkins_prefix(PLATFORM_CLUSTER)}*"])
    statements = [*_common(arn), checks_in, _statement("Tables", _OBJECT_RW, tables), dumps]
    return {"Version": "2012-10-17", "Statement": statements}
