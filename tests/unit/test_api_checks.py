"""EC2 refuses by its parameters alone what AWS refuses, in AWS's codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.api_cloud import BASE, Cloud, running_cloud

GONE = "0123456789abcdef0"
RUN: dict[str, Any] = {"ImageId": BASE, "InstanceType": "m5.large", "MinCount": 1, "MaxCount": 1}
STRANGE: dict[str, Any] = {"Filters": [{"Name": "no-such", "Values": ["x"]}]}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        yield found


def _refused(call: Any, **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return str(error["Code"]), str(error["Message"])


@pytest.mark.parametrize(
    ("method", "request_", "code"),
    [
        ("describe_instance_attribute", {"InstanceId": "foo", "Attribute": "userData"}, "InvalidInstanceID.Malformed"),
        ("get_console_output", {"InstanceId": "i-xyz"}, "InvalidInstanceID.Malformed"),
        ("describe_volumes", {"VolumeIds": ["vol-1"]}, "InvalidVolumeID.Malformed"),
        ("delete_volume", {"VolumeId": f"i-{GONE}"}, "InvalidVolumeID.Malformed"),
        ("describe_snapshots", {"SnapshotIds": ["foo"]}, "InvalidSnapshotID.Malformed"),
        ("delete_network_interface", {"NetworkInterfaceId": "foo"}, "InvalidNetworkInterfaceId.Malformed"),
        ("delete_security_group", {"GroupId": "foo"}, "InvalidGroupId.Malformed"),
        ("describe_security_groups", {"GroupIds": ["foo"]}, "InvalidGroupId.Malformed"),
        ("run_instances", RUN | {"SecurityGroupIds": ["foo"]}, "InvalidGroupId.Malformed"),
    ],
)
def test_a_malformed_id_is_told_from_one_that_nothing_has(
    cloud: Cloud, method: str, request_: dict[str, Any], code: str
) -> None:
    assert _refused(getattr(cloud.client("ec2"), method), **request_)[0] == code


@pytest.mark.parametrize(
    ("method", "request_", "code"),
    [
        ("describe_volumes", {"VolumeIds": [f"vol-{GONE}"]}, "InvalidVolume.NotFound"),
        ("describe_snapshots", {"SnapshotIds": [f"snap-{GONE}"]}, "InvalidSnapshot.NotFound"),
        ("describe_security_groups", {"GroupIds": [f"sg-{GONE}"]}, "InvalidGroup.NotFound"),
        ("describe_vpcs", {"VpcIds": [f"vpc-{GONE}"]}, "InvalidVpcID.NotFound"),
        ("describe_key_pairs", {"KeyNames": ["nobodys"]}, "InvalidKeyPair.NotFound"),
    ],
)
def test_what_is_missing_is_named(cloud: Cloud, method: str, request_: dict[str, Any], code: str) -> None:
    found, message = _refused(getattr(cloud.client("ec2"), method), **request_)
    assert found == code
    (missing,) = next(iter(request_.values()))
    assert f"'{missing}' does not exist" in message


def test_a_zone_that_is_not_there_is_invalid(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    assert len(ec2.describe_availability_zones(ZoneNames=["us-east-1a"])["AvailabilityZones"]) == 1
    code, message = _refused(ec2.describe_availability_zones, ZoneNames=["us-east-1a", "us-east-1x"])
    assert (code, message) == ("InvalidParameterValue", "Invalid availability zone: [us-east-1x]")


@pytest.mark.parametrize(
    "name",
    [
        "describe_availability_zones",
        "describe_images",
        "describe_internet_gateways",
        "describe_launch_templates",
        "describe_network_interfaces",
        "describe_security_groups",
        "describe_spot_instance_requests",
        "describe_subnets",
        "describe_volumes",
    ],
)
def test_a_filter_that_ec2_does_not_have_is_invalid_even_when_there_is_nothing_to_filter(
    cloud: Cloud, name: str
) -> None:
    assert _refused(getattr(cloud.client("ec2"), name), **STRANGE) == (
        "InvalidParameterValue",
        "The filter 'no-such' is invalid",
    )


def test_a_filter_that_only_the_local_cloud_does_not_have_is_named(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    code, message = _refused(ec2.describe_subnets, Filters=[{"Name": "customer-owned-ipv4-pool", "Values": ["x"]}])
    assert code == "UnsupportedOperation"
    assert "DescribeSubnets" in message
    assert "'customer-owned-ipv4-pool'" in message


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ([{"Key": "k" * 129, "Value": ""}], "128 characters"),
        ([{"Key": "k", "Value": "v" * 257}], "256 characters"),
        ([{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}], "Duplicate tag key 'k'"),
        ([{"Key": "AWS:k", "Value": "1"}], "reserved"),
    ],
)
def test_tags_that_cannot_be_are_refused_wherever_they_are_given(
    cloud: Cloud, tags: list[dict[str, str]], words: str
) -> None:
    ec2 = cloud.client("ec2")
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    for code, message in (
        _refused(ec2.create_tags, Resources=[group], Tags=tags),
        _refused(ec2.run_instances, TagSpecifications=[{"ResourceType": "instance", "Tags": tags}], **RUN),
    ):
        assert code == "InvalidParameterValue"
        assert words in message


def test_a_launch_of_none_or_with_a_token_that_is_too_long_is_refused(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    assert _refused(ec2.run_instances, **RUN | {"MinCount": 0})[0] == "InvalidParameterValue"
    assert _refused(ec2.run_instances, ClientToken="t" * 65, **RUN)[0] == "InvalidParameterValue"
    assert ec2.describe_instances()["Reservations"] == []
