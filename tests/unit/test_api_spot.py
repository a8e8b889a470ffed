"""Spot instances are interrupted, nodes broken: what IMDS, EventBridge, requests and DescribeInstances show then."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hcluster.errors import HclusterError, NotFoundError, UsageError
from hcluster.localcloud.api.events import admits, event, message
from hcluster.localcloud.api.market import prices
from hcluster.localcloud.api.targets import Candidate, Wanted, choose
from hcluster.model.names import TAG_CLUSTER, TAG_GROUP
from tests.unit.api_cloud import Cloud, running_cloud, until

SPOT: dict[str, Any] = {"InstanceMarketOptions": {"MarketType": "spot"}}
PERSISTENT: dict[str, Any] = {
    "InstanceMarketOptions": {
        "MarketType": "spot",
        "SpotOptions": {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"},
    }
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture
def cloud(shared: Cloud) -> Iterator[Cloud]:
    yield shared
    shared.server.controls.handle("undo", {})


def _do(cloud: Cloud, command: str, *nodes: str, **arguments: Any) -> Any:
    return cloud.server.controls.handle(command, {"nodes": nodes, "by": "tester", **arguments})


def _request(cloud: Cloud, instance_id: str) -> dict[str, Any]:
    found = cloud.client("ec2").describe_spot_instance_requests(
        Filters=[{"Name": "instance-id", "Values": [instance_id]}]
    )
    return dict(found["SpotInstanceRequests"][0])


def _state_of_request(cloud: Cloud, instance_id: str) -> tuple[str, str]:
    request = _request(cloud, instance_id)
    return request["State"], request["Status"]["Code"]


def _not_there(cloud: Cloud, instance_id: str, path: str) -> bool:
    with cloud.metadata_of(instance_id) as imds:
        status, _ = imds.request("GET", f"/latest/meta-data/{path}", {"X-aws-ec2-metadata-token": imds.token()})
    return status == 404


# EventBridge


class Queue:
    """A queue that gets the events of a rule."""

    def __init__(self, cloud: Cloud, name: str, pattern: dict[str, Any], *, policy: bool = True) -> None:
        self._sqs = cloud.client("sqs")
        self.url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        self.url = f"{cloud.url}/{self.url.split('/', 3)[3]}"
        arn = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        if policy:
            allow = {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
            }
            document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
            self._sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": document})
        events = cloud.client("events")
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}, {"Id": "again", "Arn": arn}])
        self.seen: list[dict[str, Any]] = []

    def receive(self) -> list[dict[str, Any]]:
        found = self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", [])
        self.seen += [json.loads(entry["Body"]) for entry in found]
        return self.seen

    def holds(self, count: int) -> bool:
        return len(self.receive()) >= count


def test_state_changes_reach_the_queues_of_matching_rules_in_order(cloud: Cloud) -> None:
    pattern = {"source": ["aws.ec2"], "detail-type": ["EC2 Instance State-change Notification"]}
    queue = Queue(cloud, "states", pattern)
    silent = Queue(cloud, "unpermitted", pattern, policy=False)
    disabled = Queue(cloud, "disabled", pattern)
    cloud.client("events").disable_rule(Name="disabled")
    instance = cloud.run()[0]
    cloud.client("ec2").terminate_instances(InstanceIds=[instance])
    cloud.wait([instance], "terminated")
    until(lambda: queue.holds(8), "all state changes in the queue")
    own = [found for found in queue.seen if found["detail"]["instance-id"] == instance]
    assert [found["detail"]["state"] for found in own[::2]] == ["pending", "running", "shutting-down", "terminated"]
    assert {key: own[0][key] for key in own[0] if key not in ("id", "time")} == {
        "version": "0",
        "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2",
        "account": "123456789012",
        "region": "us-east-1",
        "resources": [f"arn:aws:ec2:us-east-1:123456789012:instance/{instance}"],
        "detail": {"instance-id": instance, "state": "pending"},
    }
    assert time.strptime(own[0]["time"], "%Y-%m-%dT%H:%M:%SZ")
    assert silent.receive() == disabled.receive() == []
    for name in ("states", "unpermitted", "disabled"):
        cloud.client("events").remove_targets(Rule=name, Ids=["queue", "again"])
        cloud.client("events").delete_rule(Name=name)


def test_who_waits_for_a_message_holds_up_nobody_and_gets_it_at_once(cloud: Cloud) -> None:
    sqs = cloud.client("sqs")
    sqs.create_queue(QueueName="waited")
    url = f"{cloud.url}/123456789012/waited"
    found: list[str] = []

    def wait() -> None:
        received = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)
        found.extend(entry["Body"] for entry in received.get("Messages", []))

    waiting = threading.Thread(target=wait)
    begun = time.monotonic()
    waiting.start()
    time.sleep(0.2)
    cloud.client("iam").list_users()
    sqs.send_message(QueueUrl=url, MessageBody="news")
    waiting.join(15)
    assert found == ["news"]
    assert time.monotonic() - begun < 15


def test_a_launch_that_fails_sends_no_events(cloud: Cloud) -> None:
    queue = Queue(cloud, "failed", {"source": ["aws.ec2"]})
    subnets = cloud.client("ec2").describe_subnets()["Subnets"]
    with pytest.raises(ClientError):
        cloud.run(1, wait="", SubnetId=subnets[0]["SubnetId"], PrivateIpAddress="10.1.1.1")
    assert queue.receive() == []
    cloud.client("events").remove_targets(Rule="failed", Ids=["queue", "again"])
    cloud.client("events").delete_rule(Name="failed")


@pytest.mark.parametrize(
    ("policy", "fits"),
    [
        (None, False),
        ('{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sqs:*"}}', True),
        ('{"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["SQS:SendMessage"]}]}', True),
        ('{"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "sqs:*"}]}', False),
        (
            '{"Statement": [{"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:*"}]}',
            False,
        ),
        (
            '{"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sqs:ReceiveMessage"}]}',
            False,
        ),
    ],
)
def test_a_queue_must_let_eventbridge_send(policy: str | None, *, fits: bool) -> None:
    assert admits(policy) is fits


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ({"Input": '{"fixed": 1}'}, '{"fixed": 1}'),
        ({"InputPath": "$.detail.state"}, '"running"'),
        (
            {"InputTransformer": {"InputPathsMap": {"id": "$.detail.instance-id"}, "InputTemplate": '"<id> runs"'}},
            '"i-1 runs"',
        ),
    ],
)
def test_a_target_can_ask_for_a_part_of_the_event_only(target: dict[str, Any], text: str) -> None:
    from datetime import UTC, datetime

    found = event("1", "us-east-1", "", "any", {"instance-id": "i-1", "state": "running"}, datetime.now(UTC))
    assert message(target, found) == text


# Interruptions


def test_an_interruption_is_told_everywhere_and_ends_the_instance_in_time(cloud: Cloud) -> None:
    queue = Queue(cloud, "warnings", {"detail-type": ["EC2 Spot Instance Interruption Warning"]})
    instance = cloud.run(**SPOT)[0]
    told = time.time()
    rule = _do(cloud, "interrupt", instance, notice=1.5)[0]
    assert rule["effect"]["action"] == "terminate"
    assert _state_of_request(cloud, instance) == ("active", "marked-for-termination")
    with cloud.metadata_of(instance) as imds:
        notice = json.loads(imds.get("meta-data/spot/instance-action"))
        assert imds.get("meta-data/spot/termination-time") == notice["time"]
    assert notice["action"] == "terminate"
    assert notice["time"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(rule["effect"]["at"]))
    until(lambda: queue.holds(2), "the warning in the queue")
    assert queue.seen[0]["detail"] == {"instance-id": instance, "instance-action": "terminate"}
    assert queue.seen[0]["resources"] == [f"arn:aws:ec2:us-east-1a:instance/{instance}"]
    assert cloud.describe(instance)["State"]["Name"] == "running"
    cloud.wait([instance], "terminated")
    assert time.time() - told >= 1.5
    assert cloud.describe(instance)["StateReason"]["Code"] == "Server.SpotInstanceTermination"
    assert _state_of_request(cloud, instance) == ("closed", "instance-terminated-no-capacity")
    assert _do(cloud, "list") == []


def test_the_reason_may_be_the_price(cloud: Cloud) -> None:
    instance = cloud.run(**SPOT)[0]
    _do(cloud, "interrupt", instance, notice=0, reason="price")
    cloud.wait([instance], "terminated")
    assert _state_of_request(cloud, instance) == ("closed", "instance-terminated-by-price")


def test_an_interruption_can_be_undone_before_its_time(cloud: Cloud) -> None:
    instance = cloud.run(**SPOT)[0]
    rule = _do(cloud, "interrupt", instance, notice=0.4)[0]
    done = cloud.server.controls.handle("undo", {"ids": [rule["id"]]})
    assert done[0]["result"] == f"{instance} runs on, without interruption {rule['id']}"
    time.sleep(0.6)
    assert cloud.describe(instance)["State"]["Name"] == "running"
    assert _state_of_request(cloud, instance) == ("active", "fulfilled")
    assert _not_there(cloud, instance, "spot/instance-action")


def test_a_persistent_request_that_asks_for_it_is_stopped_and_its_undo_starts_it(cloud: Cloud) -> None:
    instance = cloud.run(**PERSISTENT)[0]
    rule = _do(cloud, "interrupt", instance, notice=0)[0]
    cloud.wait([instance], "stopped")
    assert cloud.describe(instance)["StateReason"]["Code"] == "Server.SpotInstanceShutdown"
    assert _state_of_request(cloud, instance) == ("disabled", "instance-stopped-no-capacity")
    done = cloud.server.controls.handle("undo", {"ids": [rule["id"]]})
    assert done[0]["result"] == f"{instance} starts again"
    cloud.wait([instance], "running")
    assert _state_of_request(cloud, instance) == ("active", "fulfilled")


def test_the_user_stops_and_starts_an_instance_of_a_persistent_request(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    instance = cloud.run(**PERSISTENT)[0]
    launched = cloud.describe(instance)["LaunchTime"]
    ec2.stop_instances(InstanceIds=[instance])
    cloud.wait([instance], "stopped")
    assert _state_of_request(cloud, instance) == ("disabled", "instance-stopped-by-user")
    ec2.stop_instances(InstanceIds=[instance])
    time.sleep(1)
    ec2.start_instances(InstanceIds=[instance])
    cloud.wait([instance], "running")
    assert _state_of_request(cloud, instance) == ("active", "fulfilled")
    assert cloud.describe(instance)["LaunchTime"] > launched


def test_the_user_does_not_stop_an_instance_of_a_one_time_request(cloud: Cloud) -> None:
    instance = cloud.run(**SPOT)[0]
    with pytest.raises(ClientError, match=r"UnsupportedOperation.*one-time"):
        cloud.client("ec2").stop_instances(InstanceIds=[instance])


def test_what_ec2_stopped_only_ec2_starts(cloud: Cloud) -> None:
    instance = cloud.run(**PERSISTENT)[0]
    _do(cloud, "interrupt", instance, notice=0)
    cloud.wait([instance], "stopped")
    with pytest.raises(ClientError, match="IncorrectSpotRequestState"):
        cloud.client("ec2").start_instances(InstanceIds=[instance])


def test_an_instance_has_notice_when_its_price_rises_above_the_highest_it_pays(cloud: Cloud) -> None:
    now = datetime.now(UTC)
    price, *later = (prices.spot("m5.large", "us-east-1a", now + timedelta(days)) or 0 for days in range(60))
    rises = next(days for days, then in enumerate(later, 1) if then > price)
    placed: dict[str, Any] = {"Placement": {"AvailabilityZone": "us-east-1a"}}
    market = [{"MarketType": "spot", "SpotOptions": {"MaxPrice": most}} for most in (f"{price}", "1")]
    outbid, pays = (cloud.run(InstanceMarketOptions=options, **placed)[0] for options in market)
    clock = _do(cloud, "clock", values={"seconds": rises * 86400})[0]["id"]
    until(lambda: any(one["effect"]["kind"] == "interruption" for one in _do(cloud, "list")), "the notice")
    cloud.server.controls.handle("undo", {"ids": [clock]})
    notice = next(one for one in _do(cloud, "list") if one["effect"]["kind"] == "interruption")
    assert (notice["by"], notice["effect"]["instance_id"], notice["effect"]["reason"]) == ("EC2", outbid, "price")
    assert notice["effect"]["at"] - notice["effect"]["noticed"] == 120
    assert _state_of_request(cloud, outbid) == ("active", "marked-for-termination")
    assert _state_of_request(cloud, pays) == ("active", "fulfilled")


def test_stopping_needs_a_persistent_request(cloud: Cloud) -> None:
    options = {"MarketType": "spot", "SpotOptions": {"InstanceInterruptionBehavior": "stop"}}
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        cloud.run(wait="", InstanceMarketOptions=options)


def test_a_recommendation_interrupts_nothing(cloud: Cloud) -> None:
    queue = Queue(cloud, "rebalance", {"detail-type": ["EC2 Instance Rebalance Recommendation"]})
    instance = cloud.run(**SPOT)[0]
    rule = _do(cloud, "rebalance", instance)[0]
    with cloud.metadata_of(instance) as imds:
        noticed = json.loads(imds.get("meta-data/events/recommendations/rebalance"))["noticeTime"]
    assert noticed == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(rule["effect"]["noticed"]))
    until(lambda: queue.holds(2), "the recommendation in the queue")
    assert queue.seen[0]["detail"] == {"instance-id": instance}
    assert _not_there(cloud, instance, "spot/instance-action")
    assert _state_of_request(cloud, instance) == ("active", "fulfilled")
    cloud.server.controls.handle("undo", {"ids": [rule["id"]]})
    assert _not_there(cloud, instance, "events/recommendations/rebalance")


def test_only_spot_instances_are_interrupted(cloud: Cloud) -> None:
    instance = cloud.run()[0]
    with pytest.raises(UsageError, match="is an on-demand instance"):
        _do(cloud, "interrupt", instance)


# Requests


def test_cancelling_a_request_leaves_its_instance_running(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    instance = cloud.run(**SPOT)[0]
    request = _request(cloud, instance)["SpotInstanceRequestId"]
    done = ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request])
    assert done["CancelledSpotInstanceRequests"] == [{"SpotInstanceRequestId": request, "State": "cancelled"}]
    assert _state_of_request(cloud, instance) == ("cancelled", "request-canceled-and-instance-running")
    assert cloud.describe(instance)["State"]["Name"] == "running"
    ec2.terminate_instances(InstanceIds=[instance])
    cloud.wait([instance], "terminated")
    assert _state_of_request(cloud, instance) == ("cancelled", "instance-terminated-by-user")


def test_a_request_is_closed_with_its_instance(cloud: Cloud) -> None:
    instance = cloud.run(**SPOT)[0]
    cloud.client("ec2").terminate_instances(InstanceIds=[instance])
    cloud.wait([instance], "terminated")
    assert _state_of_request(cloud, instance) == ("closed", "instance-terminated-by-user")


@pytest.mark.parametrize("call", ["describe_spot_instance_requests", "cancel_spot_instance_requests"])
def test_an_unknown_request_is_named(cloud: Cloud, call: str) -> None:
    with pytest.raises(ClientError, match=r"InvalidSpotInstanceRequestID\.NotFound.*sir-none"):
        getattr(cloud.client("ec2"), call)(SpotInstanceRequestIds=["sir-none"])


def test_requests_are_found_by_their_state(cloud: Cloud) -> None:
    instance = cloud.run(**SPOT)[0]
    found = cloud.client("ec2").describe_spot_instance_requests(
        Filters=[{"Name": "state", "Values": ["active"]}, {"Name": "type", "Values": ["one-time"]}]
    )
    assert instance in [request["InstanceId"] for request in found["SpotInstanceRequests"]]


# Broken nodes


def test_a_killed_on_demand_instance_is_stopped_and_its_undo_starts_it(cloud: Cloud) -> None:
    instance = cloud.run()[0]
    done = _do(cloud, "kill", instance)
    assert done["killed"] == [instance]
    assert ("kill", instance) in cloud.machines.calls
    cloud.wait([instance], "stopped")
    assert cloud.describe(instance)["StateReason"]["Code"] == "Server.ScheduledStop"
    undone = cloud.server.controls.handle("undo", {"ids": [done["faults"][0]["id"]]})
    assert undone[0]["result"] == f"{instance} starts again"
    cloud.wait([instance], "running")
    assert _do(cloud, "list") == []


def test_a_killed_spot_instance_is_gone(cloud: Cloud) -> None:
    instance = cloud.run(**SPOT)[0]
    assert _do(cloud, "kill", instance)["faults"] == []
    cloud.wait([instance], "terminated")
    assert _state_of_request(cloud, instance) == ("closed", "instance-terminated-no-capacity")


def _check(cloud: Cloud, instance: str) -> tuple[str, str]:
    found = cloud.client("ec2").describe_instance_status(InstanceIds=[instance])["InstanceStatuses"][0]
    return found["InstanceStatus"]["Status"], found["InstanceStatus"]["Details"][0]["Status"]


@pytest.mark.parametrize("command", ["freeze", "partition"])
def test_a_broken_node_is_listed_until_it_is_undone(cloud: Cloud, command: str) -> None:
    instance = cloud.run()[0]
    broken = cloud.machines.frozen if command == "freeze" else cloud.machines.partitioned
    rule = _do(cloud, command, instance)[0]
    assert instance in broken
    assert [found["id"] for found in _do(cloud, "list")] == [rule["id"]]
    assert cloud.describe(instance)["State"]["Name"] == "running"
    assert _check(cloud, instance) == ("impaired", "failed")
    cloud.server.controls.handle("undo", {"ids": [rule["id"]]})
    assert instance not in broken
    assert _check(cloud, instance) == ("ok", "passed")
    assert _do(cloud, "list") == []


def test_a_broken_node_mends_itself_when_its_time_is_over(cloud: Cloud) -> None:
    instance = cloud.run()[0]
    _do(cloud, "freeze", instance, seconds=0.3)
    assert instance in cloud.machines.frozen
    until(lambda: instance not in cloud.machines.frozen, "the node runs on")
    assert _do(cloud, "list") == []


def test_a_broken_node_that_ends_is_not_listed_any_more(cloud: Cloud) -> None:
    instance = cloud.run()[0]
    _do(cloud, "partition", instance)
    cloud.client("ec2").terminate_instances(InstanceIds=[instance])
    assert _do(cloud, "list") == []
    cloud.wait([instance], "terminated")


def test_a_partition_lasts_as_long_as_its_instance(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    instance = cloud.run()[0]
    rule = _do(cloud, "partition", instance)[0]
    ec2.stop_instances(InstanceIds=[instance])
    cloud.wait([instance], "stopped")
    assert [found["id"] for found in _do(cloud, "list")] == [rule["id"]]
    cloud.machines.partitioned.clear()
    ec2.start_instances(InstanceIds=[instance])
    cloud.wait([instance], "running")
    until(lambda: instance in cloud.machines.partitioned, "the new machine is cut off, too")
    ec2.stop_instances(InstanceIds=[instance])
    cloud.wait([instance], "stopped")
    done = cloud.server.controls.handle("undo", {"ids": [rule["id"]]})
    assert done[0]["result"] == f"{instance} does not run now"
    ec2.start_instances(InstanceIds=[instance])
    cloud.wait([instance], "running")
    until(lambda: instance not in cloud.machines.partitioned, "it is on the network again")


def test_a_reboot_thaws(cloud: Cloud) -> None:
    instance = cloud.run()[0]
    _do(cloud, "freeze", instance)
    cloud.client("ec2").reboot_instances(InstanceIds=[instance])
    assert _do(cloud, "list") == []


def test_everything_done_to_an_instance_is_undone_by_its_id(cloud: Cloud) -> None:
    instance, other = cloud.run(2)
    _do(cloud, "partition", instance)
    _do(cloud, "freeze", instance, other)
    done = cloud.server.controls.handle("undo", {"ids": [instance]})
    assert {found["result"] for found in done} == {f"{instance} runs on", f"{instance} is on the network again"}
    assert instance not in cloud.machines.frozen
    assert other in cloud.machines.frozen


def test_what_does_not_exist_cannot_be_undone_and_nothing_else_is(cloud: Cloud) -> None:
    rule = cloud.server.controls.handle("lag", {"values": {"seconds": 1}, "by": "tester"})[0]
    with pytest.raises(NotFoundError, match="no fault f999"):
        cloud.server.controls.handle("undo", {"ids": [rule["id"], "f999"]})
    assert [found["id"] for found in _do(cloud, "list")] == [rule["id"]]


def test_an_unknown_command_is_refused(cloud: Cloud) -> None:
    with pytest.raises(UsageError, match="no command 'flood'"):
        cloud.server.controls.handle("flood", {})


# Whom it strikes


def _candidate(number: int, group: str = "core", *, spot: bool = True, state: str = "running") -> Candidate:
    tags = {TAG_CLUSTER: "flights", TAG_GROUP: group}
    name = f"ip-10-77-0-{number}.ec2.internal"
    return Candidate(f"i-{number}", state, spot, f"10.77.0.{number}", name, tags)


THERE = [_candidate(3), _candidate(1, "master", spot=False), _candidate(2), _candidate(4, state="terminated")]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(("i-1",)), ["i-1"]),
        (Wanted(("ip-10-77-0-2.ec2.internal", "ip-10-77-0-3", "10.77.0.1", "i-1")), ["i-2", "i-3", "i-1"]),
        (Wanted(cluster="flights"), ["i-1", "i-2", "i-3"]),
        (Wanted(cluster="flights", group="core"), ["i-2", "i-3"]),
        (Wanted(cluster="flights", group="core", count=1), ["i-2"]),
    ],
)
def test_nodes_are_named_or_chosen_by_their_tags(wanted: Wanted, found: list[str]) -> None:
    assert [one.id for one in choose(wanted, THERE)] == found


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(), "nothing says which"),
        (Wanted(("i-1",), cluster="flights"), "not both"),
        (Wanted(("i-9",)), "no instance i-9"),
        (Wanted(("i-4",)), "i-4 is terminated"),
        (Wanted(cluster="other"), "no running nodes in the cluster other"),
        (Wanted(cluster="flights", group="core", count=3), "only 2 running nodes of the group core"),
    ],
)
def test_what_cannot_be_chosen_is_said(wanted: Wanted, message: str) -> None:
    with pytest.raises(HclusterError, match=message):
        choose(wanted, THERE)


def test_only_spot_nodes_of_a_cluster_are_chosen_for_an_interruption() -> None:
    assert [one.id for one in choose(Wanted(cluster="flights"), THERE, spot=True)] == ["i-2", "i-3"]
