"""Who may do what: how policies are evaluated, shown by calls that are refused or get past the check.

EC2 is asked with DryRun, which answers the question of permission alone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.contract.aws.account import Account, refused, status_of
from tests.contract.aws.conftest import Later
from tests.contract.aws.identity import acting, allow, allowed, arn_of, assume, deny, document, make_role, trust

TEAM = [{"Key": "team", "Value": "analytics"}]


@pytest.fixture(scope="module")
def lake(account: Account, bucket: str) -> str:
    """ARN of a bucket with an object ``open/a`` and one ``closed/a``."""
    for key in ("open/a", "closed/a"):
        account.s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    return f"arn:aws:s3:::{bucket}"


def test_the_caller_is_told_who_it_is_without_any_permission(account: Account, later: Later) -> None:
    """A session's ARN names role and session.

    docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    role = make_role(account, later, deny("sts:*"))
    keys = assume(account, role, RoleSessionName="who-am-i")
    told = account.client("sts", keys).get_caller_identity()
    assert told["Arn"] == f"arn:aws:sts::{account.id}:assumed-role/{role}/who-am-i"
    assert told["UserId"].endswith(":who-am-i")
    assert keys[0].startswith("ASIA")


def test_nothing_is_allowed_by_default(account: Account, later: Later, bucket: str) -> None:
    """S3 and IAM say AccessDenied, EC2 says UnauthorizedOperation; all with status 403.

    docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
    """
    act = acting(account, later)
    with refused("AccessDenied") as caught:
        act("s3").list_objects_v2(Bucket=bucket)
    assert status_of(caught.value) == 403
    with refused("UnauthorizedOperation") as caught:
        act("ec2").describe_instances()
    assert status_of(caught.value) == 403
    with refused("AccessDenied") as caught:
        act("iam").list_roles()
    assert status_of(caught.value) == 403


def test_a_dry_run_without_permission_is_unauthorized(account: Account, later: Later) -> None:
    """And with it DryRunOperation.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html
    """
    act = acting(account, later, allow("ec2:RunInstances"))
    request = {"ImageId": account.image, "InstanceType": "t3.nano", "MinCount": 1, "MaxCount": 1, "DryRun": True}
    assert allowed(account, act("ec2").run_instances, **request)
    with refused("UnauthorizedOperation"):
        act("ec2").create_launch_template(
            LaunchTemplateName="x" * 5, LaunchTemplateData={"ImageId": account.image}, DryRun=True
        )


def test_an_explicit_deny_wins_over_every_allow(account: Account, later: Later, lake: str, bucket: str) -> None:
    """In whatever order they stand.

    docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
    """
    act = acting(account, later, deny("s3:GetObject", f"{lake}/closed/*"), allow("s3:*", [lake, f"{lake}/*"]))
    assert allowed(account, act("s3").get_object, Bucket=bucket, Key="open/a")
    with refused("AccessDenied"):
        act("s3").get_object(Bucket=bucket, Key="closed/a")


def test_a_resource_is_a_pattern_of_arns(account: Account, later: Later, lake: str, bucket: str) -> None:
    """A bucket's objects are not the bucket.

    docs.aws.amazon.com/AmazonS3/latest/userguide/s3-arn-format.html
    """
    act = acting(account, later, allow("s3:*", f"{lake}/open/?"))
    assert allowed(account, act("s3").get_object, Bucket=bucket, Key="open/a")
    with refused("AccessDenied"):
        act("s3").list_objects_v2(Bucket=bucket)
    with refused("AccessDenied"):
        act("s3").put_object(Bucket=bucket, Key="open/ab", Body=b"")


def test_not_action_and_not_resource_mean_all_others(account: Account, later: Later, lake: str, bucket: str) -> None:
    """Both in one statement.

    docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notresource.html
    """
    statement = {"Effect": "Allow", "NotAction": ["iam:*", "s3:DeleteObject"], "NotResource": f"{lake}/closed/*"}
    act = acting(account, later, statement)
    assert allowed(account, act("s3").get_object, Bucket=bucket, Key="open/a")
    with refused("AccessDenied"):
        act("s3").delete_object(Bucket=bucket, Key="open/a")
    with refused("AccessDenied"):
        act("s3").get_object(Bucket=bucket, Key="closed/a")


