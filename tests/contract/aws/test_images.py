"""Images and the options of the metadata service that they bring."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.aws.account import DEBIAN, Account, refused
from tests.contract.aws.conftest import Later


def make_image(account: Account, instance: str, later: Later | None = None) -> str:
    """An available image of an instance."""
    made = account.ec2.create_image(
        InstanceId=instance,
        Name=account.name("image"),
        NoReboot=True,
        TagSpecifications=account.tagged("image", "snapshot"),
    )["ImageId"]
    if later is not None:
        later(account.ec2.deregister_image, ImageId=made, DeleteAssociatedSnapshots=True)
    account.until(lambda: shown(account, made)["State"] == "available", seconds=0 if account.local else 600)
    return str(made)


def shown(account: Account, image: str) -> dict[str, Any]:
    """An image as it is described."""
    return dict(account.ec2.describe_images(ImageIds=[image])["Images"][0])


@pytest.fixture(scope="module")
def image(account: Account, running: str) -> str:
    """An image of the account's own."""
    return make_image(account, running)


def test_an_image_is_found_by_owner_name_state_and_tag(account: Account, image: str) -> None:
    """Each alone, the name also as a pattern.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html
    """
    name = shown(account, image)["Name"]
    for filters in (
        [{"Name": "name", "Values": [name]}],
        [{"Name": "name", "Values": [name[:-2] + "*"]}],
        [{"Name": "state", "Values": ["available"]}],
        account.mine(),
        [{"Name": "image-id", "Values": [image]}],
    ):
        listed = account.ec2.describe_images(Owners=["self"], Filters=filters)["Images"]
        assert image in [one["ImageId"] for one in listed], filters
    others = account.ec2.describe_images(Owners=[DEBIAN], Filters=[{"Name": "name", "Values": [name]}])["Images"]
    assert others == []


def test_an_image_stands_on_a_snapshot_that_is_tagged_with_it(account: Account, image: str) -> None:
    """And that cannot be deleted before it.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html
    """
    found = shown(account, image)
    assert (found["OwnerId"], found["Public"], found["RootDeviceType"]) == (account.id, False, "ebs")
    root = next(disk for disk in found["BlockDeviceMappings"] if disk["DeviceName"] == found["RootDeviceName"])
    snapshot = root["Ebs"]["SnapshotId"]
    told = account.ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]
    assert account.tags[0] in told["Tags"]
    with refused("InvalidSnapshot.InUse"):
        account.ec2.delete_snapshot(SnapshotId=snapshot)


def test_the_name_of_an_image_is_taken_once_an_account(account: Account, running: str, image: str) -> None:
    """Baking the same inputs twice makes one image.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    with refused("InvalidAMIName.Duplicate"):
        account.ec2.create_image(InstanceId=running, Name=shown(account, image)["Name"], NoReboot=True)


def test_instances_of_an_image_that_demands_it_serve_version_two_of_the_metadata_service_only(
    account: Account, running: str, later: Later
) -> None:
    """The image's attribute, set once and for all.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-IMDS-new-instances.html
    """
    image = make_image(account, running, later)
    account.ec2.modify_image_attribute(ImageId=image, ImdsSupport={"Value": "v2.0"})
    assert account.until(lambda: shown(account, image).get("ImdsSupport")) == "v2.0"
    attribute = account.ec2.describe_image_attribute(ImageId=image, Attribute="imdsSupport")
    assert attribute["ImdsSupport"]["Value"] == "v2.0"
    one = account.run(ImageId=image)["Instances"][0]
    later(account.ec2.terminate_instances, InstanceIds=[one["InstanceId"]])
    assert account.instance(one["InstanceId"])["MetadataOptions"]["HttpTokens"] == "required"


def test_an_image_of_somebody_else_cannot_be_changed(account: Account) -> None:
    """Nor deregistered.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    with refused("AuthFailure"):
        account.ec2.modify_image_attribute(ImageId=account.image, ImdsSupport={"Value": "v2.0"})
    with refused("AuthFailure"):
        account.ec2.deregister_image(ImageId=account.image)


def test_a_deregistered_image_launches_nothing_and_takes_its_snapshots_along_when_told(
    account: Account, running: str
) -> None:
    """Its instances go on.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeregisterImage.html
    """
    image = make_image(account, running)
    snapshot = shown(account, image)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    account.ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    with refused("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"):
        account.run(ImageId=image)
    with refused("InvalidSnapshot.NotFound"):
        account.ec2.describe_snapshots(SnapshotIds=[snapshot])
    with refused("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"):
        account.ec2.deregister_image(ImageId=image)


def test_an_image_that_does_not_exist_is_named_by_its_own_code(account: Account) -> None:
    """And a malformed id by another.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    with refused("InvalidAMIID.NotFound"):
        account.ec2.describe_images(ImageIds=["ami-0badbadbadbadbad0"])
    with refused("InvalidAMIID.Malformed"):
        account.ec2.describe_images(ImageIds=["debian"])


def test_public_images_are_newest_last_or_first_by_their_creation_date(account: Account) -> None:
    """Which is text that sorts.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Image.html
    """
    dates = [image["CreationDate"] for image in account.images()]
    assert len(dates) >= 2
    assert dates == sorted(dates, reverse=True)
    assert all(image["Public"] for image in account.images())
