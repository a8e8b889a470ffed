"""How a fleet shares its target capacity out over pools: EC2's allocation strategies.

Strategies as the EC2 user guide words them ("Use allocation strategies to determine how EC2 Fleet fulfills
Spot and On-Demand capacity"). A plan is made for the pools that are still open; when a pool gave less than asked, the
fleet plans again without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

SPOT_STRATEGIES = (
    "lowest-price",
    "diversified",
    "capacity-optimized",
    "capacity-optimized-prioritized",
    "price-capacity-optimized",
)
ON_DEMAND_STRATEGIES = ("lowest-price", "prioritized")
_EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Pool:
    """What one override (or one type that its requirements allow) can launch.

    ``price`` is one instance's, in US dollars an hour; ``depth`` how many instances the pool is thought to have;
    ``place`` its place in the request; ``priority`` as in the override: the lower, the sooner.
    """

    place: int
    instance_type: str
    zone: str
    weight: float
    priority: float
    price: float
    depth: int

    @property
    def unit_price(self) -> float:
        """Of one unit of capacity."""
        return self.price / self.weight


@dataclass(frozen=True, slots=True)
class Terms:
    """How to share out."""

    strategy: str
    pools_to_use: int = 1
    """InstancePoolsToUseCount of the spot strategy lowest-price."""
    single_type: bool = False
    single_zone: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """So many instances of one pool."""

    pool: Pool
    count: int


def ranked(pools: Sequence[Pool], missing: float, strategy: str) -> list[Pool]:
    """Best first. Capacity counts for as many instances as ``missing`` asks of a pool."""

    def deep(pool: Pool) -> bool:
        return pool.depth >= math.ceil(missing / pool.weight)

    keys: dict[str, Callable[[Pool], tuple[float, ...]]] = {
        "lowest-price": lambda pool: (pool.unit_price,),
        "prioritized": lambda pool: (pool.priority,),
        "diversified": lambda pool: (pool.unit_price,),
        "capacity-optimized": lambda pool: (-pool.depth * pool.weight,),
        # Capacity first, priorities as far as they cost none of it.
        "capacity-optimized-prioritized": lambda pool: (
            (0.0, pool.priority) if deep(pool) else (1.0, -pool.depth * pool.weight)
        ),
        "price-capacity-optimized": lambda pool: (
            (0.0, pool.unit_price) if deep(pool) else (1.0, -pool.depth * pool.weight)
        ),
    }
    return sorted(pools, key=lambda pool: (*keys[strategy](pool), pool.place))


def plan(pools: Sequence[Pool], missing: float, terms: Terms) -> list[Share]:
    """Shares that together reach ``missing``, with the overshoot that weights bring. Nothing for no pools."""
    if missing <= _EPSILON or not pools:
        return []
    order = ranked(pools, missing, terms.strategy)
    if terms.strategy == "diversified":
        return _spread(order, missing)
    if terms.strategy == "lowest-price" and terms.pools_to_use > 1:
        return _spread(order[: terms.pools_to_use], missing)
    return [Share(order[0], _needed(order[0], missing))]


def _needed(pool: Pool, missing: float) -> int:
    return math.ceil(missing / pool.weight - _EPSILON)


def _spread(pools: Sequence[Pool], missing: float) -> list[Share]:
    """Evenly by capacity: the next instance goes to the pool that has least."""
    counts = [0] * len(pools)
    while missing > _EPSILON:
        least = min(range(len(pools)), key=lambda i: (counts[i] * pools[i].weight, i))
        counts[least] += 1
        missing -= pools[least].weight
    return [Share(pool, count) for pool, count in zip(pools, counts, strict=True) if count]


def choices(pools: Sequence[Pool], target: float, terms: Terms) -> Iterator[list[Pool]]:
    """The sets of pools that may serve a fleet together, best first: all at once, or those of one type, of one zone."""
    if not terms.single_type and not terms.single_zone:
        yield list(pools)
        return

    def group(pool: Pool) -> tuple[str, str]:
        return (pool.instance_type if terms.single_type else "", pool.zone if terms.single_zone else "")

    order = ranked(pools, target, terms.strategy)
    for key in dict.fromkeys(map(group, order)):
        yield [pool for pool in pools if group(pool) == key]


def affordable(pool: Pool, count: int, spent: float, most: float | None) -> int:
    """How many of ``count`` instances fit under ``most`` US dollars an hour when ``spent`` are spent already."""
    if most is None:
        return count
    return max(min(count, math.floor((most - spent) / pool.price + _EPSILON)), 0)


def total(shares: Sequence[Share]) -> float:
    """Capacity of all shares."""
    return sum(share.pool.weight * share.count for share in shares)


def fill(
    pools: Sequence[Pool], target: float, terms: Terms, take: Callable[[Pool, int], int], most: float | None = None
) -> float:
    """Take instances from pools until ``target`` is reached or no pool has any left. Returns the capacity taken.

    ``take`` says how many of the asked a pool gave; a pool that gave fewer is not asked again. ``most``: US dollars an
    hour that all of it may cost.
    """
    left, got, spent = list(pools), 0.0, 0.0
    while shares := plan(left, target - got, terms):
        for share in shares:
            count = affordable(share.pool, share.count, spent, most)
            taken = take(share.pool, count) if count else 0
            got += taken * share.pool.weight
            spent += taken * share.pool.price
            if taken < share.count:
                left.remove(share.pool)
    return got
