"""What a run would do, what that costs by the hour and how long it is likely to take; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from hcluster.errors import HclusterError
from hcluster.flows import history
from hcluster.flows.context import Context
from hcluster.flows.down import plan_down
from hcluster.flows.gather import gather
from hcluster.flows.launch import resolve_image
from hcluster.flows.records import read_platform
from hcluster.flows.up import plan_up
from hcluster.flows.waiting import platform_tag
from hcluster.model import names
from hcluster.model.actions import Action
from hcluster.model.forecast import Expected, Forecast
from hcluster.model.node import Instance
from hcluster.model.price import ListPrice, SpotPrice
from hcluster.plan.expected import expected, kind_of, nodes_of
from hcluster.plan.price import Offer, PriceBook, cost, types_of, zones_of
from hcluster.spec.cluster import ClusterSpec


def forecast_up(ctx: Context, spec: ClusterSpec, *, replace: bool = False) -> Forecast:
    """What ``up`` would do. Raises as ``up.plan_up``: whatever ``up`` would be refused for."""
    actions = plan_up(ctx, spec, replace=replace)
    found = ctx.compute.instances({**platform_tag(ctx), names.TAG_CLUSTER: spec.name})
    subnets = read_platform(ctx.store).subnets
    zones = ctx.compute.subnet_zones(subnets)
    offers = {
        name: Offer(group.market, group.types, (zones[subnets[0]],) if name == "master" else tuple(zones.values()))
        for name, group in spec.groups().items()
        if any(action.group == name and action.kind in ("launch", "replace") for action in actions)
    }
    kind = kind_of(actions, anew=not found)

    def look() -> Expected:
        return _expected(ctx, kind, nodes_of(actions), resolve_image(ctx, spec.image))

    return _forecast(ctx, spec.name, "up", actions, found, offers, look)


def forecast_down(ctx: Context, name: str) -> Forecast:
    """What ``down`` would do. Raises as ``down.plan_down``."""
    actions, found = plan_down(ctx, name)
    ends = sum(action.count for action in actions if action.kind == "end")
    kind = "down" if actions else ""
    return _forecast(ctx, name, "down", actions, found, {}, lambda: _expected(ctx, kind, ends))


def _forecast(
    ctx: Context,
    name: str,
    verb: str,
    actions: Sequence[Action],
    found: Sequence[Instance],
    offers: Mapping[str, Offer],
    look: Callable[[], Expected],
) -> Forecast:
    alive = [node for node in found if node.alive]
    books: list[PriceBook] = []
    seconds: list[Expected] = []
    gather(
        [
            lambda: books.append(price_book(ctx, types_of(alive, offers), zones_of(alive, offers))),
            lambda: seconds.append(look()),
        ]
    )
    return Forecast(name, verb, tuple(actions), cost(alive, actions, offers, books[0]), seconds[0])


def _expected(ctx: Context, kind: str, nodes: int, image: str = "") -> Expected:
    try:
        return expected(history.runs(ctx), kind=kind, nodes=nodes, image=image)
    except HclusterError:
        # Whoever may not read the history is not told how long it takes, but all the rest.
        return Expected(None)


def price_book(ctx: Context, types: Sequence[str], zones: Sequence[str]) -> PriceBook:
    """All prices of these types in these zones; why those are missing that could not be read."""
    unknown: list[str] = []
    listed: dict[str, ListPrice] = {}
    spot: dict[tuple[str, str], SpotPrice] = {}

    def tried(call: Callable[[], object]) -> None:
        try:
            call()
        except HclusterError as cause:
            unknown.append(cause.message)

    gather(
        [
            lambda: tried(lambda: listed.update(ctx.prices.on_demand(types))),
            lambda: tried(lambda: spot.update(ctx.prices.spot(types, zones))),
        ]
    )
    return PriceBook(listed, spot, datetime.fromtimestamp(ctx.clock.now(), UTC), tuple(sorted(unknown)))
