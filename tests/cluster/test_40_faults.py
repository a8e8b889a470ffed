"""Broken on purpose, on real nodes of the base image: interrupted, killed, frozen, cut off; and what undoing does."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import Cloud, Hcluster, wait_until

_INSIDE = """
import json, urllib.request
def ask(method, path, **headers):
    request = urllib.request.Request("http://169.254.169.254/latest/" + path, method=method, headers=headers)
    return urllib.request.urlopen(request, timeout=5).read().decode()
token = ask("PUT", "api/token", **{"X-aws-ec2-metadata-token-ttl-seconds": "60"})
print(ask("GET", "meta-data/spot/instance-action", **{"X-aws-ec2-metadata-token": token}))
"""


@dataclass(frozen=True)
class Nodes:
    """One on-demand node and two spot nodes, and how to get into them."""

    cloud: Cloud
    key: Path
    ids: tuple[str, ...]

    def state(self, name: str) -> dict[str, Any]:
        """As DescribeInstances shows it."""
        found = self.cloud.client("ec2").describe_instances(InstanceIds=[name])["Reservations"]
        return dict(found[0]["Instances"][0])

    def is_in(self, name: str, state: str) -> bool:
        """Whether the node is in that state."""
        return bool(self.state(name)["State"]["Name"] == state)

    def ssh(self, name: str, command: str, stdin: str = "", timeout: float = 10) -> str:
        """What a command on the node prints. Raises CalledProcessError, or TimeoutExpired when it does not answer."""
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=3"]
        settings = [word for option in options for word in ("-o", option)]
        address = f"admin@{self.state(name)['PrivateIpAddress']}"
        done = subprocess.run(
            ["ssh", "-i", str(self.key), *settings, address, command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=True,
        )
        return done.stdout

    def answers(self, name: str) -> bool:
        """Whether a command on the node runs."""
        try:
            return self.ssh(name, "echo there", timeout=5) == "there\n"
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return False


@pytest.fixture(scope="module")
def nodes(cloud: Cloud, hcluster: Hcluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    key = tmp_path_factory.mktemp("ssh") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    ec2 = cloud.client("ec2")
    ec2.import_key_pair(KeyName="test-faults", PublicKeyMaterial=key.with_suffix(".pub").read_bytes())
    group = ec2.create_security_group(GroupName="test-faults", Description="SSH from everywhere")["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0")
    base = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian-12-amd64-*"]}])["Images"][0]["ImageId"]
    wanted: dict[str, Any] = {
        "ImageId": base,
        "InstanceType": "t3.large",
        "KeyName": "test-faults",
        "SecurityGroupIds": [group],
    }
    launched = ec2.run_instances(**wanted, MinCount=1, MaxCount=1)["Instances"]
    spot = {"MarketType": "spot"}
    launched += ec2.run_instances(**wanted, MinCount=2, MaxCount=2, InstanceMarketOptions=spot)["Instances"]
    found = Nodes(cloud, key, tuple(instance["InstanceId"] for instance in launched))
    try:
        for name in found.ids:
            wait_until(f"{name} runs", lambda name=name: found.is_in(name, "running"), timeout=90)
        yield found
    finally:
        hcluster("local", "undo", "--all", "--name", cloud.name)
        ec2.terminate_instances(InstanceIds=list(found.ids))
        ec2.delete_key_pair(KeyName="test-faults")
        for name in found.ids:
            wait_until(f"{name} ends", lambda name=name: found.is_in(name, "terminated"))
        ec2.delete_security_group(GroupId=group)


@pytest.fixture
def warnings(cloud: Cloud) -> Iterator[str]:
    """URL of a queue that gets EC2's spot interruption warnings."""
    sqs, events = cloud.client("sqs"), cloud.client("events")
    url = str(sqs.create_queue(QueueName="warnings")["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**allow, "Resource": arn}]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    pattern = {"source": ["aws.ec2"], "detail-type": ["EC2 Spot Instance Interruption Warning"]}
    events.put_rule(Name="warnings", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="warnings", Targets=[{"Id": "queue", "Arn": arn}])
    yield url
    events.remove_targets(Rule="warnings", Ids=["queue"])
    events.delete_rule(Name="warnings")
    sqs.delete_queue(QueueUrl=url)


def _local(hcluster: Hcluster, cloud: Cloud, *words: str) -> Any:
    return hcluster.json("local", *words, "--name", cloud.name)


def test_an_interruption_is_seen_inside_the_node_and_in_a_queue_and_comes_in_time(
    cloud: Cloud, hcluster: Hcluster, nodes: Nodes, warnings: str
) -> None:
    name = nodes.ids[1]
    fault = _local(hcluster, cloud, "interrupt", name, "--notice", "8s")[0]
    notice = json.loads(nodes.ssh(name, "python3 -", _INSIDE))
    assert notice["action"] == "terminate"
    ends = datetime.fromisoformat(notice["time"])
    assert ends.timestamp() == int(fault["effect"]["at"])
    received = cloud.client("sqs").receive_message(QueueUrl=warnings, WaitTimeSeconds=5)["Messages"]
    assert [json.loads(entry["Body"])["detail"] for entry in received] == [
        {"instance-id": name, "instance-action": "terminate"}
    ]
    assert nodes.is_in(name, "running")
    wait_until("the node ends", lambda: nodes.is_in(name, "terminated"))
    assert datetime.now(UTC) >= ends
    assert nodes.state(name)["StateReason"]["Code"] == "Server.SpotInstanceTermination"


def test_an_interruption_that_is_undone_leaves_the_node_running(cloud: Cloud, hcluster: Hcluster, nodes: Nodes) -> None:
    name = nodes.ids[2]
    fault = _local(hcluster, cloud, "interrupt", name, "--notice", "3s")[0]
    hcluster("local", "undo", fault["id"], "--name", cloud.name)
    time.sleep(3.5)
    assert nodes.answers(name)


@pytest.mark.parametrize("command", ["freeze", "partition"])
def test_a_broken_node_answers_nothing_until_it_is_undone(
    cloud: Cloud, hcluster: Hcluster, nodes: Nodes, command: str
) -> None:
    name = nodes.ids[0]
    booted = nodes.ssh(name, "cat /proc/1/stat").split()[21]
    fault = _local(hcluster, cloud, command, name)[0]
    assert not nodes.answers(name)
    assert nodes.answers(nodes.ids[2])
    assert nodes.is_in(name, "running")
    assert [found["id"] for found in _local(hcluster, cloud, "status")["faults"]] == [fault["id"]]
    hcluster("local", "undo", fault["id"], "--name", cloud.name)
    assert nodes.answers(name)
    assert nodes.ssh(name, "cat /proc/1/stat").split()[21] == booted
    assert _local(hcluster, cloud, "status")["faults"] == []


def test_a_frozen_node_can_be_ended(cloud: Cloud, hcluster: Hcluster, nodes: Nodes) -> None:
    name = nodes.ids[2]
    _local(hcluster, cloud, "freeze", name)
    cloud.client("ec2").terminate_instances(InstanceIds=[name])
    wait_until("the frozen node ends", lambda: nodes.is_in(name, "terminated"))
    assert _local(hcluster, cloud, "status")["faults"] == []


def test_a_killed_node_is_stopped_with_its_disk_and_its_undo_boots_it(
    cloud: Cloud, hcluster: Hcluster, nodes: Nodes
) -> None:
    name = nodes.ids[0]
    nodes.ssh(name, "sudo sh -c 'echo kept > /root/kept'")
    done = _local(hcluster, cloud, "kill", name)
    wait_until("the node is stopped", lambda: nodes.is_in(name, "stopped"))
    assert nodes.state(name)["StateReason"]["Code"] == "Server.ScheduledStop"
    hcluster("local", "undo", done["faults"][0]["id"], "--name", cloud.name)
    wait_until("the node runs", lambda: nodes.is_in(name, "running"), timeout=60)
    assert nodes.ssh(name, "sudo cat /root/kept") == "kept\n"
