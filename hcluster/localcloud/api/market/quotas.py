"""Service quotas of EC2 that bound launches: vCPUs by class of family and way of buying.

Codes, names and default values as Service Quotas lists them
(https://docs.aws.amazon.com/general/latest/gr/ec2-service.html#limits_ec2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

ESTABLISHED = 20_000.0
"""vCPUs that this account has for standard families. AWS begins with 5, which no cluster fits in; an account that has
run for a while was granted more."""


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota. ``default`` is AWS's value for a new account, ``applied`` what a local account begins with."""

    code: str
    name: str
    families: str
    """The class in the metric's dimensions: "Standard/OnDemand"."""
    default: float
    applied: float


def _vcpus(code: str, name: str, families: str, default: float = 0.0) -> Quota:
    return Quota(code, name, families, default, ESTABLISHED if default else 0.0)


ON_DEMAND = {
    "standard": _vcpus(
        "L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", "Standard/OnDemand", 5.0
    ),
    "g": _vcpus("L-DB2E81BA", "Running On-Demand G and VT instances", "G/OnDemand"),
    "p": _vcpus("L-417A185B", "Running On-Demand P instances", "P/OnDemand"),
    "f": _vcpus("L-74FC7D96", "Running On-Demand F instances", "F/OnDemand"),
    "inf": _vcpus("L-1945791B", "Running On-Demand Inf instances", "Inf/OnDemand"),
    "x": _vcpus("L-7295265B", "Running On-Demand X instances", "X/OnDemand"),
}
SPOT = {
    "standard": _vcpus(
        "L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", "Standard/Spot", 5.0
    ),
    "g": _vcpus("L-3819A6DF", "All G and VT Spot Instance Requests", "G/Spot"),
    "p": _vcpus("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests", "P/Spot"),
    "f": _vcpus("L-88CF9481", "All F Spot Instance Requests", "F/Spot"),
    "inf": _vcpus("L-B5D1601B", "All Inf Spot Instance Requests", "Inf/Spot"),
    "x": _vcpus("L-E3A00192", "All X Spot Instance Requests", "X/Spot"),
}
BY_CODE = {quota.code: quota for quota in (*ON_DEMAND.values(), *SPOT.values())}

_FAMILY = re.compile(r"[a-z]+")


def quota_of(instance_type: str, *, spot: bool) -> Quota:
    """The quota that an instance of a type counts against."""
    letters = _FAMILY.match(instance_type)
    kind = "g" if letters and letters[0] == "vt" else letters[0] if letters else ""
    table = SPOT if spot else ON_DEMAND
    return table.get(kind, table["standard"])


def room(quota: Quota, value: float, running: Iterable[tuple[str, bool, int]]) -> int:
    """How many vCPUs are left of a quota's ``value``; ``running``: (type, spot, vCPUs) of what counts."""
    used = sum(vcpus for kind, spot, vcpus in running if quota_of(kind, spot=spot) is quota)
    return max(int(value) - used, 0)
