"""A request for an instant fleet: read, and refused where EC2 refuses it.

Limits from the EC2 API reference (CreateFleet, TargetCapacitySpecificationRequest, SpotOptionsRequest,
OnDemandOptionsRequest) and the user guide ("EC2 Fleet quotas").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.market.allocation import ON_DEMAND_STRATEGIES, SPOT_STRATEGIES, Terms

Data = Mapping[str, Any]

MOST_CAPACITY = 10_000
MOST_OVERRIDES = 300
MOST_REQUIREMENTS = 4
MOST_WEIGHT = 999
UNITS = ("units", "vcpu", "memory-mib")
TAGGABLE = ("fleet", "instance")
"""What an instant fleet's tags may be for; the launch template tags the rest."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a fleet wants of one way of buying."""

    spot: bool
    target: float
    terms: Terms
    minimum: float
    most_dollars: float | None
    """An hour, for all instances together."""

    @property
    def lifecycle(self) -> str:
        """As EC2 names it in answers."""
        return "spot" if self.spot else "on-demand"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A checked request: its parts in the order in which they are launched, and the unit that capacity counts."""

    parts: tuple[Part, ...]
    unit: str


def read(request: Data) -> Wanted:
    """What the request wants. Raises Fault for what EC2 refuses as a whole."""
    kind = request.get("Type") or "maintain"
    if kind != "instant":
        raise Fault(
            "UnsupportedOperation",
            f"CreateFleet of type {kind} is not supported by the local cloud, which knows fleets of type instant only.",
        )
    _check_tags(request)
    _check_configs(request.get("LaunchTemplateConfigs") or ())
    target = request.get("TargetCapacitySpecification") or {}
    unit = target.get("TargetCapacityUnitType") or "units"
    if unit not in UNITS:
        raise _invalid(unit, "targetCapacityUnitType")
    spot, on_demand = shares(target)
    parts = (
        _part(request.get("OnDemandOptions") or {}, on_demand, spot=False),
        _part(request.get("SpotOptions") or {}, spot, spot=True),
    )
    return Wanted(tuple(part for part in parts if part.target > 0), unit)


def shares(target: Data) -> tuple[float, float]:
    """(spot, on-demand) of the target capacity; what neither claims goes to the default kind."""
    if target.get("TotalTargetCapacity") is None:
        raise Fault("MissingParameter", "The request must contain the parameter TotalTargetCapacity")
    total = int(target["TotalTargetCapacity"])
    if not 1 <= total <= MOST_CAPACITY:
        raise Fault(
            "InvalidParameterValue",
            f"Value ({total}) for parameter totalTargetCapacity is invalid. For a fleet of type instant it must be"
            f" between 1 and {MOST_CAPACITY:,}.",
        )
    spot, on_demand = int(target.get("SpotTargetCapacity") or 0), int(target.get("OnDemandTargetCapacity") or 0)
    if min(spot, on_demand) < 0 or spot + on_demand > total:
        raise Fault(
            "InvalidParameterCombination",
            f"SpotTargetCapacity ({spot}) and OnDemandTargetCapacity ({on_demand}) don't fit into TotalTargetCapacity"
            f" ({total}).",
        )
    default = target.get("DefaultTargetCapacityType") or "on-demand"
    if default not in ("spot", "on-demand"):
        raise _invalid(default, "defaultTargetCapacityType")
    rest = total - spot - on_demand
    return (float(spot + rest), float(on_demand)) if default == "spot" else (float(spot), float(on_demand + rest))


def _part(options: Data, target: float, *, spot: bool) -> Part:
    strategy = str(options.get("AllocationStrategy") or "lowest-price")
    if strategy not in (SPOT_STRATEGIES if spot else ON_DEMAND_STRATEGIES):
        raise _invalid(strategy, "allocationStrategy")
    pools = options.get("InstancePoolsToUseCount")
    if pools is not None and (strategy != "lowest-price" or int(pools) < 1):
        raise Fault(
            "InvalidParameterCombination",
            "InstancePoolsToUseCount must be positive, and is valid only with the allocation strategy lowest-price.",
        )
    single = bool(options.get("SingleInstanceType")), bool(options.get("SingleAvailabilityZone"))
    minimum = int(options.get("MinTargetCapacity") or 0)
    if minimum and not any(single):
        raise Fault(
            "InvalidParameterCombination",
            "MinTargetCapacity needs SingleAvailabilityZone or SingleInstanceType.",
        )
    if minimum < 0 or (target and minimum > target):
        raise _invalid(minimum, "minTargetCapacity")
    most = options.get("MaxTotalPrice")
    dollars = None if most in (None, "") else price(most, "maxTotalPrice")
    return Part(spot, target, Terms(strategy, int(pools or 1), *single), float(minimum), dollars)


def _check_tags(request: Data) -> None:
    for specification in request.get("TagSpecifications") or ():
        kind = specification.get("ResourceType")
        if kind not in TAGGABLE:
            raise Fault("InvalidParameterValue", f"'{kind}' is not a valid taggable resource type for this operation.")


def _check_configs(configs: Sequence[Data]) -> None:
    if not configs:
        raise Fault("MissingParameter", "The request must contain the parameter LaunchTemplateConfigs")
    overrides = [override for config in configs for override in config.get("Overrides") or ()]
    if len(overrides) > MOST_OVERRIDES:
        raise Fault(
            "InvalidParameterValue",
            f"Your request contains more than the maximum allowed number of launch template overrides"
            f" ({MOST_OVERRIDES}).",
        )
    if sum(1 for override in overrides if override.get("InstanceRequirements")) > MOST_REQUIREMENTS:
        raise Fault(
            "InvalidParameterValue",
            f"Your request contains more than the maximum allowed number of InstanceRequirements ({MOST_REQUIREMENTS})",
        )
    for override in overrides:
        if override.get("InstanceType") and override.get("InstanceRequirements"):
            raise Fault(
                "InvalidParameterCombination",
                "InstanceType and InstanceRequirements can't both be specified in one override.",
            )
        weight = override.get("WeightedCapacity")
        if weight is not None and not 0 < float(weight) <= MOST_WEIGHT:
            raise _invalid(weight, "weightedCapacity")
        if override.get("MaxPrice") not in (None, ""):
            price(override["MaxPrice"], "maxPrice")


def demand_distinct(pools: Sequence[tuple[str, str]]) -> None:
    """Raise Fault when two overrides mean the same (type, zone): two subnets of one zone are one pool."""
    if len(set(pools)) < len(pools):
        raise Fault("InvalidFleetConfig", "The fleet configuration contains duplicate instance pools.")


def price(text: Any, parameter: str) -> float:
    """A price in US dollars. Raises Fault for what is none."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 < value < math.inf:
        raise _invalid(text, parameter)
    return value


def _invalid(value: object, parameter: str) -> Fault:
    return Fault("InvalidParameterValue", f"Value ({value}) for parameter {parameter} is invalid.")
