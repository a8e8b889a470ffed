"""What EC2 tells EventBridge of its instances, and the way from there into SQS queues.

Rules and queues are moto's; what they deliver is ours, since moto's events lack the account and its patterns are not
asked for rules that are disabled. Shapes:
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-instance-state-changes.html,
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html and
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/rebalance-recommendations.html.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from hcluster.localcloud.api.parts import events_backends, sqs_backends

log = logging.getLogger(__name__)

STATE_CHANGE = "EC2 Instance State-change Notification"
INTERRUPTION = "EC2 Spot Instance Interruption Warning"
REBALANCE = "EC2 Instance Rebalance Recommendation"

Document = dict[str, Any]


def event(account: str, region: str, zone: str, detail_type: str, detail: Mapping[str, str], at: datetime) -> Document:
    """An event of EC2 about the instance that ``detail`` names with instance-id.

    The ARN of an interruption names the zone and no account, as AWS's own does.
    """
    instance = detail["instance-id"]
    own = f"{zone}:instance" if detail_type == INTERRUPTION else f"{region}:{account}:instance"
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": "aws.ec2",
        "account": account,
        "time": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [f"arn:aws:ec2:{own}/{instance}"],
        "detail": dict(detail),
    }


def admits(policy: str | None) -> bool:
    """Whether a queue's policy lets EventBridge send; conditions are not looked at.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    """
    statements = (json.loads(policy) if policy else {}).get("Statement") or []
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        services = [principal] if isinstance(principal, str) else _listed((principal or {}).get("Service"))
        services += [] if isinstance(principal, str) else _listed((principal or {}).get("AWS"))
        sends = any(fnmatchcase("sqs:sendmessage", action.lower()) for action in _listed(statement.get("Action")))
        if statement.get("Effect") == "Allow" and sends and {"*", "events.amazonaws.com"} & set(services):
            return True
    return False


def message(target: Mapping[str, Any], found: Document) -> str:
    """What a target gets of an event: its fixed input, a part of the event, or the event."""
    if target.get("Input"):
        return str(target["Input"])
    if path := target.get("InputPath"):
        part: Any = found
        for name in str(path).removeprefix("$").strip(".").split("."):
            part = part.get(name) if name and isinstance(part, dict) else part
        return json.dumps(part)
    if transformer := target.get("InputTransformer"):
        return _transformed(transformer, found)
    return json.dumps(found)


def _transformed(transformer: Mapping[str, Any], found: Document) -> str:
    template = str(transformer.get("InputTemplate") or "")
    for name, path in (transformer.get("InputPathsMap") or {}).items():
        value = json.loads(message({"InputPath": path}, found))
        template = template.replace(f"<{name}>", value if isinstance(value, str) else json.dumps(value))
    return template


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(entry) for entry in value] if isinstance(value, list) else [str(value)]


class Events:
    """Delivers events in the order in which they happened, in a thread that sleeps while there are none."""

    def __init__(
        self,
        account: str,
        region: str,
        lock: threading.RLock,
        changed: Callable[[], None],
        known: Callable[[str], bool],
    ) -> None:
        """``lock``: the cloud's; ``changed`` is told when a queue got something; ``known``: whether there is an
        instance of that id, asked with the lock held."""
        self._account = account
        self._region = region
        self._lock = lock
        self._changed = changed
        self._known = known
        self._waiting: queue.SimpleQueue[Document | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._deliver_all, name="events", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def close(self) -> None:
        """Deliver what waits, and nothing more."""
        self._waiting.put(None)
        if self._thread.is_alive():
            self._thread.join(10)

    def state_changed(self, instance_id: str, state: str) -> None:
        """An instance entered a state."""
        self.publish(STATE_CHANGE, "", {"instance-id": instance_id, "state": state})

    def publish(self, detail_type: str, zone: str, detail: Mapping[str, str]) -> None:
        """Something happened to an instance. Returns at once; nobody listens as a rule, and then it costs nothing."""
        if self._rules():
            self._waiting.put(event(self._account, self._region, zone, detail_type, detail, datetime.now(UTC)))

    def _rules(self) -> list[Any]:
        # The default bus exists from the start, and is where AWS's own events go.
        return list(events_backends[self._account][self._region].event_buses["default"].rules.values())

    def _deliver_all(self) -> None:
        while (found := self._waiting.get()) is not None:
            try:
                with self._lock:
                    if self._known(found["detail"]["instance-id"]):
                        self._deliver(found)
            except Exception:
                log.exception("event %s was not delivered", found)

    def _deliver(self, found: Document) -> None:
        for target in self._targets(found):
            service, name = target["Arn"].split(":")[2], target["Arn"].split(":")[-1]
            if service != "sqs":
                log.warning("an event for %s was dropped: the local cloud delivers to SQS queues only", target["Arn"])
                continue
            queues = sqs_backends[self._account][self._region]
            if name not in queues.queues or not admits(queues.queues[name].policy):
                log.warning("an event was dropped: %s does not exist, or its policy lacks EventBridge", target["Arn"])
                continue
            group = (target.get("SqsParameters") or {}).get("MessageGroupId")
            queues.send_message(name, message(target, found), group_id=group)
            self._changed()

    def _targets(self, found: Document) -> Iterator[Mapping[str, Any]]:
        for rule in self._rules():
            if rule.state == "ENABLED" and rule.event_pattern.get_pattern() and rule.event_pattern.matches_event(found):
                yield from rule.targets
