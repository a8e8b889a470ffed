"""What can be broken on purpose, as values, and what each does to a request. Pure: clock and chance are given."""

from __future__ import annotations

import hashlib
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, ClassVar, TypeVar, cast

from hcluster.errors import UsageError
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.limits import SMALLEST, Size, ec2_limit, instance_limit

MARKETS = ("any", "spot", "on-demand")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as rules see it."""

    service: str
    """Signing name: ec2, s3, iam."""
    action: str
    """RunInstances, PutObject."""
    principal: str
    """ARN of the caller."""
    size: Size = SMALLEST


@dataclass(frozen=True, slots=True)
class Shortage:
    """Types, zones and a market (globs) in which only ``left`` more instances can be had."""

    kind: ClassVar[str] = "shortage"
    instance_type: str = "*"
    zone: str = "*"
    market: str = "any"
    left: int = 0

    def check(self) -> None:
        """Raises UsageError for what makes no sense."""
        _need(self.market in MARKETS, f"the market is one of {', '.join(MARKETS)}, not '{self.market}'")
        _need(self.left >= 0, "the capacity that is left cannot be negative")

    def covers(self, instance_type: str, zone: str, lifecycle: str) -> bool:
        """Whether it is about these instances."""
        fits = _matches(self.instance_type, instance_type) and _matches(self.zone, zone)
        return fits and self.market in ("any", lifecycle)

    def text(self) -> str:
        """One line for people."""
        market = "" if self.market == "any" else f"{self.market} "
        where = "" if self.zone == "*" else f" in {self.zone}"
        return f"{self.left} more {market}instances of type {self.instance_type}{where}"


@dataclass(frozen=True, slots=True)
class Throttle:
    """A token bucket for each matching action: ``burst`` requests at once, ``rate`` a second after that."""

    kind: ClassVar[str] = "throttle"
    action: str
    rate: float = 1.0
    burst: float = 1.0
    principal: str = "*"
    as_aws: bool = False
    """EC2's documented limits of each action instead."""

    def check(self) -> None:
        """Raises UsageError for what makes no sense."""
        _need(self.rate >= 0, "the rate is requests a second, 0 or more")
        _need(self.burst >= 0, "the burst is a number of requests, 0 or more")

    def covers(self, call: Call) -> bool:
        """Whether it is about this request."""
        return _about(self.action, self.principal, call)

    def limits(self, call: Call) -> list[tuple[str, tuple[float, float], int]]:
        """(bucket, (burst, rate), tokens) of each bucket that a request takes from."""
        if not self.as_aws:
            return [(call.action, (self.burst, self.rate), 1)]
        bare = call.size.bare
        taken = [(f"{call.action} bare" if bare else call.action, ec2_limit(call.action, bare=bare), 1)]
        instances = instance_limit(call.action)
        if instances and call.size.instances:
            taken.append((f"{call.action} instances", instances, call.size.instances))
        return taken

    def text(self) -> str:
        """One line for people."""
        if self.as_aws:
            return f"{self.action}: as many requests as EC2 takes{_whose(self.principal)}"
        return f"{self.action}: {self.rate:g} requests a second, {self.burst:g} at once{_whose(self.principal)}"


@dataclass(frozen=True, slots=True)
class Failure:
    """Matching requests fail: each with a probability, the first ``times`` of them when that is not 0."""

    kind: ClassVar[str] = "error"
    action: str
    code: str
    status: int = 0
    message: str = ""
    probability: float = 1.0
    times: int = 0
    after: bool = False
    """The request takes effect, and the error stands in the place of its answer."""
    principal: str = "*"

    def check(self) -> None:
        """Raises UsageError for what makes no sense."""
        _need(bool(self.code), "an error needs a code")
        _need(0 < self.probability <= 1, "the probability is more than 0 and at most 1")
        _need(self.times >= 0, "the number of failing requests cannot be negative")
        _need(self.status == 0 or 400 <= self.status <= 599, "the HTTP status of an error is 400 to 599")

    def covers(self, call: Call) -> bool:
        """Whether it is about this request."""
        return _about(self.action, self.principal, call)

    def fault(self, call: Call) -> Fault:
        """The error that the caller gets."""
        status, message = _KNOWN.get(self.code, (400, ""))
        text = self.message or message or f"{call.action} was told to fail."
        return Fault(self.code, text, self.status or status)

    def text(self) -> str:
        """One line for people."""
        often = f", the first {self.times}" if self.times else ""
        chance = "" if self.probability == 1 else f", {self.probability:.0%} of them"
        when = ", after it took effect" if self.after else ""
        return f"{self.action}: {self.code}{often}{chance}{when}{_whose(self.principal)}"


