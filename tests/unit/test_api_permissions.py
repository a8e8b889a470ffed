"""What least privilege means on the local cloud, over boto3: resources, tags, roles passed on, sessions, buckets."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.api_cloud import BASE, Cloud, running_cloud

ACCOUNT = "123456789012"
EC2 = f"arn:aws:ec2:us-east-1:{ACCOUNT}"
_NUMBERS = itertools.count()
Statement = dict[str, Any]
Keys = tuple[str, ...]


def document(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **conditions: Any) -> Statement:
    found = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {**found, "Condition": conditions} if conditions else found


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        found.client("s3").create_bucket(Bucket="lake")
        yield found


def user(cloud: Cloud, *statements: Statement, tags: dict[str, str] | None = None) -> Keys:
    """A new user's keys."""
    iam, name = cloud.client("iam"), f"user-{next(_NUMBERS)}"
    iam.create_user(UserName=name, Tags=listed(tags or {}))
    if statements:
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document(*statements))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def role(cloud: Cloud, trust: Statement, *statements: Statement, tags: dict[str, str] | None = None) -> str:
    """A new role's ARN."""
    iam, name = cloud.client("iam"), f"role-{next(_NUMBERS)}"
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust), Tags=listed(tags or {}))
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(*statements))
    return str(made["Role"]["Arn"])


