"""Finding instances: filters, pages, states."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.aws.account import Account, refused


def found(account: Account, **filters: list[str]) -> list[str]:
    """Ids of this run's instances that pass all ``filters``."""
    more = [{"Name": name.replace("__", ".").replace("_", "-"), "Values": values} for name, values in filters.items()]
    pages = account.ec2.get_paginator("describe_instances").paginate(Filters=[*account.mine(), *more])
    return [one["InstanceId"] for page in pages for each in page["Reservations"] for one in each["Instances"]]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("instance-id", ("InstanceId",)),
        ("instance-type", ("InstanceType",)),
        ("image-id", ("ImageId",)),
        ("subnet-id", ("SubnetId",)),
        ("vpc-id", ("VpcId",)),
        ("availability-zone", ("Placement", "AvailabilityZone")),
        ("private-ip-address", ("PrivateIpAddress",)),
        ("private-dns-name", ("PrivateDnsName",)),
        ("instance-state-name", ("State", "Name")),
        ("network-interface.network-interface-id", ("NetworkInterfaces", 0, "NetworkInterfaceId")),
        ("instance.group-id", ("SecurityGroups", 0, "GroupId")),
        ("block-device-mapping.volume-id", ("BlockDeviceMappings", 0, "Ebs", "VolumeId")),
    ],
)
def test_an_instance_is_found_by_what_it_is(
    account: Account, running: str, name: str, path: tuple[str | int, ...]
) -> None:
    """And not by another value.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
    """
    value: Any = account.instance(running)
    for step in path:
        value = value[step]
    assert running in found(account, **{name: [value]})
    assert running not in found(account, **{name: ["no-such-value"]})


def test_values_are_alternatives_filters_are_not_and_stars_fit_anything(account: Account, running: str) -> None:
    """Values with * and ? are patterns; each filter must hold.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
    """
    kind = account.instance(running)["InstanceType"]
    assert running in found(account, instance_type=["no.such", kind])
    assert running in found(account, instance_type=[kind[:2] + "*"])
    assert running in found(account, instance_type=[kind[:-1] + "?"])
    assert found(account, instance_type=[kind], instance_state_name=["stopped"], instance_id=[running]) == []


def test_an_unknown_filter_is_refused(account: Account) -> None:
    """A misspelt one would select everything.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
    """
    with refused("InvalidParameterValue"):
        account.ec2.describe_instances(Filters=[{"Name": "no-such-filter", "Values": ["x"]}])


def test_an_unknown_id_is_an_error_but_a_filter_of_it_finds_nothing(account: Account) -> None:
    """Ids promise existence, filters do not.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
    """
    with refused("InvalidInstanceID.NotFound"):
        account.ec2.describe_instances(InstanceIds=["i-0badbadbadbadbad0"])
    with refused("InvalidInstanceID.Malformed"):
        account.ec2.describe_instances(InstanceIds=["nothing"])
    assert found(account, instance_id=["i-0badbadbadbadbad0"]) == []


def test_pages_hold_what_was_asked_for_and_go_on_to_the_end(account: Account, later: Any) -> None:
    """No instance is on two pages, none is left out; a page has at least five.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
    """
    ids = {one["InstanceId"] for _ in range(7) for one in account.run(InstanceType="t3.nano")["Instances"]}
    later(account.ec2.terminate_instances, InstanceIds=sorted(ids))
    filters = [{"Name": "instance-id", "Values": sorted(ids)}]
    first = account.ec2.describe_instances(Filters=filters, MaxResults=5)
    assert sum(len(each["Instances"]) for each in first["Reservations"]) == 5
    second = account.ec2.describe_instances(Filters=filters, MaxResults=5, NextToken=first["NextToken"])
    assert not second.get("NextToken")
    listed = [one["InstanceId"] for page in (first, second) for r in page["Reservations"] for one in r["Instances"]]
    assert sorted(listed) == sorted(ids)


def test_pages_of_ids_or_of_fewer_than_five_are_refused(account: Account, running: str) -> None:
    """The limits of MaxResults.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
    """
    with refused("InvalidParameterCombination"):
        account.ec2.describe_instances(InstanceIds=[running], MaxResults=5)
    with refused("InvalidParameterValue"):
        account.ec2.describe_instances(MaxResults=4)


def test_the_status_of_running_instances_is_told_and_of_others_on_request(account: Account, running: str) -> None:
    """By default only running ones are in the answer.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceStatus.html
    """
    status = account.ec2.describe_instance_status(InstanceIds=[running])["InstanceStatuses"][0]
    assert status["InstanceState"]["Name"] == "running"
    ended = account.run(InstanceType="t3.nano")["Instances"][0]["InstanceId"]
    account.terminate(ended)
    assert account.ec2.describe_instance_status(InstanceIds=[ended])["InstanceStatuses"] == []
    shown = account.ec2.describe_instance_status(InstanceIds=[ended], IncludeAllInstances=True)["InstanceStatuses"]
    assert [one["InstanceState"]["Name"] for one in shown] == ["terminated"]


def test_the_lifecycle_filter_tells_spot_from_on_demand(account: Account, running: str) -> None:
    """On-demand instances have no lifecycle at all.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
    """
    assert running not in found(account, instance_lifecycle=["spot"])


def test_tags_are_found_by_key_by_value_and_by_both(account: Account, group: str) -> None:
    """Three filters, the same for every kind of resource.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html
    """
    mark = account.name("mark")
    account.ec2.create_tags(Resources=[group], Tags=[{"Key": mark, "Value": "here"}])
    for name, values in ((f"tag:{mark}", ["h*"]), ("tag-key", [mark])):
        filters = [{"Name": name, "Values": values}]
        account.until(
            lambda filters=filters: [  # type: ignore[misc]
                one["GroupId"] for one in account.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
            ],
            lambda groups: groups == [group],
        )
    other = [{"Name": f"tag:{mark}", "Values": ["elsewhere"]}]
    assert account.ec2.describe_security_groups(Filters=other)["SecurityGroups"] == []