@dataclass(frozen=True, slots=True)
class Delay:
    """Matching requests wait ``seconds``, and up to ``jitter`` more: the same for the same ``seed``."""

    kind: ClassVar[str] = "delay"
    action: str
    seconds: float
    jitter: float = 0.0
    seed: int = 0
    principal: str = "*"

    def check(self) -> None:
        """Raises UsageError for what makes no sense."""
        _need(0 <= self.seconds <= 600 and 0 <= self.jitter <= 600, "a delay is between 0 and 600 seconds")

    def covers(self, call: Call) -> bool:
        """Whether it is about this request."""
        return _about(self.action, self.principal, call)

    def wait(self, number: int) -> float:
        """Seconds that the matching request with this number waits."""
        return self.seconds + self.jitter * draw(self.seed, number)

    def text(self) -> str:
        """One line for people."""
        more = f" and up to {self.jitter:g} s more" if self.jitter else ""
        return f"{self.action}: {self.seconds:g} s{more}{_whose(self.principal)}"


@dataclass(frozen=True, slots=True)
class Lag:
    """DescribeInstances shows what was ``seconds`` ago."""

    kind: ClassVar[str] = "lag"
    seconds: float

    def check(self) -> None:
        """Raises UsageError for what makes no sense."""
        _need(0 < self.seconds <= 600, "a lag is more than 0 and at most 600 seconds")

    def text(self) -> str:
        """One line for people."""
        return f"DescribeInstances lags {self.seconds:g} s behind"


@dataclass(frozen=True, slots=True)
class Clock:
    """The API's clock is ``seconds`` ahead of the true time (negative: behind)."""

    kind: ClassVar[str] = "clock"
    seconds: float

    def check(self) -> None:
        """Raises UsageError for what makes no sense."""
        _need(abs(self.seconds) <= 10 * 365 * 86400, "a clock is at most ten years off")

    def text(self) -> str:
        """One line for people."""
        return f"the API's clock is {abs(self.seconds):g} s {'behind' if self.seconds < 0 else 'ahead'}"


@dataclass(frozen=True, slots=True)
class Broken:
    """One instance that something was done to: killed, frozen or partitioned."""

    kind: ClassVar[str] = "node"
    instance_id: str
    how: str

    def check(self) -> None:
        """Raises UsageError for what makes no sense."""
        _need(self.how in ("killed", "frozen", "partitioned"), f"'{self.how}' is nothing that can be done to a node")

    def text(self) -> str:
        """One line for people."""
        return f"{self.instance_id} {self.how}"


@dataclass(frozen=True, slots=True)
class Interruption:
    """One spot instance that has its notice, or only the recommendation to rebalance (``at`` is 0 then)."""

    kind: ClassVar[str] = "interruption"
    instance_id: str
    noticed: float
    """Epoch seconds."""
    at: float = 0.0
    """When it ends, epoch seconds."""
    action: str = "terminate"
    reason: str = "no-capacity"

    def check(self) -> None:
        """Raises UsageError for what makes no sense."""
        _need(self.reason in ("no-capacity", "price"), f"the reason is no-capacity or price, not '{self.reason}'")
        _need(self.action in ("terminate", "stop", "hibernate"), f"'{self.action}' is no interruption behavior")

    def text(self) -> str:
        """One line for people."""
        if not self.at:
            return f"{self.instance_id} has a rebalance recommendation"
        return f"{self.instance_id} has notice: {self.action} for {self.reason}"


Effect = Shortage | Throttle | Failure | Delay | Lag | Clock | Broken | Interruption
KINDS: dict[str, type[Effect]] = {kind.kind: kind for kind in typing.get_args(Effect)}