def trusting(principal: Any, action: Any = "sts:AssumeRole", **conditions: Any) -> Statement:
    found = {"Effect": "Allow", "Principal": principal, "Action": action}
    return {**found, "Condition": conditions} if conditions else found


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tagged(kind: str, **tags: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": listed(tags)}]


def refused(call: Any, **arguments: Any) -> str:
    """Code and message of the error that the call gives."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    told = error.value.response["Error"]
    return f"{told['Code']}: {told['Message']}"


def session(given: dict[str, Any]) -> Keys:
    found = given["Credentials"]
    return found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]


LAUNCH = {"ImageId": BASE, "InstanceType": "m5.large", "MinCount": 1, "MaxCount": 1}
ALL_OF_A_LAUNCH = [
    f"{EC2}:{kind}/*" for kind in ("instance", "subnet", "security-group", "network-interface", "volume")
] + ["arn:aws:ec2:us-east-1::image/*"]


# EC2


@pytest.mark.parametrize("missing", ALL_OF_A_LAUNCH)
def test_a_launch_needs_the_right_to_each_thing_that_it_touches(cloud: Cloud, missing: str) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ExamplePolicies_EC2.html"""
    group = cloud.client("ec2").describe_security_groups()["SecurityGroups"][0]["GroupId"]
    ec2 = cloud.client(
        "ec2", user(cloud, allow("ec2:RunInstances", [one for one in ALL_OF_A_LAUNCH if one != missing]))
    )
    told = refused(ec2.run_instances, **LAUNCH, SecurityGroupIds=[group])
    assert told.startswith("UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:iam")
    assert missing.removesuffix("*").rsplit(":", 1)[-1] in told
    everything = cloud.client("ec2", user(cloud, allow("ec2:RunInstances", ALL_OF_A_LAUNCH)))
    assert "DryRunOperation" in refused(everything.run_instances, **LAUNCH, SecurityGroupIds=[group], DryRun=True)


def test_types_and_metadata_versions_are_conditions_of_a_launch(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ExamplePolicies_EC2.html#iam-example-instance-metadata"""
    small = allow(
        "ec2:RunInstances",
        f"{EC2}:instance/*",
        StringLike={"ec2:InstanceType": ["m5.*"]},
        StringEquals={"ec2:MetadataHttpTokens": "required"},
    )
    rest = allow("ec2:RunInstances", [one for one in ALL_OF_A_LAUNCH if ":instance/" not in one])
    ec2 = cloud.client("ec2", user(cloud, small, rest))
    safe = {"MetadataOptions": {"HttpTokens": "required"}}
    assert "DryRunOperation" in refused(ec2.run_instances, **LAUNCH, **safe, DryRun=True)
    assert "Unauthorized" in refused(ec2.run_instances, **{**LAUNCH, "InstanceType": "c5.large"}, **safe, DryRun=True)
    assert "Unauthorized" in refused(ec2.run_instances, **LAUNCH, DryRun=True)


def test_instances_are_tagged_as_wanted_or_not_launched(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html"""
    ec2 = cloud.client(
        "ec2",
        user(
            cloud,
            allow("ec2:RunInstances", [one for one in ALL_OF_A_LAUNCH if ":instance/" not in one]),
            allow("ec2:RunInstances", f"{EC2}:instance/*", StringEquals={"aws:RequestTag/team": "red"}),
            allow("ec2:CreateTags", f"{EC2}:instance/*", StringEquals={"ec2:CreateAction": "RunInstances"}),
            allow("ec2:Describe*"),
        ),
    )
    assert "ec2:RunInstances" in refused(ec2.run_instances, **LAUNCH)
    assert "ec2:RunInstances" in refused(ec2.run_instances, **LAUNCH, TagSpecifications=tagged("instance", team="blue"))
    both = tagged("instance", team="red") + tagged("volume", team="red")
    assert f"ec2:CreateTags on resource: {EC2}:volume/*" in refused(ec2.run_instances, **LAUNCH, TagSpecifications=both)
    made = ec2.run_instances(**LAUNCH, TagSpecifications=tagged("instance", team="red"))["Instances"][0]["InstanceId"]
    cloud.wait([made], "running")
    assert "ec2:CreateTags" in refused(ec2.create_tags, Resources=[made], Tags=listed({"team": "blue"}))


def test_each_team_ends_its_own_instances_only(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/tutorial_attribute-based-access-control.html"""
    red, blue = (cloud.run(TagSpecifications=tagged("instance", team=team))[0] for team in ("red", "blue"))
    own = allow(
        ["ec2:TerminateInstances", "ec2:StopInstances", "ec2:RebootInstances"],
        f"{EC2}:instance/*",
        StringEquals={"aws:ResourceTag/team": "${aws:PrincipalTag/team}"},
    )
    ec2 = cloud.client("ec2", user(cloud, own, tags={"team": "red"}))
    assert "Unauthorized" in refused(ec2.terminate_instances, InstanceIds=[blue])
    assert "Unauthorized" in refused(ec2.terminate_instances, InstanceIds=[red, blue])
    assert "Unauthorized" in refused(ec2.terminate_instances, InstanceIds=["i-00000000000000000"]), "no tags, no right"
    assert "Unauthorized" in refused(ec2.describe_instances)
    ec2.terminate_instances(InstanceIds=[red])
    assert cloud.describe(blue)["State"]["Name"] == "running"


def test_a_role_is_passed_to_an_instance_only_by_those_who_may(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html"""
    iam = cloud.client("iam")
    arn = role(cloud, trusting({"Service": "ec2.amazonaws.com"}))
    name = arn.rsplit("/", 1)[-1]
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    launch = {**LAUNCH, "IamInstanceProfile": {"Name": name}, "DryRun": True}
    launches = allow("ec2:RunInstances")
    without = cloud.client("ec2", user(cloud, launches))
    assert f"iam:PassRole on resource: {arn}" in refused(without.run_instances, **launch)
    other = allow("iam:PassRole", arn, StringEquals={"iam:PassedToService": "lambda.amazonaws.com"})
    assert "iam:PassRole" in refused(cloud.client("ec2", user(cloud, launches, other)).run_instances, **launch)
    passes = allow("iam:PassRole", arn, StringEquals={"iam:PassedToService": "ec2.amazonaws.com"})
    assert "DryRunOperation" in refused(cloud.client("ec2", user(cloud, launches, passes)).run_instances, **launch)
    manager = cloud.client(
        "iam", user(cloud, allow("iam:*InstanceProfile", f"arn:aws:iam::{ACCOUNT}:instance-profile/*"))
    )
    manager.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
    assert "iam:PassRole" in refused(manager.add_role_to_instance_profile, InstanceProfileName=name, RoleName=name)


def test_a_fleet_needs_what_its_template_brings(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-fleet-prerequisites.html"""
    admin = cloud.client("ec2")
    arn = role(cloud, trusting({"Service": "ec2.amazonaws.com"}))
    name = arn.rsplit("/", 1)[-1]
    cloud.client("iam").create_instance_profile(InstanceProfileName=name)
    cloud.client("iam").add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    data = {"ImageId": BASE, "IamInstanceProfile": {"Name": name}, "TagSpecifications": tagged("instance", team="red")}
    admin.create_launch_template(
        LaunchTemplateName="fleet", LaunchTemplateData=data, TagSpecifications=tagged("launch-template", team="red")
    )
    order = {
        "Type": "instant",
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {"LaunchTemplateName": "fleet", "Version": "$Latest"},
                "Overrides": [{"InstanceType": "m5.large"}],
            }
        ],
        "TargetCapacitySpecification": {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "on-demand"},
    }
    red = {"StringEquals": {"aws:ResourceTag/team": "red"}}
    rights = [
        allow(["ec2:CreateFleet"], [f"{EC2}:fleet/*"]),
        allow(["ec2:CreateFleet", "ec2:RunInstances"], f"{EC2}:launch-template/*", **red),
        allow(["ec2:CreateFleet", "ec2:RunInstances"], ALL_OF_A_LAUNCH),
        allow("ec2:CreateTags", f"{EC2}:instance/*", StringEquals={"ec2:CreateAction": "RunInstances"}),
        allow("iam:PassRole", arn),
    ]
    for missing in range(len(rights)):
        some = cloud.client("ec2", user(cloud, *(one for at, one in enumerate(rights) if at != missing)))
        assert "UnauthorizedOperation" in refused(some.create_fleet, **order), missing
    made = cloud.client("ec2", user(cloud, *rights)).create_fleet(**order)
    assert len(made["Instances"][0]["InstanceIds"]) == 1


def test_what_is_made_may_be_tagged_then_and_by_no_other_call(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html"""
    vpc = cloud.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    ec2 = cloud.client(
        "ec2",
        user(
            cloud,
            allow("ec2:CreateSecurityGroup", [f"{EC2}:security-group/*", f"{EC2}:vpc/{vpc}"]),
            allow("ec2:CreateTags", f"{EC2}:*/*", StringEquals={"ec2:CreateAction": "CreateSecurityGroup"}),
        ),
    )
    made = ec2.create_security_group(
        GroupName="tagged", Description="x", VpcId=vpc, TagSpecifications=tagged("security-group", team="red")
    )["GroupId"]
    assert "ec2:CreateTags" in refused(ec2.create_tags, Resources=[made], Tags=listed({"team": "blue"}))
    assert "ec2:DeleteSecurityGroup" in refused(ec2.delete_security_group, GroupId=made)
    keeper = cloud.client(
        "ec2", user(cloud, allow("ec2:*SecurityGroup*", "*", StringEquals={"ec2:ResourceTag/team": "red"}))
    )
    keeper.delete_security_group(GroupId=made)


def test_volumes_are_attached_by_those_who_may_touch_both(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ExamplePolicies_EC2.html#iam-example-manage-volumes"""
    instance = cloud.run()[0]
    zone = cloud.describe(instance)["Placement"]["AvailabilityZone"]
    volume = cloud.client("ec2").create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
    one = cloud.client("ec2", user(cloud, allow("ec2:AttachVolume", f"{EC2}:volume/*")))
    request = {"InstanceId": instance, "VolumeId": volume, "Device": "/dev/sdf", "DryRun": True}
    assert f"{EC2}:instance/{instance}" in refused(one.attach_volume, **request)
    both = cloud.client(
        "ec2", user(cloud, allow("ec2:AttachVolume", [f"{EC2}:volume/*", f"{EC2}:instance/{instance}"]))
    )
    assert "UnauthorizedOperation" not in refused(both.attach_volume, **request)


def test_keys_are_pushed_to_the_instances_that_one_may_enter(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/permissions-for-ec2-instance-connect.html"""
    red, blue = (cloud.run(TagSpecifications=tagged("instance", team=team))[0] for team in ("red", "blue"))
    keys = user(
        cloud,
        allow(
            "ec2-instance-connect:SendSSHPublicKey",
            f"{EC2}:instance/*",
            StringEquals={"ec2:osuser": "admin", "aws:ResourceTag/team": "red"},
        ),
    )
    connect = cloud.client("ec2-instance-connect", keys)
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9d0nGHPgmQm8VW7IDhvC1zT0ERpUDdBzMxI0lV4V9s me"
    connect.send_ssh_public_key(InstanceId=red, InstanceOSUser="admin", SSHPublicKey=key)
    for instance, name in ((red, "root"), (blue, "admin")):
        told = refused(connect.send_ssh_public_key, InstanceId=instance, InstanceOSUser=name, SSHPublicKey=key)
        assert "AccessDenied" in told


# IAM


def test_documents_that_cannot_be_evaluated_are_not_put(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPolicy.html"""
    iam = cloud.client("iam")
    user(cloud)
    wrong = document(allow("s3:*", "*", StringMatches={"s3:prefix": "x"}))
    name = iam.list_users()["Users"][0]["UserName"]
    for call, arguments in (
        (iam.put_user_policy, {"UserName": name, "PolicyName": "p", "PolicyDocument": wrong}),
        (iam.create_policy, {"PolicyName": "p", "PolicyDocument": wrong}),
        (iam.create_role, {"RoleName": "wrong", "AssumeRolePolicyDocument": document(allow("sts:AssumeRole"))}),
        (cloud.client("s3").put_bucket_policy, {"Bucket": "lake", "Policy": wrong}),
    ):
        told = refused(call, **arguments)
        assert told.startswith("MalformedPolicy")
        assert "StringMatches" in told or "prohibited field Resource" in told or "Principal" in told


def test_policies_have_the_sizes_that_iam_takes(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
    iam = cloud.client("iam")
    name = iam.get_access_key_last_used(AccessKeyId=user(cloud)[0])["UserName"]
    half = document(allow([f"s3:Get{'x' * 40}{at}" for at in range(23)]))
    iam.put_user_policy(UserName=name, PolicyName="one", PolicyDocument=half)
    iam.put_user_policy(UserName=name, PolicyName="one", PolicyDocument=half)
    told = refused(iam.put_user_policy, UserName=name, PolicyName="two", PolicyDocument=half)
    assert told == f"LimitExceeded: Maximum policy size of 2048 bytes exceeded for user {name}"
    large = document(allow([f"s3:Get{'x' * 40}{at}" for at in range(140)]))
    assert "PolicySize: 6144" in refused(iam.create_policy, PolicyName="large", PolicyDocument=large)
    old = json.dumps({"Version": "2008-10-17", "Statement": [allow("s3:*", NumericLessThan={"s3:max-keys": 5})]})
    iam.put_user_policy(UserName=name, PolicyName="one", PolicyDocument=old)


def test_iam_is_judged_on_the_entity(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_examples.html"""
    mine = f"arn:aws:iam::{ACCOUNT}:role/mine-*"
    iam = cloud.client(
        "iam", user(cloud, allow(["iam:CreateRole", "iam:GetRole", "iam:PutRolePolicy"], mine), allow("iam:ListRoles"))
    )
    trust = document(trusting({"Service": "ec2.amazonaws.com"}))
    iam.create_role(RoleName="mine-a", AssumeRolePolicyDocument=trust)
    assert iam.get_role(RoleName="mine-a")["Role"]["Arn"].endswith("role/mine-a")
    assert "role/other" in refused(iam.create_role, RoleName="other", AssumeRolePolicyDocument=trust)
    told = refused(iam.create_role, RoleName="mine-b", AssumeRolePolicyDocument=trust, Tags=listed({"a": "b"}))
    assert "iam:TagRole" in told
    assert "iam:DeleteRole" in refused(iam.delete_role, RoleName="mine-a")
    assert iam.list_roles()["Roles"]


def test_users_keep_their_own_keys(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_examples_iam_credentials_console.html"""
    own = "arn:aws:iam::*:user/${aws:username}"
    iam = cloud.client("iam", user(cloud, allow(["iam:ListAccessKeys", "iam:GetUser"], own)))
    assert len(iam.list_access_keys()["AccessKeyMetadata"]) == 1
    assert "AccessDenied" in refused(iam.list_access_keys, UserName="hcluster-admin")


def test_a_users_boundary_holds_whatever_its_policies_say(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html"""
    iam = cloud.client("iam")
    boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=document(allow("ec2:Describe*")))["Policy"][
        "Arn"
    ]
    keys = user(cloud, allow("*"))
    name = iam.get_access_key_last_used(AccessKeyId=keys[0])["UserName"]
    ec2, s3 = cloud.client("ec2", keys), cloud.client("s3", keys)
    assert s3.list_buckets()["Buckets"]
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=boundary)
    assert ec2.describe_vpcs()["Vpcs"]
    assert "because no permissions boundary allows the s3:ListAllMyBuckets action" in refused(s3.list_buckets)
    iam.delete_user_permissions_boundary(UserName=name)
    assert s3.list_buckets()["Buckets"]


# Sessions


def test_a_session_has_tags_that_policies_ask_for(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html"""
    admin = cloud.client("s3")
    for team in ("red", "blue", "grey"):
        admin.put_object(Bucket="lake", Key=f"{team}/1", Body=b"1")
    read = allow("s3:GetObject", "arn:aws:s3:::lake/${aws:PrincipalTag/team}/*")
    keys = user(cloud, allow(["sts:AssumeRole", "sts:TagSession"]))
    trust = trusting({"AWS": ACCOUNT}, ["sts:AssumeRole", "sts:TagSession"], StringLike={"aws:RequestTag/team": "*"})
    arn = role(cloud, trust, read, tags={"team": "grey"})
    plain = role(cloud, trusting({"AWS": ACCOUNT}), read, tags={"team": "grey"})
    sts = cloud.client("sts", keys)
    assert "sts:AssumeRole" in refused(sts.assume_role, RoleArn=arn, RoleSessionName="me"), "it demands a tag"
    red = listed({"team": "red"})
    assert "sts:TagSession" in refused(sts.assume_role, RoleArn=plain, RoleSessionName="me", Tags=red)
    s3 = cloud.client("s3", session(sts.assume_role(RoleArn=arn, RoleSessionName="me", Tags=red)))
    assert s3.get_object(Bucket="lake", Key="red/1")["Body"].read() == b"1"
    assert "AccessDenied" in refused(s3.get_object, Bucket="lake", Key="grey/1"), "the session's tag wins"
    untagged = cloud.client("s3", session(sts.assume_role(RoleArn=plain, RoleSessionName="me")))
    assert untagged.get_object(Bucket="lake", Key="grey/1")["Body"].read() == b"1", "else the role's counts"


def test_transitive_tags_go_on_to_the_next_session(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_role-chaining"""
    keys = user(cloud, allow(["sts:AssumeRole", "sts:TagSession"]))
    both = ["sts:AssumeRole", "sts:TagSession"]
    first = role(cloud, trusting({"AWS": ACCOUNT}, both), allow(both))
    last = role(
        cloud, trusting({"AWS": ACCOUNT}, both), allow("s3:GetObject", "arn:aws:s3:::lake/${aws:PrincipalTag/team}/*")
    )
    cloud.client("s3").put_object(Bucket="lake", Key="red/1", Body=b"1")
    tags = listed({"team": "red", "other": "x"})
    for transitive, expected in ((["team"], True), ([], False)):
        given = cloud.client("sts", keys).assume_role(
            RoleArn=first, RoleSessionName="first", Tags=tags, TransitiveTagKeys=transitive
        )
        chained = cloud.client("sts", session(given)).assume_role(RoleArn=last, RoleSessionName="second")
        s3 = cloud.client("s3", session(chained))
        if expected:
            assert s3.get_object(Bucket="lake", Key="red/1")["Body"].read() == b"1"
            told = refused(
                cloud.client("sts", session(given)).assume_role,
                RoleArn=last,
                RoleSessionName="second",
                Tags=listed({"team": "blue"}),
            )
            assert "conflicts with a transitive tag key" in told
        else:
            assert "AccessDenied" in refused(s3.get_object, Bucket="lake", Key="red/1")


def test_external_ids_names_and_durations_of_sessions(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html"""
    keys = user(cloud, allow("sts:AssumeRole"))
    named = trusting(
        {"AWS": ACCOUNT}, StringEquals={"sts:ExternalId": "42"}, StringLike={"sts:RoleSessionName": "deploy-*"}
    )
    arn, sts = role(cloud, named), cloud.client("sts", keys)
    assert "AccessDenied" in refused(sts.assume_role, RoleArn=arn, RoleSessionName="deploy-1")
    assert "AccessDenied" in refused(sts.assume_role, RoleArn=arn, RoleSessionName="me", ExternalId="42")
    given = sts.assume_role(RoleArn=arn, RoleSessionName="deploy-1", ExternalId="42")
    assert given["AssumedRoleUser"]["Arn"].endswith("/deploy-1")
    long = refused(sts.assume_role, RoleArn=arn, RoleSessionName="deploy-1", ExternalId="42", DurationSeconds=7200)
    assert "MaxSessionDuration" in long
    assert "ValidationError" in refused(sts.assume_role, RoleArn=arn, RoleSessionName="a b", ExternalId="42")


# S3


def test_a_bucket_policy_gives_and_takes(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html"""
    admin = cloud.client("s3")
    admin.create_bucket(Bucket="shared")
    admin.put_object(Bucket="shared", Key="open/1", Body=b"1")
    nobody, everybody = user(cloud), user(cloud, allow("s3:*"))
    name = cloud.client("iam").get_access_key_last_used(AccessKeyId=nobody[0])["UserName"]
    reads = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/{name}"},
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::shared/open/*",
    }
    encrypted = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::shared/*",
        "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}},
    }
    admin.put_bucket_policy(Bucket="shared", Policy=document(reads, encrypted))
    assert cloud.client("s3", nobody).get_object(Bucket="shared", Key="open/1")["Body"].read() == b"1"
    assert "AccessDenied" in refused(cloud.client("s3", nobody).list_objects_v2, Bucket="shared")
    told = refused(cloud.client("s3", everybody).put_object, Bucket="shared", Key="x", Body=b"")
    assert "with an explicit deny in a resource-based policy" in told
    cloud.client("s3", everybody).put_object(Bucket="shared", Key="x", Body=b"", ServerSideEncryption="AES256")
    admin.delete_bucket_policy(Bucket="shared")
    assert "AccessDenied" in refused(cloud.client("s3", nobody).get_object, Bucket="shared", Key="open/1")


def test_only_those_who_may_list_learn_that_an_object_is_missing(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html"""
    blind = cloud.client("s3", user(cloud, allow("s3:GetObject", "arn:aws:s3:::lake/*")))
    assert "AccessDenied" in refused(blind.get_object, Bucket="lake", Key="missing")
    assert refused(blind.head_object, Bucket="lake", Key="missing").startswith("403")
    lists = cloud.client(
        "s3", user(cloud, allow(["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::lake", "arn:aws:s3:::lake/*"]))
    )
    assert "NoSuchKey" in refused(lists.get_object, Bucket="lake", Key="missing")


# Simulation


def test_policies_are_simulated_by_the_evaluator_that_judges(cloud: Cloud) -> None:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html"""
    iam = cloud.client("iam")
    team = {"StringEquals": {"ec2:ResourceTag/team": "red"}}
    keys = user(cloud, allow("s3:GetObject", "arn:aws:s3:::lake/*"), allow("ec2:TerminateInstances", "*", **team))
    arn = cloud.client("sts", keys).get_caller_identity()["Arn"]

    def ask(action: str, resource: str, **context: str) -> dict[str, Any]:
        entries = [
            {"ContextKeyName": key.replace("_", ":", 1), "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in context.items()
        ]
        answer = iam.simulate_principal_policy(
            PolicySourceArn=arn, ActionNames=[action], ResourceArns=[resource], ContextEntries=entries
        )
        found: dict[str, Any] = answer["EvaluationResults"][0]
        return found

    read = ask("s3:GetObject", "arn:aws:s3:::lake/x")
    assert (read["EvalDecision"], read["MatchedStatements"][0]["SourcePolicyId"]) == ("allowed", "own")
    assert ask("s3:PutObject", "arn:aws:s3:::lake/x")["EvalDecision"] == "implicitDeny"
    instance = f"{EC2}:instance/i-1"
    unknown = ask("ec2:TerminateInstances", instance)
    assert (unknown["EvalDecision"], unknown["MissingContextValues"]) == ("implicitDeny", ["ec2:resourcetag/team"])
    assert ask("ec2:TerminateInstances", instance, **{"ec2_ResourceTag/team": "red"})["EvalDecision"] == "allowed"
    denied = iam.simulate_custom_policy(
        PolicyInputList=[document(allow("*"), {"Effect": "Deny", "Action": "iam:*", "Resource": "*"})],
        ActionNames=["iam:CreateUser", "s3:ListAllMyBuckets"],
    )["EvaluationResults"]
    assert [one["EvalDecision"] for one in denied] == ["explicitDeny", "allowed"]
    assert "NoSuchEntity" in refused(
        iam.simulate_principal_policy, PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:user/none", ActionNames=["s3:GetObject"]
    )
    found = iam.get_context_keys_for_principal_policy(PolicySourceArn=arn)["ContextKeyNames"]
    assert found == ["ec2:resourcetag/team"]
