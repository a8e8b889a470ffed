"""What only the boto3 adapter can be asked: what its calls leave in EC2, IAM and S3, and going on where one ended."""

from __future__ import annotations

import base64
import itertools
import json
from pathlib import Path

import pytest

from hcluster.aws.identity import TRUST
from hcluster.errors import ConflictError
from hcluster.model.launch import Disk
from tests.contract.api_world import Api, ApiWorld
from tests.contract.world import POLICY


@pytest.fixture
def cloud(api: Api, tmp_path: Path) -> ApiWorld:
    return ApiWorld(api, tmp_path)


def test_a_template_demands_imdsv2_and_tags_all_that_it_makes(cloud: ApiWorld, api: Api) -> None:
    template = cloud.template(user_data='{"a": 1}', disks=(Disk(10), Disk(20, "st1")), tags={"hcluster:group": "core"})
    listed = api.ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=["$Default"])
    data = listed["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert data["MetadataOptions"]["InstanceMetadataTags"] == "enabled"
    assert json.loads(base64.b64decode(data["UserData"])) == {"a": 1}
    assert {one["ResourceType"] for one in data["TagSpecifications"]} >= {"instance", "volume", "network-interface"}
    assert [one["DeviceName"] for one in data["BlockDeviceMappings"]] == ["/dev/sdf", "/dev/sdg"]
    assert all(one["Ebs"]["DeleteOnTermination"] for one in data["BlockDeviceMappings"])
    assert data["NetworkInterfaces"][0]["Groups"] == [cloud.group()]
    own = api.ec2.describe_launch_templates(LaunchTemplateIds=[template])["LaunchTemplates"][0]
    assert {"Key": "hcluster:group", "Value": "core"} in own["Tags"]


def test_nodes_with_tags_that_metadata_cannot_show_are_launched_all_the_same(cloud: ApiWorld, api: Api) -> None:
    template = cloud.template(tags={"cost center": "1"})
    listed = api.ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=["$Default"])
    data = listed["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert data["MetadataOptions"]["InstanceMetadataTags"] == "disabled"
    assert len(cloud.fleet(template).instances) == 1


def test_the_same_template_again_adds_no_version(cloud: ApiWorld, api: Api) -> None:
    image = cloud.register_image(cloud.name, cloud.tags)
    for _ in range(2):
        template = cloud.template(image=image)
    assert len(api.ec2.describe_launch_template_versions(LaunchTemplateId=template)["LaunchTemplateVersions"]) == 1


def test_a_version_that_was_not_yet_made_the_default_is_made_it(cloud: ApiWorld, api: Api) -> None:
    image = cloud.register_image(cloud.name, cloud.tags)
    template = cloud.template(image=image, user_data="old")
    cloud.template(image=image, user_data="new")
    api.ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="1")
    cloud.template(image=image, user_data="new")
    found = api.ec2.describe_launch_templates(LaunchTemplateIds=[template])["LaunchTemplates"][0]
    assert (found["DefaultVersionNumber"], found["LatestVersionNumber"]) == (2, 2)


def test_a_launched_node_has_the_templates_profile_groups_and_metadata_options(cloud: ApiWorld, api: Api) -> None:
    (node,) = cloud.fleet(cloud.template()).instances
    found = api.ec2.describe_instances(InstanceIds=[node])["Reservations"][0]["Instances"][0]
    assert found["IamInstanceProfile"]["Arn"].endswith(f"instance-profile/hcluster-{cloud.name}")
    assert [one["GroupId"] for one in found["SecurityGroups"]] == [cloud.group()]
    assert found["MetadataOptions"]["HttpTokens"] == "required"
    cloud.clean()


