"""CreateFleet against a market that runs short: strategies, errors by pool, minimums, budgets, quotas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hcluster.localcloud.api.effects import Effect, Shortage, Throttle
from hcluster.localcloud.api.market import prices
from tests.unit.api_cloud import BASE, Cloud, running_cloud

A, B, C = "us-east-1a", "us-east-1b", "us-east-1c"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture(scope="module")
def template(cloud: Cloud) -> str:
    data = {"ImageId": BASE, "InstanceType": "m5.large"}
    made = cloud.client("ec2").create_launch_template(LaunchTemplateName="nodes", LaunchTemplateData=data)
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


@pytest.fixture(autouse=True)
def _nothing_left(cloud: Cloud) -> Iterator[None]:
    yield
    alive = [one.id for one in cloud.server._backend.alive()]
    if alive:
        cloud.client("ec2").terminate_instances(InstanceIds=alive)


def _fleet(cloud: Cloud, template: str, overrides: list[dict[str, Any]], total: int, **more: Any) -> dict[str, Any]:
    target = {"TotalTargetCapacity": total, "DefaultTargetCapacityType": "spot"} | more.pop("target", {})
    specification = {"LaunchTemplateId": template, "Version": "$Latest"}
    configs = [{"LaunchTemplateSpecification": specification, "Overrides": overrides}]
    request = {"Type": "instant", "LaunchTemplateConfigs": configs, "TargetCapacitySpecification": target} | more
    return dict(cloud.client("ec2").create_fleet(**request))


def _on_demand(strategy: str = "lowest-price", **options: Any) -> dict[str, Any]:
    return {
        "target": {"DefaultTargetCapacityType": "on-demand"},
        "OnDemandOptions": {"AllocationStrategy": strategy} | options,
    }


def _launched(fleet: dict[str, Any]) -> dict[str, int]:
    return {f"{one['InstanceType']} {one['AvailabilityZone']}": len(one["InstanceIds"]) for one in fleet["Instances"]}


@contextmanager
def _rule(cloud: Cloud, effect: Effect) -> Iterator[None]:
    rule = cloud.server.rules.add(effect, "test")
    try:
        yield
    finally:
        cloud.server.rules.discard([rule.id])


def _in(zone: str, *kinds: str, **more: Any) -> list[dict[str, Any]]:
    return [{"InstanceType": kind, "AvailabilityZone": zone} | more for kind in kinds]


def test_on_demand_at_the_lowest_price_takes_the_cheapest_type(cloud: Cloud, template: str) -> None:
    fleet = _fleet(cloud, template, _in(A, "r5.large", "m5.large", "c5.large"), 3, **_on_demand())
    assert _launched(fleet) == {f"c5.large {A}": 3}
    assert fleet["Errors"] == []


def test_prioritized_takes_the_lowest_number_first(cloud: Cloud, template: str) -> None:
    overrides = [*_in(A, "c5.large", Priority=2.0), *_in(A, "r5.large", Priority=1.0), *_in(A, "m5.large")]
    assert _launched(_fleet(cloud, template, overrides, 2, **_on_demand("prioritized"))) == {f"r5.large {A}": 2}


def test_spot_at_the_lowest_price_takes_the_cheapest_zone_now(cloud: Cloud, template: str) -> None:
    now = cloud.server._backend.api_now()
    cheapest = min((A, B, C), key=lambda zone: prices.spot("m5.large", zone, now) or 0)
    overrides = [one for zone in (A, B, C) for one in _in(zone, "m5.large")]
    assert _launched(_fleet(cloud, template, overrides, 2)) == {f"m5.large {cheapest}": 2}


def test_diversified_launches_from_every_pool(cloud: Cloud, template: str) -> None:
    overrides = [one for zone in (A, B, C) for one in _in(zone, "m5.large")]
    fleet = _fleet(cloud, template, overrides, 6, SpotOptions={"AllocationStrategy": "diversified"})
    assert _launched(fleet) == {f"m5.large {zone}": 2 for zone in (A, B, C)}


def test_a_pool_without_capacity_is_an_error_and_the_next_one_serves(cloud: Cloud, template: str) -> None:
    overrides = [*_in(A, "m5.large", Priority=1.0), *_in(B, "m5.large", Priority=2.0)]
    with _rule(cloud, Shortage("m5.large", A, "on-demand")):
        fleet = _fleet(cloud, template, overrides, 2, **_on_demand("prioritized"))
    assert _launched(fleet) == {f"m5.large {B}": 2}
    (error,) = fleet["Errors"]
    assert (error["ErrorCode"], error["Lifecycle"]) == ("InsufficientInstanceCapacity", "on-demand")
    assert error["LaunchTemplateAndOverrides"]["Overrides"]["AvailabilityZone"] == A
    assert "sufficient m5.large capacity in the Availability Zone you requested (us-east-1a)" in error["ErrorMessage"]


def test_a_pool_that_has_some_gives_them_beside_its_error(cloud: Cloud, template: str) -> None:
    with _rule(cloud, Shortage("m5.large", A, "spot", left=2)):
        fleet = _fleet(cloud, template, _in(A, "m5.large"), 5)
    assert _launched(fleet) == {f"m5.large {A}": 2}
    (error,) = fleet["Errors"]
    assert error["ErrorCode"] == "InsufficientInstanceCapacity"
    assert error["ErrorMessage"] == "There is no Spot capacity available that matches your request."


def test_capacity_counts_before_priority_in_the_spot_market(cloud: Cloud, template: str) -> None:
    overrides = [*_in(A, "m5.large", Priority=1.0), *_in(A, "r5.large", Priority=2.0)]
    options = {"AllocationStrategy": "capacity-optimized-prioritized"}
    assert _launched(_fleet(cloud, template, overrides, 4, SpotOptions=options)) == {f"m5.large {A}": 4}
    with _rule(cloud, Shortage("m5.large", A, "spot", left=3)):
        assert _launched(_fleet(cloud, template, overrides, 4, SpotOptions=options)) == {f"r5.large {A}": 4}


def test_weights_count_and_overshoot(cloud: Cloud, template: str) -> None:
    overrides = [*_in(A, "m5.xlarge", WeightedCapacity=4.0, Priority=1.0)]
    fleet = _fleet(cloud, template, overrides, 9, **_on_demand("prioritized"))
    assert _launched(fleet) == {f"m5.xlarge {A}": 3}
    shown = cloud.client("ec2").describe_fleets(FleetIds=[fleet["FleetId"]])["Fleets"][0]
    assert (shown["FulfilledCapacity"], shown["FulfilledOnDemandCapacity"]) == (12.0, 12.0)


def test_a_minimum_that_is_not_met_launches_nothing_and_says_why(cloud: Cloud, template: str) -> None:
    options = {"SingleInstanceType": True, "SingleAvailabilityZone": True, "MinTargetCapacity": 3}
    with _rule(cloud, Shortage("m5.large", A, "spot", left=2)):
        fleet = _fleet(cloud, template, _in(A, "m5.large"), 4, SpotOptions=options)
    assert fleet["Instances"] == []
    assert [one["ErrorCode"] for one in fleet["Errors"]] == ["InsufficientInstanceCapacity"]
    assert cloud.server._backend.alive() == [], "not even for a moment"


def test_a_single_zone_is_the_one_that_can_serve_all(cloud: Cloud, template: str) -> None:
    overrides = [one for zone in (A, B) for one in _in(zone, "m5.large", "r5.large")]
    options = {"AllocationStrategy": "lowest-price", "SingleAvailabilityZone": True}
    with _rule(cloud, Shortage("*", A, "spot", left=1)):
        fleet = _fleet(cloud, template, overrides, 4, SpotOptions=options)
    assert {one["AvailabilityZone"] for one in fleet["Instances"]} == {B}
    assert sum(_launched(fleet).values()) == 4


def test_a_maximum_price_below_the_spot_price_leaves_the_pool_out(cloud: Cloud, template: str) -> None:
    fleet = _fleet(cloud, template, [*_in(A, "m5.large", MaxPrice="0.001"), *_in(A, "r5.24xlarge")], 1)
    assert _launched(fleet) == {f"r5.24xlarge {A}": 1}
    (error,) = fleet["Errors"]
    assert error["ErrorCode"] == "SpotMaxPriceTooLow"
    assert error["ErrorMessage"].startswith("Your Spot request price of 0.001 is lower than the minimum required")


def test_a_total_price_bounds_the_fleet(cloud: Cloud, template: str) -> None:
    fleet = _fleet(cloud, template, _in(A, "m5.large"), 10, **_on_demand(MaxTotalPrice="0.3"))
    assert _launched(fleet) == {f"m5.large {A}": 3}
    assert [one["ErrorCode"] for one in fleet["Errors"]] == ["UnfulfillableCapacity"]


def test_quotas_bound_fleets_by_their_vcpus(cloud: Cloud, template: str) -> None:
    backend = cloud.server._backend
    backend.quota_values = {"L-34B43A08": 10, "L-1216C47A": 6}
    try:
        spot = _fleet(cloud, template, _in(A, "m5.xlarge"), 5)
        on_demand = _fleet(cloud, template, _in(A, "m5.xlarge"), 5, **_on_demand())
    finally:
        backend.quota_values = {}
    assert (_launched(spot), _launched(on_demand)) == ({f"m5.xlarge {A}": 2}, {f"m5.xlarge {A}": 1})
    assert [one["ErrorCode"] for one in spot["Errors"]] == ["MaxSpotInstanceCountExceeded"]
    assert [one["ErrorCode"] for one in on_demand["Errors"]] == ["VcpuLimitExceeded"]
    assert "your current vCPU limit of 6 allows" in on_demand["Errors"][0]["ErrorMessage"]


def test_throttling_of_launches_hides_in_the_errors_of_a_fleet(cloud: Cloud, template: str) -> None:
    with _rule(cloud, Throttle("ec2:RunInstances", rate=0.0001, burst=1)):
        fleet = _fleet(
            cloud,
            template,
            [one for zone in (A, B) for one in _in(zone, "m5.large")],
            4,
            SpotOptions={"AllocationStrategy": "diversified"},
        )
    assert sum(_launched(fleet).values()) == 2
    assert [one["ErrorCode"] for one in fleet["Errors"]] == ["RequestLimitExceeded"] * 2


def test_a_type_that_is_not_here_is_a_wrong_configuration_of_its_pool(cloud: Cloud, template: str) -> None:
    fleet = _fleet(cloud, template, _in(A, "p4d.24xlarge", "m5.large"), 1)
    assert _launched(fleet) == {f"m5.large {A}": 1}
    assert [one["ErrorCode"] for one in fleet["Errors"]] == ["InvalidFleetConfiguration"]


def test_two_subnets_of_one_zone_are_duplicate_pools(cloud: Cloud, template: str) -> None:
    ec2 = cloud.client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.77.250.0/28", AvailabilityZone=A)["Subnet"]["SubnetId"]
    first = ec2.describe_subnets(
        Filters=[{"Name": "default-for-az", "Values": ["true"]}, {"Name": "availability-zone", "Values": [A]}]
    )["Subnets"][0]["SubnetId"]
    overrides = [{"InstanceType": "m5.large", "SubnetId": subnet} for subnet in (first, made)]
    with pytest.raises(ClientError, match=r"InvalidFleetConfig.*duplicate instance pools"):
        _fleet(cloud, template, overrides, 1)


def test_requirements_stand_for_the_types_that_meet_them(cloud: Cloud, template: str) -> None:
    wanted = {
        "VCpuCount": {"Min": 4, "Max": 4},
        "MemoryMiB": {"Min": 0},
        "MemoryGiBPerVCpu": {"Min": 8, "Max": 8},
        "InstanceGenerations": ["current"],
    }
    overrides = [{"InstanceRequirements": wanted, "AvailabilityZone": A}]
    fleet = _fleet(cloud, template, overrides, 2, **_on_demand())
    assert _launched(fleet) == {f"r6a.xlarge {A}": 2} or _launched(fleet) == {f"r5a.xlarge {A}": 2}
    shown = fleet["Instances"][0]["LaunchTemplateAndOverrides"]["Overrides"]
    assert shown["InstanceType"] == fleet["Instances"][0]["InstanceType"]
    with pytest.raises(ClientError, match="InvalidFleetConfig"):
        _fleet(cloud, template, [{"InstanceRequirements": wanted | {"AcceleratorCount": {"Min": 1}}}], 1)


def test_capacity_may_be_counted_in_vcpus(cloud: Cloud, template: str) -> None:
    wanted = {"VCpuCount": {"Min": 4, "Max": 4}, "MemoryMiB": {"Min": 0}, "AllowedInstanceTypes": ["m5.*"]}
    more = _on_demand() | {"target": {"DefaultTargetCapacityType": "on-demand", "TargetCapacityUnitType": "vcpu"}}
    fleet = _fleet(cloud, template, [{"InstanceRequirements": wanted, "AvailabilityZone": A}], 10, **more)
    assert _launched(fleet) == {f"m5.xlarge {A}": 3}


def test_instant_fleets_are_shown_to_those_who_name_them_and_end_with_their_instances(
    cloud: Cloud, template: str
) -> None:
    ec2 = cloud.client("ec2")
    fleet = _fleet(cloud, template, _in(A, "m5.large"), 1)["FleetId"]
    assert fleet not in [one["FleetId"] for one in ec2.describe_fleets()["Fleets"]]
    with pytest.raises(ClientError, match=r"InvalidFleetId\.NotFound"):
        ec2.describe_fleets(FleetIds=["fleet-00000000-0000-0000-0000-000000000000"])
    kept = ec2.delete_fleets(FleetIds=[fleet, "fleet-none"], TerminateInstances=False)
    codes = [one["Error"]["Code"] for one in kept["UnsuccessfulFleetDeletions"]]
    assert codes == ["fleetNotInDeletableState", "fleetIdDoesNotExist"]
    gone = ec2.delete_fleets(FleetIds=[fleet], TerminateInstances=True)["SuccessfulFleetDeletions"]
    assert gone[0]["CurrentFleetState"] == "deleted_terminating"
