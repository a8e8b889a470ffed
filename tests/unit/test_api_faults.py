"""What is broken on purpose, felt by boto3 through the gateway; it outlasts the cloud, and can be undone."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.api_cloud import BASE, Cloud, FakeMachines, running_cloud, until

SPOT: dict[str, Any] = {"InstanceMarketOptions": {"MarketType": "spot"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def cloud(folder: Path) -> Iterator[Cloud]:
    with running_cloud(folder) as found:
        yield found


def _break(cloud: Cloud, kind: str, **values: Any) -> str:
    made = cloud.server.controls.handle(kind, {"values": values, "by": "tester"})
    return str(made[0]["id"])


def _control(cloud: Cloud, command: str, *nodes: str, **arguments: Any) -> Any:
    return cloud.server.controls.handle(command, {"nodes": nodes, "by": "tester", **arguments})


def _undo(cloud: Cloud, *ids: str) -> None:
    cloud.server.controls.handle("undo", {"ids": ids})


def _code(call: Any, **arguments: Any) -> tuple[str, int]:
    """Error code and HTTP status of a call; ("", 200) when it succeeds."""
    try:
        call(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"]), int(error.response["ResponseMetadata"]["HTTPStatusCode"])
    return "", 200


def test_throttled_calls_get_the_error_of_their_service(cloud: Cloud) -> None:
    rule = _break(cloud, "throttle", action="*", rate=0, burst=1)
    calls = {
        "ec2": cloud.client("ec2").describe_instances,
        "s3": cloud.client("s3").list_buckets,
        "iam": cloud.client("iam").list_users,
        "ssm": cloud.client("ssm").describe_parameters,
    }
    assert [_code(call) for call in calls.values()] == [("", 200)] * 4
    assert {name: _code(call) for name, call in calls.items()} == {
        "ec2": ("RequestLimitExceeded", 503),
        "s3": ("SlowDown", 503),
        "iam": ("Throttling", 400),
        "ssm": ("ThrottlingException", 400),
    }
    _undo(cloud, rule)
    assert [_code(call) for call in calls.values()] == [("", 200)] * 4


def test_an_operation_of_s3_is_broken_by_its_name(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="a", Body=b"1")
    _break(cloud, "error", action="s3:GetObject", code="InternalError", times=1)
    assert _code(s3.head_object, Bucket="bucket", Key="a") == ("", 200)
    assert _code(s3.get_object, Bucket="bucket", Key="a") == ("InternalError", 500)
    assert _code(s3.get_object, Bucket="bucket", Key="a") == ("", 200)


def test_an_error_before_the_effect_changes_nothing(cloud: Cloud) -> None:
    _break(cloud, "error", action="ec2:CreateKeyPair", code="Unavailable", times=1)
    ec2 = cloud.client("ec2")
    assert _code(ec2.create_key_pair, KeyName="a") == ("Unavailable", 503)
    assert ec2.describe_key_pairs()["KeyPairs"] == []


def test_an_answer_that_gets_lost_is_given_again_for_the_same_client_token(cloud: Cloud) -> None:
    _break(cloud, "error", action="RunInstances", code="InternalError", times=1, after=True)
    ec2 = cloud.client("ec2")
    request: dict[str, Any] = {"ImageId": BASE, "InstanceType": "m5.large", "MinCount": 1, "MaxCount": 1}
    assert _code(ec2.run_instances, ClientToken="once", **request) == ("InternalError", 500)
    assert len(ec2.describe_instances()["Reservations"]) == 1
    again = ec2.run_instances(ClientToken="once", **request)["Instances"][0]["InstanceId"]
    found = ec2.describe_instances()["Reservations"]
    assert [instance["InstanceId"] for group in found for instance in group["Instances"]] == [again]


def test_a_request_that_fails_by_itself_does_not_use_up_a_lost_answer(cloud: Cloud) -> None:
    _break(cloud, "error", action="DescribeInstances", code="InternalError", times=1, after=True)
    ec2 = cloud.client("ec2")
    assert _code(ec2.describe_instances, InstanceIds=["i-0123456789abcdef0"])[0] == "InvalidInstanceID.NotFound"
    assert _code(ec2.describe_instances)[0] == "InternalError"
    assert _code(ec2.describe_instances)[0] == ""


def test_a_delay_holds_up_its_own_request_only(cloud: Cloud) -> None:
    _break(cloud, "delay", action="DescribeImages", seconds=1.0)
    slow = threading.Thread(target=cloud.client("ec2").describe_images)
    begun = time.monotonic()
    slow.start()
    assert _code(cloud.client("iam").list_users) == ("", 200)
    assert time.monotonic() - begun < 1.0
    slow.join()
    assert time.monotonic() - begun >= 1.0


def test_a_fault_of_some_callers_spares_the_others(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    iam.create_user(UserName="poor")
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(UserName="poor", PolicyName="all", PolicyDocument=json.dumps(allow))
    key = iam.create_access_key(UserName="poor")["AccessKey"]
    _break(cloud, "throttle", action="*", rate=0, burst=0, principal="*:user/poor")
    poor = cloud.client("ec2", (key["AccessKeyId"], key["SecretAccessKey"]))
    assert _code(poor.describe_instances)[0] == "RequestLimitExceeded"
    assert _code(cloud.client("ec2").describe_instances)[0] == ""


def test_a_request_signed_with_another_time_is_refused_as_its_service_does(cloud: Cloud) -> None:
    calls = {
        "ec2": cloud.client("ec2").describe_instances,
        "s3": cloud.client("s3").list_buckets,
        "sts": cloud.client("sts").get_caller_identity,
        "ssm": cloud.client("ssm").describe_parameters,
    }
    skewed = {
        "ec2": ("RequestExpired", 400),
        "s3": ("RequestTimeTooSkewed", 403),
        "sts": ("SignatureDoesNotMatch", 403),
        "ssm": ("InvalidSignatureException", 400),
    }
    for seconds in (1200, -1200):
        rule = _break(cloud, "clock", seconds=seconds)
        assert {name: _code(call) for name, call in calls.items()} == skewed
        _undo(cloud, rule)
    _break(cloud, "clock", seconds=600)
    assert {_code(call) for call in calls.values()} == {("", 200)}


def test_where_there_is_a_shortage_nothing_is_launched(cloud: Cloud) -> None:
    rule = _break(cloud, "shortage", instance_type="m5.*", zone="us-east-1a", market="spot")
    request: dict[str, Any] = {"ImageId": BASE, "MinCount": 1, "MaxCount": 1}
    request["Placement"] = {"AvailabilityZone": "us-east-1a"}
    run = cloud.client("ec2").run_instances
    assert _code(run, InstanceType="m5.large", **request, **SPOT)[0] == "InsufficientInstanceCapacity"
    assert _code(run, InstanceType="m5.large", **request)[0] == ""
    assert _code(run, InstanceType="r5.large", **request, **SPOT)[0] == ""
    _undo(cloud, rule)
    assert _code(run, InstanceType="m5.large", **request, **SPOT)[0] == ""


def test_capacity_that_is_left_can_be_had(cloud: Cloud) -> None:
    _break(cloud, "shortage", left=3)
    run = cloud.client("ec2").run_instances
    request: dict[str, Any] = {"ImageId": BASE, "InstanceType": "m5.large", "MinCount": 1}
    launched = run(**request, MaxCount=2)["Instances"]
    assert len(launched) == 2
    # As many as fit, since one is enough.
    assert len(run(**request, MaxCount=5)["Instances"]) == 1
    assert _code(run, **request, MaxCount=1)[0] == "InsufficientInstanceCapacity"


def test_what_is_described_lags_behind_until_it_is_undone(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    old = cloud.run()[0]
    rule = _break(cloud, "lag", seconds=30)
    ec2.describe_instances()
    new = cloud.run(wait="")[0]
    ec2.terminate_instances(InstanceIds=[old])
    assert _code(ec2.describe_instances, InstanceIds=[new])[0] == "InvalidInstanceID.NotFound"
    assert cloud.describe(old)["State"]["Name"] == "running"
    assert [group["Instances"][0]["InstanceId"] for group in ec2.describe_instances()["Reservations"]] == [old]
    _undo(cloud, rule)
    assert cloud.describe(new)["InstanceId"] == new
    cloud.wait([old], "terminated")


def test_faults_outlast_the_cloud(folder: Path) -> None:
    with running_cloud(folder) as cloud:
        rule = _break(cloud, "throttle", action="ec2:*", rate=0, burst=0)
    with running_cloud(folder) as cloud:
        assert _code(cloud.client("ec2").describe_instances)[0] == "RequestLimitExceeded"
        listed = cloud.server.controls.handle("list", {})
        assert [(found["id"], found["by"], found["hits"]) for found in listed] == [(rule, "tester", 1)]
        _undo(cloud)
        assert cloud.server.controls.handle("list", {}) == []


def test_rules_and_queues_outlast_the_cloud(folder: Path) -> None:
    with running_cloud(folder) as cloud:
        cloud.client("sqs").create_queue(QueueName="kept")
        cloud.client("events").put_rule(Name="kept", EventPattern=json.dumps({"source": ["aws.ec2"]}))
    with running_cloud(folder) as cloud:
        assert [rule["Name"] for rule in cloud.client("events").list_rules()["Rules"]] == ["kept"]
        assert len(cloud.client("sqs").list_queues()["QueueUrls"]) == 1


def _state_of_request(cloud: Cloud, instance_id: str) -> tuple[str, str]:
    found = cloud.client("ec2").describe_spot_instance_requests(
        Filters=[{"Name": "instance-id", "Values": [instance_id]}]
    )["SpotInstanceRequests"][0]
    return found["State"], found["Status"]["Code"]


def test_a_notice_outlasts_the_cloud_and_ends_the_instance_when_it_is_back(folder: Path) -> None:
    machines = FakeMachines()
    with running_cloud(folder, machines) as cloud:
        late, early = cloud.run(2, **SPOT)
        _control(cloud, "interrupt", late, notice=3600)
        _control(cloud, "interrupt", early, notice=0.3)
        _control(cloud, "freeze", late)
        _control(cloud, "partition", late)
    assert machines.frozen == set()
    machines.partitioned.clear()
    with running_cloud(folder, machines) as cloud:
        time.sleep(0.3)
        cloud.server.resume()
        cloud.wait([early], "terminated")
        cloud.wait([late], "running")
        assert _state_of_request(cloud, late) == ("active", "marked-for-termination")
        with cloud.metadata_of(late) as imds:
            assert "terminate" in imds.get("meta-data/spot/instance-action")
        assert [rule["text"].split()[1] for rule in _control(cloud, "list")] == ["has", "partitioned"]
        until(lambda: late in machines.partitioned, "the partition is there again")
