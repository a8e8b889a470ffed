"""The record of what a platform is made of, kept at ``names.PLATFORM_KEY``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PlatformRecord:
    """Ids of what ``platform up`` made or adopted."""

    name: str
    bucket: str
    region: str
    vpc: str
    network: tuple[str, ...]
    """CIDR blocks of the VPC; no node outside them is ever contacted."""
    subnets: tuple[str, ...]
    metastore_uri: str
    """thrift://HOST:9083"""
    launch: str = ""
    """Id of this life of the platform, from its first ``up`` to its ``down``."""
    attempt: int = 0
    """How many platform nodes this life has asked for."""
    metastore_external: bool = False
    metastore_node: str = ""
    """Instance id of the platform node, also when the metastore is external."""
    metastore_volume: str = ""
    """Volume id of the metastore's database; "" when the metastore is external."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Security group id of each team (and of ``platform``)."""
    profiles: Mapping[str, str] = field(default_factory=dict)
    """Instance profile name of each team (and of ``platform``)."""
