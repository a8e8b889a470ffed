"""Volumes and snapshots."""

from __future__ import annotations

from typing import Any

from tests.contract.aws.account import Account, refused
from tests.contract.aws.conftest import Later

NOBODYS = "vol-0badbadbadbadbad0"


def make_volume(account: Account, later: Later, zone: str = "", **more: Any) -> str:
    """An available volume."""
    request = {"Size": 1, "VolumeType": "gp3"} | more
    made = account.ec2.create_volume(
        AvailabilityZone=zone or account.subnets()[0]["AvailabilityZone"],
        TagSpecifications=account.tagged("volume"),
        **request,
    )
    later(account.ec2.delete_volume, VolumeId=made["VolumeId"])
    account.until(lambda: shown(account, made["VolumeId"])["State"] == "available")
    return str(made["VolumeId"])


def shown(account: Account, volume: str) -> dict[str, Any]:
    """A volume as it is described."""
    return dict(account.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0])


def zone_of(account: Account, instance: str) -> str:
    """Where an instance is."""
    return str(account.instance(instance)["Placement"]["AvailabilityZone"])


def test_a_volume_is_what_was_asked_for(account: Account, later: Later) -> None:
    """And found by tag and state.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html
    """
    volume = make_volume(account, later, Size=2)
    found = shown(account, volume)
    assert (found["Size"], found["VolumeType"], found["Encrypted"], found["Attachments"]) == (2, "gp3", False, [])
    filters = [*account.mine(), {"Name": "status", "Values": ["available"]}]
    assert volume in [one["VolumeId"] for one in account.ec2.describe_volumes(Filters=filters)["Volumes"]]


def test_a_volume_needs_a_size_that_its_type_can_have(account: Account, later: Later) -> None:
    """A gp3 volume has 1 GiB at least; without a snapshot a size must be told.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html
    """
    with refused("InvalidParameterValue"):
        make_volume(account, later, Size=0)
    zone = account.subnets()[0]["AvailabilityZone"]
    with refused("MissingParameter"):
        account.ec2.create_volume(AvailabilityZone=zone, TagSpecifications=account.tagged("volume"))


def test_the_same_token_makes_one_volume(account: Account, later: Later) -> None:
    """And other parameters with it are refused.

    docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
    """
    token = account.name("token")
    first = make_volume(account, later, ClientToken=token)
    assert make_volume(account, later, ClientToken=token) == first
    with refused("IdempotentParameterMismatch"):
        make_volume(account, later, ClientToken=token, Size=3)


def test_a_volume_is_attached_to_one_instance_and_detached_again(account: Account, later: Later, running: str) -> None:
    """It outlives the attachment, and by default the instance.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachVolume.html
    """
    volume = make_volume(account, later, zone_of(account, running))
    answer = account.ec2.attach_volume(VolumeId=volume, InstanceId=running, Device="/dev/sdf")
    assert answer["State"] in ("attaching", "attached")
    found = account.until(lambda: shown(account, volume), lambda found: found["State"] == "in-use")
    (attachment,) = found["Attachments"]
    assert (attachment["InstanceId"], attachment["Device"]) == (running, "/dev/sdf")
    assert attachment["DeleteOnTermination"] is False
    account.until(
        lambda: volume in [disk["Ebs"]["VolumeId"] for disk in account.instance(running)["BlockDeviceMappings"]]
    )
    with refused("VolumeInUse"):
        account.ec2.delete_volume(VolumeId=volume)
    with refused("VolumeInUse"):
        account.ec2.attach_volume(VolumeId=volume, InstanceId=running, Device="/dev/sdg")
    account.ec2.detach_volume(VolumeId=volume)
    account.until(lambda: shown(account, volume)["State"] == "available")
    with refused("IncorrectState"):
        account.ec2.detach_volume(VolumeId=volume)


def test_a_device_name_is_taken_once(account: Account, later: Later, running: str) -> None:
    """The second volume is refused.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachVolume.html
    """
    zone = zone_of(account, running)
    first, second = make_volume(account, later, zone), make_volume(account, later, zone)
    account.ec2.attach_volume(VolumeId=first, InstanceId=running, Device="/dev/sdh")
    account.until(lambda: shown(account, first)["State"] == "in-use")
    with refused("InvalidParameterValue"):
        account.ec2.attach_volume(VolumeId=second, InstanceId=running, Device="/dev/sdh")
    account.ec2.detach_volume(VolumeId=first)
    account.until(lambda: shown(account, first)["State"] == "available")


