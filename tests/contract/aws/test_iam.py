"""Roles, profiles, users, keys and policies."""

from __future__ import annotations

import json
from typing import Any

from tests.contract.aws.account import PATH, Account, refused
from tests.contract.aws.conftest import Later
from tests.contract.aws.identity import allow, arn_of, document, make_role, trust
from tests.contract.aws.sweep import delete_policy, delete_user

READ = allow("s3:GetObject")
EC2 = document({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})


def make_profile(account: Account, later: Later) -> str:
    """An empty instance profile; its name."""
    name = account.name("profile")
    account.iam.create_instance_profile(InstanceProfileName=name, Path=PATH)
    later(account.iam.delete_instance_profile, InstanceProfileName=name)
    return name


def make_user(account: Account, later: Later) -> str:
    """A user without keys; its name."""
    name = account.name("user")
    account.iam.create_user(UserName=name, Path=PATH, Tags=account.tags)
    later(delete_user, account, name)
    return name


def test_a_role_has_an_arn_with_its_path_and_gives_its_trust_policy_back_as_a_document(
    account: Account, later: Later
) -> None:
    """The SDK decodes it.

    docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html
    """
    name = make_role(account, later, trusting=EC2, Description="contract")
    role = account.until(lambda: account.iam.get_role(RoleName=name)["Role"])
    assert role["Arn"] == arn_of(account, name)
    assert role["RoleId"].startswith("AROA")
    assert role["AssumeRolePolicyDocument"] == json.loads(EC2)
    assert (role["Description"], role["MaxSessionDuration"]) == ("contract", 3600)
    assert role["Tags"] == account.tags


def test_the_name_of_a_role_is_taken_once(account: Account, later: Later) -> None:
    """Whatever its path.

    docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
    """
    name = make_role(account, later)
    with refused("EntityAlreadyExists"):
        account.iam.create_role(RoleName=name, AssumeRolePolicyDocument=EC2)


def test_what_is_not_there_is_no_such_entity(account: Account, later: Later) -> None:
    """Roles, profiles, users and policies alike.

    docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html
    """
    with refused("NoSuchEntity"):
        account.iam.get_role(RoleName="no-such-role-at-all")
    with refused("NoSuchEntity"):
        account.iam.get_instance_profile(InstanceProfileName="no-such-profile")
    with refused("NoSuchEntity"):
        account.iam.delete_role(RoleName="no-such-role-at-all")
    with refused("NoSuchEntity"):
        account.iam.get_role_policy(RoleName=make_role(account, later), PolicyName="none")
    with refused("NoSuchEntity"):
        account.iam.get_user(UserName="no-such-user")


def test_a_document_that_is_no_policy_is_malformed(account: Account, later: Later) -> None:
    """As trust policy and as permissions.

    docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html
    """
    with refused("MalformedPolicyDocument"):
        account.iam.create_role(RoleName=account.name("role"), Path=PATH, AssumeRolePolicyDocument="{}")
    name = make_role(account, later)
    for wrong in (
        "not json",
        document({"Effect": "Perhaps", "Action": "s3:*", "Resource": "*"}),
        document({"Effect": "Allow", "Action": "s3:GetObject"}),
        document({"Effect": "Allow", "Action": "GetObject", "Resource": "*"}),
    ):
        with refused("MalformedPolicyDocument"):
            account.iam.put_role_policy(RoleName=name, PolicyName="wrong", PolicyDocument=wrong)


def test_an_inline_policy_is_put_replaced_listed_and_deleted(account: Account, later: Later) -> None:
    """Put is create and replace in one.

    docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html
    """
    name = make_role(account, later, READ)
    account.iam.put_role_policy(RoleName=name, PolicyName="contract", PolicyDocument=document(allow("ec2:Describe*")))
    found = account.iam.get_role_policy(RoleName=name, PolicyName="contract")["PolicyDocument"]
    assert found["Statement"][0]["Action"] == "ec2:Describe*"
    assert account.iam.list_role_policies(RoleName=name)["PolicyNames"] == ["contract"]
    account.iam.delete_role_policy(RoleName=name, PolicyName="contract")
    assert account.iam.list_role_policies(RoleName=name)["PolicyNames"] == []
    with refused("NoSuchEntity"):
        account.iam.delete_role_policy(RoleName=name, PolicyName="contract")


def test_a_trust_policy_is_replaced(account: Account, later: Later) -> None:
    """At the role.

    docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAssumeRolePolicy.html
    """
    name = make_role(account, later, trusting=trust(account))
    account.iam.update_assume_role_policy(RoleName=name, PolicyDocument=EC2)
    found = account.until(
        lambda: account.iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"],
        lambda found: found == json.loads(EC2),
    )
    assert found["Statement"][0]["Principal"] == {"Service": "ec2.amazonaws.com"}