def test_a_group_admits_its_members_other_groups_and_ssh_and_each_rule_once(cloud: ApiWorld, api: Api) -> None:
    vpc, cidrs, _ = cloud.vpc()
    team = cloud.group("team")
    for _ in range(2):
        group = cloud.compute.ensure_security_group(
            f"hcluster-{cloud.name}-platform", vpc=vpc, allow_from={team: 9083}, allow_cidrs=cidrs, tags=cloud.tags
        )
    found = api.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    rules = {
        (one["IpProtocol"], one.get("FromPort"), source)
        for one in found["IpPermissions"]
        for source in [pair["GroupId"] for pair in one["UserIdGroupPairs"]] + [a["CidrIp"] for a in one["IpRanges"]]
    }
    assert rules == {("-1", None, group), ("tcp", 9083, team), ("tcp", 22, cidrs[0])}


def test_a_rule_that_is_missing_from_an_adopted_group_is_added(cloud: ApiWorld, api: Api) -> None:
    group = cloud.group()
    everything = api.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    own = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}]
    assert everything
    api.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=own)
    assert cloud.group() == group
    found = api.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    assert [pair["GroupId"] for one in found for pair in one["UserIdGroupPairs"]] == [group]


def tags_of(platform: str, region: str = "us-east-1") -> list[dict[str, str]]:
    """What a role or profile of a platform carries from its creation on; "" leaves a tag out."""
    wanted = {"hcluster:platform": platform, "hcluster:region": region}
    return [{"Key": key, "Value": value} for key, value in wanted.items() if value]


STEPS = ("role", "other policy", "profile", "in profile")


@pytest.mark.parametrize(
    "done", [combination for size in range(4) for combination in itertools.combinations(STEPS[:3], size)] + [STEPS]
)
def test_an_instance_profile_is_finished_from_each_half_done_state(
    cloud: ApiWorld, api: Api, done: tuple[str, ...]
) -> None:
    iam, name = api.whole.client("iam"), f"hcluster-{cloud.name}-half"
    if "role" in done or "other policy" in done:
        trust = json.dumps({**TRUST, "Statement": TRUST["Statement"] * 2})
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, Tags=tags_of(cloud.name))
    if "other policy" in done:
        iam.put_role_policy(RoleName=name, PolicyName="other", PolicyDocument=json.dumps(POLICY))
    if "profile" in done:
        iam.create_instance_profile(InstanceProfileName=name, Tags=tags_of(cloud.name))
    if "in profile" in done:
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    assert cloud.compute.ensure_instance_profile(name, POLICY, tags=cloud.tags) == name
    held = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
    assert [role["RoleName"] for role in held] == [name]
    assert iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"] == TRUST
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["hcluster"]
    assert iam.get_role_policy(RoleName=name, PolicyName="hcluster")["PolicyDocument"] == POLICY


def test_half_deleted_instance_profiles_are_deleted_to_the_end(cloud: ApiWorld, api: Api) -> None:
    iam = api.whole.client("iam")
    tags = tags_of(cloud.name)
    iam.create_role(RoleName=f"hcluster-{cloud.name}-a", AssumeRolePolicyDocument=json.dumps(TRUST), Tags=tags)
    iam.create_instance_profile(InstanceProfileName=f"hcluster-{cloud.name}-b", Tags=tags)
    assert cloud.compute.delete_instance_profiles(cloud.tags) == 2
    assert cloud.compute.delete_instance_profiles(cloud.tags) == 0


@pytest.mark.parametrize("kind", ["role", "profile"])
@pytest.mark.parametrize(
    ("platform", "region", "whose"),
    [
        ("", "", "was not made by hcluster"),
        ("stranger", "us-east-1", "belongs to platform stranger"),
        (None, "eu-west-1", "of the same name in eu-west-1"),
    ],
)
def test_somebody_elses_role_or_profile_of_our_name_is_a_conflict_and_stays_as_it_was(
    cloud: ApiWorld, api: Api, kind: str, platform: str | None, region: str, whose: str
) -> None:
    iam, name = api.whole.client("iam"), f"hcluster-{cloud.name}-node"
    tags = tags_of(cloud.name if platform is None else platform, region)
    if kind == "role":
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), Tags=tags)
    else:
        iam.create_instance_profile(InstanceProfileName=name, Tags=tags)
    with pytest.raises(ConflictError, match=whose) as raised:
        cloud.compute.ensure_instance_profile(name, POLICY, tags=cloud.tags)
    assert "choose another `name`" in raised.value.hint
    if kind == "role":
        assert iam.list_role_policies(RoleName=name)["PolicyNames"] == []
    else:
        with pytest.raises(iam.exceptions.NoSuchEntityException):
            iam.get_role(RoleName=name)
    assert cloud.compute.delete_instance_profiles(cloud.tags) == 0


