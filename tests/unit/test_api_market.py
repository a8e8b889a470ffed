"""EC2's operations about the market, placement groups, limits of RunInstances, attributes and dry runs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hcluster.localcloud.api.effects import Shortage
from tests.unit.api_cloud import BASE, Cloud, running_cloud

A, B, C = "us-east-1a", "us-east-1b", "us-east-1c"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture(scope="module")
def ec2(cloud: Cloud) -> Any:
    return cloud.client("ec2")


@pytest.fixture(autouse=True)
def _nothing_left(cloud: Cloud) -> Iterator[None]:
    yield
    alive = [one.id for one in cloud.server._backend.alive()]
    if alive:
        for one in alive:
            cloud.server._backend.by_id[one].disable_api_termination = False
        cloud.client("ec2").terminate_instances(InstanceIds=alive)
        cloud.wait(alive, "terminated")


def _refused(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def _run(ec2: Any, least: int = 1, most: int = 1, **more: Any) -> list[dict[str, Any]]:
    request = {"ImageId": BASE, "InstanceType": "m5.large", "MinCount": least, "MaxCount": most} | more
    return list(ec2.run_instances(**request)["Instances"])


@contextmanager
def _short(cloud: Cloud, kind: str, zone: str, market: str = "any", left: int = 0) -> Iterator[None]:
    rule = cloud.server.rules.add(Shortage(kind, zone, market, left), "test")
    try:
        yield
    finally:
        cloud.server.rules.discard([rule.id])


# Offerings


def test_the_zones_are_those_that_have_default_subnets(ec2: Any) -> None:
    zones = {one["ZoneName"] for one in ec2.describe_availability_zones()["AvailabilityZones"]}
    assert zones == {A, B, C}
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    made = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.77.25{n}.0/28")["Subnet"] for n in range(1, 5)]
    assert {one["AvailabilityZone"] for one in made} <= zones, "EC2 chooses one of them"


def test_offerings_are_told_by_zone_and_region(ec2: Any) -> None:
    by_zone = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["m5.large", "p4d.24xlarge"]}]
    )
    found = [one for page in by_zone for one in page["InstanceTypeOfferings"]]
    assert {(one["InstanceType"], one["Location"]) for one in found} == {("m5.large", zone) for zone in (A, B, C)}
    filters = [{"Name": "location", "Values": ["us-east-1"]}]
    whole = ec2.describe_instance_type_offerings(Filters=filters)["InstanceTypeOfferings"]
    assert len(whole) > 400
    assert {one["LocationType"] for one in whole} == {"region"}
    assert _refused(ec2.describe_instance_type_offerings, LocationType="outpost")[0] == "InvalidParameterValue"


def test_types_are_described_in_pages_with_the_memory_that_is_here(ec2: Any) -> None:
    assert len(ec2.describe_instance_types()["InstanceTypes"]) == 100
    pages = ec2.get_paginator("describe_instance_types").paginate(
        Filters=[{"Name": "memory-info.size-in-mib", "Values": ["1024"]}]
    )
    names = [one["InstanceType"] for page in pages for one in page["InstanceTypes"]]
    assert len(names) == len(set(names)) > 400
    for kind in ("p4d.24xlarge", "m5.nosuch"):
        code, message = _refused(ec2.describe_instance_types, InstanceTypes=["m5.large", kind])
        assert (code, kind in message) == ("InvalidInstanceType", True)


# Spot prices


def test_spot_price_history_is_told_newest_first_with_the_price_at_its_start(ec2: Any) -> None:
    start = datetime.now(UTC) - timedelta(hours=10)
    found = ec2.describe_spot_price_history(
        InstanceTypes=["m5.large"], ProductDescriptions=["Linux/UNIX"], StartTime=start
    )["SpotPriceHistory"]
    assert {one["AvailabilityZone"] for one in found} == {A, B, C}
    times = [one["Timestamp"] for one in found]
    assert times == sorted(times, reverse=True)
    for zone in (A, B, C):
        oldest = [one["Timestamp"] for one in found if one["AvailabilityZone"] == zone][-1]
        assert start - timedelta(hours=4) <= oldest <= start
    assert all(0.24 < float(one["SpotPrice"]) / 0.096 < 0.46 for one in found)


def test_spot_price_history_comes_in_pages(ec2: Any) -> None:
    request = {"InstanceTypes": ["m5.large"], "StartTime": datetime.now(UTC) - timedelta(days=10)}
    whole = ec2.describe_spot_price_history(**request)["SpotPriceHistory"]
    pages = list(
        ec2.get_paginator("describe_spot_price_history").paginate(**request, PaginationConfig={"PageSize": 50})
    )
    assert len(pages) == -(-len(whole) // 50)
    assert [one for page in pages for one in page["SpotPriceHistory"]] == whole


def test_spot_price_history_of_one_zone_now_is_one_price(ec2: Any) -> None:
    now = datetime.now(UTC)
    found = ec2.describe_spot_price_history(
        InstanceTypes=["r5.xlarge"], AvailabilityZone=B, StartTime=now, EndTime=now, ProductDescriptions=["Linux/UNIX"]
    )["SpotPriceHistory"]
    assert [(one["AvailabilityZone"], one["InstanceType"]) for one in found] == [(B, "r5.xlarge")]
    windows = ec2.describe_spot_price_history(InstanceTypes=["r5.xlarge"], ProductDescriptions=["Windows"])
    assert windows["SpotPriceHistory"] == []


def test_all_pools_history_begins_without_making_all_of_it(ec2: Any) -> None:
    page = ec2.describe_spot_price_history(MaxResults=10)
    assert len(page["SpotPriceHistory"]) == 10
    assert page["NextToken"]


# Scores and requirements


def test_placement_scores_are_given_for_the_region_or_each_zone(cloud: Cloud, ec2: Any) -> None:
    request = {"InstanceTypes": ["m5.large", "m5a.large", "r5.large"], "TargetCapacity": 50}
    (whole,) = ec2.get_spot_placement_scores(**request, RegionNames=["us-east-1"])["SpotPlacementScores"]
    assert (whole["Region"], whole["Score"]) == ("us-east-1", 10)
    zones = ec2.get_spot_placement_scores(**request, SingleAvailabilityZone=True)["SpotPlacementScores"]
    ids = {z["ZoneId"]: z["ZoneName"] for z in ec2.describe_availability_zones()["AvailabilityZones"]}
    assert {ids[one["AvailabilityZoneId"]] for one in zones} == {A, B, C}
    with _short(cloud, "*", A, "spot"):
        scarce = ec2.get_spot_placement_scores(**request, SingleAvailabilityZone=True)["SpotPlacementScores"]
    assert {one["Score"] for one in scarce if ids[one["AvailabilityZoneId"]] == A} == {1}
    few = ec2.get_spot_placement_scores(InstanceTypes=["m5.large"], TargetCapacity=1)["SpotPlacementScores"]
    assert few[0]["Score"] == 3, "fewer than three types score low"


def test_types_are_looked_up_by_requirements(ec2: Any) -> None:
    request = {
        "ArchitectureTypes": ["x86_64"],
        "VirtualizationTypes": ["hvm"],
        "InstanceRequirements": {"VCpuCount": {"Min": 2, "Max": 2}, "MemoryMiB": {"Min": 1024}},
    }
    found = [
        one["InstanceType"]
        for page in ec2.get_paginator("get_instance_types_from_instance_requirements").paginate(**request)
        for one in page["InstanceTypes"]
    ]
    assert "m5.large" in found
    assert "t3.large" not in found, "burstable types are left out unless they are asked for"
    none = ec2.get_instance_types_from_instance_requirements(**request | {"ArchitectureTypes": ["arm64"]})
    assert none["InstanceTypes"] == []


# Placement groups


def test_a_placement_groups_life(cloud: Cloud, ec2: Any) -> None:
    tags = [{"ResourceType": "placement-group", "Tags": [{"Key": "team", "Value": "x"}]}]
    made = ec2.create_placement_group(GroupName="near", Strategy="cluster", TagSpecifications=tags)["PlacementGroup"]
    assert (made["State"], made["Strategy"]) == ("available", "cluster")
    assert _refused(ec2.create_placement_group, GroupName="near")[0] == "InvalidPlacementGroup.Duplicate"
    by_tag = ec2.describe_placement_groups(Filters=[{"Name": "tag:team", "Values": ["x"]}])["PlacementGroups"]
    assert [one["GroupId"] for one in by_tag] == [made["GroupId"]]
    (instance,) = _run(ec2, Placement={"GroupName": "near", "AvailabilityZone": B})
    assert instance["Placement"]["GroupName"] == "near"
    assert _refused(ec2.delete_placement_group, GroupName="near")[0] == "InvalidPlacementGroup.InUse"
    (other,) = _run(ec2, Placement={"GroupName": "near"})
    assert other["Placement"]["AvailabilityZone"] == B, "a cluster group is in one zone"
    elsewhere = {"GroupName": "near", "AvailabilityZone": A}
    assert _refused(_run, ec2=ec2, Placement=elsewhere)[0] == "InvalidParameterCombination"
    ids = [instance["InstanceId"], other["InstanceId"]]
    ec2.terminate_instances(InstanceIds=ids)
    cloud.wait(ids, "terminated")
    ec2.delete_placement_group(GroupName="near")
    assert _refused(ec2.describe_placement_groups, GroupNames=["near"])[0] == "InvalidPlacementGroup.Unknown"
    assert _refused(ec2.delete_placement_group, GroupName="near")[0] == "InvalidPlacementGroup.Unknown"


def test_launches_into_groups_follow_their_strategy(ec2: Any) -> None:
    assert _refused(_run, ec2=ec2, Placement={"GroupName": "none"})[0] == "InvalidPlacementGroup.Unknown"
    ec2.create_placement_group(GroupName="burst", Strategy="cluster")
    code, message = _refused(_run, ec2=ec2, InstanceType="t3.large", Placement={"GroupName": "burst"})
    assert code == "InvalidParameterCombination"
    assert message.startswith("Cluster placement groups are not supported by the 't3.large' instance type.")
    ec2.create_placement_group(GroupName="apart", Strategy="spread")
    _run(ec2, 7, 7, Placement={"GroupName": "apart"})
    assert _refused(_run, ec2=ec2, Placement={"GroupName": "apart"})[0] == "InsufficientInstanceCapacity"
    assert len(_run(ec2, Placement={"GroupName": "apart", "AvailabilityZone": C})) == 1


# RunInstances


def test_a_shortage_fails_a_launch_with_a_fault_that_sdks_repeat(cloud: Cloud, ec2: Any) -> None:
    with _short(cloud, "m5.large", A):
        with pytest.raises(ClientError) as error:
            _run(ec2, Placement={"AvailabilityZone": A})
        assert error.value.response["Error"]["Code"] == "InsufficientInstanceCapacity"
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
        assert f"choosing {B}, {C}" in error.value.response["Error"]["Message"]
        (instance,) = _run(ec2)
        assert instance["Placement"]["AvailabilityZone"] == B, "EC2 chooses a zone that has some"


def test_as_many_as_there_are_between_least_and_most_are_launched(cloud: Cloud, ec2: Any) -> None:
    where = {"Placement": {"AvailabilityZone": A}}
    with _short(cloud, "m5.large", A, left=3):
        assert _refused(_run, ec2=ec2, least=4, most=5, **where)[0] == "InsufficientInstanceCapacity"
        assert len(_run(ec2, 2, 5, **where)) == 3
        assert _refused(_run, ec2=ec2, **where)[0] == "InsufficientInstanceCapacity", "they are gone now"


def test_quotas_count_vcpus_of_what_runs(cloud: Cloud, ec2: Any) -> None:
    backend = cloud.server._backend
    spot = {"InstanceMarketOptions": {"MarketType": "spot"}}
    try:
        backend.quota_values = {"L-1216C47A": 8, "L-34B43A08": 4}
        _run(ec2, 3, 3)
        code, message = _refused(_run, ec2=ec2, InstanceType="m5.xlarge")
        assert (code, "vCPU limit of 8" in message) == ("VcpuLimitExceeded", True)
        assert len(_run(ec2, 1, 5)) == 1
        assert _refused(_run, ec2=ec2, least=3, most=3, **spot) == (
            "MaxSpotInstanceCountExceeded",
            "Max spot instance count exceeded",
        )
        assert len(_run(ec2, 2, 2, **spot)) == 2
    finally:
        backend.quota_values = {}


def test_a_stopped_instance_needs_room_to_start_again(cloud: Cloud, ec2: Any) -> None:
    (instance,) = cloud.run(1, Placement={"AvailabilityZone": A})
    ec2.stop_instances(InstanceIds=[instance])
    cloud.wait([instance], "stopped")
    with _short(cloud, "m5.large", A):
        assert _refused(ec2.start_instances, InstanceIds=[instance])[0] == "InsufficientInstanceCapacity"
    cloud.server._backend.quota_values = {"L-1216C47A": 1}
    assert _refused(ec2.start_instances, InstanceIds=[instance])[0] == "VcpuLimitExceeded"
    cloud.server._backend.quota_values = {}
    ec2.start_instances(InstanceIds=[instance])
    cloud.wait([instance], "running")


def test_types_without_machines_here_and_unknown_ones_are_refused(ec2: Any) -> None:
    assert _refused(_run, ec2=ec2, InstanceType="p4d.24xlarge")[0] == "Unsupported"
    code, message = _refused(_run, ec2=ec2, InstanceType="m5.huge")
    assert (code, message) == ("InvalidParameterValue", "Invalid value 'm5.huge' for InstanceType.")
    code, message = _refused(_run, ec2=ec2, InstanceType="m6g.large")
    assert code == "InvalidParameterValue"
    assert message.startswith("The architecture 'arm64' of the specified instance type does not match")


def test_a_spot_launch_below_the_spot_price_is_refused(ec2: Any) -> None:
    options = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.0001"}}
    assert _refused(_run, ec2=ec2, InstanceMarketOptions=options)[0] == "SpotMaxPriceTooLow"
    options = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.096"}}
    assert len(_run(ec2, InstanceMarketOptions=options)) == 1


def test_a_client_token_is_good_for_one_launch(ec2: Any) -> None:
    first = _run(ec2, ClientToken="once")
    assert [one["InstanceId"] for one in _run(ec2, ClientToken="once")] == [one["InstanceId"] for one in first]
    assert _refused(_run, ec2=ec2, most=2, ClientToken="once")[0] == "IdempotentParameterMismatch"


def test_an_image_may_be_named_by_a_public_parameter(ec2: Any) -> None:
    (instance,) = _run(ec2, ImageId="resolve:ssm:/aws/service/debian/release/12/latest/amd64")
    assert instance["ImageId"] == BASE
    assert _refused(_run, ec2=ec2, ImageId="resolve:ssm:/no/such")[0] == "InvalidParameterValue"


# Attributes


def test_type_and_user_data_change_only_while_stopped(cloud: Cloud, ec2: Any) -> None:
    (instance,) = cloud.run(1)
    for change in ({"InstanceType": {"Value": "m5.xlarge"}}, {"UserData": {"Value": b"new"}}):
        code, message = _refused(ec2.modify_instance_attribute, InstanceId=instance, **change)
        assert (code, message) == (
            "IncorrectInstanceState",
            f"The instance '{instance}' is not in the 'stopped' state.",
        )
    ec2.stop_instances(InstanceIds=[instance])
    cloud.wait([instance], "stopped")
    ec2.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "m5.xlarge"})
    ec2.modify_instance_attribute(InstanceId=instance, UserData={"Value": b"new"})
    code = _refused(ec2.modify_instance_attribute, InstanceId=instance, InstanceType={"Value": "zz.large"})[0]
    assert code == "InvalidInstanceAttributeValue"
    assert cloud.describe(instance)["InstanceType"] == "m5.xlarge"
    shown = ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")["UserData"]["Value"]
    assert base64.b64decode(shown) == b"new"
    ec2.start_instances(InstanceIds=[instance])
    cloud.wait([instance], "running")
    assert cloud.machines.running[instance].instance_type == "m5.xlarge"


def test_protection_holds_until_it_is_taken_away(cloud: Cloud, ec2: Any) -> None:
    (instance,) = cloud.run(1)
    ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": True})
    assert _refused(ec2.terminate_instances, InstanceIds=[instance])[0] == "OperationNotPermitted"
    ec2.modify_instance_attribute(InstanceId=instance, Attribute="disableApiTermination", Value="false")
    ec2.modify_instance_attribute(InstanceId=instance, DisableApiStop={"Value": True})
    assert _refused(ec2.stop_instances, InstanceIds=[instance])[0] == "OperationNotPermitted"
    ec2.terminate_instances(InstanceIds=[instance])


def test_groups_shutdown_behaviour_and_source_check_change_while_running(cloud: Cloud, ec2: Any) -> None:
    (instance,) = cloud.run(1)
    shown = cloud.describe(instance)
    group = ec2.create_security_group(GroupName="other", Description="x", VpcId=shown["VpcId"])["GroupId"]
    ec2.modify_instance_attribute(InstanceId=instance, Groups=[group])
    ec2.modify_instance_attribute(InstanceId=instance, InstanceInitiatedShutdownBehavior={"Value": "terminate"})
    ec2.modify_instance_attribute(InstanceId=instance, SourceDestCheck={"Value": False})
    shown = cloud.describe(instance)
    assert [one["GroupId"] for one in shown["SecurityGroups"]] == [group]
    assert [one["GroupId"] for one in shown["NetworkInterfaces"][0]["Groups"]] == [group]
    assert shown["SourceDestCheck"] is False
    behaviour = ec2.describe_instance_attribute(InstanceId=instance, Attribute="instanceInitiatedShutdownBehavior")
    assert behaviour["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
    change = ec2.modify_instance_attribute
    assert _refused(change, InstanceId=instance, Groups=["sg-00000000000000000"])[0] == "InvalidGroup.NotFound"
    bad = {"InstanceInitiatedShutdownBehavior": {"Value": "hibernate"}}
    assert _refused(change, InstanceId=instance, **bad)[0] == "InvalidParameterValue"
    two = {"DisableApiStop": {"Value": True}, "SourceDestCheck": {"Value": True}}
    assert _refused(change, InstanceId=instance, **two)[0] == "InvalidParameterCombination"


def test_a_volumes_lifetime_can_be_changed_on_its_instance(cloud: Cloud, ec2: Any) -> None:
    (instance,) = cloud.run(1)
    device = cloud.describe(instance)["RootDeviceName"]
    mapping = [{"DeviceName": device, "Ebs": {"DeleteOnTermination": False}}]
    ec2.modify_instance_attribute(InstanceId=instance, BlockDeviceMappings=mapping)
    (shown,) = cloud.describe(instance)["BlockDeviceMappings"]
    assert shown["Ebs"]["DeleteOnTermination"] is False
    unknown = [{"DeviceName": "/dev/sdz", "Ebs": {"DeleteOnTermination": False}}]
    change = ec2.modify_instance_attribute
    assert _refused(change, InstanceId=instance, BlockDeviceMappings=unknown)[0] == "InvalidInstanceAttributeValue"


# Dry runs


def test_a_dry_run_changes_nothing_and_tells_only_whether_the_caller_may(cloud: Cloud, ec2: Any) -> None:
    iam = cloud.client("iam")
    iam.create_user(UserName="reader")
    statement = {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    reader = cloud.client("ec2", (key["AccessKeyId"], key["SecretAccessKey"]))
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    before = len(ec2.describe_security_groups()["SecurityGroups"])
    for method, arguments in (
        ("run_instances", {"ImageId": BASE, "InstanceType": "m5.large", "MinCount": 1, "MaxCount": 1}),
        ("create_security_group", {"GroupName": "dry", "Description": "x", "VpcId": vpc}),
        ("create_key_pair", {"KeyName": "dry"}),
        ("create_placement_group", {"GroupName": "dry"}),
        ("create_volume", {"AvailabilityZone": A, "Size": 1}),
        ("create_tags", {"Resources": [vpc], "Tags": [{"Key": "dry", "Value": "run"}]}),
        ("get_spot_placement_scores", {"TargetCapacity": 1, "InstanceTypes": ["m5.large"]}),
    ):
        code, message = _refused(getattr(ec2, method), **arguments, DryRun=True)
        assert (code, message) == ("DryRunOperation", "Request would have succeeded, but DryRun flag is set."), method
        assert _refused(getattr(reader, method), **arguments, DryRun=True)[0] == "UnauthorizedOperation", method
    assert len(ec2.describe_security_groups()["SecurityGroups"]) == before
    assert cloud.server._backend.alive() == []
    assert _refused(reader.describe_instances, DryRun=True)[0] == "DryRunOperation"
    assert _refused(ec2.describe_mac_hosts)[0] == "UnsupportedOperation"
