"""What ports.Prices promises."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.contract.world import World


def test_types_have_a_price_by_the_hour_with_the_day_of_its_list(world: World) -> None:
    found = world.prices.on_demand(["m5.large", "m5.xlarge", "m5.large"])
    assert {name: one.usd for name, one in found.items()} == {"m5.large": 0.096, "m5.xlarge": 0.192}
    assert all(one.published < datetime.fromtimestamp(world.clock.now(), UTC) for one in found.values())


def test_a_type_without_a_price_is_left_out(world: World) -> None:
    assert set(world.prices.on_demand(["m5.large", "m5.gigantic"])) == {"m5.large"}
    assert world.prices.on_demand(["m5.gigantic"]) == {}
    assert world.prices.on_demand([]) == {}


def test_spot_prices_are_those_of_now_in_each_zone_asked_for(world: World) -> None:
    zones = list(world.compute.subnet_zones(world.places()).values())
    listed = world.prices.on_demand(["m5.large", "m5.xlarge"])
    found = world.prices.spot(["m5.large", "m5.xlarge"], zones[:1])
    assert set(found) == {("m5.large", zones[0]), ("m5.xlarge", zones[0])}
    for (name, zone), one in found.items():
        assert (one.instance_type, one.zone) == (name, zone)
        assert 0 < one.usd < listed[name].usd
        assert one.since <= datetime.fromtimestamp(world.clock.now() + 1, UTC)


def test_pools_that_do_not_exist_have_no_spot_price(world: World) -> None:
    zones = list(world.compute.subnet_zones(world.places()).values())
    assert world.prices.spot(["m5.gigantic"], zones) == {}
    assert world.prices.spot(["m5.large"], []) == {}
    assert world.prices.spot([], zones) == {}
