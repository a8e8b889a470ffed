"""What is known of a session: kept over a restart, told by the instance that it was given to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.api_cloud import Cloud, running_cloud

ACCOUNT = "123456789012"


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def reading(condition: dict[str, Any]) -> str:
    """A policy that lets somebody list buckets under a condition."""
    found = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*", "Condition": condition}
    return document(found)


def trusting(principal: dict[str, str]) -> str:
    return document({"Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole", "sts:TagSession"]})


def lists(cloud: Cloud, keys: tuple[str, ...]) -> bool:
    try:
        cloud.client("s3", keys).list_buckets()
    except ClientError as refused:
        if refused.response["Error"]["Code"] != "AccessDenied":
            raise
        return False
    return True


def test_tags_of_sessions_and_boundaries_of_users_outlive_a_restart(tmp_path: Path) -> None:
    with running_cloud(tmp_path) as cloud:
        iam = cloud.client("iam")
        iam.create_role(RoleName="tagged", AssumeRolePolicyDocument=trusting({"AWS": ACCOUNT}))
        policy = reading({"StringEquals": {"aws:PrincipalTag/team": "red"}})
        iam.put_role_policy(RoleName="tagged", PolicyName="own", PolicyDocument=policy)
        given = cloud.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/tagged",
            RoleSessionName="me",
            Tags=[{"Key": "team", "Value": "red"}],
        )["Credentials"]
        session = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        boundary = iam.create_policy(
            PolicyName="none", PolicyDocument=reading({"Bool": {"aws:SecureTransport": "true"}})
        )
        iam.create_user(UserName="ann", PermissionsBoundary=boundary["Policy"]["Arn"])
        iam.put_user_policy(UserName="ann", PolicyName="own", PolicyDocument=reading({}))
        key = iam.create_access_key(UserName="ann")["AccessKey"]
        ann = (key["AccessKeyId"], key["SecretAccessKey"])
        iam.create_open_id_connect_provider(Url="http://127.0.0.1:1/id", ClientIDList=["x"], ThumbprintList=["a" * 40])
        assert lists(cloud, session)
        assert not lists(cloud, ann)
    with running_cloud(tmp_path) as cloud:
        assert lists(cloud, session)
        assert not lists(cloud, ann)
        federation = cloud.server._identities.iam.open_id_providers
        assert [one.scheme for one in federation.values()] == ["http"]


@pytest.mark.parametrize("own", [True, False])
def test_an_instances_credentials_say_which_instance_they_are_of(tmp_path: Path, own: bool) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html"""
    with running_cloud(tmp_path) as cloud:
        iam = cloud.client("iam")
        iam.create_role(RoleName="node", AssumeRolePolicyDocument=trusting({"Service": "ec2.amazonaws.com"}))
        iam.create_instance_profile(InstanceProfileName="node")
        iam.add_role_to_instance_profile(InstanceProfileName="node", RoleName="node")
        instance = cloud.run(1, IamInstanceProfile={"Name": "node"})[0]
        wanted = instance if own else "i-00000000000000000"
        source = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/{wanted}"
        policy = reading({"ArnEquals": {"ec2:SourceInstanceARN": source}, "StringEquals": {"ec2:RoleDelivery": "2.0"}})
        iam.put_role_policy(RoleName="node", PolicyName="own", PolicyDocument=policy)
        with cloud.metadata_of(instance) as imds:
            given = json.loads(imds.get("meta-data/iam/security-credentials/node"))
        assert lists(cloud, (given["AccessKeyId"], given["SecretAccessKey"], given["Token"])) is own