def test_a_missing_object_is_a_secret_to_whoever_may_not_list(
    account: Account, later: Later, lake: str, bucket: str
) -> None:
    """404 with s3:ListBucket, 403 without.

    docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    blind = acting(account, later, allow("s3:GetObject", f"{lake}/*"))
    assert allowed(account, blind("s3").get_object, Bucket=bucket, Key="open/a")
    with refused("AccessDenied"):
        blind("s3").get_object(Bucket=bucket, Key="open/nothing")
    seeing = acting(account, later, allow(["s3:GetObject", "s3:ListBucket"], [lake, f"{lake}/*"]))
    assert allowed(account, seeing("s3").get_object, Bucket=bucket, Key="open/a")
    with refused("NoSuchKey"):
        seeing("s3").get_object(Bucket=bucket, Key="open/nothing")


def test_listing_is_allowed_by_prefix(account: Account, later: Later, lake: str, bucket: str) -> None:
    """A listing without the prefix is not.

    docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html
    """
    act = acting(account, later, allow("s3:ListBucket", lake, StringLike={"s3:prefix": ["open/*", "open"]}))
    assert allowed(account, act("s3").list_objects_v2, Bucket=bucket, Prefix="open/")
    for prefix in ("", "closed/"):
        with refused("AccessDenied"):
            act("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)


def test_a_number_in_the_request_is_compared_as_a_number(
    account: Account, later: Later, lake: str, bucket: str
) -> None:
    """Ten is more than nine.

    docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    act = acting(account, later, allow("s3:ListBucket", lake, NumericLessThanEquals={"s3:max-keys": "10"}))
    assert allowed(account, act("s3").list_objects_v2, Bucket=bucket, MaxKeys=9)
    with refused("AccessDenied"):
        act("s3").list_objects_v2(Bucket=bucket, MaxKeys=11)


def test_a_session_policy_only_takes_away(account: Account, later: Later, lake: str, bucket: str) -> None:
    """What both allow is allowed.

    docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html
    """
    policy = document(allow(["s3:GetObject", "ec2:*"], "*"))
    act = acting(account, later, allow("s3:*", [lake, f"{lake}/*"]), Policy=policy)
    assert allowed(account, act("s3").get_object, Bucket=bucket, Key="open/a")
    with refused("AccessDenied"):
        act("s3").put_object(Bucket=bucket, Key="open/b", Body=b"")
    with refused("UnauthorizedOperation"):
        act("ec2").describe_instances()


def test_tags_of_the_role_are_tags_of_the_principal(account: Account, later: Later, lake: str, bucket: str) -> None:
    """As condition and as variable of a resource.

    docs.aws.amazon.com/IAM/latest/UserGuide/access_iam-tags.html
    """
    statements = (
        allow("s3:GetObject", f"{lake}/open/*", StringEquals={"aws:PrincipalTag/team": "analytics"}),
        allow("s3:PutObject", f"{lake}/teams/${{aws:PrincipalTag/team}}/*"),
    )
    act = acting(account, later, *statements, RoleTags=TEAM)
    assert allowed(account, act("s3").get_object, Bucket=bucket, Key="open/a")
    assert allowed(account, act("s3").put_object, Bucket=bucket, Key="teams/analytics/x", Body=b"")
    with refused("AccessDenied"):
        act("s3").put_object(Bucket=bucket, Key="teams/science/x", Body=b"")
    other = acting(account, later, *statements)
    with refused("AccessDenied"):
        other("s3").get_object(Bucket=bucket, Key="open/a")


def test_tags_of_a_session_win_over_those_of_its_role(account: Account, later: Later, lake: str, bucket: str) -> None:
    """They are given when the role is assumed.

    docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
    """
    statement = allow("s3:PutObject", f"{lake}/teams/${{aws:PrincipalTag/team}}/*")
    session = [{"Key": "team", "Value": "science"}]
    act = acting(account, later, statement, RoleTags=TEAM, Tags=session)
    assert allowed(account, act("s3").put_object, Bucket=bucket, Key="teams/science/x", Body=b"")
    with refused("AccessDenied"):
        act("s3").put_object(Bucket=bucket, Key="teams/analytics/x", Body=b"")


