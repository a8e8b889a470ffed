"""Prices: on-demand as AWS listed them, spot as a function of type, zone and time that moves as the real one does.

On-demand: Linux, shared tenancy, us-east-1, US dollars an hour, from AWS's public price list as it was on ``LISTED``
(https://aws.amazon.com/ec2/pricing/on-demand/). Within a family AWS's prices are proportional to the size.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Final

LISTED: Final = date(2026, 7, 20)
"""The day of the price list."""

_LARGE: Final = {
    # Burstable
    "t2": 0.0928, "t3": 0.0832, "t3a": 0.0752,
    # General purpose
    "m4": 0.1, "m5": 0.096, "m5a": 0.086, "m5ad": 0.103, "m5d": 0.113, "m5dn": 0.136, "m5n": 0.119, "m6a": 0.0864,
    "m6i": 0.096, "m6id": 0.11865, "m6idn": 0.15912, "m6in": 0.13923, "m7a": 0.11592, "m7i": 0.1008,
    "m7i-flex": 0.09576, "m8a": 0.12172, "m8i": 0.10584, "m8i-flex": 0.10055,
    # Compute
    "c5": 0.085, "c5a": 0.077, "c5ad": 0.086, "c5d": 0.096, "c5n": 0.108, "c6a": 0.0765, "c6i": 0.085, "c6id": 0.1008,
    "c6in": 0.1134, "c7a": 0.10264, "c7i": 0.08925, "c8a": 0.10777, "c8i": 0.09371, "c8i-flex": 0.08902,
    # Memory
    "r4": 0.133, "r5": 0.126, "r5a": 0.113, "r5ad": 0.131, "r5b": 0.149, "r5d": 0.144, "r5dn": 0.167, "r5n": 0.149,
    "r6a": 0.1134, "r6i": 0.126, "r6id": 0.1512, "r6idn": 0.19539, "r6in": 0.17433, "r7a": 0.15215, "r7i": 0.1323,
    "r7iz": 0.186, "r8a": 0.15976, "r8i": 0.13892, "r8i-flex": 0.13197,
    # Storage
    "i3": 0.156, "i3en": 0.226, "i7ie": 0.2599,
}  # fmt: skip
_ODD: Final = {"t2.small": 0.023}
"""Where the list is not proportional."""
_OF_LARGE: Final = {"nano": 1 / 16, "micro": 1 / 8, "small": 1 / 4, "medium": 1 / 2, "large": 1.0, "xlarge": 2.0}
_TIMES = re.compile(r"(\d+)xlarge")

LOWEST, HIGHEST = 0.25, 0.45
"""Between these shares of the on-demand price a spot price moves."""
STEP = timedelta(hours=4)
"""Time between two changes of one pool's spot price; pools change at different times."""
_WAVE = 12
"""Steps from one turning point of a pool's slow movement to the next: two days."""
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


def on_demand(instance_type: str) -> float | None:
    """US dollars an hour; None for a type that is not in the table."""
    if instance_type in _ODD:
        return _ODD[instance_type]
    family, _, size = instance_type.partition(".")
    large = _LARGE.get(family)
    times = _TIMES.fullmatch(size)
    share = 2.0 * int(times[1]) if times else _OF_LARGE.get(size)
    if large is None or share is None:
        return None
    return round(large * share, 6)


@dataclass(frozen=True, slots=True)
class SpotPrice:
    """What a pool cost from ``since`` on, in US dollars an hour."""

    instance_type: str
    zone: str
    since: datetime
    price: float


def spot(instance_type: str, zone: str, at: datetime) -> float | None:
    """US dollars an hour of one pool at a time; None for a type that is not in the table."""
    listed = on_demand(instance_type)
    return None if listed is None else _price(listed, instance_type, zone, _step(instance_type, zone, at))


def history(instance_type: str, zone: str, start: datetime, end: datetime) -> Iterator[SpotPrice]:
    """The changes of a pool's price up to ``end``, newest first, down to the one that was in force at ``start``."""
    listed = on_demand(instance_type)
    if listed is None or end < start:
        return
    first = _step(instance_type, zone, start)
    for step in range(_step(instance_type, zone, end), first - 1, -1):
        since = _EPOCH + STEP * (step + _phase(instance_type, zone))
        yield SpotPrice(instance_type, zone, since, _price(listed, instance_type, zone, step))


def depth(instance_type: str, zone: str, vcpus: int, at: datetime) -> int:
    """How many spot instances of a pool are likely to be had: what capacity-optimized strategies and placement scores
    compare. At least some hundred vCPUs; the bigger the type, the fewer instances."""
    turn = _step(instance_type, zone, at) // _WAVE
    return max(int((2000 + 8000 * _noise(instance_type, zone, "depth", turn)) / max(vcpus, 1)), 1)


def _step(instance_type: str, zone: str, at: datetime) -> int:
    return math.floor((at - _EPOCH) / STEP - _phase(instance_type, zone))


def _phase(instance_type: str, zone: str) -> float:
    """Where in a step this pool's changes lie, in whole seconds."""
    seconds = STEP.total_seconds()
    return int(_noise(instance_type, zone, "phase", 0) * seconds) / seconds


def _price(listed: float, instance_type: str, zone: str, step: int) -> float:
    turn, within = divmod(step, _WAVE)
    before, after = (_noise(instance_type, zone, "wave", turn + later) for later in (0, 1))
    slow = before + (after - before) * within / _WAVE
    place = _noise(instance_type, zone, "level", 0)
    jitter = _noise(instance_type, zone, "jitter", step)
    share = LOWEST + (HIGHEST - LOWEST) * (0.45 * place + 0.45 * slow + 0.1 * jitter)
    # AWS tells four places; what is cheaper than that keeps enough of them to stay inside the range.
    places = next(digits for digits in count(4) if round(listed * share, digits) >= listed * LOWEST)
    return round(listed * share, places)


def _noise(instance_type: str, zone: str, what: str, number: int) -> float:
    """A number in [0, 1) that is always the same for the same arguments."""
    text = f"{instance_type} {zone} {what} {number}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest()) / float(1 << 48)
