"""What a plan costs by the hour: the nodes that are there, those that go, and those that come. Pure.

A node that runs has a type, a zone and a market, and so a price. One that is to be launched may become any of its
group's types in any of its zones: its price is a range. Where a single price that may count is not known, the sum is
not known either: no number is better than one that only looks like it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hcluster.model.actions import Action
from hcluster.model.forecast import Amount, Cost, GroupCost
from hcluster.model.names import TAG_GROUP
from hcluster.model.node import Instance, Market
from hcluster.model.price import ListPrice, SpotPrice

ORDER = ("master", "core", "task")
TOTAL = "total"
_PLACES = 6
"""Digits that are kept: sums of a few prices carry the noise of binary fractions."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the new nodes of a group may become."""

    market: Market
    types: tuple[str, ...]
    zones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PriceBook:
    """All prices that a plan may need, as far as they are known."""

    listed: Mapping[str, ListPrice] = field(default_factory=dict)
    spot: Mapping[tuple[str, str], SpotPrice] = field(default_factory=dict)
    spot_at: datetime | None = None
    unknown: tuple[str, ...] = ()
    """Why a part of it is missing."""


@dataclass(frozen=True, slots=True)
class _Pool:
    """So many nodes of any of these types in any of these zones."""

    count: int
    market: Market
    types: tuple[str, ...]
    zones: tuple[str, ...]


def types_of(nodes: Iterable[Instance], offers: Mapping[str, Offer]) -> list[str]:
    """Every type whose price may be needed, each once."""
    every = [*(node.type for node in nodes), *(one for offer in offers.values() for one in offer.types)]
    return sorted(set(every))


def zones_of(nodes: Iterable[Instance], offers: Mapping[str, Offer]) -> list[str]:
    """Every zone whose prices may be needed, each once."""
    every = [*(node.zone for node in nodes), *(one for offer in offers.values() for one in offer.zones)]
    return sorted({zone for zone in every if zone})


def cost(nodes: Sequence[Instance], actions: Sequence[Action], offers: Mapping[str, Offer], book: PriceBook) -> Cost:
    """What the living ``nodes`` of a cluster cost before and after ``actions``, by group.

    ``offers``: what new nodes of each group may become; a group that launches has one.
    """
    alive = [node for node in nodes if node.alive]
    named = {*(node.tags.get(TAG_GROUP, "") for node in alive), *(one.group for one in actions)} - {""}
    ordered = sorted(named, key=lambda one: (ORDER.index(one) if one in ORDER else len(ORDER), one))
    lines = [_group(name, alive, actions, offers.get(name), book) for name in ordered]
    return Cost(
        groups=(*lines, _total(lines)),
        listed=min((price.published for price in book.listed.values()), default=None),
        spot_at=book.spot_at if book.spot else None,
        unknown=(*book.unknown, *_gaps(alive, offers, book)),
    )


def _group(
    name: str, alive: Sequence[Instance], actions: Sequence[Action], offer: Offer | None, book: PriceBook
) -> GroupCost:
    own = [node for node in alive if node.tags.get(TAG_GROUP) == name]
    steps = [one for one in actions if one.group == name]
    gone = {node for one in steps if one.kind in ("end", "drain", "replace") for node in one.nodes}
    new = sum(one.count for one in steps if one.kind in ("launch", "replace"))
    leaving = [_pool(node) for node in own if node.id in gone]
    staying = [_pool(node) for node in own if node.id not in gone]
    coming = [_Pool(new, offer.market, offer.types, offer.zones)] if new and offer else []
    after = [*staying, *coming]
    return GroupCost(
        group=name,
        nodes_before=len(own),
        nodes_after=len(staying) + new,
        before=_priced([*leaving, *staying], book),
        after=_priced(after, book),
        # Of what changes alone: the price of a node that stays is no part of it, known or not.
        difference=_less(_priced(coming, book), _priced(leaving, book)),
        on_demand=_priced(after, book, "on-demand"),
        spot=_priced(after, book, "spot"),
    )


def _total(lines: Sequence[GroupCost]) -> GroupCost:
    return GroupCost(
        TOTAL,
        nodes_before=sum(one.nodes_before for one in lines),
        nodes_after=sum(one.nodes_after for one in lines),
        before=_sum(one.before for one in lines),
        after=_sum(one.after for one in lines),
        difference=_sum(one.difference for one in lines),
        on_demand=_sum(one.on_demand for one in lines),
        spot=_sum(one.spot for one in lines),
    )


def _pool(node: Instance) -> _Pool:
    return _Pool(1, node.market, (node.type,), (node.zone,))


def _priced(pools: Sequence[_Pool], book: PriceBook, market: Market | None = None) -> Amount | None:
    """What pools cost together, each in its own market or all in ``market``."""
    return _sum(_price(pool, market or pool.market, book) for pool in pools)


def _price(pool: _Pool, market: Market, book: PriceBook) -> Amount | None:
    if market == "on-demand":
        prices = [listed.usd for one in pool.types if (listed := book.listed.get(one))]
        known = len(prices) == len(pool.types)
    else:
        # A type need not be offered in each zone, but somewhere.
        found = {
            (one, zone): price.usd for one in pool.types for zone in pool.zones if (price := book.spot.get((one, zone)))
        }
        prices, known = list(found.values()), {one for one, _ in found} == set(pool.types)
    return _amount(pool.count * min(prices), pool.count * max(prices)) if known and prices else None


def _sum(amounts: Iterable[Amount | None]) -> Amount | None:
    """Together; None when one of them is not known."""
    every = list(amounts)
    known = [one for one in every if one is not None]
    if len(known) < len(every):
        return None
    return _amount(sum(one.low for one in known), sum(one.high for one in known))


def _less(more: Amount | None, less: Amount | None) -> Amount | None:
    return None if more is None or less is None else _amount(more.low - less.high, more.high - less.low)


def _amount(low: float, high: float) -> Amount:
    return Amount(round(low, _PLACES), round(high, _PLACES))


def _gaps(alive: Sequence[Instance], offers: Mapping[str, Offer], book: PriceBook) -> list[str]:
    """Types that have no price though prices could be read."""
    if book.unknown:
        return []
    types = types_of(alive, offers)
    spot = {one for one, _ in book.spot}
    without = {
        "the listed prices": [one for one in types if one not in book.listed],
        "the present spot prices": [one for one in types if one not in spot],
    }
    return [f"{', '.join(gap)}: not among {what}" for what, gap in without.items() if gap]
