"""Attribute-based selection: which types meet InstanceRequirements.

The attributes and their defaults are those of the EC2 API reference (InstanceRequirementsRequest). Memory is what
machines of a type have here, as DescribeInstanceTypes tells it; only the ratio of memory to vCPUs, which tells families
apart, is AWS's own.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.market.offerings import MIB_PER_GIB, TypeFacts

Requirements = Mapping[str, Any]

_MANUFACTURERS = {"intel": "Intel", "amd": "AMD", "amazon-web-services": "AWS"}
_ACCELERATORS = ("AcceleratorTypes", "AcceleratorManufacturers", "AcceleratorNames", "AcceleratorTotalMemoryMiB")
SPOT_PROTECTION, ON_DEMAND_PROTECTION = 100.0, 20.0
"""Percent over the cheapest current C, M or R type that meets the requirements; dearer types are left out."""


def check(requirements: Requirements) -> None:
    """Raise Fault unless the parts that AWS demands are there."""
    for part in ("VCpuCount", "MemoryMiB"):
        if (requirements.get(part) or {}).get("Min") is None:
            raise Fault(
                "MissingParameter", f"The request must contain the parameter InstanceRequirements.{part}.Min", 400
            )
    if requirements.get("AllowedInstanceTypes") and requirements.get("ExcludedInstanceTypes"):
        raise Fault(
            "InvalidParameterCombination",
            "AllowedInstanceTypes and ExcludedInstanceTypes can't both be specified in InstanceRequirements.",
        )


def matching(
    types: Iterable[TypeFacts], requirements: Requirements, memory_mib: Callable[[str], int | None]
) -> list[TypeFacts]:
    """The types that meet the requirements. ``memory_mib``: what a machine of a type has here, None for no machine."""
    check(requirements)
    found = []
    for one in types:
        memory = memory_mib(one.name)
        if memory is not None and _meets(one, requirements, memory):
            found.append(one)
    return found


def _meets(one: TypeFacts, wanted: Requirements, memory: int) -> bool:
    if not _within(one.vcpus, wanted.get("VCpuCount")) or not _within(memory, wanted.get("MemoryMiB")):
        return False
    return all(
        (
            _within(one.memory_mib / MIB_PER_GIB / one.vcpus, wanted.get("MemoryGiBPerVCpu")),
            _named(one.name, wanted),
            _processor(one, wanted),
            _inclusion(one.burstable, wanted.get("BurstablePerformance"), "excluded"),
            _inclusion(bool(one.facts.get("BareMetal")), wanted.get("BareMetal"), "excluded"),
            _storage(one, wanted),
            _network(one, wanted),
            not wanted.get("RequireHibernateSupport") or bool(one.facts.get("HibernationSupported")),
            _accelerators(wanted),
        )
    )


def _within(value: float, bounds: Mapping[str, Any] | None) -> bool:
    if not bounds:
        return True
    least, most = bounds.get("Min"), bounds.get("Max")
    return (least is None or value >= float(least)) and (most is None or value <= float(most))


def _inclusion(has: bool, wanted: str | None, default: str) -> bool:  # noqa: FBT001 - one fact of a type
    rule = wanted or default
    return rule == "included" or has == (rule == "required")


def _named(name: str, wanted: Requirements) -> bool:
    if allowed := wanted.get("AllowedInstanceTypes"):
        return _like(name, allowed)
    return not _like(name, wanted.get("ExcludedInstanceTypes") or ())


def _like(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, str(pattern)) for pattern in patterns)


def _processor(one: TypeFacts, wanted: Requirements) -> bool:
    makers = [_MANUFACTURERS.get(str(name), str(name)) for name in wanted.get("CpuManufacturers") or ()]
    if makers and one.facts["ProcessorInfo"].get("Manufacturer") not in makers:
        return False
    generations = wanted.get("InstanceGenerations") or ("current", "previous")
    return ("current" if one.facts.get("CurrentGeneration") else "previous") in generations


def _storage(one: TypeFacts, wanted: Requirements) -> bool:
    disks = one.facts.get("InstanceStorageInfo") or {}
    if not _inclusion(bool(disks), wanted.get("LocalStorage"), "included"):
        return False
    kinds = {str(disk.get("Type")) for disk in disks.get("Disks") or ()}
    if disks and (asked := wanted.get("LocalStorageTypes")) and not kinds & set(asked):
        return False
    return _within(float(disks.get("TotalSizeInGB") or 0), wanted.get("TotalLocalStorageGB"))


def _network(one: TypeFacts, wanted: Requirements) -> bool:
    network = one.facts.get("NetworkInfo") or {}
    peak = sum(float(card.get("PeakBandwidthInGbps") or 0) for card in network.get("NetworkCards") or ())
    disk = (one.facts.get("EbsInfo") or {}).get("EbsOptimizedInfo") or {}
    return (
        _within(float(network.get("MaximumNetworkInterfaces") or 0), wanted.get("NetworkInterfaceCount"))
        and _within(peak, wanted.get("NetworkBandwidthGbps"))
        and _within(float(disk.get("BaselineBandwidthInMbps") or 0), wanted.get("BaselineEbsBandwidthMbps"))
    )


def _accelerators(wanted: Requirements) -> bool:
    """No type of the catalogue has an accelerator."""
    if any(wanted.get(part) for part in _ACCELERATORS):
        return False
    return _within(0, wanted.get("AcceleratorCount"))


def protected(
    types: Sequence[TypeFacts], requirements: Requirements, price: Callable[[str], float | None], *, spot: bool
) -> list[TypeFacts]:
    """Without the types whose price is over the requirements' price protection."""
    option = "SpotMaxPricePercentageOverLowestPrice" if spot else "OnDemandMaxPricePercentageOverLowestPrice"
    percent = requirements.get(option)
    percent = (SPOT_PROTECTION if spot else ON_DEMAND_PROTECTION) if percent is None else float(percent)
    costs = {one.name: price(one.name) for one in types}
    usual = [
        cost
        for one in types
        if (cost := costs[one.name]) is not None and one.facts.get("CurrentGeneration") and one.name[0] in "cmr"
    ] or [cost for cost in costs.values() if cost is not None]
    if not usual:
        return []
    most = min(usual) * (1 + percent / 100)
    return [one for one in types if (cost := costs[one.name]) is not None and cost <= most + 1e-12]
