"""EC2's documented limits of requests, as token buckets by action. Pure.

https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html: actions that only read share one size of
bucket, those that change something another, and some have their own. Each action has its own bucket; that of reads
without filter or page, which is half as big, is not told apart.
"""

from __future__ import annotations

_READS = ("Describe", "Get", "List", "Search")
_READ, _CHANGE = (100.0, 20.0), (50.0, 5.0)
_OWN = {
    "CreateNetworkInterface": (100.0, 5.0),
    "CreateTags": (100.0, 10.0),
    "RunInstances": (5.0, 2.0),
    "StartInstances": (5.0, 2.0),
    "TerminateInstances": (100.0, 5.0),
}


def ec2_limit(action: str) -> tuple[float, float]:
    """(requests at once, requests a second after that) of an action of EC2."""
    return _OWN.get(action) or (_READ if action.startswith(_READS) else _CHANGE)
