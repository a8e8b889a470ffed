"""Spot placement scores: how likely a request is to succeed, from 1 to 10.

What AWS's score is made of is not public; the user guide ("Spot placement score") says that it rises with the number of
types, that fewer than three types score low, and that 10 means highly likely. Here it is the capacity that the types'
pools are thought to have, in relation to what is asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime

from hcluster.localcloud.api.market import offerings, prices

FEW_TYPES, FEW_TYPES_MOST = 3, 3
"""With fewer types than the first, a score is at most the second."""


def room(
    types: Sequence[str],
    zone: str,
    unit: str,
    at: datetime,
    limit: Callable[[str, str, str], int | None],
    memory_mib: Callable[[str], int | None],
) -> float:
    """Capacity of a zone's spot pools, in ``unit``. ``limit``: what is left of a pool, None for no limit."""
    total = 0.0
    for kind in types:
        if not offerings.offered(kind, zone):
            continue
        vcpus = offerings.catalogue()[kind].vcpus
        depth, left = prices.depth(kind, zone, vcpus, at), limit(kind, zone, "spot")
        each = {"vcpu": vcpus, "memory-mib": memory_mib(kind) or 0}.get(unit, 1)
        total += each * (depth if left is None else min(depth, left))
    return total


def score(capacity: float, target: int, types: int) -> int:
    """1 to 10: ten when there is ten times what is asked, one when there is less than asked."""
    if capacity < target:
        return 1
    found = min(10, 1 + math.floor(9 * math.log10(capacity / target)))
    return min(found, FEW_TYPES_MOST) if types < FEW_TYPES else found
