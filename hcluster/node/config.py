"""From the launch's configuration and the machine to the Hiera layer that Puppet reads. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from hcluster.model.user_data import UserData
from hcluster.node.imds import Identity

SHARED_KEYS = (
    "master_host",
    "metastore_uri",
    "workers",
    "core_nodes",
    "worker_memory_mib",
    "data_dirs",
    "site",
    "team",
)
"""Keys that every node of a launch takes over as they are."""


def hiera(
    user_data: UserData, identity: Identity, shared: Mapping[str, object], *, memory_mib: int, vcpus: int
) -> dict[str, object]:
    """The flat keys of ``/etc/hcluster/node.yaml``."""
    values: dict[str, object] = {key: shared[key] for key in SHARED_KEYS}
    # Only the platform's node has one.
    values["metastore_volume"] = shared.get("metastore_volume", "")
    values["excluded"] = shared.get("excluded", {})
    values["drain_seconds"] = shared.get("drain_seconds", 0)
    values |= {
        "platform": user_data.platform,
        "cluster": user_data.cluster,
        "role": user_data.role,
        "bucket": user_data.bucket,
        "region": user_data.region,
        "s3_endpoint": user_data.s3_endpoint,
        "node_host": identity.hostname,
        "node_ip": identity.ip,
        "memory_mib": memory_mib,
        "vcpus": vcpus,
        "disks": user_data.disks,
    }
    return {f"hcluster::{key}": value for key, value in sorted(values.items())}
