"""EventBridge tells a queue what happens to instances."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.aws.account import Account, refused
from tests.contract.aws.conftest import Later
from tests.contract.aws.sweep import delete_rule


class Queue:
    """An SQS queue to which rules of the account may send."""

    def __init__(self, account: Account) -> None:
        self._sqs = account.client("sqs")
        name = account.name("queue")
        self.arn = f"arn:aws:sqs:{account.region}:{account.id}:{name}"
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": self.arn,
                }
            ],
        }
        self.url = self._sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps(policy)})["QueueUrl"]

    def take(self) -> list[dict[str, Any]]:
        """The events that have come; each is taken once."""
        found = self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages") or []
        for message in found:
            self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]


@pytest.fixture
def queue(account: Account, later: Later) -> Queue:
    """An empty queue."""
    made = Queue(account)
    later(account.client("sqs").delete_queue, QueueUrl=made.url)
    return made


def make_rule(account: Account, later: Later, queue: Queue, pattern: dict[str, Any]) -> str:
    """A rule that sends what fits to the queue."""
    events, name = account.client("events"), account.name("rule")
    events.put_rule(Name=name, EventPattern=json.dumps(pattern), State="ENABLED")
    later(delete_rule, account, name)
    answer = events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": queue.arn}])
    assert answer["FailedEntryCount"] == 0
    return name


def test_an_event_that_fits_a_rule_comes_to_its_queue(account: Account, later: Later, queue: Queue) -> None:
    """With source, type, time and detail; what does not fit does not come.

    docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
    """
    source = account.name("source")
    make_rule(account, later, queue, {"source": [source], "detail": {"state": ["ready"]}})

    def sent() -> list[dict[str, Any]]:
        account.client("events").put_events(
            Entries=[
                {"Source": source, "DetailType": "Node", "Detail": json.dumps({"state": state, "node": "i-1"})}
                for state in ("booted", "ready")
            ]
        )
        return queue.take()

    # A new rule takes up to a minute to match.
    (event, *_) = account.until(sent)
    assert (event["source"], event["detail-type"]) == (source, "Node")
    assert event["detail"] == {"state": "ready", "node": "i-1"}
    assert event["region"] == account.region


def test_the_states_of_instances_are_events(account: Account, later: Later, queue: Queue) -> None:
    """EC2 Instance State-change Notification, one for each state.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-instance-state-changes.html
    """
    pattern = {"source": ["aws.ec2"], "detail-type": ["EC2 Instance State-change Notification"]}
    make_rule(account, later, queue, pattern)
    if not account.local:
        import time

        time.sleep(60)  # until the rule matches
    one = account.run()["Instances"][0]["InstanceId"]
    account.becomes(one, "running")
    account.terminate(one)
    seen: list[str] = []

    def states() -> set[str]:
        for event in queue.take():
            if event["detail"]["instance-id"] == one:
                assert event["resources"] == [f"arn:aws:ec2:{account.region}:{account.id}:instance/{one}"]
                seen.append(event["detail"]["state"])
        return set(seen)

    account.until(states, lambda found: found >= {"pending", "running", "terminated"})


def test_a_rule_that_does_not_exist_is_named_by_its_own_code(account: Account) -> None:
    """As is a pattern that is none.

    docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
    """
    events = account.client("events")
    with refused("ResourceNotFoundException"):
        events.describe_rule(Name=account.name("nothing"))
    with refused("InvalidEventPatternException"):
        events.put_rule(Name=account.name("wrong"), EventPattern="not json")
