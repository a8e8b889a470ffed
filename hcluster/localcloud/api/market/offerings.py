"""Which instance types there are, what each is, and in which zones it is offered.

What a type is (processors, disks, network) and which zones have it is AWS's own answer to DescribeInstanceTypes and
DescribeInstanceTypeOfferings of us-east-1, as moto ships it; only priced types of this machine's architecture count.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES

from hcluster.errors import LocalCloudError
from hcluster.localcloud.api.market import prices
from hcluster.localcloud.types import aws_size

ARCHITECTURE = "x86_64"
MIB_PER_GIB = 1024


@dataclass(frozen=True, slots=True)
class TypeFacts:
    """What decides about a type. ``memory_mib`` is AWS's figure; ``facts`` the whole of DescribeInstanceTypes."""

    name: str
    vcpus: int
    memory_mib: int
    facts: Mapping[str, Any]

    @property
    def burstable(self) -> bool:
        """Whether it earns CPU credits."""
        return bool(self.facts.get("BurstablePerformanceSupported"))


@functools.cache
def catalogue() -> dict[str, TypeFacts]:
    """Every type that can be had somewhere, by name, in the order of names."""
    found = {}
    for name in sorted(INSTANCE_TYPES):
        facts = INSTANCE_TYPES[name]
        if not _known(name) or ARCHITECTURE not in facts["ProcessorInfo"]["SupportedArchitectures"]:
            continue
        vcpus, memory = int(facts["VCpuInfo"]["DefaultVCpus"]), int(facts["MemoryInfo"]["SizeInMiB"])
        found[name] = TypeFacts(name, vcpus, memory, facts)
    return found


def _known(name: str) -> bool:
    try:
        aws_size(name)
    except LocalCloudError:
        return False
    return prices.on_demand(name) is not None


@functools.cache
def zones_of(instance_type: str) -> frozenset[str]:
    """The zones of us-east-1 that have a type; none for one outside the catalogue."""
    return _zones().get(instance_type, frozenset()) if instance_type in catalogue() else frozenset()


@functools.cache
def _zones() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for offering in INSTANCE_TYPE_OFFERINGS["availability-zone"]["us-east-1"]:
        found.setdefault(offering["InstanceType"], set()).add(offering["Location"])
    return {name: frozenset(zones) for name, zones in found.items()}


def exists(instance_type: str) -> bool:
    """Whether AWS has a type of that name, offered here or not."""
    return instance_type in INSTANCE_TYPES


def architectures(instance_type: str) -> list[str]:
    """Of an existing type."""
    return list(INSTANCE_TYPES[instance_type]["ProcessorInfo"]["SupportedArchitectures"])


def offered(instance_type: str, zone: str) -> bool:
    """Whether a zone has a type."""
    return zone in zones_of(instance_type)
