"""EC2's documented limits of requests, as token buckets by action. Pure.

https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html: actions that only read share one size of
bucket, those without filter or page a smaller one, those that change something another, and some have their own. What
launches, starts, stops or ends instances also takes a token for each instance, from a second bucket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

_READS = ("Describe", "Get", "List", "Search")
_READ, _BARE, _CHANGE = (100.0, 20.0), (50.0, 10.0), (50.0, 5.0)
_OWN = {
    "CreateNetworkInterface": (100.0, 5.0),
    "CreateTags": (100.0, 10.0),
    "RunInstances": (5.0, 2.0),
    "StartInstances": (5.0, 2.0),
    "TerminateInstances": (100.0, 5.0),
}
_INSTANCES = {
    "RunInstances": (1000.0, 2.0),
    "StartInstances": (1000.0, 2.0),
    "StopInstances": (1000.0, 20.0),
    "TerminateInstances": (1000.0, 20.0),
}
_FREE = {"Action", "Version", "DryRun"}
_LISTED = re.compile(r"InstanceId\.\d+")


@dataclass(frozen=True, slots=True)
class Size:
    """What a request's limits depend on besides its action."""

    instances: int = 0
    """How many it would launch, start, stop or end."""
    bare: bool = False
    """It reads all there is: without ids, filters or pages."""


SMALLEST = Size()


def size_of(action: str, body: bytes) -> Size:
    """The size of a request to EC2, from its form."""
    pairs = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    bare = "Action" in pairs and action.startswith("Describe") and pairs.keys() <= _FREE
    if action == "RunInstances":
        most = pairs.get("MaxCount", "")
        return Size(int(most) if most.isascii() and most.isdigit() else 0)
    if action in _INSTANCES:
        return Size(sum(_LISTED.fullmatch(name) is not None for name in pairs))
    return Size(bare=bare)


def ec2_limit(action: str, *, bare: bool = False) -> tuple[float, float]:
    """(requests at once, requests a second after that) of an action of EC2."""
    if bare:
        return _BARE
    return _OWN.get(action) or (_READ if action.startswith(_READS) else _CHANGE)


def instance_limit(action: str) -> tuple[float, float] | None:
    """The same of the instances that the action is about; None: they are not limited."""
    return _INSTANCES.get(action)
