"""Prices of the fake cloud: those of a few types, and a spot price of its own for each zone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hcluster.errors import DeniedError
from hcluster.model.price import ListPrice, SpotPrice
from hcluster.ports import Clock
from hcluster.testing.probes import Probe, Probed, no_probe, probed

LISTED = {"m5.large": 0.096, "m5.xlarge": 0.192, "m5a.large": 0.086, "m5.2xlarge": 0.384, "t3.large": 0.0832}
"""US dollars an hour, on-demand."""
PUBLISHED = datetime(2026, 7, 20, tzinfo=UTC)


class InMemoryPrices(Probed):
    """Implements ``hcluster.ports.Prices``; ``listed`` and ``shares`` may be changed, ``denied`` lets calls fail."""

    port = "prices"

    def __init__(self, clock: Clock, *, probe: Probe = no_probe) -> None:
        super().__init__(probe)
        self._clock = clock
        self.listed = dict(LISTED)
        self.shares = {"a": 0.3, "b": 0.4}
        """Spot prices as shares of the on-demand one, by the last letter of the zone; other zones have 0.5."""
        self.denied = False

    @probed
    def on_demand(self, types: Sequence[str]) -> dict[str, ListPrice]:
        """The price of each type that is listed."""
        self._may("pricing:GetProducts")
        return {one: ListPrice(one, self.listed[one], PUBLISHED) for one in types if one in self.listed}

    @probed
    def spot(self, types: Sequence[str], zones: Sequence[str]) -> dict[tuple[str, str], SpotPrice]:
        """The price of each pool now."""
        self._may("ec2:DescribeSpotPriceHistory")
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        return {
            (one, zone): SpotPrice(one, zone, round(self.listed[one] * self.shares.get(zone[-1], 0.5), 6), now)
            for one in types
            for zone in zones
            if one in self.listed
        }

    def _may(self, action: str) -> None:
        if self.denied:
            raise DeniedError(f"reading prices: not authorized to perform {action}", hint="allow it to the caller")