def test_a_role_and_its_profile_carry_platform_and_region(cloud: ApiWorld, api: Api) -> None:
    iam, name = api.whole.client("iam"), f"hcluster-{cloud.name}-node"
    cloud.compute.ensure_instance_profile(name, POLICY, tags=cloud.tags)
    assert iam.get_role(RoleName=name)["Role"]["Tags"] == tags_of(cloud.name)
    assert iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Tags"] == tags_of(cloud.name)


@pytest.mark.parametrize("platform", ["", "stranger"])
def test_somebody_elses_security_group_or_template_of_our_name_is_a_conflict(
    cloud: ApiWorld, api: Api, platform: str
) -> None:
    def specified(kind: str) -> dict[str, object]:
        return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags_of(platform, "")}]} if platform else {}

    vpc, name = cloud.vpc()[0], f"hcluster-{cloud.name}-team"
    made = api.ec2.create_security_group(GroupName=name, Description="x", VpcId=vpc, **specified("security-group"))
    with pytest.raises(ConflictError, match=f"security group {name}") as raised:
        cloud.group("team")
    assert made["GroupId"] in raised.value.hint
    assert api.ec2.describe_security_groups(GroupIds=[made["GroupId"]])["SecurityGroups"][0]["IpPermissions"] == []
    api.ec2.delete_security_group(GroupId=made["GroupId"])
    api.ec2.create_launch_template(
        LaunchTemplateName=f"hcluster-{cloud.name}-core",
        LaunchTemplateData={"InstanceType": "m5.large"},
        **specified("launch-template"),
    )
    with pytest.raises(ConflictError, match=f"launch template hcluster-{cloud.name}-core"):
        cloud.template("core")


def test_a_bucket_is_closed_to_the_public_encrypted_and_keeps_its_other_tags(cloud: ApiWorld, api: Api) -> None:
    s3, bucket = api.whole.client("s3"), {"Bucket": cloud.store.bucket}
    s3.create_bucket(**bucket)
    s3.put_bucket_tagging(**bucket, Tagging={"TagSet": [{"Key": "cost", "Value": "42"}]})
    cloud.store.ensure_bucket(cloud.tags)
    assert all(s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values())
    rules = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    tags = {one["Key"]: one["Value"] for one in s3.get_bucket_tagging(**bucket)["TagSet"]}
    assert tags == {"cost": "42", **cloud.tags}


def test_a_bucket_with_versions_and_unfinished_uploads_is_deleted_with_them(cloud: ApiWorld, api: Api) -> None:
    s3, bucket = api.whole.client("s3"), {"Bucket": cloud.store.bucket}
    cloud.store.ensure_bucket({})
    s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Enabled"})
    cloud.store.put("twice", b"1")
    cloud.store.put("twice", b"2")
    cloud.store.delete("twice")
    s3.create_multipart_upload(**bucket, Key="unfinished")
    cloud.store.delete_bucket()
    assert not cloud.store.exists()


def test_a_deregistered_image_takes_its_snapshots(cloud: ApiWorld, api: Api) -> None:
    image = cloud.register_image(cloud.name, cloud.tags)
    disks = api.ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"]
    snapshots = {disk["Ebs"]["SnapshotId"] for disk in disks if "SnapshotId" in disk.get("Ebs", {})}
    assert snapshots
    cloud.images.deregister(image)
    present = {one["SnapshotId"] for one in api.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert not snapshots & present