def test_a_launch_needs_the_tags_that_its_policy_asks_for(account: Account, later: Later) -> None:
    """aws:RequestTag, and aws:TagKeys for all that are there.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
    """
    condition: dict[str, Any] = {
        "StringEquals": {"aws:RequestTag/team": "analytics"},
        "ForAllValues__StringEquals": {"aws:TagKeys": ["team", "Name"]},
    }
    instance = f"arn:aws:ec2:*:{account.id}:instance/*"
    others = [f"arn:aws:ec2:*:*:{kind}/*" for kind in ("subnet", "volume", "network-interface", "security-group")]
    act = acting(
        account,
        later,
        allow("ec2:RunInstances", instance, **condition),
        allow("ec2:RunInstances", [*others, "arn:aws:ec2:*::image/*"]),
        allow("ec2:CreateTags", instance, StringEquals={"ec2:CreateAction": "RunInstances"}),
    )

    def request(*tags: tuple[str, str]) -> dict[str, Any]:
        listed = [{"Key": key, "Value": value} for key, value in tags]
        specification = {"TagSpecifications": [{"ResourceType": "instance", "Tags": listed}]} if listed else {}
        launch = {"ImageId": account.image, "InstanceType": "t3.nano", "MinCount": 1, "MaxCount": 1, "DryRun": True}
        return launch | specification

    assert allowed(account, act("ec2").run_instances, **request(("team", "analytics"), ("Name", "x")))
    for wrong in (request(), request(("team", "science")), request(("team", "analytics"), ("more", "x"))):
        with refused("UnauthorizedOperation"):
            act("ec2").run_instances(**wrong)


def test_an_instance_is_ended_by_whoever_its_tags_allow(account: Account, later: Later, running: str) -> None:
    """ec2:ResourceTag of what the call names.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/control-access-with-tags.html
    """
    tag = account.tags[0]
    mine = allow("ec2:TerminateInstances", "*", StringEquals={f"ec2:ResourceTag/{tag['Key']}": tag["Value"]})
    act = acting(account, later, mine)
    assert allowed(account, act("ec2").terminate_instances, InstanceIds=[running], DryRun=True)
    other = allow("ec2:TerminateInstances", "*", StringEquals={f"aws:ResourceTag/{tag['Key']}": "somebody else's"})
    act = acting(account, later, other)
    with refused("UnauthorizedOperation"):
        act("ec2").terminate_instances(InstanceIds=[running], DryRun=True)


def test_the_type_of_an_instance_is_a_condition(account: Account, later: Later) -> None:
    """What a team may launch.

    docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
    """
    instance = f"arn:aws:ec2:*:{account.id}:instance/*"
    act = acting(
        account,
        later,
        allow("ec2:RunInstances"),
        deny("ec2:RunInstances", instance, StringNotLike={"ec2:InstanceType": ["t3.*"]}),
    )
    request = {"ImageId": account.image, "MinCount": 1, "MaxCount": 1, "DryRun": True}
    assert allowed(account, act("ec2").run_instances, InstanceType="t3.nano", **request)
    with refused("UnauthorizedOperation"):
        act("ec2").run_instances(InstanceType="m5.24xlarge", **request)


