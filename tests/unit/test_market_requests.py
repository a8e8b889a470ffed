"""What a fleet's request says, what EC2 refuses of it, and which types meet requirements."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.market import fleet_request, offerings, prices, requirements, scores

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def _request(**more: Any) -> dict[str, Any]:
    target = {"TotalTargetCapacity": 10, "DefaultTargetCapacityType": "spot"} | more.pop("target", {})
    overrides = more.pop("overrides", [{"InstanceType": "m5.large"}])
    configs = [{"LaunchTemplateSpecification": {"LaunchTemplateId": "lt-1"}, "Overrides": overrides}]
    base = {"Type": "instant", "LaunchTemplateConfigs": configs, "TargetCapacitySpecification": target}
    return base | more


def _code(**more: Any) -> str:
    with pytest.raises(Fault) as fault:
        fleet_request.read(_request(**more))
    return fault.value.code


@pytest.mark.parametrize(
    ("target", "shares"),
    [
        ({"TotalTargetCapacity": 10, "DefaultTargetCapacityType": "spot"}, (10, 0)),
        ({"TotalTargetCapacity": 10, "DefaultTargetCapacityType": "on-demand"}, (0, 10)),
        ({"TotalTargetCapacity": 10}, (0, 10)),
        ({"TotalTargetCapacity": 10, "OnDemandTargetCapacity": 3, "DefaultTargetCapacityType": "spot"}, (7, 3)),
        ({"TotalTargetCapacity": 10, "SpotTargetCapacity": 3, "DefaultTargetCapacityType": "on-demand"}, (3, 7)),
        ({"TotalTargetCapacity": 10, "SpotTargetCapacity": 6, "OnDemandTargetCapacity": 2}, (6, 4)),
    ],
)
def test_target_capacity_is_shared_between_spot_and_on_demand(
    target: dict[str, Any], shares: tuple[float, float]
) -> None:
    assert fleet_request.shares(target) == shares


def test_on_demand_is_launched_before_spot() -> None:
    wanted = fleet_request.read(_request(target={"OnDemandTargetCapacity": 4}))
    assert [(part.lifecycle, part.target) for part in wanted.parts] == [("on-demand", 4), ("spot", 6)]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"Type": "maintain"}, "UnsupportedOperation"),
        ({"Type": "request"}, "UnsupportedOperation"),
        ({"target": {"TotalTargetCapacity": 0}}, "InvalidParameterValue"),
        ({"target": {"TotalTargetCapacity": 10_001}}, "InvalidParameterValue"),
        ({"target": {"TotalTargetCapacity": None}}, "MissingParameter"),
        ({"target": {"SpotTargetCapacity": 8, "OnDemandTargetCapacity": 3}}, "InvalidParameterCombination"),
        ({"target": {"DefaultTargetCapacityType": "free"}}, "InvalidParameterValue"),
        ({"target": {"TargetCapacityUnitType": "cores"}}, "InvalidParameterValue"),
        ({"overrides": [{"InstanceType": f"m5.{n}"} for n in range(301)]}, "InvalidParameterValue"),
        ({"overrides": [{"InstanceRequirements": {"VCpuCount": {"Min": 1}}}] * 5}, "InvalidParameterValue"),
        (
            {"overrides": [{"InstanceType": "m5.large", "InstanceRequirements": {"VCpuCount": {"Min": 1}}}]},
            "InvalidParameterCombination",
        ),
        ({"overrides": [{"InstanceType": "m5.large", "WeightedCapacity": 0}]}, "InvalidParameterValue"),
        ({"overrides": [{"InstanceType": "m5.large", "MaxPrice": "free"}]}, "InvalidParameterValue"),
        ({"LaunchTemplateConfigs": []}, "MissingParameter"),
        ({"SpotOptions": {"AllocationStrategy": "prioritized"}}, "InvalidParameterValue"),
        ({"OnDemandOptions": {"AllocationStrategy": "diversified"}}, "InvalidParameterValue"),
        (
            {"SpotOptions": {"AllocationStrategy": "diversified", "InstancePoolsToUseCount": 2}},
            "InvalidParameterCombination",
        ),
        ({"SpotOptions": {"MinTargetCapacity": 5}}, "InvalidParameterCombination"),
        ({"SpotOptions": {"MinTargetCapacity": 11, "SingleInstanceType": True}}, "InvalidParameterValue"),
        ({"SpotOptions": {"MaxTotalPrice": "-1"}}, "InvalidParameterValue"),
        ({"TagSpecifications": [{"ResourceType": "volume", "Tags": []}]}, "InvalidParameterValue"),
    ],
)
def test_what_ec2_refuses_of_a_fleet_is_refused(more: dict[str, Any], code: str) -> None:
    assert _code(**more) == code


def test_two_overrides_of_one_type_and_zone_are_one_pool_twice() -> None:
    fleet_request.demand_distinct([("m5.large", "us-east-1a"), ("m5.large", "us-east-1b"), ("r5.large", "us-east-1a")])
    with pytest.raises(Fault, match="InvalidFleetConfig: The fleet configuration contains duplicate instance pools"):
        fleet_request.demand_distinct([("m5.large", "us-east-1a"), ("m5.large", "us-east-1a")])


def _names(wanted: dict[str, Any]) -> set[str]:
    base = {"VCpuCount": {"Min": 4, "Max": 4}, "MemoryMiB": {"Min": 0}}
    types = offerings.catalogue()
    found = requirements.matching(types.values(), base | wanted, lambda kind: types[kind].memory_mib)
    return {one.name for one in found}


def test_requirements_are_met_by_vcpus_and_memory() -> None:
    found = _names({"MemoryMiB": {"Min": 16_384, "Max": 16_384}})
    assert {"m5.xlarge", "m6i.xlarge"} <= found
    assert not {"c5.xlarge", "r5.xlarge", "m5.2xlarge"} & found


@pytest.mark.parametrize(
    ("wanted", "there", "not_there"),
    [
        ({}, "m5.xlarge", "t3.xlarge"),
        ({"BurstablePerformance": "included"}, "t3.xlarge", "p4d.24xlarge"),
        ({"BurstablePerformance": "required"}, "t3.xlarge", "m5.xlarge"),
        ({"CpuManufacturers": ["amd"]}, "m5a.xlarge", "m5.xlarge"),
        ({"InstanceGenerations": ["current"]}, "m7i.xlarge", "m4.xlarge"),
        ({"LocalStorage": "required"}, "m5d.xlarge", "m5.xlarge"),
        ({"LocalStorage": "excluded"}, "m5.xlarge", "m5d.xlarge"),
        ({"AllowedInstanceTypes": ["r5.*"]}, "r5.xlarge", "m5.xlarge"),
        ({"ExcludedInstanceTypes": ["m5*"]}, "r5.xlarge", "m5a.xlarge"),
        ({"MemoryGiBPerVCpu": {"Min": 8}}, "r5.xlarge", "m5.xlarge"),
        ({"TotalLocalStorageGB": {"Min": 900}}, "i3.xlarge", "m5d.xlarge"),
    ],
)
def test_each_attribute_selects(wanted: dict[str, Any], there: str, not_there: str) -> None:
    found = _names(wanted)
    assert there in found
    assert not_there not in found


def test_types_without_accelerators_meet_no_requirement_of_one() -> None:
    assert _names({"AcceleratorCount": {"Min": 1}}) == set()
    assert _names({"AcceleratorTypes": ["gpu"]}) == set()
    assert "m5.xlarge" in _names({"AcceleratorCount": {"Max": 0}})


def test_requirements_need_vcpus_and_memory() -> None:
    for wanted in ({"VCpuCount": {"Min": 1}}, {"MemoryMiB": {"Min": 1}}, {}):
        with pytest.raises(Fault, match="MissingParameter"):
            requirements.check(wanted)


def test_price_protection_leaves_dear_types_out() -> None:
    types = [offerings.catalogue()[kind] for kind in ("c6a.xlarge", "m5.xlarge", "r5.xlarge")]
    price = prices.on_demand
    kept = requirements.protected(types, {}, price, spot=False)
    assert [one.name for one in kept] == ["c6a.xlarge"], "20 percent over the cheapest by default"
    loose = {"OnDemandMaxPricePercentageOverLowestPrice": 30}
    assert [one.name for one in requirements.protected(types, loose, price, spot=False)] == ["c6a.xlarge", "m5.xlarge"]
    assert len(requirements.protected(types, {}, price, spot=True)) == 3


def test_scores_fall_with_what_is_asked_and_rise_with_types() -> None:
    assert scores.score(100, 1000, 5) == 1
    assert scores.score(10_000, 1000, 5) == 10
    assert scores.score(10_000, 1000, 2) == 3
    found = [scores.score(5000, target, 3) for target in (100, 500, 1000, 3000, 6000)]
    assert found == sorted(found, reverse=True)
    assert all(1 <= one <= 10 for one in found)


def test_room_is_what_rules_leave() -> None:
    def limit(kind: str, zone: str, _: str) -> int | None:
        return 0 if (kind, zone) == ("m5.large", "us-east-1a") else None

    def room(zone: str, unit: str = "units") -> float:
        return scores.room(["m5.large"], zone, unit, NOW, limit, lambda _: 1024)

    assert room("us-east-1a") == 0
    assert room("us-east-1b", "vcpu") == 2 * room("us-east-1b")
    assert room("us-east-1b", "memory-mib") == 1024 * room("us-east-1b")
