"""RunInstances and the states of instances."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hcluster.localcloud.api import lifecycle
from tests.unit.api_cloud import BASE, Cloud, running_cloud, until


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        yield found


def _tags(kind: str, **tags: str) -> dict[str, object]:
    return {"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}


def _code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_an_instance_is_pending_until_its_machine_booted(cloud: Cloud) -> None:
    cloud.machines.gate.clear()
    ids = cloud.run(1, wait="")
    assert cloud.describe(ids[0])["State"]["Name"] == "pending"
    cloud.machines.gate.set()
    cloud.wait(ids, "running")
    spec = cloud.machines.running[ids[0]]
    shown = cloud.describe(ids[0])
    assert shown["PrivateIpAddress"] == spec.private_ip
    assert (
        shown["PrivateDnsName"]
        == f"{spec.hostname}.ec2.internal"
        == "ip-" + spec.private_ip.replace(".", "-") + ".ec2.internal"
    )
    assert spec.image_id == BASE
    assert spec.instance_type == "m5.large"


def test_an_instance_that_cannot_boot_is_terminated_with_the_reason(cloud: Cloud) -> None:
    cloud.machines.broken = "sshd did not answer in 60 s"
    ids = cloud.run(1, wait="terminated")
    cloud.machines.broken = ""
    shown = cloud.describe(ids[0])
    assert shown["StateReason"]["Code"] == "Server.InternalError"
    assert "sshd did not answer" in shown["StateReason"]["Message"]
    assert "PrivateIpAddress" not in shown
    assert ("destroy", ids[0]) in cloud.machines.calls


def test_without_a_subnet_the_first_default_one_is_used(cloud: Cloud) -> None:
    shown = cloud.describe(cloud.run(1)[0])
    assert shown["PrivateIpAddress"].startswith("10.77.16.")
    assert shown["Placement"]["AvailabilityZone"] == "us-east-1a"
    assert "PublicIpAddress" not in shown


def test_no_address_is_given_twice(cloud: Cloud) -> None:
    ids = cloud.run(5)
    first = cloud.client("ec2").describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"]
    cloud.client("ec2").terminate_instances(InstanceIds=ids)
    cloud.wait(ids, "terminated")
    again = cloud.client("ec2").describe_instances(InstanceIds=cloud.run(5))["Reservations"][0]["Instances"]
    addresses = [i["PrivateIpAddress"] for i in (*first, *again)]
    assert len(set(addresses)) == 10, "addresses rest before they come again"


def test_few_machines_boot_at_once(cloud: Cloud) -> None:
    cloud.machines.most = 0
    cloud.machines.gate.clear()
    ids = cloud.run(2 * lifecycle.BOOTS, wait="")
    until(lambda: cloud.machines.booting >= 2, "two boots at once")
    cloud.machines.gate.set()
    cloud.wait(ids, "running")
    assert cloud.machines.most <= lifecycle.BOOTS


def test_stop_start_reboot_and_terminate_act_on_the_machine(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    ids = cloud.run(1)
    changed = ec2.stop_instances(InstanceIds=ids)["StoppingInstances"][0]
    assert (changed["PreviousState"]["Name"], changed["CurrentState"]["Name"]) == ("running", "stopping")
    cloud.wait(ids, "stopped")
    assert not cloud.machines.alive(ids[0])
    ec2.start_instances(InstanceIds=ids)
    cloud.wait(ids, "running")
    boots = cloud.machines.calls.count(("boot", ids[0]))
    ec2.reboot_instances(InstanceIds=ids)
    until(lambda: cloud.machines.calls.count(("boot", ids[0])) == boots + 1, "a boot")
    until(lambda: cloud.machines.alive(ids[0]), "the machine is up")
    changed = ec2.terminate_instances(InstanceIds=ids)["TerminatingInstances"][0]
    assert changed["CurrentState"]["Name"] == "shutting-down"
    cloud.wait(ids, "terminated")
    assert ids[0] not in cloud.machines.roots
    ec2.terminate_instances(InstanceIds=ids)
    assert cloud.machines.calls.count(("destroy", ids[0])) == 1


def test_terminating_a_waiting_instance_never_boots_it(cloud: Cloud) -> None:
    cloud.machines.gate.clear()
    busy = cloud.run(lifecycle.BOOTS, wait="")
    waiting = cloud.run(1, wait="")
    cloud.client("ec2").terminate_instances(InstanceIds=waiting)
    cloud.wait(waiting, "terminated")
    cloud.machines.gate.set()
    cloud.wait(busy, "running")
    assert ("boot", waiting[0]) not in cloud.machines.calls


def test_the_same_client_token_launches_once(cloud: Cloud) -> None:
    first = cloud.run(2, ClientToken="token-1")
    assert cloud.run(2, ClientToken="token-1") == first
    with pytest.raises(ClientError) as error:
        cloud.run(3, ClientToken="token-1")
    assert _code(error) == "IdempotentParameterMismatch"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"ImageId": "ami-0deadbeef0deadbee"}, "InvalidAMIID.NotFound"),
        ({"ImageId": "debian"}, "InvalidAMIID.Malformed"),
        ({"InstanceType": "zz.large"}, "InvalidParameterValue"),
        ({"SubnetId": "subnet-00000000"}, "InvalidSubnetID.NotFound"),
        ({"SecurityGroupIds": ["sg-00000000"]}, "InvalidGroup.NotFound"),
        ({"KeyName": "nobody"}, "InvalidKeyPair.NotFound"),
        ({"IamInstanceProfile": {"Name": "nobody"}}, "InvalidParameterValue"),
        ({"PrivateIpAddress": "172.31.0.9"}, "InvalidParameterValue"),
        ({"DryRun": True}, "DryRunOperation"),
    ],
)
def test_what_does_not_exist_is_refused_and_nothing_launched(cloud: Cloud, request_: dict[str, Any], code: str) -> None:
    before = len(cloud.server._backend.by_id)
    with pytest.raises(ClientError) as error:
        cloud.run(1, **request_)
    assert _code(error) == code
    assert len(cloud.server._backend.by_id) == before


def test_tags_of_the_call_reach_instance_volume_and_interface(cloud: Cloud) -> None:
    kinds = ("instance", "volume", "network-interface")
    shown = cloud.describe(cloud.run(1, TagSpecifications=[_tags(kind, of=kind) for kind in kinds])[0])
    ec2 = cloud.client("ec2")
    assert {"Key": "of", "Value": "instance"} in shown["Tags"]
    volume = shown["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    assert ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Tags"] == [{"Key": "of", "Value": "volume"}]
    nic = shown["NetworkInterfaces"][0]["NetworkInterfaceId"]
    found = ec2.describe_network_interfaces(NetworkInterfaceIds=[nic])["NetworkInterfaces"][0]
    assert found["TagSet"] == [{"Key": "of", "Value": "network-interface"}]


def test_volumes_and_own_interfaces_go_with_the_instance(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    disks = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 20, "DeleteOnTermination": True}}]
    kept = {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 5, "DeleteOnTermination": False}}
    ids = cloud.run(1, BlockDeviceMappings=[*disks, kept])
    shown = cloud.describe(ids[0])
    volumes = {m["DeviceName"]: m["Ebs"]["VolumeId"] for m in shown["BlockDeviceMappings"]}
    assert set(volumes) == {"/dev/xvda", "/dev/sdf", "/dev/sdg"}
    ec2.terminate_instances(InstanceIds=ids)
    cloud.wait(ids, "terminated")
    left = [v["VolumeId"] for v in ec2.describe_volumes()["Volumes"]]
    assert volumes["/dev/sdg"] in left
    assert volumes["/dev/sdf"] not in left
    assert volumes["/dev/xvda"] not in left
    with pytest.raises(ClientError) as error:
        ec2.describe_network_interfaces(NetworkInterfaceIds=[shown["NetworkInterfaces"][0]["NetworkInterfaceId"]])
    assert _code(error) == "InvalidNetworkInterfaceID.NotFound"


def test_an_interface_made_before_keeps_its_address_and_outlives_the_instance(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][1]["SubnetId"]
    made = [ec2.create_network_interface(SubnetId=subnet, ClientToken="nic-1")["NetworkInterface"] for _ in range(2)]
    assert made[0]["NetworkInterfaceId"] == made[1]["NetworkInterfaceId"], "the client token makes one"
    nic, address = made[0]["NetworkInterfaceId"], made[0]["PrivateIpAddress"]
    assert made[0]["PrivateDnsName"] == "ip-" + address.replace(".", "-") + ".ec2.internal"
    ids = cloud.run(1, NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": nic}])
    assert cloud.machines.running[ids[0]].private_ip == address
    assert cloud.describe(ids[0])["SubnetId"] == subnet
    with pytest.raises(ClientError) as error:
        ec2.delete_network_interface(NetworkInterfaceId=nic)
    assert _code(error) == "InvalidParameterValue"
    with pytest.raises(ClientError) as error:
        cloud.run(1, NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": nic}])
    assert _code(error) == "InvalidNetworkInterface.InUse"
    ec2.terminate_instances(InstanceIds=ids)
    cloud.wait(ids, "terminated")
    left = ec2.describe_network_interfaces(NetworkInterfaceIds=[nic])["NetworkInterfaces"][0]
    assert left["Status"] == "available"
    assert left["PrivateIpAddress"] == address
    ec2.delete_network_interface(NetworkInterfaceId=nic)


def test_networks_of_users_lie_inside_the_cloud(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    with pytest.raises(ClientError) as error:
        ec2.create_vpc(CidrBlock="172.16.0.0/16")
    assert _code(error) == "InvalidVpc.Range"
    vpc = ec2.create_vpc(CidrBlock="10.77.128.0/20")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.77.130.0/28")["Subnet"]["SubnetId"]
    with pytest.raises(ClientError) as error:
        cloud.run(12, SubnetId=subnet)
    assert _code(error) == "InsufficientFreeAddressesInSubnet"
    free = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["AvailableIpAddressCount"]
    assert free == 11, "a launch that fails gives its addresses back"
    ids = cloud.run(11, SubnetId=subnet, wait="")
    ec2.terminate_instances(InstanceIds=ids)
    cloud.wait(ids, "terminated")


def test_a_spot_instance_has_a_request(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    ids = cloud.run(
        1,
        InstanceMarketOptions={"MarketType": "spot"},
        TagSpecifications=[_tags("spot-instances-request", of="request"), _tags("instance", of="spot")],
    )
    shown = cloud.describe(ids[0])
    assert shown["InstanceLifecycle"] == "spot"
    spot = ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[shown["SpotInstanceRequestId"]])
    request = spot["SpotInstanceRequests"][0]
    assert (request["State"], request["Status"]["Code"], request["InstanceId"]) == ("active", "fulfilled", ids[0])
    assert request["Tags"] == [{"Key": "of", "Value": "request"}]
    filters = [{"Name": "instance-lifecycle", "Values": ["spot"]}, {"Name": "tag:of", "Values": ["spot"]}]
    assert ec2.describe_instances(Filters=filters)["Reservations"][0]["Instances"][0]["InstanceId"] == ids[0]
    with pytest.raises(ClientError) as error:
        ec2.stop_instances(InstanceIds=ids)
    assert _code(error) == "UnsupportedOperation"
    ec2.terminate_instances(InstanceIds=ids)
    cloud.wait(ids, "terminated")
    spot = ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[shown["SpotInstanceRequestId"]])
    assert spot["SpotInstanceRequests"][0]["State"] == "closed"


def test_metadata_options_keep_what_a_change_does_not_name(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    ids = cloud.run(1, MetadataOptions={"HttpTokens": "required", "InstanceMetadataTags": "enabled"})
    ec2.modify_instance_metadata_options(InstanceId=ids[0], HttpPutResponseHopLimit=2)
    options = cloud.describe(ids[0])["MetadataOptions"]
    assert (options["HttpTokens"], options["InstanceMetadataTags"], options["HttpPutResponseHopLimit"]) == (
        "required",
        "enabled",
        2,
    )


@pytest.mark.parametrize("key", ["cost center", "app/tier", "Größe", "_index"])
def test_a_tag_that_metadata_cannot_show_keeps_an_instance_from_being_launched_or_tagged(
    cloud: Cloud, key: str
) -> None:
    ec2 = cloud.client("ec2")
    shown = {"HttpTokens": "required", "InstanceMetadataTags": "enabled"}
    tags = [{"Key": key, "Value": "x"}]
    with pytest.raises(ClientError, match="is not a valid tag key") as error:
        cloud.run(1, MetadataOptions=shown, TagSpecifications=[{"ResourceType": "instance", "Tags": tags}])
    assert _code(error) == "InvalidParameterValue"
    cloud.run(1, TagSpecifications=[{"ResourceType": "instance", "Tags": tags}])
    ids = cloud.run(1, MetadataOptions=shown)
    with pytest.raises(ClientError, match="is not a valid tag key"):
        ec2.create_tags(Resources=ids, Tags=tags)
    ec2.create_tags(Resources=ids, Tags=[{"Key": "team:a=b,c@d", "Value": "any / thing"}])


def test_the_console_is_the_machines(cloud: Cloud) -> None:
    ids = cloud.run(1)
    assert f"{ids[0]} booted" in cloud.client("ec2").get_console_output(InstanceId=ids[0])["Output"]


def test_user_data_comes_back_as_it_was_given(cloud: Cloud) -> None:
    ids = cloud.run(1, UserData='{"cluster": "a"}')
    shown = cloud.client("ec2").describe_instance_attribute(InstanceId=ids[0], Attribute="userData")
    assert base64.b64decode(shown["UserData"]["Value"]) == b'{"cluster": "a"}'