_KNOWN = {
    "InsufficientInstanceCapacity": (
        500,
        "We currently do not have sufficient capacity in the Availability Zone you requested.",
    ),
    "InternalError": (500, "An internal error has occurred"),
    "InternalFailure": (500, "The request processing has failed because of an unknown error."),
    "RequestLimitExceeded": (503, "Request limit exceeded."),
    "ServiceUnavailable": (503, "The request has failed due to a temporary failure of the server."),
    "SlowDown": (503, "Please reduce your request rate."),
    "Unavailable": (503, "The server is overloaded and can't handle the request."),
    "AccessDenied": (403, "Access Denied"),
    "UnauthorizedOperation": (403, "You are not authorized to perform this operation."),
    "Throttling": (400, "Rate exceeded"),
    "ThrottlingException": (400, "Rate exceeded"),
}
"""HTTP status and message of errors that are often wanted."""

_THROTTLED = {
    "ec2": "RequestLimitExceeded",
    "s3": "SlowDown",
    "iam": "Throttling",
    "sts": "Throttling",
}


def throttled(service: str) -> Fault:
    """How a service says that there were too many requests."""
    code = _THROTTLED.get(service, "ThrottlingException")
    status, message = _KNOWN[code]
    return Fault(code, message, status)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Tokens that a bucket held at a time (seconds)."""

    tokens: float
    at: float


def take(bucket: Bucket | None, limit: tuple[float, float], now: float, count: int = 1) -> tuple[Bucket, bool]:
    """The bucket (None: full) after a request, and whether there were ``count`` tokens for it, else it takes none;
    ``limit``: (burst, rate)."""
    burst, rate = limit
    held = burst
    if bucket is not None:
        held = min(burst, bucket.tokens + max(0.0, now - bucket.at) * rate)
    # Ten times a tenth of a token is one, whatever floating point makes of it.
    if held >= count - 1e-9:
        return Bucket(max(0.0, held - count), now), True
    return Bucket(held, now), False


def draw(seed: int | str, number: int) -> float:
    """A number from 0 to 1 that follows from seed and number alone, so that what happened can happen again."""
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:6]) / (1 << 48)


def to_json(effect: Effect) -> dict[str, Any]:
    """The effect as a dictionary with its ``kind``."""
    return {"kind": effect.kind, **asdict(effect)}


def effect_of(kind: str, values: Mapping[str, Any]) -> Effect:
    """The effect of a kind from JSON values.

    Raises:
        UsageError: an unknown kind, a value that is missing, unknown, of another type, or makes no sense.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no fault '{kind}'", hint=f"known: {', '.join(KINDS)}")
    made = _filled(KINDS[kind], values)
    made.check()
    return made


Made = TypeVar("Made")


def _filled(kind: type[Made], values: Mapping[str, Any]) -> Made:
    known = {field.name: field for field in fields(cast("Any", kind))}
    if unknown := sorted(values.keys() - known.keys()):
        raise UsageError(f"unknown: {', '.join(unknown)}", hint=f"known: {', '.join(known)}")
    hints = typing.get_type_hints(kind)
    given: dict[str, Any] = {}
    for name, field in known.items():
        if name in values:
            given[name] = _typed(name, values[name], hints[name])
        elif field.default is MISSING:
            raise UsageError(f"'{name}' is missing")
    return kind(**given)


def _typed(name: str, value: Any, wanted: type | types.UnionType) -> Any:
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise UsageError(f"'{name}' must be {getattr(wanted, '__name__', wanted)}, not {value!r}")
    return value


def _need(holds: bool, message: str) -> None:  # noqa: FBT001 - a condition and what it means
    if not holds:
        raise UsageError(message)


def _matches(pattern: str, text: str) -> bool:
    return fnmatchcase(text.lower(), pattern.lower())


def _about(pattern: str, principal: str, call: Call) -> bool:
    """``pattern``: "ec2:Run*", "RunInstances" (of any service), "*"."""
    service, colon, action = pattern.rpartition(":")
    fits = _matches(action, call.action) and (not colon or _matches(service, call.service))
    return fits and _matches(principal, call.principal)


def _whose(principal: str) -> str:
    return "" if principal == "*" else f" (callers {principal})"
