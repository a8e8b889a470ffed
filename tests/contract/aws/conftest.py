"""One account for the whole suite; what each test makes is removed after it, and what is left after the run, too."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.contract.aws.account import Account
from tests.contract.aws.sweep import sweep

PROFILE = os.environ.get("HCLUSTER_CONTRACT_PROFILE", "")
"""A profile of a real account; without it the suite runs on the embedded cloud."""
Later = Callable[..., None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in Path(item.fspath).parents:
            item.add_marker(pytest.mark.aws_contract)


@pytest.fixture(scope="session")
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    """The account. Whatever of this run is left at its end is removed, and the run fails if something stays."""
    if PROFILE:
        region = os.environ.get("HCLUSTER_CONTRACT_REGION") or None
        made = Account(boto3.Session(profile_name=PROFILE, region_name=region))
    else:
        made = local_account(request.getfixturevalue("api"))
    yield made
    left = sweep(made, 30 if made.local else 300)
    assert left == {}, f"left on the account, tagged {made.prefix}: {left}"


def local_account(api: Any) -> Account:
    """An account of the embedded cloud that ``api`` runs."""
    keys = api.session.frozen_credentials()
    session = boto3.Session(keys.access_key, keys.secret_key, region_name=api.session.region())
    return Account(session, api.session.endpoint("ec2"))


@pytest.fixture
def local(account: Account) -> None:
    """For what a real account cannot be made to show, or only at a price."""
    if not account.local:
        pytest.skip("shown on the local cloud only")


@pytest.fixture
def later() -> Iterator[Later]:
    """Calls to make after the test, last first; what is gone already or still in use is the sweep's."""
    calls: list[tuple[Callable[..., object], tuple[Any, ...], dict[str, Any]]] = []

    def add(call: Callable[..., object], *arguments: Any, **named: Any) -> None:
        calls.append((call, arguments, named))

    yield add
    for call, arguments, named in reversed(calls):
        with contextlib.suppress(ClientError):
            call(*arguments, **named)


@pytest.fixture(scope="session")
def running(account: Account) -> str:
    """An instance that runs; tests that use it leave it as it was."""
    launched = account.run(MetadataOptions={"HttpTokens": "optional"})
    instance = str(launched["Instances"][0]["InstanceId"])
    account.becomes(instance, "running")
    return instance


@pytest.fixture(scope="session")
def subnet(account: Account) -> str:
    """The first default subnet."""
    return str(account.subnets()[0]["SubnetId"])


@pytest.fixture(scope="session")
def small_subnet(account: Account) -> str:
    """A subnet of 16 addresses, 11 of them for use."""
    vpc = account.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]
    first, second = str(vpc["CidrBlock"]).split(".")[:2]
    made = account.ec2.create_subnet(
        VpcId=vpc["VpcId"],
        CidrBlock=f"{first}.{second}.250.0/28",
        AvailabilityZone=f"{account.region}a",
        TagSpecifications=account.tagged("subnet"),
    )
    return str(made["Subnet"]["SubnetId"])


@pytest.fixture
def group(account: Account, later: Later) -> str:
    """A security group without rules for what comes in."""
    return make_group(account, later)


def make_group(account: Account, later: Later) -> str:
    """A security group of the default VPC."""
    vpc = account.subnets()[0]["VpcId"]
    made = account.ec2.create_security_group(
        GroupName=account.name("group"),
        Description="contract",
        VpcId=vpc,
        TagSpecifications=account.tagged("security-group"),
    )
    later(account.ec2.delete_security_group, GroupId=made["GroupId"])
    return str(made["GroupId"])


@pytest.fixture(scope="session")
def bucket(account: Account) -> str:
    """A bucket; each test uses keys of its own."""
    name = account.name("objects")
    make_bucket(account, name)
    return name


def make_bucket(account: Account, name: str) -> None:
    """As hcluster makes one: us-east-1 must not be named as the place."""
    place = {} if account.region == "us-east-1" else {"LocationConstraint": account.region}
    account.s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": place} if place else {}))