def test_a_volume_is_attached_in_its_own_zone_only(account: Account, later: Later, running: str) -> None:
    """The zone's disks are near the zone's machines.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    here = zone_of(account, running)
    elsewhere = next(one["AvailabilityZone"] for one in account.subnets() if one["AvailabilityZone"] != here)
    volume = make_volume(account, later, elsewhere)
    with refused("InvalidVolume.ZoneMismatch"):
        account.ec2.attach_volume(VolumeId=volume, InstanceId=running, Device="/dev/sdf")


def test_volumes_of_a_launch_end_with_the_instance_or_stay_as_asked_for(account: Account, later: Later) -> None:
    """DeleteOnTermination of each.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EbsBlockDevice.html
    """
    disks = [
        {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1, "VolumeType": "gp3", "DeleteOnTermination": True}},
        {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 1, "VolumeType": "gp3", "DeleteOnTermination": False}},
    ]
    one = account.run(BlockDeviceMappings=disks)["Instances"][0]["InstanceId"]
    account.becomes(one, "running")
    attached = account.until(lambda: account.instance(one)["BlockDeviceMappings"], lambda found: len(found) == 3)
    volumes = {disk["DeviceName"]: disk["Ebs"]["VolumeId"] for disk in attached}
    later(account.ec2.delete_volume, VolumeId=volumes["/dev/sdg"])
    account.terminate(one)
    filters = [{"Name": "volume-id", "Values": list(volumes.values())}]

    def left() -> dict[str, str]:
        found = account.ec2.describe_volumes(Filters=filters)["Volumes"]
        return {volume["VolumeId"]: volume["State"] for volume in found}

    account.until(left, lambda found: found == {volumes["/dev/sdg"]: "available"})


def test_a_volume_that_does_not_exist_is_named_by_its_own_code(account: Account, later: Later) -> None:
    """Also once it is deleted.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    with refused("InvalidVolume.NotFound"):
        account.ec2.delete_volume(VolumeId=NOBODYS)
    volume = make_volume(account, later)
    account.ec2.delete_volume(VolumeId=volume)
    filters = [{"Name": "volume-id", "Values": [volume]}]
    account.until(lambda: not account.ec2.describe_volumes(Filters=filters)["Volumes"])
    with refused("InvalidVolume.NotFound"):
        account.ec2.describe_volumes(VolumeIds=[volume])


def test_a_volume_grows_and_never_shrinks(account: Account, later: Later) -> None:
    """A change of its own, that takes its time.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html
    """
    volume = make_volume(account, later, Size=2)
    with refused("InvalidParameterValue"):
        account.ec2.modify_volume(VolumeId=volume, Size=1)
    change = account.ec2.modify_volume(VolumeId=volume, Size=3)["VolumeModification"]
    assert (change["OriginalSize"], change["TargetSize"]) == (2, 3)
    account.until(lambda: shown(account, volume)["Size"] == 3)


def test_a_snapshot_outlives_its_volume_and_makes_new_ones(account: Account, later: Later) -> None:
    """At least as large as the first.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSnapshot.html
    """
    volume = make_volume(account, later, Size=2)
    made = account.ec2.create_snapshot(
        VolumeId=volume, Description="contract", TagSpecifications=account.tagged("snapshot")
    )
    snapshot = str(made["SnapshotId"])
    later(account.ec2.delete_snapshot, SnapshotId=snapshot)

    def state() -> str:
        return str(account.ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"])

    account.until(state, lambda found: found == "completed")
    account.ec2.delete_volume(VolumeId=volume)
    zone = account.subnets()[0]["AvailabilityZone"]
    copy = account.ec2.create_volume(
        AvailabilityZone=zone, SnapshotId=snapshot, TagSpecifications=account.tagged("volume")
    )
    later(account.ec2.delete_volume, VolumeId=copy["VolumeId"])
    account.until(lambda: shown(account, copy["VolumeId"])["State"] == "available")
    assert (shown(account, copy["VolumeId"])["Size"], shown(account, copy["VolumeId"])["SnapshotId"]) == (2, snapshot)
    with refused("InvalidParameterValue"):
        account.ec2.create_volume(AvailabilityZone=zone, SnapshotId=snapshot, Size=1)
    account.ec2.delete_snapshot(SnapshotId=snapshot)
    with refused("InvalidSnapshot.NotFound"):
        account.ec2.describe_snapshots(SnapshotIds=[snapshot])
