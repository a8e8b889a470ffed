"""What is broken on purpose in one cloud: shortages, throttling, errors, delays, a wrong clock, answers that lag."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from hcluster.errors import LocalCloudError
from hcluster.localcloud.api.effects import (
    Bucket,
    Call,
    Clock,
    Delay,
    Effect,
    Failure,
    Lag,
    Shortage,
    Throttle,
    draw,
    effect_of,
    take,
    throttled,
    to_json,
)
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.limits import SMALLEST, size_of
from hcluster.localcloud.system import write_atomically

log = logging.getLogger(__name__)

Kind = TypeVar("Kind", bound=Effect)


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is broken."""

    id: str
    """"f1": what `undo` takes."""
    effect: Effect
    made: float
    """Epoch seconds, as all times here."""
    by: str
    """Who did it."""
    until: float = 0.0
    """When it ends by itself; 0: never."""
    hits: int = 0
    """How often it was felt."""
    seen: int = 0
    """How many requests it was about, felt or not."""

    def described(self) -> dict[str, Any]:
        """As JSON, for people's programs and for the file."""
        return {
            "id": self.id,
            "effect": to_json(self.effect),
            "text": self.effect.text(),
            "made": self.made,
            "by": self.by,
            "until": self.until,
            "hits": self.hits,
            "seen": self.seen,
        }