def test_a_role_is_deleted_once_it_is_empty_and_in_no_profile(account: Account, later: Later) -> None:
    """Policies and profiles first.

    docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html
    """
    name, profile = make_role(account, later, READ, trusting=EC2), make_profile(account, later)
    account.iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=name)
    with refused("DeleteConflict"):
        account.iam.delete_role(RoleName=name)
    with refused("DeleteConflict"):
        account.iam.delete_instance_profile(InstanceProfileName=profile)
    account.iam.remove_role_from_instance_profile(InstanceProfileName=profile, RoleName=name)
    with refused("DeleteConflict"):
        account.iam.delete_role(RoleName=name)
    account.iam.delete_role_policy(RoleName=name, PolicyName="contract")
    account.iam.delete_role(RoleName=name)


def test_a_profile_holds_one_role(account: Account, later: Later) -> None:
    """And names it.

    docs.aws.amazon.com/IAM/latest/APIReference/API_AddRoleToInstanceProfile.html
    """
    first, second = (make_role(account, later, trusting=EC2) for _ in range(2))
    profile = make_profile(account, later)
    account.iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=first)
    later(account.iam.remove_role_from_instance_profile, InstanceProfileName=profile, RoleName=first)
    with refused("LimitExceeded"):
        account.iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=second)
    found = account.iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]
    assert [role["RoleName"] for role in found["Roles"]] == [first]
    assert found["Arn"] == f"arn:aws:iam::{account.id}:instance-profile{PATH}{profile}"
    with refused("EntityAlreadyExists"):
        account.iam.create_instance_profile(InstanceProfileName=profile)


def test_an_instance_carries_its_profile_once_ec2_knows_it(account: Account, later: Later) -> None:
    """EC2 learns of a new profile some seconds after IAM, and says so by InvalidParameterValue until then.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-roles-for-amazon-ec2.html
    """
    role, profile = make_role(account, later, READ, trusting=EC2), make_profile(account, later)
    account.iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=role)
    later(account.iam.remove_role_from_instance_profile, InstanceProfileName=profile, RoleName=role)

    def launch() -> dict[str, Any]:
        try:
            return dict(account.run(IamInstanceProfile={"Name": profile})["Instances"][0])
        except account.ec2.exceptions.ClientError as error:
            if "Invalid IAM Instance Profile" not in str(error):
                raise
            account.launched -= 1
            return {}

    one = account.until(launch)
    later(account.ec2.terminate_instances, InstanceIds=[one["InstanceId"]])
    assert one["IamInstanceProfile"]["Arn"].endswith(f"{PATH}{profile}")
    associations = account.ec2.describe_iam_instance_profile_associations(
        Filters=[{"Name": "instance-id", "Values": [one["InstanceId"]]}]
    )["IamInstanceProfileAssociations"]
    assert [each["State"] for each in associations] in (["associated"], ["associating"])


def test_roles_are_listed_by_path_and_in_pages(account: Account, later: Later) -> None:
    """Marker goes on where IsTruncated says that there is more.

    docs.aws.amazon.com/IAM/latest/APIReference/API_ListRoles.html
    """
    names = sorted(make_role(account, later) for _ in range(3))

    def listed() -> list[str]:
        pages = account.iam.get_paginator("list_roles").paginate(PathPrefix=PATH, PaginationConfig={"PageSize": 1})
        found = [page["Roles"] for page in pages]
        assert all(len(roles) <= 1 for roles in found)
        return sorted(role["RoleName"] for roles in found for role in roles if role["RoleName"] in names)

    account.until(listed, lambda found: found == names)
    elsewhere = account.iam.list_roles(PathPrefix="/no-such-path/")
    assert (elsewhere["Roles"], elsewhere["IsTruncated"]) == ([], False)


def test_tags_of_a_role_are_added_and_taken_away(account: Account, later: Later) -> None:
    """A key is replaced.

    docs.aws.amazon.com/IAM/latest/APIReference/API_TagRole.html
    """
    name = make_role(account, later)
    account.iam.tag_role(RoleName=name, Tags=[{"Key": "team", "Value": "a"}, {"Key": "other", "Value": "x"}])
    account.iam.tag_role(RoleName=name, Tags=[{"Key": "team", "Value": "b"}])
    account.iam.untag_role(RoleName=name, TagKeys=["other"])
    tags = {tag["Key"]: tag["Value"] for tag in account.iam.list_role_tags(RoleName=name)["Tags"]}
    assert (tags["team"], "other" in tags) == ("b", False)