def test_giving_an_instance_a_role_needs_pass_role_of_that_role(account: Account, later: Later) -> None:
    """Or anybody who may launch could become anything.

    docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
    """
    ec2 = document({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})
    role, profile = make_role(account, later, trusting=ec2), account.name("profile")
    account.iam.create_instance_profile(InstanceProfileName=profile, Path="/hcluster-contract/")
    later(account.iam.delete_instance_profile, InstanceProfileName=profile)
    account.iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=role)
    later(account.iam.remove_role_from_instance_profile, InstanceProfileName=profile, RoleName=role)
    request = {
        "ImageId": account.image,
        "InstanceType": "t3.nano",
        "MinCount": 1,
        "MaxCount": 1,
        "DryRun": True,
        "IamInstanceProfile": {"Name": profile},
    }
    passing = allow("iam:PassRole", arn_of(account, role), StringEquals={"iam:PassedToService": "ec2.amazonaws.com"})
    act = acting(account, later, allow("ec2:RunInstances"), passing)
    assert allowed(account, act("ec2").run_instances, **request)
    act = acting(account, later, allow("ec2:RunInstances"), allow("iam:PassRole", "arn:aws:iam::*:role/other"))
    with refused("UnauthorizedOperation"):
        act("ec2").run_instances(**request)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"Bool": {"aws:SecureTransport": ["true", "false"]}}, True),
        ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, False),
        ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}, True),
        ({"Null": {"aws:MultiFactorAuthAge": "true"}}, True),
        ({"Null": {"aws:PrincipalArn": "true"}}, False),
        ({"StringNotEquals": {"aws:PrincipalTag/none": "x"}}, True),
        ({"StringEqualsIgnoreCase": {"aws:PrincipalType": "assumedrole"}}, True),
        ({"StringLike": {"aws:userid": "*:contract"}}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/hcluster-contract/*"}}, True),
        ({"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::*:role/hcluster-contract/*"}}, False),
        ({"IpAddress": {"aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1"]}}, True),
        ({"NotIpAddress": {"aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1"]}}, False),
        ({"ForAnyValue:StringLike": {"aws:TagKeys": ["*"]}}, False),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else str(value),
)
def test_conditions_compare_as_their_operators_say(
    account: Account, later: Later, condition: dict[str, Any], *, expected: bool
) -> None:
    """A key that is not there fits no operator but those that negate, IfExists and Null.

    docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    statement = {**allow("ec2:DescribeInstances"), "Condition": condition}
    # The second action shows that the role's policy has come through.
    act = acting(account, later, statement, allow("ec2:DescribeRegions"))
    assert allowed(account, act("ec2").describe_regions)
    assert allowed(account, act("ec2").describe_instances, MaxResults=5) is expected


def test_a_policy_is_in_force_between_its_dates(account: Account, later: Later) -> None:
    """aws:CurrentTime, in ISO 8601.

    docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    now = datetime.now(UTC)
    past, future = ((now + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ") for hours in (-2, 2))
    act = acting(
        account,
        later,
        allow(
            "ec2:DescribeInstances",
            DateGreaterThan={"aws:CurrentTime": past},
            DateLessThan={"aws:CurrentTime": future},
        ),
        allow("ec2:DescribeVolumes", DateGreaterThan={"aws:CurrentTime": future}),
    )
    assert allowed(account, act("ec2").describe_instances, MaxResults=5)
    with refused("UnauthorizedOperation"):
        act("ec2").describe_volumes()


def test_only_whom_a_role_trusts_can_assume_it(account: Account, later: Later) -> None:
    """Even an administrator cannot assume a service's role.

    docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    """
    ec2 = document({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})
    role = make_role(account, later, trusting=ec2)
    with refused("AccessDenied"):
        account.client("sts").assume_role(RoleArn=arn_of(account, role), RoleSessionName="x" * 2)
    with refused("AccessDenied"):
        account.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{account.id}:role/no-such-role", RoleSessionName="x" * 2
        )


def test_a_trust_policy_may_ask_for_an_external_id(account: Account, later: Later) -> None:
    """The confused deputy's cure.

    docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    role = make_role(account, later, trusting=trust(account, StringEquals={"sts:ExternalId": "secret"}))
    assert assume(account, role, ExternalId="secret")[0].startswith("ASIA")
    with refused("AccessDenied"):
        account.client("sts").assume_role(RoleArn=arn_of(account, role), RoleSessionName="ab", ExternalId="other")


def test_a_session_lasts_no_longer_than_its_role_allows(account: Account, later: Later) -> None:
    """An hour unless the role says more.

    docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    """
    role = make_role(account, later)
    assume(account, role, DurationSeconds=900)
    with refused("ValidationError"):
        account.client("sts").assume_role(RoleArn=arn_of(account, role), RoleSessionName="ab", DurationSeconds=7200)


def test_keys_that_are_unknown_or_wrong_are_told_by_each_service_in_its_own_words(account: Account) -> None:
    """EC2: AuthFailure; S3: InvalidAccessKeyId, SignatureDoesNotMatch; STS: InvalidClientTokenId.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    unknown = ("AKIAIOSFODNN7EXAMPLE", "x" * 40)
    for service, operation, code in (
        ("ec2", "describe_regions", "AuthFailure"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("iam", "list_roles", "InvalidClientTokenId"),
    ):
        with refused(code) as caught:
            getattr(account.client(service, unknown), operation)()
        assert status_of(caught.value) in (401, 403), service


def test_a_secret_that_does_not_fit_its_key_is_a_wrong_signature(account: Account, later: Later) -> None:
    """Whatever is asked for.

    docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-signing-troubleshooting.html
    """
    access, secret, token = assume(account, make_role(account, later))
    wrong = (access, secret[::-1], token)
    for service, operation, codes in (
        ("s3", "list_buckets", ("SignatureDoesNotMatch",)),
        ("sts", "get_caller_identity", ("SignatureDoesNotMatch",)),
        ("ec2", "describe_regions", ("AuthFailure",)),
    ):
        with refused(*codes):
            getattr(account.client(service, wrong), operation)()
