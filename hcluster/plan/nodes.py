"""What all nodes of a launch are told: the part of their configuration that is not of one node."""

from __future__ import annotations

from hcluster.model.names import PLATFORM_CLUSTER
from hcluster.model.platform import PlatformRecord
from hcluster.spec.base import STANDING
from hcluster.spec.cluster import ClusterSpec

DATA_DIRS = ("/var/lib/hadoop",)
"""Where HDFS and YARN keep their files on a node."""

PLATFORM_TEAM = PLATFORM_CLUSTER
"""The platform's node belongs to no team of the platform."""


def expires_at(created: float, lifetime: int) -> int:
    """The epoch second at which every node of a launch ends itself, 0 for never. ``lifetime``: seconds, or STANDING."""
    return 0 if lifetime == STANDING else int(created) + lifetime


def node_config(spec: ClusterSpec, record: PlatformRecord, *, master_host: str) -> dict[str, object]:
    """The object at ``names.node_config_key``, as ``hcluster.node.config.hiera`` reads it.

    ``master_host`` is the master's private DNS name, known before the launch because its interface is made first.
    """
    return {
        "platform": record.name,
        "cluster": spec.name,
        "team": spec.team,
        "bucket": record.bucket,
        "region": record.region,
        "master_host": master_host,
        "metastore_uri": record.metastore_uri,
        "workers": spec.core.count + spec.task.count,
        "core_nodes": spec.core.count,
        "data_dirs": list(DATA_DIRS),
        "site": {file: dict(properties) for file, properties in spec.site.items()},
        "bootstrap": [
            {"name": script.name, "script": script.script, "args": list(script.args)} for script in spec.bootstrap
        ],
    }


def platform_node_config(record: PlatformRecord, *, node_host: str) -> dict[str, object]:
    """The same for the platform's own node, which serves the metastore unless that is external."""
    return {
        "platform": record.name,
        "cluster": PLATFORM_CLUSTER,
        "team": PLATFORM_TEAM,
        "bucket": record.bucket,
        "region": record.region,
        "master_host": "",
        "metastore_uri": record.metastore_uri or f"thrift://{node_host}:9083",
        "workers": 0,
        "core_nodes": 0,
        "data_dirs": list(DATA_DIRS),
        "site": {},
        "bootstrap": [],
    }
