"""Launch templates and CreateFleet of type instant."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.api_cloud import BASE, Cloud, running_cloud

TRUST = json.dumps(
    {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        iam = found.client("iam")
        iam.create_role(RoleName="node", AssumeRolePolicyDocument=TRUST)
        iam.create_instance_profile(InstanceProfileName="node")
        iam.add_role_to_instance_profile(InstanceProfileName="node", RoleName="node")
        yield found


def _tags(**tags: str) -> list[dict[str, str]]:
    return [{"Key": k, "Value": v} for k, v in tags.items()]


@pytest.fixture(scope="module")
def template(cloud: Cloud) -> str:
    ec2 = cloud.client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = ec2.create_security_group(GroupName="nodes", Description="nodes", VpcId=vpc)["GroupId"]
    data = {
        "ImageId": BASE,
        "InstanceType": "m5.large",
        "IamInstanceProfile": {"Name": "node"},
        "SecurityGroupIds": [group],
        "UserData": base64.b64encode(b"hello").decode(),
        "MetadataOptions": {"HttpTokens": "required", "InstanceMetadataTags": "enabled"},
        "BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 3, "DeleteOnTermination": True}}],
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": _tags(cluster="a", role="template")},
            {"ResourceType": "volume", "Tags": _tags(cluster="a")},
            {"ResourceType": "network-interface", "Tags": _tags(cluster="a")},
        ],
    }
    made = ec2.create_launch_template(LaunchTemplateName="nodes", LaunchTemplateData=data)
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


def _fleet(cloud: Cloud, template: str, overrides: list[dict[str, Any]], total: int, **more: Any) -> dict[str, Any]:
    target = {"TotalTargetCapacity": total, "DefaultTargetCapacityType": "spot"} | more.pop("target", {})
    specification = {"LaunchTemplateId": template, "Version": "$Latest"}
    configs = [{"LaunchTemplateSpecification": specification, "Overrides": overrides}]
    request = {"Type": "instant", "LaunchTemplateConfigs": configs, "TargetCapacitySpecification": target} | more
    return dict(cloud.client("ec2").create_fleet(**request))


def _ids(fleet: dict[str, Any]) -> list[str]:
    return [i for group in fleet["Instances"] for i in group["InstanceIds"]]


def test_a_fleet_launches_what_its_template_says(cloud: Cloud, template: str) -> None:
    subnet = cloud.client("ec2").describe_subnets()["Subnets"][1]["SubnetId"]
    tags = [{"ResourceType": "instance", "Tags": _tags(role="fleet")}]
    fleet = _fleet(cloud, template, [{"InstanceType": "m5.xlarge", "SubnetId": subnet}], 2, TagSpecifications=tags)
    assert fleet["Errors"] == []
    group = fleet["Instances"][0]
    assert (group["Lifecycle"], group["InstanceType"], len(group["InstanceIds"])) == ("spot", "m5.xlarge", 2)
    assert group["LaunchTemplateAndOverrides"]["Overrides"]["SubnetId"] == subnet
    assert group["LaunchTemplateAndOverrides"]["LaunchTemplateSpecification"] == {
        "LaunchTemplateId": template,
        "Version": "1",
    }
    cloud.wait(group["InstanceIds"], "running")
    shown = cloud.describe(group["InstanceIds"][0])
    assert shown["IamInstanceProfile"]["Arn"].endswith(":instance-profile/node")
    assert [g["GroupName"] for g in shown["SecurityGroups"]] == ["nodes"]
    assert (shown["SubnetId"], shown["InstanceLifecycle"]) == (subnet, "spot")
    assert shown["MetadataOptions"]["HttpTokens"] == "required"
    found = {t["Key"]: t["Value"] for t in shown["Tags"]}
    assert (found["cluster"], found["role"]) == ("a", "fleet"), "the call's tags win over the template's"
    assert found["aws:ec2:fleet-id"] == fleet["FleetId"]
    assert found["aws:ec2launchtemplate:id"] == template
    assert {m["DeviceName"] for m in shown["BlockDeviceMappings"]} == {"/dev/xvda", "/dev/sdf"}
    with cloud.metadata_of(shown["InstanceId"]) as imds:
        assert imds.get("user-data") == "hello"


def test_spot_and_on_demand_shares(cloud: Cloud, template: str) -> None:
    target = {"SpotTargetCapacity": 2, "OnDemandTargetCapacity": 1}
    fleet = _fleet(cloud, template, [{"InstanceType": "m5.large"}], 3, target=target)
    shares = {group["Lifecycle"]: len(group["InstanceIds"]) for group in fleet["Instances"]}
    assert shares == {"spot": 2, "on-demand": 1}
    for instance in _ids(fleet):
        assert ("SpotInstanceRequestId" in cloud.describe(instance)) == (
            cloud.describe(instance).get("InstanceLifecycle") == "spot"
        )


def test_an_unknown_type_is_an_error_beside_the_instances(cloud: Cloud, template: str) -> None:
    fleet = _fleet(cloud, template, [{"InstanceType": "zz.large"}, {"InstanceType": "m5.large"}], 2)
    assert len(_ids(fleet)) == 2
    error = fleet["Errors"][0]
    assert (error["ErrorCode"], error["Lifecycle"]) == ("InvalidParameterValue", "spot")
    assert error["LaunchTemplateAndOverrides"]["Overrides"]["InstanceType"] == "zz.large"
    nothing = _fleet(cloud, template, [{"InstanceType": "zz.large"}], 2)
    assert nothing["Instances"] == []
    assert len(nothing["Errors"]) == 1


def test_a_full_subnet_sends_the_rest_to_the_next(cloud: Cloud, template: str) -> None:
    ec2 = cloud.client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.77.240.0/28", AvailabilityZone="us-east-1c")
    small = made["Subnet"]["SubnetId"]
    big = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"][0]["SubnetId"]
    overrides = [{"InstanceType": "m5.large", "SubnetId": subnet} for subnet in (small, big)]
    fleet = _fleet(cloud, template, overrides, 13)
    assert len(_ids(fleet)) == 13
    ec2.terminate_instances(InstanceIds=_ids(fleet))


def test_the_same_client_token_gives_the_same_fleet(cloud: Cloud, template: str) -> None:
    first = _fleet(cloud, template, [{"InstanceType": "m5.large"}], 1, ClientToken="fleet-1")
    again = _fleet(cloud, template, [{"InstanceType": "m5.large"}], 1, ClientToken="fleet-1")
    assert _ids(again) == _ids(first)
    assert again["FleetId"] == first["FleetId"]
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        _fleet(cloud, template, [{"InstanceType": "m5.large"}], 2, ClientToken="fleet-1")


def test_a_template_with_an_interface_launches_at_its_address(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    nic = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]
    interface = {"DeviceIndex": 0, "NetworkInterfaceId": nic["NetworkInterfaceId"], "DeleteOnTermination": False}
    data = {"ImageId": BASE, "NetworkInterfaces": [interface]}
    made = ec2.create_launch_template(LaunchTemplateName="master", LaunchTemplateData=data)["LaunchTemplate"]
    fleet = _fleet(cloud, made["LaunchTemplateId"], [{"InstanceType": "m5.large"}], 1)
    ids = _ids(fleet)
    cloud.wait(ids, "running")
    assert cloud.machines.running[ids[0]].private_ip == nic["PrivateIpAddress"]
    ec2.terminate_instances(InstanceIds=ids)
    cloud.wait(ids, "terminated")
    left = ec2.describe_network_interfaces(NetworkInterfaceIds=[nic["NetworkInterfaceId"]])["NetworkInterfaces"]
    assert left[0]["Status"] == "available"


def test_run_instances_takes_a_template_by_name_and_what_the_call_says_wins(cloud: Cloud, template: str) -> None:
    launched = cloud.client("ec2").run_instances(
        LaunchTemplate={"LaunchTemplateName": "nodes", "Version": "1"}, InstanceType="t3.large", MinCount=1, MaxCount=1
    )
    shown = launched["Instances"][0]
    assert (shown["InstanceType"], shown["ImageId"]) == ("t3.large", BASE)


def test_deleting_a_fleet_terminates_its_instances(cloud: Cloud, template: str) -> None:
    ec2 = cloud.client("ec2")
    fleet = _fleet(cloud, template, [{"InstanceType": "m5.large"}], 2)
    assert ec2.describe_fleets(FleetIds=[fleet["FleetId"]])["Fleets"][0]["Type"] == "instant"
    ec2.delete_fleets(FleetIds=[fleet["FleetId"]], TerminateInstances=True)
    cloud.wait(_ids(fleet), "terminated")


def test_other_kinds_of_fleets_are_refused_in_words(cloud: Cloud, template: str) -> None:
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        _fleet(cloud, template, [], 1, Type="maintain")
    with pytest.raises(ClientError, match="InvalidLaunchTemplateId"):
        _fleet(cloud, "lt-00000000000000000", [], 1)
