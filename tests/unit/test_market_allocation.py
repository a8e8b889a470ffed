"""How a fleet shares out: each strategy, weights, single types and zones, budgets."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from hcluster.localcloud.api.market.allocation import (
    ON_DEMAND_STRATEGIES,
    SPOT_STRATEGIES,
    Pool,
    Terms,
    affordable,
    choices,
    fill,
    plan,
    ranked,
    total,
)


def _pool(place: int, **more: object) -> Pool:
    pool = Pool(
        place, f"m{place}.large", f"us-east-1{'abc'[place % 3]}", weight=1, priority=place, price=0.1, depth=1000
    )
    return replace(pool, **more)  # type: ignore[arg-type]


CHEAP = _pool(0, price=0.03, depth=5, priority=3.0)
DEEP = _pool(1, price=0.05, depth=900, priority=2.0)
FIRST = _pool(2, price=0.04, depth=50, priority=1.0)
POOLS = [CHEAP, DEEP, FIRST]


@pytest.mark.parametrize(
    ("strategy", "missing", "order"),
    [
        ("lowest-price", 10, [CHEAP, FIRST, DEEP]),
        ("prioritized", 10, [FIRST, DEEP, CHEAP]),
        ("capacity-optimized", 10, [DEEP, FIRST, CHEAP]),
        # What has room for ten comes by priority, the rest after it.
        ("capacity-optimized-prioritized", 10, [FIRST, DEEP, CHEAP]),
        ("capacity-optimized-prioritized", 100, [DEEP, FIRST, CHEAP]),
        # Of what has room the cheapest.
        ("price-capacity-optimized", 10, [FIRST, DEEP, CHEAP]),
        ("price-capacity-optimized", 3, [CHEAP, FIRST, DEEP]),
        ("price-capacity-optimized", 100, [DEEP, FIRST, CHEAP]),
    ],
)
def test_each_strategy_ranks_pools_its_own_way(strategy: str, missing: float, order: list[Pool]) -> None:
    assert ranked(POOLS, missing, strategy) == order


def test_the_lowest_price_is_that_of_a_unit_of_capacity() -> None:
    big = _pool(3, price=0.1, weight=4.0)
    assert ranked([CHEAP, big], 8, "lowest-price") == [big, CHEAP]


def test_equal_pools_come_in_the_requests_order() -> None:
    same = [_pool(place, priority=1.0) for place in range(3)]
    for strategy in (*SPOT_STRATEGIES, *ON_DEMAND_STRATEGIES):
        assert ranked(list(reversed(same)), 5, strategy) == same


def test_diversified_gives_every_pool_the_same() -> None:
    shares = plan(POOLS, 7, Terms("diversified"))
    assert sorted(share.count for share in shares) == [2, 2, 3]
    assert total(shares) == 7


def test_lowest_price_uses_as_many_pools_as_it_is_told() -> None:
    assert [share.pool for share in plan(POOLS, 6, Terms("lowest-price"))] == [CHEAP]
    two = plan(POOLS, 6, Terms("lowest-price", pools_to_use=2))
    assert [(share.pool, share.count) for share in two] == [(CHEAP, 3), (FIRST, 3)]


def test_weights_overshoot_by_less_than_one_instance() -> None:
    (share,) = plan([_pool(0, weight=3.0)], 10, Terms("lowest-price"))
    assert share.count == 4
    (share,) = plan([_pool(0, weight=0.1)], 1, Terms("lowest-price"))
    assert share.count == 10, "fractions are no reason for one more"


def test_plans_reach_the_target_and_no_instance_is_superfluous() -> None:
    chance = random.Random(7)  # noqa: S311 - the same each time
    for _ in range(500):
        pools = [
            _pool(
                place,
                weight=chance.choice([0.5, 1, 1, 2, 3.5, 8]),
                priority=chance.choice([1.0, 2.0, float("inf")]),
                price=chance.uniform(0.01, 5),
                depth=chance.randrange(1, 400),
            )
            for place in range(chance.randrange(1, 9))
        ]
        target = chance.randrange(1, 200)
        terms = Terms(chance.choice(SPOT_STRATEGIES), pools_to_use=chance.randrange(1, 4))
        shares = plan(pools, target, terms)
        assert total(shares) >= target - 1e-6
        assert total(shares) - max(share.pool.weight for share in shares) < target
        assert len({share.pool.place for share in shares}) == len(shares)


def test_a_pool_that_runs_dry_is_left_for_the_next_best() -> None:
    asked: list[tuple[str, int]] = []

    def take(pool: Pool, count: int) -> int:
        asked.append((pool.instance_type, count))
        return min(count, pool.depth)

    assert fill(POOLS, 60, Terms("lowest-price"), take) == 60
    assert asked == [(CHEAP.instance_type, 60), (FIRST.instance_type, 55), (DEEP.instance_type, 5)]


def test_filling_ends_when_every_pool_is_dry() -> None:
    chance = random.Random(11)  # noqa: S311 - the same each time
    for _ in range(300):
        pools = [_pool(place, weight=chance.choice([1, 2, 5]), depth=chance.randrange(0, 20)) for place in range(5)]
        left = {pool: pool.depth for pool in pools}

        def take(pool: Pool, count: int, left: dict[Pool, int] = left) -> int:
            given = min(count, left[pool])
            left[pool] -= given
            return given

        target = chance.randrange(1, 150)
        got = fill(pools, target, Terms(chance.choice(SPOT_STRATEGIES), pools_to_use=2), take)
        if got < target:
            assert not any(left.values()), "short only when nothing is left"
        else:
            assert got - 5 < target


def test_no_more_is_taken_than_the_budget_allows() -> None:
    assert fill(POOLS, 100, Terms("lowest-price"), lambda _, count: count, most=0.1) == 3
    assert affordable(CHEAP, 10, spent=0.0, most=None) == 10
    assert affordable(CHEAP, 10, spent=0.09, most=0.12) == 1
    assert affordable(CHEAP, 10, spent=0.5, most=0.12) == 0


def test_single_type_and_zone_offer_one_group_after_the_other() -> None:
    pools = [
        _pool(0, instance_type="m5.large", zone="a", price=0.05),
        _pool(1, instance_type="m5.large", zone="b", price=0.04),
        _pool(2, instance_type="r5.large", zone="b", price=0.03),
    ]
    terms = Terms("lowest-price", single_type=True)
    assert list(choices(pools, 1, terms)) == [[pools[2]], [pools[0], pools[1]]]
    assert list(choices(pools, 1, Terms("lowest-price", single_zone=True))) == [[pools[1], pools[2]], [pools[0]]]
    both = Terms("lowest-price", single_type=True, single_zone=True)
    assert list(choices(pools, 1, both)) == [[pools[2]], [pools[1]], [pools[0]]]
    assert list(choices(pools, 1, Terms("lowest-price"))) == [pools]