def test_a_user_has_two_keys_at_most_and_none_when_it_is_deleted(account: Account, later: Later) -> None:
    """The secret is told once, when the key is made.

    docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html
    """
    user = make_user(account, later)
    keys = [account.iam.create_access_key(UserName=user)["AccessKey"] for _ in range(2)]
    assert all(key["AccessKeyId"].startswith("AKIA") and key["SecretAccessKey"] for key in keys)
    with refused("LimitExceeded"):
        account.iam.create_access_key(UserName=user)
    with refused("DeleteConflict"):
        account.iam.delete_user(UserName=user)
    listed = account.iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    assert {key["AccessKeyId"] for key in listed} == {key["AccessKeyId"] for key in keys}
    assert all("SecretAccessKey" not in key for key in listed)


def test_a_key_that_is_inactive_opens_nothing(account: Account, later: Later) -> None:
    """Until it is active again.

    docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html
    """
    user = make_user(account, later)
    made = account.iam.create_access_key(UserName=user)["AccessKey"]
    sts = account.client("sts", (made["AccessKeyId"], made["SecretAccessKey"]))
    assert account.granted(sts.get_caller_identity)["Arn"] == f"arn:aws:iam::{account.id}:user{PATH}{user}"
    account.iam.update_access_key(UserName=user, AccessKeyId=made["AccessKeyId"], Status="Inactive")

    def refused_now() -> bool:
        try:
            sts.get_caller_identity()
        except sts.exceptions.ClientError as error:
            return bool(error.response["Error"]["Code"] == "InvalidClientTokenId")
        return False

    account.until(refused_now)


def test_a_managed_policy_has_versions_and_goes_when_nothing_holds_it(account: Account, later: Later) -> None:
    """Five versions at most, one of them the default.

    docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicyVersion.html
    """
    name, role = account.name("policy"), make_role(account, later)
    made = account.iam.create_policy(PolicyName=name, Path=PATH, PolicyDocument=document(READ))["Policy"]
    arn = made["Arn"]
    later(delete_policy, account, arn)
    assert (arn, made["DefaultVersionId"]) == (f"arn:aws:iam::{account.id}:policy{PATH}{name}", "v1")
    account.iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    attached = account.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert attached == [{"PolicyName": name, "PolicyArn": arn}]
    with refused("DeleteConflict"):
        account.iam.delete_policy(PolicyArn=arn)
    for _ in range(4):
        account.iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(READ), SetAsDefault=True)
    with refused("LimitExceeded"):
        account.iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(READ))
    assert account.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v5"
    with refused("DeleteConflict"):
        account.iam.delete_policy_version(PolicyArn=arn, VersionId="v5")
    account.iam.detach_role_policy(RoleName=role, PolicyArn=arn)
    with refused("NoSuchEntity"):
        account.iam.detach_role_policy(RoleName=role, PolicyArn=arn)


def test_simulation_tells_what_a_role_may_and_by_which_statement_it_may_not(account: Account, later: Later) -> None:
    """Three answers: allowed, implicitDeny, explicitDeny.

    docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """
    name = make_role(
        account, later, allow("s3:*", "arn:aws:s3:::lake/*"), {**allow("s3:DeleteObject"), "Effect": "Deny"}
    )

    def decisions(resource: str) -> dict[str, str]:
        answer = account.iam.simulate_principal_policy(
            PolicySourceArn=arn_of(account, name),
            ActionNames=["s3:GetObject", "s3:DeleteObject", "ec2:RunInstances"],
            ResourceArns=[resource],
        )
        return {one["EvalActionName"]: one["EvalDecision"] for one in answer["EvaluationResults"]}

    assert account.until(lambda: decisions("arn:aws:s3:::lake/a"), lambda found: "allowed" in found.values()) == {
        "s3:GetObject": "allowed",
        "s3:DeleteObject": "explicitDeny",
        "ec2:RunInstances": "implicitDeny",
    }
    assert decisions("arn:aws:s3:::other/a")["s3:GetObject"] == "implicitDeny"


def test_simulation_takes_the_context_that_it_is_given_and_names_what_is_missing(account: Account) -> None:
    """Also of policies that nobody has yet.

    docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html
    """
    policy = document(allow("s3:ListBucket", StringLike={"s3:prefix": "clusters/*"}))

    def simulate(*entries: dict[str, Any]) -> dict[str, Any]:
        answer = account.iam.simulate_custom_policy(
            PolicyInputList=[policy],
            ActionNames=["s3:ListBucket"],
            ResourceArns=["arn:aws:s3:::lake"],
            ContextEntries=list(entries),
        )
        return dict(answer["EvaluationResults"][0])

    def prefix(value: str) -> dict[str, Any]:
        return {"ContextKeyName": "s3:prefix", "ContextKeyValues": [value], "ContextKeyType": "string"}

    assert simulate(prefix("clusters/flights"))["EvalDecision"] == "allowed"
    assert simulate(prefix("registry/"))["EvalDecision"] == "implicitDeny"
    missing = simulate()
    assert (missing["EvalDecision"], missing["MissingContextValues"]) == ("implicitDeny", ["s3:prefix"])
