"""Volumes, their attachments and snapshots, as EC2 tells them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hcluster.localcloud.machines import Disk
from tests.unit.api_cloud import Cloud, FakeMachines, running_cloud, until

ZONE = "us-east-1a"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture(scope="module")
def running(cloud: Cloud) -> str:
    return cloud.run(1, Placement={"AvailabilityZone": ZONE})[0]


def _code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def _volume(cloud: Cloud, volume: str) -> dict[str, Any]:
    return dict(cloud.client("ec2").describe_volumes(VolumeIds=[volume])["Volumes"][0])


def _made(cloud: Cloud, **more: Any) -> str:
    """A new volume of 1 GiB, when it is available."""
    wanted = {"AvailabilityZone": ZONE, "Size": 1, "VolumeType": "gp3"} | more
    volume = str(cloud.client("ec2").create_volume(**wanted)["VolumeId"])
    until(lambda: _volume(cloud, volume)["State"] == "available", f"{volume} is available")
    return volume


def _attached(cloud: Cloud, volume: str, instance: str, device: str = "/dev/sdf") -> None:
    cloud.client("ec2").attach_volume(VolumeId=volume, InstanceId=instance, Device=device)
    _status(cloud, volume, "attached")


def _status(cloud: Cloud, volume: str, status: str) -> None:
    """Wait for a status of the attachment."""

    def there() -> bool:
        attachments = _volume(cloud, volume)["Attachments"]
        return [one["State"] for one in attachments] == [status]

    until(there, f"{volume} {status}")


def _free(cloud: Cloud, volume: str) -> None:
    cloud.client("ec2").detach_volume(VolumeId=volume)
    until(lambda: _volume(cloud, volume)["State"] == "available", f"{volume} is available")


def test_a_new_volume_is_being_created_and_then_available(cloud: Cloud) -> None:
    made = cloud.client("ec2").create_volume(
        AvailabilityZone=ZONE,
        Size=3,
        VolumeType="gp3",
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "a", "Value": "b"}]}],
    )
    assert (made["State"], made["Size"], made["VolumeType"]) == ("creating", 3, "gp3")
    until(lambda: _volume(cloud, made["VolumeId"])["State"] == "available", "available")
    assert cloud.machines.volumes[made["VolumeId"]] == 3
    assert _volume(cloud, made["VolumeId"])["Tags"] == [{"Key": "a", "Value": "b"}]


def test_the_same_client_token_makes_one_volume(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    first = ec2.create_volume(AvailabilityZone=ZONE, Size=1, ClientToken="volume-1")["VolumeId"]
    assert ec2.create_volume(AvailabilityZone=ZONE, Size=1, ClientToken="volume-1")["VolumeId"] == first
    with pytest.raises(ClientError) as error:
        ec2.create_volume(AvailabilityZone=ZONE, Size=2, ClientToken="volume-1")
    assert _code(error) == "IdempotentParameterMismatch"


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"Size": 16385, "VolumeType": "gp3"}, "InvalidParameterValue"),
        ({"Size": 3, "VolumeType": "io1", "Iops": 100}, "InvalidParameterValue"),
        ({"Size": 100, "VolumeType": "st1"}, "InvalidParameterValue"),
        ({"Size": 1025, "VolumeType": "standard"}, "InvalidParameterValue"),
        ({"Size": 1, "VolumeType": "gp9"}, "UnknownVolumeType"),
        ({"Size": 1, "AvailabilityZone": "us-east-1x"}, "InvalidZone.NotFound"),
        ({"SnapshotId": "snap-0123456789abcdef0"}, "InvalidSnapshot.NotFound"),
        ({}, "MissingParameter"),
    ],
)
def test_what_cannot_be_is_refused(cloud: Cloud, wanted: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as error:
        cloud.client("ec2").create_volume(**({"AvailabilityZone": ZONE} | wanted))
    assert _code(error) == code


def test_a_volume_that_the_disk_cannot_keep_is_an_error(cloud: Cloud) -> None:
    cloud.machines.full = "No space left on device"
    volume = cloud.client("ec2").create_volume(AvailabilityZone=ZONE, Size=1)["VolumeId"]
    until(lambda: _volume(cloud, volume)["State"] == "error", "error")
    cloud.machines.full = ""
    cloud.client("ec2").delete_volume(VolumeId=volume)


def test_a_volume_is_attached_to_a_running_instance_and_detached(cloud: Cloud, running: str) -> None:
    ec2, volume = cloud.client("ec2"), _made(cloud)
    answer = ec2.attach_volume(VolumeId=volume, InstanceId=running, Device="/dev/sdf")
    assert (answer["State"], answer["Device"]) == ("attaching", "/dev/sdf")
    _status(cloud, volume, "attached")
    shown = _volume(cloud, volume)
    assert shown["State"] == "in-use"
    assert shown["Attachments"][0]["InstanceId"] == running
    assert shown["Attachments"][0]["DeleteOnTermination"] is False
    assert Disk(volume, 1) in cloud.machines.disks[running]
    mapped = {m["DeviceName"]: m["Ebs"] for m in cloud.describe(running)["BlockDeviceMappings"]}
    assert (mapped["/dev/sdf"]["VolumeId"], mapped["/dev/sdf"]["Status"]) == (volume, "attached")
    assert ec2.detach_volume(VolumeId=volume, InstanceId=running)["State"] == "detaching"
    until(lambda: _volume(cloud, volume)["State"] == "available", "available")
    assert not cloud.machines.disks[running]
    assert "/dev/sdf" not in {m["DeviceName"] for m in cloud.describe(running)["BlockDeviceMappings"]}


def test_a_volume_in_use_is_neither_attached_again_nor_deleted(cloud: Cloud, running: str) -> None:
    ec2, volume = cloud.client("ec2"), _made(cloud)
    _attached(cloud, volume, running)
    with pytest.raises(ClientError) as error:
        ec2.attach_volume(VolumeId=volume, InstanceId=running, Device="/dev/sdg")
    assert _code(error) == "VolumeInUse"
    with pytest.raises(ClientError) as error:
        ec2.delete_volume(VolumeId=volume)
    assert _code(error) == "VolumeInUse"
    _free(cloud, volume)
    ec2.delete_volume(VolumeId=volume)
    until(lambda: volume not in cloud.machines.volumes, "the data is gone")
    with pytest.raises(ClientError) as error:
        _volume(cloud, volume)
    assert _code(error) == "InvalidVolume.NotFound"


def test_a_volume_goes_to_instances_of_its_zone_only(cloud: Cloud, running: str) -> None:
    volume = _made(cloud, AvailabilityZone="us-east-1b")
    with pytest.raises(ClientError) as error:
        cloud.client("ec2").attach_volume(VolumeId=volume, InstanceId=running, Device="/dev/sdf")
    assert _code(error) == "InvalidVolume.ZoneMismatch"


def test_a_device_name_is_used_once_and_must_be_one(cloud: Cloud, running: str) -> None:
    ec2, first, second = cloud.client("ec2"), _made(cloud), _made(cloud)
    _attached(cloud, first, running, "/dev/sdh")
    for device in ("/dev/sdh", "/dev/nonsense"):
        with pytest.raises(ClientError) as error:
            ec2.attach_volume(VolumeId=second, InstanceId=running, Device=device)
        assert _code(error) == "InvalidParameterValue"
    _free(cloud, first)


def test_what_is_not_attached_cannot_be_detached(cloud: Cloud, running: str) -> None:
    ec2, volume = cloud.client("ec2"), _made(cloud)
    with pytest.raises(ClientError) as error:
        ec2.detach_volume(VolumeId=volume)
    assert _code(error) == "IncorrectState"
    _attached(cloud, volume, running)
    with pytest.raises(ClientError) as error:
        ec2.detach_volume(VolumeId=volume, InstanceId="i-0123456789abcdef0")
    assert _code(error) == "InvalidAttachment.NotFound"
    _free(cloud, volume)


def test_the_root_volume_stays_with_its_instance(cloud: Cloud, running: str) -> None:
    root = cloud.describe(running)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    with pytest.raises(ClientError) as error:
        cloud.client("ec2").detach_volume(VolumeId=root)
    assert _code(error) == "OperationNotPermitted"


def test_a_volume_is_busy_while_it_is_mounted_and_leaves_afterwards(cloud: Cloud, running: str) -> None:
    volume = _made(cloud)
    _attached(cloud, volume, running)
    cloud.machines.busy = f"{volume} is in use in {running}"
    cloud.client("ec2").detach_volume(VolumeId=volume)
    _status(cloud, volume, "busy")
    assert _volume(cloud, volume)["State"] == "in-use"
    cloud.machines.busy = ""
    until(lambda: _volume(cloud, volume)["State"] == "available", "available")


def test_a_stopped_instance_finds_its_volume_when_it_starts(cloud: Cloud) -> None:
    ec2, volume = cloud.client("ec2"), _made(cloud)
    instance = cloud.run(1, Placement={"AvailabilityZone": ZONE})
    ec2.stop_instances(InstanceIds=instance)
    cloud.wait(instance, "stopped")
    _attached(cloud, volume, instance[0])
    assert instance[0] not in cloud.machines.disks
    ec2.start_instances(InstanceIds=instance)
    cloud.wait(instance, "running")
    assert cloud.machines.disks[instance[0]] == {Disk(volume, 1)}
    ec2.terminate_instances(InstanceIds=instance)


def test_volumes_of_a_launch_are_there_when_it_boots_and_live_as_it_says(cloud: Cloud) -> None:
    mappings = [
        {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 2, "DeleteOnTermination": False}},
        {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 3}},
    ]
    instance = cloud.run(1, BlockDeviceMappings=mappings)
    mapped = {m["DeviceName"]: m["Ebs"]["VolumeId"] for m in cloud.describe(instance[0])["BlockDeviceMappings"]}
    kept, gone = mapped["/dev/sdf"], mapped["/dev/sdg"]
    assert cloud.machines.running[instance[0]].disks == (Disk(kept, 1), Disk(gone, 2))
    assert _volume(cloud, kept)["Attachments"][0]["State"] == "attached"
    cloud.client("ec2").terminate_instances(InstanceIds=instance)
    cloud.wait(instance, "terminated")
    until(lambda: gone not in cloud.machines.volumes, "the one that ends with the instance is gone")
    assert _volume(cloud, kept)["State"] == "available"
    next_one = cloud.run(1, Placement={"AvailabilityZone": _volume(cloud, kept)["AvailabilityZone"]})
    _attached(cloud, kept, next_one[0])
    assert cloud.machines.disks[next_one[0]] == {Disk(kept, 1)}


def test_the_lifetime_of_an_attached_volume_can_be_changed(cloud: Cloud) -> None:
    instance, volume = cloud.run(1, Placement={"AvailabilityZone": ZONE}), _made(cloud)
    _attached(cloud, volume, instance[0])
    cloud.client("ec2").modify_instance_attribute(
        InstanceId=instance[0],
        BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"DeleteOnTermination": True}}],
    )
    assert _volume(cloud, volume)["Attachments"][0]["DeleteOnTermination"] is True
    cloud.client("ec2").terminate_instances(InstanceIds=instance)
    until(lambda: volume not in cloud.machines.volumes, "the volume went with its instance")


def test_a_launch_whose_volume_cannot_be_launches_nothing(cloud: Cloud) -> None:
    before = len(cloud.machines.running)
    with pytest.raises(ClientError) as error:
        cloud.run(1, BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 99999}}])
    assert _code(error) == "InvalidBlockDeviceMapping"
    assert len(cloud.machines.running) == before


def test_a_volume_grows_and_does_not_shrink(cloud: Cloud) -> None:
    ec2, volume = cloud.client("ec2"), _made(cloud)
    ec2.modify_volume(VolumeId=volume, Size=4)
    until(lambda: cloud.machines.volumes[volume] == 4, "the disk grew")
    assert _volume(cloud, volume)["Size"] == 4
    with pytest.raises(ClientError) as error:
        ec2.modify_volume(VolumeId=volume, Size=2)
    assert _code(error) == "InvalidParameterValue"


def test_a_snapshot_makes_volumes_at_least_as_large(cloud: Cloud) -> None:
    ec2, volume = cloud.client("ec2"), _made(cloud, Size=2)
    snapshot = ec2.create_snapshot(VolumeId=volume, Description="of today")
    assert (snapshot["State"], snapshot["VolumeSize"]) == ("pending", 2)

    def completed() -> bool:
        found = ec2.describe_snapshots(SnapshotIds=[snapshot["SnapshotId"]])["Snapshots"][0]
        return bool(found["State"] == "completed")

    until(completed, "completed")
    assert cloud.machines.snapshots[snapshot["SnapshotId"]] == volume
    copy = ec2.create_volume(AvailabilityZone=ZONE, SnapshotId=snapshot["SnapshotId"])
    assert copy["Size"] == 2
    with pytest.raises(ClientError) as error:
        ec2.create_volume(AvailabilityZone=ZONE, SnapshotId=snapshot["SnapshotId"], Size=1)
    assert _code(error) == "InvalidParameterValue"
    until(lambda: copy["VolumeId"] in cloud.machines.volumes, "the copy is made")
    ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    until(lambda: snapshot["SnapshotId"] not in cloud.machines.snapshots, "the snapshot's data is gone")


def test_volumes_are_listed_in_pages(cloud: Cloud) -> None:
    for _ in range(6):
        _made(cloud, TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "page", "Value": "x"}]}])
    filters = [{"Name": "tag:page", "Values": ["x"]}]
    pages = (
        cloud.client("ec2")
        .get_paginator("describe_volumes")
        .paginate(Filters=filters, PaginationConfig={"PageSize": 5})
    )
    sizes = [len(page["Volumes"]) for page in pages]
    assert sizes == [5, 1]


def test_the_lifetime_of_a_device_that_is_none_cannot_be_changed(cloud: Cloud, running: str) -> None:
    with pytest.raises(ClientError) as error:
        cloud.client("ec2").modify_instance_attribute(
            InstanceId=running, BlockDeviceMappings=[{"DeviceName": "/dev/sdz", "Ebs": {"DeleteOnTermination": True}}]
        )
    assert _code(error) == "InvalidInstanceAttributeValue"


def test_volumes_and_attachments_survive_a_restart(tmp_path: Path) -> None:
    machines = FakeMachines()
    with running_cloud(tmp_path, machines) as cloud:
        instance = cloud.run(1, Placement={"AvailabilityZone": ZONE})
        volume, spare = _made(cloud), _made(cloud)
        _attached(cloud, volume, instance[0])
    machines.volumes["vol-0123456789abcdef0"] = 1
    with running_cloud(tmp_path, machines) as cloud:
        cloud.server.resume()
        cloud.wait(instance, "running")
        assert machines.disks[instance[0]] == {Disk(volume, 1)}
        assert _volume(cloud, spare)["State"] == "available"
        until(lambda: "vol-0123456789abcdef0" not in machines.volumes, "what no record knows is removed")
        assert set(machines.volumes) == {volume, spare}
