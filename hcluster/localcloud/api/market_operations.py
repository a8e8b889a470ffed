"""EC2's operations about what can be had and at which price: offerings, spot prices, placement scores, requirements."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.core.responses import ActionResult

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.fleet_launch import deletions
from hcluster.localcloud.api.market import offerings, prices, requirements, scores
from hcluster.localcloud.api.market.prices import SpotPrice
from hcluster.localcloud.api.market_records import Market
from hcluster.localcloud.api.paging import page
from hcluster.localcloud.api.parts import EC2Response

KEPT = timedelta(days=90)
"""How far spot price history goes back (EC2 API reference, DescribeSpotPriceHistory)."""
PRODUCT = "Linux/UNIX"
_OFFERING_FILTERS = ("location", "instance-type")
_PRICE_FILTERS = ("availability-zone", "availability-zone-id", "instance-type", "product-description", "spot-price")


class MarketOperations(EC2Response):  # type: ignore[misc]
    """One request to EC2 about the market."""

    _backend: Any

    def _market(self) -> Market:
        found: Market = self._backend
        return found

    def _asked(self) -> dict[str, Any]:
        found: dict[str, Any] = self._request()
        return found

    def _filters(self, known: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for entry in self._asked().get("Filters") or ():
            if entry.get("Name") not in known:
                raise Fault("InvalidParameterValue", f"The filter '{entry.get('Name')}' is invalid")
            found[str(entry["Name"])] = [str(value) for value in entry.get("Values") or ()]
        return found

    def _zone_ids(self) -> dict[str, str]:
        """Zone ids by name, of the zones that this cloud has."""
        ids = {str(zone.name): str(zone.zone_id) for zone in self._backend.describe_availability_zones()}
        return {zone: ids.get(zone, "") for zone, _ in self._market().settings.subnets}

    def describe_instance_types(self) -> ActionResult:
        """DescribeInstanceTypes, a hundred a page."""
        request = self._asked()
        if request.get("InstanceTypes") and request.get("MaxResults"):
            text = "The parameters MaxResults and InstanceTypes can't be used in the same request."
            raise Fault("InvalidParameterCombination", text)
        kinds = [str(kind) for kind in request.get("InstanceTypes") or ()]
        found = self._market().describe_instance_types(kinds, self._filters_from_querystring())
        shown, token = page(found, request, 100)
        return ActionResult({"InstanceTypes": shown, "NextToken": token})

    def describe_instance_type_offerings(self) -> ActionResult:
        """DescribeInstanceTypeOfferings: the types that have machines here."""
        request, market = self._asked(), self._market()
        filters = self._filters(_OFFERING_FILTERS)
        by = request.get("LocationType") or "region"
        zones = self._zone_ids()
        names = {
            "region": {market.region_name: list(zones)},
            "availability-zone": {zone: [zone] for zone in zones},
            "availability-zone-id": {identity: [zone] for zone, identity in zones.items()},
        }.get(by)
        if names is None:
            raise Fault("InvalidParameterValue", f"Value ({by}) for parameter locationType is invalid.")
        found = [
            {"InstanceType": kind, "LocationType": by, "Location": location}
            for kind in offerings.catalogue()
            for location, there in names.items()
            if any(offerings.offered(kind, zone) for zone in there)
            and _passes(filters, {"location": location, "instance-type": kind})
            and market.memory_mib(kind) is not None
        ]
        shown, token = page(found, request, 1000)
        return ActionResult({"InstanceTypeOfferings": shown, "NextToken": token})

    def describe_spot_price_history(self) -> ActionResult:
        """DescribeSpotPriceHistory: newest first, down to the price in force at the start."""
        request, now = self._asked(), self._market().api_now()
        filters = self._filters((*_PRICE_FILTERS, "timestamp"))
        end = min(_moment(request.get("EndTime"), now), now)
        start = max(_moment(request.get("StartTime"), now - KEPT), now - KEPT)
        ids = self._zone_ids()
        changes: Iterator[dict[str, Any]] = (
            self._shown(change, ids)
            for change in self._changes(request, filters, min(start, end), end, ids)
            if not filters.get("spot-price") or f"{change.price:.6f}" in filters["spot-price"]
        )
        products = request.get("ProductDescriptions") or filters.get("product-description") or [PRODUCT]
        if not any(str(product).startswith(PRODUCT) for product in products):
            changes = iter(())
        most = max(1, min(int(request.get("MaxResults") or 1000), 1000))
        first = _number(request.get("NextToken"))
        shown = list(itertools.islice(changes, first, first + most + 1))
        more = len(shown) > most
        return ActionResult({"SpotPriceHistory": shown[:most], "NextToken": str(first + most) if more else ""})

    def _changes(
        self,
        request: dict[str, Any],
        filters: dict[str, list[str]],
        start: datetime,
        end: datetime,
        ids: dict[str, str],
    ) -> Iterator[SpotPrice]:
        """Of all pools that are asked for, newest first. Made as they are taken: there are a million of them."""
        kinds = request.get("InstanceTypes") or filters.get("instance-type") or list(offerings.catalogue())
        one_zone = [request["AvailabilityZone"]] if request.get("AvailabilityZone") else None
        zones = one_zone or filters.get("availability-zone") or list(ids)
        wanted = request.get("AvailabilityZoneId")
        identities = [wanted] if wanted else filters.get("availability-zone-id") or list(ids.values())
        pools = (
            prices.history(str(kind), zone, start, end)
            for kind in kinds
            for zone in zones
            if ids.get(zone) in identities and offerings.offered(str(kind), zone)
        )
        return heapq.merge(*pools, key=lambda change: change.since, reverse=True)

    @staticmethod
    def _shown(change: SpotPrice, ids: dict[str, str]) -> dict[str, Any]:
        return {
            "AvailabilityZone": change.zone,
            "AvailabilityZoneId": ids[change.zone],
            "InstanceType": change.instance_type,
            "ProductDescription": PRODUCT,
            "SpotPrice": f"{change.price:.6f}",
            "Timestamp": change.since,
        }

    def get_instance_types_from_instance_requirements(self) -> ActionResult:
        """GetInstanceTypesFromInstanceRequirements: by attributes alone, without price protection."""
        request = self._asked()
        found = [{"InstanceType": one.name} for one in self._matching(request)]
        shown, token = page(found, request, 1000)
        return ActionResult({"InstanceTypes": shown, "NextToken": token})

    def _matching(self, request: dict[str, Any]) -> list[offerings.TypeFacts]:
        wanted = request.get("InstanceRequirements")
        if not wanted:
            raise Fault("MissingParameter", "The request must contain the parameter InstanceRequirements")
        found = requirements.matching(offerings.catalogue().values(), wanted, self._market().memory_mib)
        if offerings.ARCHITECTURE not in (request.get("ArchitectureTypes") or [offerings.ARCHITECTURE]):
            return []
        virtual = set(request.get("VirtualizationTypes") or ["hvm"])
        return [one for one in found if virtual & set(one.facts["SupportedVirtualizationTypes"])]

    def get_spot_placement_scores(self) -> ActionResult:
        """GetSpotPlacementScores: 1 to 10 for the region, or for each zone."""
        request, market = self._asked(), self._market()
        regions = request.get("RegionNames") or [market.region_name]
        if metadata := request.get("InstanceRequirementsWithMetadata"):
            types = [one.name for one in self._matching(metadata)]
        else:
            types = [str(kind) for kind in request.get("InstanceTypes") or ()]
        if not types:
            raise Fault(
                "MissingParameter",
                "The request must contain the parameter InstanceTypes or InstanceRequirementsWithMetadata",
            )
        for kind in types:
            if kind not in offerings.catalogue():
                raise Fault("InvalidParameterValue", f"Invalid value '{kind}' for InstanceType.")
        target = int(request.get("TargetCapacity") or 0)
        if target < 1:
            raise Fault("InvalidParameterValue", f"Value ({target}) for parameter targetCapacity is invalid.")
        unit = request.get("TargetCapacityUnitType") or "units"
        zones, now = self._zone_ids(), market.api_now()
        room = {zone: scores.room(types, zone, unit, now, market.rules.capacity, market.memory_mib) for zone in zones}
        if market.region_name not in regions:
            found = []
        elif request.get("SingleAvailabilityZone"):
            found = [
                {
                    "Region": market.region_name,
                    "AvailabilityZoneId": zones[zone],
                    "Score": scores.score(there, target, len(types)),
                }
                for zone, there in room.items()
            ]
        else:
            score = scores.score(sum(room.values()), target, len(types))
            found = [{"Region": market.region_name, "Score": score}]
        shown, token = page(found, request, 1000)
        return ActionResult({"SpotPlacementScores": shown, "NextToken": token})

    def delete_fleets(self) -> ActionResult:
        """DeleteFleets: an instant fleet ends together with its instances."""
        request = self._asked()
        terminate = bool(request.get("TerminateInstances"))
        good, bad = deletions(self._backend.fleets, request.get("FleetIds") or (), terminate=terminate)
        done = [
            {"FleetId": fleet.id, "CurrentFleetState": fleet.state, "PreviousFleetState": "active"}
            for fleet in self._backend.delete_fleets(good, terminate)
        ]
        return ActionResult({"SuccessfulFleetDeletions": done, "UnsuccessfulFleetDeletions": bad})


def _passes(filters: dict[str, list[str]], values: dict[str, str]) -> bool:
    return all(not filters.get(name) or value in filters[name] for name, value in values.items())


def _moment(given: Any, otherwise: datetime) -> datetime:
    if given in (None, ""):
        return otherwise
    moment = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _number(token: Any) -> int:
    if token and not str(token).isdigit():
        raise Fault("InvalidParameterValue", "Unable to parse pagination token")
    return int(token or 0)
