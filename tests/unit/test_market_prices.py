"""On-demand prices as listed; spot prices that move and are the same for each reader."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from hcluster.localcloud.api.market import offerings, price_list, prices, quotas

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")


@pytest.mark.parametrize(
    ("instance_type", "dollars"),
    [
        ("t3.nano", 0.0052),
        ("t2.small", 0.023),
        ("m5.large", 0.096),
        ("m5.xlarge", 0.192),
        ("m5.24xlarge", 4.608),
        ("c7i.8xlarge", 1.428),
        ("r6i.4xlarge", 1.008),
        ("i3en.2xlarge", 0.904),
    ],
)
def test_on_demand_prices_are_those_of_awss_list(instance_type: str, dollars: float) -> None:
    assert prices.on_demand(instance_type) == pytest.approx(dollars, abs=1e-9)


def test_types_that_are_not_in_the_table_have_no_price() -> None:
    assert [prices.on_demand(kind) for kind in ("p4d.24xlarge", "m5.metal", "m5", "nonsense")] == [None] * 4
    assert prices.spot("p4d.24xlarge", ZONES[0], NOW) is None
    assert list(prices.history("p4d.24xlarge", ZONES[0], NOW, NOW)) == []


def test_every_spot_price_stays_between_its_shares_of_on_demand() -> None:
    for kind in offerings.catalogue():
        listed = prices.on_demand(kind)
        assert listed is not None
        for day in range(0, 90, 9):
            price = prices.spot(kind, ZONES[day % 3], NOW - timedelta(days=day))
            assert price is not None
            assert prices.LOWEST * listed <= price <= prices.HIGHEST * listed * 1.03, (kind, day)


def test_a_pools_price_moves_by_small_steps_and_differs_between_zones() -> None:
    changes = list(prices.history("m5.xlarge", ZONES[0], NOW - timedelta(days=30), NOW))
    assert len(changes) in (180, 181, 182)
    assert len({change.price for change in changes}) > 20
    for later, earlier in pairwise(changes):
        assert later.since - earlier.since == prices.STEP
        assert abs(later.price / earlier.price - 1) < 0.15
    assert len({prices.spot("m5.xlarge", zone, NOW) for zone in ZONES}) == 3


def test_history_ends_with_the_price_that_was_in_force_at_its_start() -> None:
    start = NOW - timedelta(hours=30)
    changes = list(prices.history("r5.large", ZONES[1], start, NOW))
    assert changes[-1].since <= start < changes[-2].since
    assert changes[-1].price == prices.spot("r5.large", ZONES[1], start)
    assert changes[0].price == prices.spot("r5.large", ZONES[1], NOW)
    assert changes[0].since <= NOW
    assert list(prices.history("r5.large", ZONES[1], NOW, start)) == []


def test_pools_of_bigger_types_are_less_deep() -> None:
    small = sum(prices.depth("m5.large", zone, 2, NOW) for zone in ZONES)
    assert small > sum(prices.depth("m5.24xlarge", zone, 96, NOW) for zone in ZONES)
    assert all(prices.depth(kind, ZONES[0], one.vcpus, NOW) >= 20 for kind, one in offerings.catalogue().items())


def test_every_type_of_the_catalogue_is_offered_somewhere_and_listed_once() -> None:
    assert len(offerings.catalogue()) > 400
    assert all(offerings.zones_of(kind) for kind in offerings.catalogue())
    assert not offerings.offered("p4d.24xlarge", ZONES[0])
    listed = [one["product"]["attributes"]["instanceType"] for one in price_list.products()]
    assert listed == list(offerings.catalogue())


@pytest.mark.parametrize(
    ("instance_type", "spot", "code"),
    [
        ("m5.large", False, "L-1216C47A"),
        ("i3.large", True, "L-34B43A08"),
        ("g5.xlarge", False, "L-DB2E81BA"),
        ("vt1.3xlarge", True, "L-3819A6DF"),
        ("inf2.xlarge", False, "L-1945791B"),
        ("x2idn.16xlarge", True, "L-E3A00192"),
    ],
)
def test_a_type_counts_against_its_familys_quota(instance_type: str, spot: bool, code: str) -> None:
    assert quotas.quota_of(instance_type, spot=spot).code == code


def test_room_counts_the_vcpus_of_its_own_quota_only() -> None:
    quota = quotas.quota_of("m5.large", spot=True)
    running = [("m5.xlarge", True, 4), ("m5.xlarge", False, 4), ("g5.xlarge", True, 4), ("r5.large", True, 2)]
    assert quotas.room(quota, 10.0, running) == 4
    assert quotas.room(quota, 5.0, running) == 0
