"""Spot instances are taken back: recommendation, notice, end; as EC2 tells it at IMDS, in EventBridge and by requests.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html,
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/interruption-behavior.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from hcluster.localcloud.api import spot
from hcluster.localcloud.api.effects import Interruption, effect_of
from hcluster.localcloud.api.events import INTERRUPTION, REBALANCE, Events
from hcluster.localcloud.api.hold import Hold
from hcluster.localcloud.api.metadata import Metadata
from hcluster.localcloud.api.rules import Rule

NOTICE = 120.0
"""Seconds from the notice to the end on AWS."""
LOOK = 2.0
"""Seconds between two looks at the prices of instances that have a highest one."""
_TERMINATED = ("Server.SpotInstanceTermination", "Spot instance termination")
_STOPPED = ("Server.SpotInstanceShutdown", "Spot instance shutdown")


class Interruptions:
    """Each interruption is a rule from its notice to the end of the instance, so that it can be seen and undone."""

    def __init__(self, hold: Hold, metadata: Metadata, events: Events) -> None:
        self._hold = hold
        self._metadata = metadata
        self._events = events
        self._looking = False

    def runs(self, instance_id: str) -> None:
        """An instance runs. The lock is held; from now on its price is watched if its request names a highest one."""
        request = self._request(instance_id)
        if request is not None and request.spot_price and not self._looking:
            self._looking = True
            self._hold.agenda.at(time.time(), self._look)

    def begin(self, instance_ids: Sequence[str], by: str, seconds: float, reason: str) -> list[Rule]:
        """Give notice to running spot instances; they end ``seconds`` later."""
        now = time.time()
        made = []
        with self._hold.lock:
            for instance_id in instance_ids:
                action = getattr(self._request(instance_id), "instance_interruption_behavior", None) or "terminate"
                # Hibernation begins with the notice: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/hibernate-spot-instances.html
                at = now if action == "hibernate" else now + seconds
                values = {"instance_id": instance_id, "noticed": now, "at": at, "action": action, "reason": reason}
                self._forget(instance_id)
                made.append(self._hold.rules.add(effect_of("interruption", values), by))
                self._show(made[-1])
                detail = {"instance-id": instance_id, "instance-action": action}
                self._events.publish(INTERRUPTION, self._zone(instance_id), detail)
            self._hold.changed()
        return made

    def recommend(self, instance_ids: Sequence[str], by: str, seconds: float) -> list[Rule]:
        """Recommend to rebalance spot instances, nothing more; taken back after ``seconds`` when that is not 0."""
        made = []
        with self._hold.lock:
            for instance_id in instance_ids:
                if any(effect.instance_id == instance_id for _, effect in self._hold.rules.of(Interruption)):
                    continue
                effect = effect_of("interruption", {"instance_id": instance_id, "noticed": time.time()})
                made.append(self._hold.rules.add(effect, by, seconds))
                self._show(made[-1])
                self._events.publish(REBALANCE, self._zone(instance_id), {"instance-id": instance_id})
        return made

    def resume(self) -> None:
        """Show the notices that a stopped cloud had given; what is overdue ends now."""
        with self._hold.lock:
            for rule, _ in self._hold.rules.of(Interruption):
                self._show(rule)

    def undo(self, rule: Rule, effect: Interruption) -> str:
        """What became of it, in words. Before its time nothing happens; a stopped instance starts, as when EC2 has
        capacity again. The rule is removed already."""
        with self._hold.lock:
            instance, request = self._instance(effect.instance_id), self._request(effect.instance_id)
            self._metadata.notices.pop(effect.instance_id, None)
            self._metadata.recommendations.pop(effect.instance_id, None)
            if instance is None or instance.state in ("shutting-down", "terminated"):
                return f"{effect.instance_id} has ended and does not come back"
            if request is not None and request.state in ("active", "disabled"):
                request.state, request.status = "active", spot.status(spot.FULFILLED)
            if instance.state in ("stopping", "stopped"):
                self._hold.backend().start_again(instance)
                text = f"{effect.instance_id} starts again"
            else:
                what = "interruption" if effect.at else "recommendation"
                text = f"{effect.instance_id} runs on, without {what} {rule.id}"
            self._hold.changed()
            return text

    def prune(self) -> None:
        """Forget what is over: the instance ended."""
        with self._hold.lock:
            over = [rule.id for rule, effect in self._hold.rules.of(Interruption) if self._ended(effect.instance_id)]
        self._hold.rules.discard(over)

    # Each with the lock held

    def _show(self, rule: Rule) -> None:
        effect = rule.effect
        assert isinstance(effect, Interruption)  # noqa: S101 - for the type checker
        if not effect.at:
            self._metadata.recommendations[effect.instance_id] = json.dumps({"noticeTime": _stamp(effect.noticed)})
            if rule.until:
                self._hold.agenda.at(rule.until, lambda: self._withdraw(effect.instance_id))
            return
        instance, request = self._instance(effect.instance_id), self._request(effect.instance_id)
        if instance is None or instance.state not in ("pending", "running"):
            return
        notice = {"action": effect.action, "time": _stamp(effect.at)}
        self._metadata.notices[effect.instance_id] = json.dumps(notice)
        if request is not None and request.state == "active":
            request.status = spot.status(spot.MARKED[effect.action])
        self._hold.agenda.at(effect.at, lambda: self._end(rule.id))

    def _look(self) -> None:
        """Give notice to those whose price has risen above what their request pays."""
        with self._hold.lock:
            backend = self._hold.backend()
            limited = [
                instance
                for request in backend.spot_instance_requests.values()
                if request.spot_price and (instance := backend.by_id.get(request.instance_id)) is not None
                if instance.state not in ("shutting-down", "terminated")
            ]
            self._looking = bool(limited)
            if not limited:
                return
            self._hold.agenda.at(time.time() + LOOK, self._look)
            noticed = {effect.instance_id for _, effect in self._hold.rules.of(Interruption) if effect.at}
            running = [i for i in limited if i.state == "running" and i.id not in noticed]
            if outbid := [i.id for i in running if backend.outbid(i, self._request(i.id).spot_price)]:
                self.begin(outbid, "EC2", NOTICE, "price")

    def _withdraw(self, instance_id: str) -> None:
        with self._hold.lock:
            if not any(effect.instance_id == instance_id for _, effect in self._hold.rules.of(Interruption)):
                self._metadata.recommendations.pop(instance_id, None)

    def _end(self, rule_id: str) -> None:
        """The time of a notice has come, unless it was undone."""
        with self._hold.lock:
            effect = next((effect for rule, effect in self._hold.rules.of(Interruption) if rule.id == rule_id), None)
            if effect is None:
                return
            instance, request = self._instance(effect.instance_id), self._request(effect.instance_id)
            self._metadata.notices.pop(effect.instance_id, None)
            if instance is None or instance.state not in ("pending", "running"):
                return
            if effect.action == "terminate":
                if request is not None:
                    request.fate = spot.ENDED[effect.reason]
                self._hold.backend().end(instance, *_TERMINATED)
                self._hold.rules.discard([rule_id])
            else:
                if request is not None and request.state == "active":
                    request.state, request.status = "disabled", spot.status(spot.STOPPED[effect.reason])
                self._hold.backend().stop_now(instance, *_STOPPED)
            self._hold.changed()

    def _forget(self, instance_id: str) -> None:
        """A second notice takes the place of the first."""
        self._hold.rules.discard(
            [rule.id for rule, effect in self._hold.rules.of(Interruption) if effect.instance_id == instance_id]
        )

    def _instance(self, instance_id: str) -> Any:
        return self._hold.backend().by_id.get(instance_id)

    def _request(self, instance_id: str) -> Any:
        instance = self._instance(instance_id)
        return self._hold.backend().spot_instance_requests.get(getattr(instance, "spot_instance_request_id", None))

    def _zone(self, instance_id: str) -> str:
        return str(self._instance(instance_id).placement.zone)

    def _ended(self, instance_id: str) -> bool:
        instance = self._instance(instance_id)
        return instance is None or instance.state in ("shutting-down", "terminated")


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
