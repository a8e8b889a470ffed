"""Images: made of machines, with layers that stay as long as something stands on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.api_cloud import BASE, Cloud, running_cloud, until


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        yield found


def _image(cloud: Cloud, instance: str, name: str, state: str = "available", **more: Any) -> str:
    ec2 = cloud.client("ec2")
    made = str(ec2.create_image(InstanceId=instance, Name=name, **more)["ImageId"])
    until(lambda: ec2.describe_images(ImageIds=[made])["Images"][0]["State"] == state, f"{name} {state}")
    return made


def test_the_base_image_is_found_as_debians(cloud: Cloud) -> None:
    found = cloud.client("ec2").describe_images(
        Owners=["136693071363"],
        Filters=[
            {"Name": "name", "Values": ["debian-12-amd64-*"]},
            {"Name": "architecture", "Values": ["x86_64"]},
            {"Name": "root-device-type", "Values": ["ebs"]},
            {"Name": "virtualization-type", "Values": ["hvm"]},
        ],
    )["Images"]
    assert [i["ImageId"] for i in found] == [BASE]
    assert found[0]["CreationDate"].endswith("Z")
    assert found[0]["RootDeviceName"] == "/dev/xvda"
    assert len(cloud.client("ec2").describe_images()["Images"]) == 1, "moto's own images are off"
    with pytest.raises(ClientError, match="AuthFailure"):
        cloud.client("ec2").deregister_image(ImageId=BASE)


def test_create_image_makes_a_layer_that_boots(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    ids = cloud.run(1)
    ec2.stop_instances(InstanceIds=ids)
    cloud.wait(ids, "stopped")
    kinds = ("image", "snapshot")
    tags = [{"ResourceType": kind, "Tags": [{"Key": "of", "Value": kind}]} for kind in kinds]
    image = _image(cloud, ids[0], "hadoop-1", TagSpecifications=tags)
    assert cloud.machines.layers[image] == ids[0]
    shown = ec2.describe_images(Owners=["self"], Filters=[{"Name": "tag:of", "Values": ["image"]}])["Images"][0]
    assert shown["ImageId"] == image
    assert shown["RootDeviceType"] == "ebs"
    snapshot = shown["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["Tags"] == [
        {"Key": "of", "Value": "snapshot"}
    ]
    child = cloud.run(1, ImageId=image)
    assert cloud.machines.running[child[0]].image_id == image
    with pytest.raises(ClientError, match=r"InvalidAMIName\.Duplicate"):
        ec2.create_image(InstanceId=child[0], Name="hadoop-1")


def test_an_image_of_a_running_instance_powers_it_off_meanwhile(cloud: Cloud) -> None:
    ids = cloud.run(1)
    _image(cloud, ids[0], "from-running")
    assert ("power_off", ids[0]) in cloud.machines.calls
    until(lambda: cloud.machines.alive(ids[0]), "it runs again")
    cloud.machines.calls.clear()
    _image(cloud, ids[0], "no-reboot", NoReboot=True)
    assert ("power_off", ids[0]) not in cloud.machines.calls


def test_a_failed_layer_is_a_failed_image(cloud: Cloud) -> None:
    ids = cloud.run(1)
    cloud.machines.broken = "disk full"
    try:
        image = _image(cloud, ids[0], "broken", state="failed", NoReboot=True)
    finally:
        cloud.machines.broken = ""
    assert "disk full" in cloud.client("ec2").describe_images(ImageIds=[image])["Images"][0]["StateReason"]["Message"]
    with pytest.raises(ClientError, match=r"InvalidAMIID\.Unavailable"):
        cloud.run(1, ImageId=image)


def test_a_layer_goes_when_nothing_stands_on_it(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    lower = _image(cloud, cloud.run(1)[0], "lower", NoReboot=True)
    on_lower = cloud.run(1, ImageId=lower)
    upper = _image(cloud, on_lower[0], "upper", NoReboot=True)
    ec2.terminate_instances(InstanceIds=on_lower)
    cloud.wait(on_lower, "terminated")
    ec2.deregister_image(ImageId=lower)
    assert lower in cloud.machines.layers, "the upper image stands on it"
    running = cloud.run(1, ImageId=upper)
    ec2.deregister_image(ImageId=upper)
    assert upper in cloud.machines.layers, "an instance runs on it"
    ec2.terminate_instances(InstanceIds=running)
    cloud.wait(running, "terminated")
    until(lambda: not {lower, upper} & set(cloud.machines.layers), "both layers are gone")
    with pytest.raises(ClientError, match="InvalidAMIID"):
        cloud.run(1, ImageId=upper)


def test_imds_support_is_remembered_and_becomes_the_instances_default(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    image = _image(cloud, cloud.run(1)[0], "imds-v2", NoReboot=True)
    assert "ImdsSupport" not in ec2.describe_images(ImageIds=[image])["Images"][0]
    ec2.modify_image_attribute(ImageId=image, ImdsSupport={"Value": "v2.0"})
    assert ec2.describe_images(ImageIds=[image])["Images"][0]["ImdsSupport"] == "v2.0"
    assert cloud.describe(cloud.run(1, ImageId=image)[0])["MetadataOptions"]["HttpTokens"] == "required"


def test_packers_way_through_a_build(cloud: Cloud) -> None:
    """The calls of Packer's amazon-ebs builder in their order: nothing but the image is left."""
    ec2 = cloud.client("ec2")
    before = {g["GroupId"] for g in ec2.describe_security_groups()["SecurityGroups"]}
    key = ec2.create_key_pair(KeyName="packer_1")["KeyMaterial"]
    assert key.startswith("-----BEGIN")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]
    assert vpc["CidrBlock"] == cloud.settings.cidr
    group = ec2.create_security_group(GroupName="packer_1", Description="temporary", VpcId=vpc["VpcId"])["GroupId"]
    port = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[port])
    size = {"VolumeSize": 30, "VolumeType": "gp3", "Iops": 3000, "Throughput": 125, "DeleteOnTermination": True}
    root = [{"DeviceName": "/dev/xvda", "Ebs": size}]
    ids = cloud.run(1, KeyName="packer_1", SecurityGroupIds=[group], BlockDeviceMappings=root)
    # So that it may install packages, whatever image it is of.
    assert cloud.machines.running[ids[0]].key_pair
    attached = cloud.describe(ids[0])["BlockDeviceMappings"]
    assert [m["DeviceName"] for m in attached] == ["/dev/xvda"], "the root's size changes; no second volume is made"
    volume = ec2.describe_volumes(VolumeIds=[attached[0]["Ebs"]["VolumeId"]])["Volumes"][0]
    assert (volume["Size"], volume["VolumeType"]) == (30, "gp3")
    with cloud.metadata_of(ids[0]) as imds:
        assert imds.get("meta-data/public-keys/0/openssh-key").startswith("ssh-rsa ")
    with pytest.raises(ClientError, match="DependencyViolation"):
        ec2.delete_security_group(GroupId=group)
    ec2.stop_instances(InstanceIds=ids)
    cloud.wait(ids, "stopped")
    image = _image(cloud, ids[0], "packed")
    snapshots = [
        m["Ebs"]["SnapshotId"] for m in ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"]
    ]
    ec2.create_tags(Resources=[image, *snapshots], Tags=[{"Key": "hcluster:image", "Value": "hadoop"}])
    ec2.terminate_instances(InstanceIds=ids)
    cloud.wait(ids, "terminated")
    ec2.delete_security_group(GroupId=group)
    ec2.delete_key_pair(KeyName="packer_1")
    assert {g["GroupId"] for g in ec2.describe_security_groups()["SecurityGroups"]} == before
    ec2.deregister_image(ImageId=image)
    ec2.delete_snapshot(SnapshotId=snapshots[0])
    assert not ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "tag:hcluster:image", "Values": ["*"]}])[
        "Snapshots"
    ]
