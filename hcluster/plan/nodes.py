"""What all nodes of a launch are told: the part of their configuration that is not of one node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hcluster.model.names import PLATFORM_CLUSTER, TAG_GROUP
from hcluster.model.node import Instance
from hcluster.model.platform import PlatformRecord
from hcluster.spec.base import STANDING

if TYPE_CHECKING:
    # Its classes take long to make, and what only lists clusters has none.
    from hcluster.spec.cluster import ClusterSpec

METASTORE_PORT = 9083
"""Where the platform node's metastore answers (puppet/data/hive.yaml)."""

DATA_DIRS = ("/var/lib/hadoop",)
"""Where HDFS and YARN keep their files on a node."""

Excluded = Mapping[str, list[str]]
"""Nodes that the master drains: addresses by ``hdfs``, host names by ``yarn``."""
NOBODY: Excluded = {"hdfs": [], "yarn": []}

PLATFORM_TEAM = PLATFORM_CLUSTER
"""The platform's node belongs to no team of the platform."""


QUIET = ("bootstrap", "core_nodes", "drain_seconds", "excluded", "expires_at", "returning", "workers")
"""Keys of a node's configuration that Puppet restarts no daemon for."""


def expires_at(created: float, lifetime: int) -> int:
    """The epoch second at which every node of a launch ends itself, 0 for never. ``lifetime``: seconds, or STANDING."""
    return 0 if lifetime == STANDING else int(created) + lifetime


def worker_types(spec: ClusterSpec) -> tuple[str, ...]:
    """The instance types that workers may have, each once."""
    groups = [group for group in (spec.core, spec.task) if group.count]
    return tuple(dict.fromkeys(one for group in groups for one in group.types))


def node_config(
    spec: ClusterSpec,
    record: PlatformRecord,
    *,
    master_host: str,
    memory_mib: Mapping[str, int],
    ends: int = 0,
) -> dict[str, object]:
    """The object at ``names.node_config_key``, as ``hcluster.node.config.hiera`` reads it.

    ``master_host`` is the master's private DNS name, known before the launch because its interface is made first;
    ``memory_mib`` is the memory of each type of the workers: containers are sized for the smallest; ``ends`` is the
    epoch second at which the nodes end themselves, 0 for never.
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
        "worker_memory_mib": min(memory_mib[one] for one in worker_types(spec)),
        "data_dirs": list(DATA_DIRS),
        "expires_at": ends,
        "excluded": dict(NOBODY),
        "drain_seconds": 0,
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
        "metastore_uri": record.metastore_uri or f"thrift://{node_host}:{METASTORE_PORT}",
        "workers": 0,
        "core_nodes": 0,
        "worker_memory_mib": 0,
        "data_dirs": list(DATA_DIRS),
        "metastore_volume": record.metastore_volume,
        "site": {},
        "bootstrap": [],
    }


def is_quiet(config: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    """Whether two configurations differ by nothing that a daemon is restarted for."""
    return all(config.get(key) == wanted.get(key) for key in {*config, *wanted} - {*QUIET})


def left_out(config: Mapping[str, object], nodes: Sequence[Instance]) -> frozenset[str]:
    """Ids of the living nodes that a master which is told this drains, or has drained and lets serve again."""
    excluded = config.get("excluded")
    names = [*(excluded.get("yarn", ()) if isinstance(excluded, Mapping) else ())]
    returning = config.get("returning")
    names += returning if isinstance(returning, list) else []
    return frozenset(node.id for node in nodes if node.alive and node.private_dns in names)


def leaving(nodes: Sequence[Instance]) -> dict[str, list[str]]:
    """What the master is told so that it drains these workers."""
    return {
        # HDFS compares addresses; names it would have to look up.
        "hdfs": sorted(node.private_ip for node in nodes if node.tags.get(TAG_GROUP) == "core"),
        "yarn": sorted(node.private_dns for node in nodes),
    }
