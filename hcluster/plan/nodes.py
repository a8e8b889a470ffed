"""What the nodes of a launch are told: one configuration for all of them, whatever their number."""

from __future__ import annotations

from hcluster.model.names import PLATFORM_CLUSTER
from hcluster.model.platform import PlatformRecord
from hcluster.spec.cluster import ClusterSpec

DATA_DIRS = ("/var/lib/hadoop",)


def node_config(spec: ClusterSpec, record: PlatformRecord, *, master_host: str) -> dict[str, object]:
    """The object that every node of a cluster's launch reads at boot; keys as ``hcluster.node.config`` takes them over."""
    return {
        "team": spec.team,
        "master_host": master_host,
        "metastore_uri": record.metastore_uri,
        "workers": spec.core.count + spec.task.count,
        "core_nodes": spec.core.count,
        "data_dirs": list(DATA_DIRS),
        "site": {name: dict(values) for name, values in spec.site.items()},
        "bootstrap": [{"name": item.name, "script": item.script, "args": list(item.args)} for item in spec.bootstrap],
    }


def platform_config(record: PlatformRecord) -> dict[str, object]:
    """The same for the platform node."""
    return {
        "team": PLATFORM_CLUSTER,
        "master_host": "",
        "metastore_uri": record.metastore_uri,
        "workers": 0,
        "core_nodes": 0,
        "data_dirs": list(DATA_DIRS),
        "site": {},
        "bootstrap": [],
    }