class Rules:
    """The rules that are in force. Thread-safe; kept in a file, so that they outlast the process.

    ``before`` and ``after`` may not be called while the cloud's lock is held: a delay would hold everybody up.
    """

    def __init__(
        self, folder: Path, now: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """``folder``: the cloud's. Raises LocalCloudError for a file that cannot be read."""
        self._file = folder / "faults.json"
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str, str], Bucket] = {}
        self._rules: dict[str, Rule] = {}
        self._last = 0
        self._read()

    # What the cloud asks

    def before(self, service: str, action: str, principal_arn: str, form: bytes = b"") -> None:
        """What happens to a request before it takes effect: sleeps for delays, raises Fault for what is throttled or
        told to fail. ``service`` is the signing name ("ec2"), ``action`` the operation ("RunInstances"), ``form`` the
        body of a request to EC2."""
        if not self._rules:
            return
        call = Call(service, action, principal_arn, size_of(action, form) if service == "ec2" else SMALLEST)
        with self._lock:
            fault = self._throttled(call)
            wait = 0.0 if fault else self._waits(call)
            fault = fault or self._fails(call, after=False)
        if wait:
            self._sleep(wait)
        if fault:
            raise fault

    def after(self, service: str, action: str, principal_arn: str) -> None:
        """As ``before``, when the request has taken effect: the Fault takes the place of its answer."""
        if not self._rules:
            return
        with self._lock:
            fault = self._fails(Call(service, action, principal_arn), after=True)
        if fault:
            raise fault

    def inside(self, service: str, action: str, principal_arn: str) -> Fault | None:
        """What a call meets that is part of another one, such as the launches of a fleet: throttling and errors. It
        does not wait, so it may be asked with the cloud's lock held."""
        if not self._rules:
            return None
        call = Call(service, action, principal_arn)
        with self._lock:
            return self._throttled(call) or self._fails(call, after=False)

    def shortage(self, instance_type: str, zone: str, lifecycle: str) -> bool:
        """Whether no instance can be had; ``lifecycle`` is "spot" or "on-demand"."""
        return self.capacity(instance_type, zone, lifecycle) == 0

    def capacity(self, instance_type: str, zone: str, lifecycle: str) -> int | None:
        """How many more instances can be had; None: no rule limits it."""
        if not self._rules:
            return None
        with self._lock:
            about = [r for r in self._of(Shortage) if _shortage(r).covers(instance_type, zone, lifecycle)]
            for rule in about:
                self._count(rule, hit=_shortage(rule).left == 0)
            return min((_shortage(rule).left for rule in about), default=None)

    def took(self, instance_type: str, zone: str, lifecycle: str, count: int = 1) -> None:
        """Instances were launched: the capacity that is left shrinks. It does not come back when they end."""
        if not self._rules:
            return
        with self._lock:
            for rule in self._of(Shortage):
                effect = _shortage(rule)
                if effect.left and effect.covers(instance_type, zone, lifecycle):
                    self._rules[rule.id] = replace(rule, effect=replace(effect, left=max(0, effect.left - count)))
                    self._keep()

    def lag(self) -> float:
        """Seconds that Describe operations lag behind changes (eventual consistency); 0 as a rule."""
        return max((effect.seconds for effect in self._effects(Lag)), default=0.0)

    def clock(self) -> timedelta:
        """How far the API's clock is ahead of the true time."""
        return timedelta(seconds=sum(effect.seconds for effect in self._effects(Clock)))

    # What people ask

    def add(self, effect: Effect, by: str, seconds: float = 0.0) -> Rule:
        """Put a rule in force, for ``seconds`` or (0) until it is removed. Raises OSError when it cannot be kept."""
        with self._lock:
            self._last += 1
            now = self._now()
            rule = Rule(f"f{self._last}", effect, now, by, now + seconds if seconds else 0.0)
            self._rules[rule.id] = rule
            try:
                self._write()
            except OSError:
                del self._rules[rule.id]
                raise
            return rule

    def discard(self, rule_ids: Iterable[str]) -> None:
        """Take rules out of force that may be gone already."""
        with self._lock:
            gone = {rule_id for rule_id in rule_ids if self._rules.pop(rule_id, None)}
            self._buckets = {key: bucket for key, bucket in self._buckets.items() if key[0] not in gone}
            if gone:
                self._write()

    def all(self) -> list[Rule]:
        """Those in force, oldest first."""
        with self._lock:
            return self._live()

    def of(self, kind: type[Kind]) -> list[tuple[Rule, Kind]]:
        """Those of a kind, with their effect."""
        return [(rule, rule.effect) for rule in self.all() if isinstance(rule.effect, kind)]

    def close(self) -> None:
        """Keep the counts."""
        with self._lock:
            if self._rules:
                self._keep()

    # Each with the lock held

    def _live(self) -> list[Rule]:
        now = self._now()
        if over := [rule.id for rule in self._rules.values() if rule.until and rule.until <= now]:
            for rule_id in over:
                del self._rules[rule_id]
            self._keep()
        return list(self._rules.values())

    def _of(self, kind: type[Effect]) -> list[Rule]:
        return [rule for rule in self._live() if isinstance(rule.effect, kind)]

    def _effects(self, kind: type[Kind]) -> list[Kind]:
        if not self._rules:
            return []
        with self._lock:
            return [rule.effect for rule in self._live() if isinstance(rule.effect, kind)]

    def _count(self, rule: Rule, *, hit: bool) -> None:
        self._rules[rule.id] = replace(rule, hits=rule.hits + hit, seen=rule.seen + 1)

    def _throttled(self, call: Call) -> Fault | None:
        refused = None
        for rule in self._of(Throttle):
            assert isinstance(rule.effect, Throttle)  # noqa: S101 - for the type checker
            if rule.effect.covers(call):
                there = all(self._took(rule.id, call, *taken) for taken in rule.effect.limits(call))
                self._count(rule, hit=not there)
                refused = refused or (None if there else throttled(call.service))
        return refused

    def _took(self, rule_id: str, call: Call, name: str, limit: tuple[float, float], count: int) -> bool:
        key = (rule_id, call.service, name)
        self._buckets[key], there = take(self._buckets.get(key), limit, self._now(), count)
        return there

    def _waits(self, call: Call) -> float:
        wait = 0.0
        for rule in self._of(Delay):
            assert isinstance(rule.effect, Delay)  # noqa: S101 - for the type checker
            if rule.effect.covers(call):
                wait += rule.effect.wait(rule.seen)
                self._count(rule, hit=True)
        return wait

    def _fails(self, call: Call, *, after: bool) -> Fault | None:
        for rule in self._of(Failure):
            effect = rule.effect
            assert isinstance(effect, Failure)  # noqa: S101 - for the type checker
            if effect.after != after or not effect.covers(call) or (effect.times and rule.hits >= effect.times):
                continue
            hit = draw(rule.id, rule.seen) < effect.probability
            self._count(rule, hit=hit)
            if hit:
                if effect.times:
                    self._keep()
                return effect.fault(call)
        return None

    # The file

    def _keep(self) -> None:
        """Write what was counted; on a full disk the next change does it."""
        try:
            self._write()
        except OSError as error:
            log.warning("%s was not written: %s", self._file, error)

    def _write(self) -> None:
        rules = [rule.described() for rule in self._rules.values()]
        write_atomically(self._file, json.dumps({"last": self._last, "rules": rules}, indent=1), 0o600)

    def _read(self) -> None:
        try:
            document = json.loads(self._file.read_text())
            self._last = int(document["last"])
            rules = [_rule(entry) for entry in document["rules"]]
        except FileNotFoundError:
            return
        except Exception as error:
            raise LocalCloudError(
                f"the faults in {self._file} cannot be read: {error}", hint="remove that file: they are undone then"
            ) from error
        self._rules = {rule.id: rule for rule in rules}


def _rule(entry: dict[str, Any]) -> Rule:
    values = dict(entry["effect"])
    effect = effect_of(values.pop("kind"), values)
    return Rule(entry["id"], effect, entry["made"], entry["by"], entry["until"], int(entry["hits"]), int(entry["seen"]))


def _shortage(rule: Rule) -> Shortage:
    assert isinstance(rule.effect, Shortage)  # noqa: S101 - for the type checker
    return rule.effect
