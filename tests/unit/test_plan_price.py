"""What plans cost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from hcluster.model.actions import Action, Kind
from hcluster.model.forecast import Amount, Cost, GroupCost
from hcluster.model.names import TAG_GROUP
from hcluster.model.node import Instance, Market
from hcluster.model.price import ListPrice, SpotPrice
from hcluster.plan.price import Offer, PriceBook, cost, types_of, zones_of

DAY = datetime(2026, 7, 20, tzinfo=UTC)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
LISTED = {"m5.large": 0.1, "m5.xlarge": 0.2}
SPOT = {("m5.large", "a"): 0.03, ("m5.large", "b"): 0.04, ("m5.xlarge", "a"): 0.07}
OFFERS: Mapping[str, Offer] = {
    "master": Offer("on-demand", ("m5.xlarge",), ("a",)),
    "core": Offer("spot", ("m5.large",), ("a", "b")),
    "task": Offer("spot", ("m5.large", "m5.xlarge"), ("a", "b")),
}


def book(**without: Any) -> PriceBook:
    listed = {one: ListPrice(one, usd, DAY) for one, usd in LISTED.items() if one != without.get("listed")}
    spot = {(one, zone): SpotPrice(one, zone, usd, NOW) for (one, zone), usd in SPOT.items()}
    return PriceBook(listed, {pool: one for pool, one in spot.items() if pool[0] != without.get("spot")}, NOW)


def node(name: str, group: str, kind: str = "m5.large", market: Market = "spot", state: str = "running") -> Instance:
    return Instance(name, state, "", "", kind, "a", market, "ami-1", NOW, {TAG_GROUP: group})


def action(kind: Kind, group: str, count: int, *nodes: str) -> Action:
    return Action(kind, group, count, "", "", nodes=nodes)


def of(found: Cost, group: str) -> GroupCost:
    (line,) = (one for one in found.groups if one.group == group)
    return line


RUNNING = [node("i-m", "master", "m5.xlarge", "on-demand"), node("i-1", "core"), node("i-2", "core")]


def test_a_new_cluster_costs_nothing_before_and_a_range_after_where_the_cloud_chooses() -> None:
    found = cost([], [action("launch", "master", 1), action("launch", "core", 2)], OFFERS, book())
    assert [one.group for one in found.groups] == ["master", "core", "total"]
    assert of(found, "master").after == Amount(0.2, 0.2)
    core = of(found, "core")
    assert (core.nodes_before, core.nodes_after) == (0, 2)
    assert (core.before, core.after, core.difference) == (Amount(0, 0), Amount(0.06, 0.08), Amount(0.06, 0.08))
    assert (core.on_demand, core.spot) == (Amount(0.2, 0.2), Amount(0.06, 0.08))
    total = of(found, "total")
    assert (total.nodes_after, total.after, total.difference) == (3, Amount(0.26, 0.28), Amount(0.26, 0.28))
    assert (found.listed, found.spot_at, found.unknown) == (DAY, NOW, ())
    assert "EBS volumes" in found.not_included


def test_nodes_that_stay_are_no_part_of_the_difference() -> None:
    found = cost(RUNNING, [action("launch", "core", 1)], OFFERS, book())
    core = of(found, "core")
    assert (core.before, core.after, core.difference) == (Amount(0.06, 0.06), Amount(0.09, 0.1), Amount(0.03, 0.04))
    assert of(found, "master").difference == Amount(0, 0)


def test_nothing_to_do_changes_no_price() -> None:
    found = cost(RUNNING, [action("tell", "core", 2, "i-1", "i-2"), action("pending", "core", 2)], OFFERS, book())
    total = of(found, "total")
    assert (total.before, total.after, total.difference) == (Amount(0.26, 0.26), Amount(0.26, 0.26), Amount(0, 0))
    assert (total.nodes_before, total.nodes_after) == (3, 3)


def test_a_replacement_is_an_end_and_a_launch() -> None:
    bigger = {**OFFERS, "core": Offer("on-demand", ("m5.xlarge",), ("a",))}
    found = cost(RUNNING, [action("replace", "core", 2, "i-1", "i-2")], bigger, book())
    core = of(found, "core")
    assert (core.nodes_before, core.nodes_after) == (2, 2)
    assert (core.before, core.after, core.difference) == (Amount(0.06, 0.06), Amount(0.4, 0.4), Amount(0.34, 0.34))


def test_what_ends_is_subtracted() -> None:
    ends = [action("end", "master", 1, "i-m"), action("end", "core", 2, "i-1", "i-2"), action("remove", "", 1)]
    found = cost(RUNNING, ends, {}, book())
    total = of(found, "total")
    assert (total.before, total.after, total.difference) == (Amount(0.26, 0.26), Amount(0, 0), Amount(-0.26, -0.26))


def test_nodes_that_have_ended_cost_nothing() -> None:
    found = cost([node("i-1", "core", state="terminated")], [], OFFERS, book())
    assert of(found, "total").before == Amount(0, 0)


def test_types_differ_in_price_and_a_type_need_not_be_offered_everywhere() -> None:
    found = of(cost([], [action("launch", "task", 1)], OFFERS, book()), "task")
    assert (found.after, found.on_demand) == (Amount(0.03, 0.07), Amount(0.1, 0.2))


@pytest.mark.parametrize("missing", ["listed", "spot"])
def test_a_price_that_is_not_known_makes_no_sum_and_is_named(missing: str) -> None:
    found = cost(RUNNING, [action("launch", "task", 2)], OFFERS, book(**{missing: "m5.xlarge"}))
    task, total = of(found, "task"), of(found, "total")
    assert (task.on_demand is None, task.spot is None) == (missing == "listed", missing == "spot")
    assert (task.after is None) == (missing == "spot")
    assert (total.before is None) == (missing == "listed"), "the master's"
    assert total.after is None
    assert "m5.xlarge" in found.unknown[0]
    assert of(found, "core").difference == Amount(0, 0)


def test_without_any_price_everything_is_unknown_and_the_reason_told() -> None:
    found = cost(RUNNING, [], OFFERS, PriceBook(unknown=("you may not read them",)))
    total = of(found, "total")
    assert (total.before, total.after, total.on_demand, total.spot) == (None, None, None, None)
    assert total.difference == Amount(0, 0), "nothing changes, whatever it costs"
    assert (found.unknown, found.listed, found.spot_at) == (("you may not read them",), None, None)


def test_prices_are_asked_for_what_runs_and_what_may_come() -> None:
    assert types_of(RUNNING, {"task": Offer("spot", ("c5.large",), ())}) == ["c5.large", "m5.large", "m5.xlarge"]
    assert zones_of(RUNNING, OFFERS) == ["a", "b"]
