"""DescribeInstances: what is found, in which pages, and that it is never what was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hcluster.localcloud.api import keeper
from hcluster.localcloud.api.effects import Lag
from hcluster.localcloud.api.instance_filters import matches
from tests.unit.api_cloud import Cloud, running_cloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("describe")) as made:
        yield made


def _tags(**tags: str) -> list[dict[str, Any]]:
    return [{"ResourceType": "instance", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}]


def _found(cloud: Cloud, **filters: str | list[str]) -> set[str]:
    listed = [
        {"Name": name.replace("__", ".").replace("_", "-"), "Values": [values] if isinstance(values, str) else values}
        for name, values in filters.items()
    ]
    reservations = cloud.client("ec2").describe_instances(Filters=listed)["Reservations"]
    return {i["InstanceId"] for r in reservations for i in r["Instances"]}


def _code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_filters_are_alternatives_with_wildcards_and_all_of_them_must_fit(cloud: Cloud) -> None:
    red, green = (
        cloud.run(1, TagSpecifications=_tags(color="red", kind="a*b")),
        cloud.run(1, TagSpecifications=_tags(color="green"), InstanceMarketOptions={"MarketType": "spot"}),
    )
    both = {*red, *green}
    assert _found(cloud, tag_key="color") == both
    assert _found(cloud, **{"tag:color": ["red", "green"]}) == both
    assert _found(cloud, **{"tag:color": "r?d"}) == set(red)
    assert _found(cloud, **{"tag:color": "*e*"}) == both
    assert _found(cloud, **{"tag:kind": r"a\*b"}) == set(red)
    assert _found(cloud, **{"tag:color": "*", "instance-lifecycle": "spot"}) == set(green)
    assert _found(cloud, **{"tag:color": "RED"}) == set(), "values have a case"
    shown = cloud.describe(red[0])
    nic = shown["NetworkInterfaces"][0]
    for name, value in {
        "instance-id": red[0],
        "private-ip-address": shown["PrivateIpAddress"],
        "network-interface.network-interface-id": nic["NetworkInterfaceId"],
        "network-interface.mac-address": nic["MacAddress"],
        "private-dns-name": shown["PrivateDnsName"],
        "block-device-mapping.volume-id": shown["BlockDeviceMappings"][0]["Ebs"]["VolumeId"],
        "client-token": shown["ClientToken"],
    }.items():
        assert _found(cloud, **{name: value}) == set(red), name
    common = {
        "image-id": shown["ImageId"],
        "instance-type": "m5.large",
        "vpc-id": shown["VpcId"],
        "subnet-id": shown["SubnetId"],
        "availability-zone": shown["Placement"]["AvailabilityZone"],
        "instance-state-name": "running",
        "instance-state-code": "16",
        "architecture": "x86_64",
        "instance.group-id": shown["SecurityGroups"][0]["GroupId"],
        "root-device-type": "ebs",
        "owner-id": "123456789012",
        "tenancy": "default",
        "source-dest-check": "true",
        "network-interface.vpc-id": shown["VpcId"],
        "metadata-options.http-tokens": shown["MetadataOptions"]["HttpTokens"],
    }
    assert set(red) <= _found(cloud, **common)
    for name in common:
        assert _found(cloud, **{"tag:color": "red", name: "something else"}) == set(), name


@pytest.mark.parametrize("name", ["color", "tag", "instance-colour", "Instance-Id"])
def test_a_filter_that_does_not_exist_is_refused(cloud: Cloud, name: str) -> None:
    with pytest.raises(ClientError) as error:
        _found(cloud, **{name: "x"})
    assert _code(error) == "InvalidParameterValue"
    assert f"'{name}'" in str(error.value)


def test_patterns_take_other_signs_as_they_are() -> None:
    assert matches(("a.c",), ("a.c",))
    assert not matches(("a.*",), ("abc",))
    assert matches(("(*",), ("(anything\nat all",))
    assert matches(("\\?", "x"), ("?",))
    assert not matches(("\\?",), ("y",))


def test_pages_hold_what_is_asked_for_and_go_on_where_they_ended(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    ids = [i for _ in range(4) for i in cloud.run(3, wait="", TagSpecifications=_tags(paged="yes"))]
    wanted = [{"Name": "tag:paged", "Values": ["yes"]}]
    first = ec2.describe_instances(Filters=wanted, MaxResults=5)
    seen = [i["InstanceId"] for r in first["Reservations"] for i in r["Instances"]]
    assert seen == ids[:5], "a page counts instances, not reservations"
    ec2.create_tags(Resources=[ids[0]], Tags=[{"Key": "paged", "Value": "no"}])
    second = ec2.describe_instances(Filters=wanted, MaxResults=5, NextToken=first["NextToken"])
    seen += [i["InstanceId"] for r in second["Reservations"] for i in r["Instances"]]
    third = ec2.describe_instances(Filters=wanted, MaxResults=5, NextToken=second["NextToken"])
    seen += [i["InstanceId"] for r in third["Reservations"] for i in r["Instances"]]
    assert seen == ids, "one that no longer fits moves none of the others"
    assert "NextToken" not in third
    pages = ec2.get_paginator("describe_instances").paginate(Filters=wanted, PaginationConfig={"PageSize": 6})
    assert len([i for page in pages for r in page["Reservations"] for i in r["Instances"]]) == 11


def test_pages_that_cannot_be_are_refused(cloud: Cloud) -> None:
    ec2, known = cloud.client("ec2"), cloud.run(1, wait="")
    for request, code in (
        ({"MaxResults": 4}, "InvalidParameterValue"),
        ({"NextToken": "nonsense"}, "InvalidParameterValue"),
        ({"MaxResults": 5, "InstanceIds": known}, "InvalidParameterCombination"),
        ({"InstanceIds": ["i-nonsense"]}, "InvalidInstanceID.Malformed"),
        ({"InstanceIds": [*known, "i-0123456789abcdef0"]}, "InvalidInstanceID.NotFound"),
    ):
        with pytest.raises(ClientError) as error:
            ec2.describe_instances(**request)
        assert _code(error) == code


def test_the_status_is_told_of_running_instances_in_pages(cloud: Cloud) -> None:
    ec2, ids = cloud.client("ec2"), cloud.run(6)
    ec2.stop_instances(InstanceIds=ids[:1])
    cloud.wait(ids[:1], "stopped")
    told = ec2.describe_instance_status(InstanceIds=ids)["InstanceStatuses"]
    assert [status["InstanceId"] for status in told] == ids[1:]
    assert told[0]["InstanceStatus"]["Status"] == told[0]["SystemStatus"]["Status"] == "ok"
    told = ec2.describe_instance_status(InstanceIds=ids, IncludeAllInstances=True)["InstanceStatuses"]
    assert [status["InstanceState"]["Name"] for status in told] == ["stopped"] + ["running"] * 5
    first = ec2.describe_instance_status(MaxResults=5)
    assert len(first["InstanceStatuses"]) == 5
    rest = ec2.describe_instance_status(MaxResults=1000, NextToken=first["NextToken"])
    assert ids[-1] in {status["InstanceId"] for status in rest["InstanceStatuses"]}

    def filtered(name: str, value: str) -> list[Any]:
        wanted = [{"Name": name, "Values": [value]}]
        return list(ec2.describe_instance_status(InstanceIds=ids, Filters=wanted)["InstanceStatuses"])

    assert len(filtered("instance-status.status", "ok")) == 5
    assert not filtered("instance-status.reachability", "failed")
    assert not filtered("event.code", "*")
    with pytest.raises(ClientError, match="'tag:Name'"):
        filtered("tag:Name", "x")


def test_what_is_shown_is_what_is(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    """After each operation, the answer is the one that a start would give, and its change is on the disk."""
    ec2, iam = cloud.client("ec2"), cloud.client("iam")
    index, control = cloud.server._index, cloud.server._keeper._control
    instance = cloud.run(1)[0]
    group = ec2.create_security_group(GroupName="shown", Description="d")["GroupId"]
    iam.create_instance_profile(InstanceProfileName="shown")
    volume = ec2.create_volume(AvailabilityZone=cloud.describe(instance)["Placement"]["AvailabilityZone"], Size=1)
    named = {"InstanceId": instance}
    operations: list[tuple[str, dict[str, Any]]] = [
        ("create_tags", {"Resources": [instance], "Tags": [{"Key": "a", "Value": "b"}]}),
        ("delete_tags", {"Resources": [instance], "Tags": [{"Key": "a"}]}),
        ("modify_instance_attribute", {**named, "Groups": [group]}),
        ("modify_instance_attribute", {**named, "DisableApiTermination": {"Value": True}}),
        ("modify_instance_attribute", {**named, "DisableApiTermination": {"Value": False}}),
        ("modify_instance_metadata_options", {**named, "HttpTokens": "required"}),
        ("associate_iam_instance_profile", {**named, "IamInstanceProfile": {"Name": "shown"}}),
        ("attach_volume", {**named, "VolumeId": volume["VolumeId"], "Device": "/dev/sdf"}),
        ("monitor_instances", {"InstanceIds": [instance]}),
        ("stop_instances", {"InstanceIds": [instance]}),
        ("start_instances", {"InstanceIds": [instance]}),
        ("terminate_instances", {"InstanceIds": [instance]}),
    ]
    for name, request in operations:
        try:
            getattr(ec2, name)(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("NotImplemented", "UnsupportedOperation"):
                raise
        with cloud.server._lock:
            (view,), _ = index.shown([instance])
            assert index.text(view) == index._write(view.instance), name
            missed = [path for path in control.kept() if control.missed(path)]
            assert not missed, (name, missed)
        for state in {"stop_instances": ["stopped"], "start_instances": ["running"]}.get(name, []):
            cloud.wait([instance], state)
    cloud.wait([instance], "terminated")
    assert "not told" not in caplog.text


def test_an_answer_that_lags_shows_new_instances_later(cloud: Cloud) -> None:
    old = cloud.run(1, TagSpecifications=_tags(lag="old"))
    rule = cloud.server.rules.add(Lag(0.8), "test")
    try:
        ec2 = cloud.client("ec2")
        cloud.server._index.refresh()
        new = cloud.run(1, wait="", TagSpecifications=_tags(lag="new"))
        ec2.create_tags(Resources=old, Tags=[{"Key": "lag", "Value": "changed"}])
        with pytest.raises(ClientError) as error:
            ec2.describe_instances(InstanceIds=new)
        assert _code(error) == "InvalidInstanceID.NotFound"
        assert _found(cloud, **{"tag:lag": ["old", "new", "changed"]}) == set(old)
        assert _found(cloud, **{"tag:lag": "old"}) == set(old), "tags as they were"
        time.sleep(1)
        assert cloud.server._index._past, "noticed when they happened, and not when somebody looked"
        assert _found(cloud, **{"tag:lag": "new"}) == set(new)
        assert _found(cloud, **{"tag:lag": "changed"}) == set(old)
        assert not cloud.server._index._past, "what is over is not kept"
    finally:
        cloud.server.rules.discard([rule.id])


def test_a_change_that_nobody_told_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running_cloud(tmp_path) as made:
        instance = made.server._backend.by_id[made.run(1)[0]]
        made.server.save()
        with made.server._lock:
            instance.product_codes.append("silent")
        made.server._keeper._moved = True
        made.server._keeper._tidy()
        assert "not told" in caplog.text
    with running_cloud(tmp_path) as made:
        assert made.server._backend.by_id[instance.id].product_codes == ["silent"]
    assert keeper.ROUND > 1
