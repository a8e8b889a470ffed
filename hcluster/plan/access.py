"""IAM policies of the nodes' roles: what a node may do with the platform's bucket, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

READ_PREFIXES = ("puppet/", "clusters/", "data/", "registry/")
WRITE_PREFIXES = ("warehouse/", "tmp/", "logs/", "data/", "registry/")


def _objects(bucket: str, prefixes: Sequence[str]) -> list[str]:
    return [f"arn:aws:s3:::{bucket}/{prefix}*" for prefix in prefixes]


def node_policy(bucket: str, *, platform_node: bool) -> dict[str, object]:
    """The inline policy of a team's nodes, or of the platform node (which serves the metastore and runs no jobs)."""
    write = ("warehouse/", "tmp/") if platform_node else WRITE_PREFIXES
    read = tuple(dict.fromkeys((*READ_PREFIXES, *write)))
    statements = [
        {
            "Sid": "ListBucket",
            "Effect": "Allow",
            "Action": ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"],
            "Resource": [f"arn:aws:s3:::{bucket}"],
        },
        {"Sid": "Read", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": _objects(bucket, read)},
        {
            "Sid": "Write",
            "Effect": "Allow",
            "Action": ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
            "Resource": _objects(bucket, write),
        },
        {
            "Sid": "CheckIn",
            "Effect": "Allow",
            "Action": ["s3:PutObject"],
            "Resource": [f"arn:aws:s3:::{bucket}/clusters/*/nodes/*"],
        },
    ]
    return {"Version": "2012-10-17", "Statement": statements}
