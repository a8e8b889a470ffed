"""What bounds each launch: where a type is offered, what is left of it, the account's quotas, spot prices, groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from moto.ec2.models.instance_types import InstanceType
from moto.ec2.utils import generic_filter
from moto.ssm.models import ssm_backends

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.images import Images
from hcluster.localcloud.api.launch import Data
from hcluster.localcloud.api.market import fleet_request, offerings, prices, quotas
from hcluster.localcloud.api.rules import Rules

COUNTED = ("pending", "running")
"""States in which an instance counts against its quota (EC2 user guide, "On-Demand Instance quotas")."""
_BY_PARAMETER = "resolve:ssm:"
SPREAD_MOST = 7
"""Running instances of a spread placement group in one zone (EC2 user guide, "Placement groups")."""


class Market(Images):
    """Limits of launches. ``rules`` and ``work`` are set by the server that owns it."""

    rules: Rules
    work: Any
    quota_values: dict[str, float]
    """Quotas whose value is another than a local account begins with, by code."""
    quota_requests: list[dict[str, Any]]
    """What was asked of Service Quotas, oldest first, in the API's shape."""
    placement_groups: dict[str, Any]
    """Placement groups by name."""

    def api_now(self) -> datetime:
        """The time as the API's clock has it."""
        return datetime.now(UTC) + self.rules.clock()

    def memory_mib(self, instance_type: str) -> int | None:
        """Memory that machines of a type have here; None when there are none."""
        return self.work.memory_mib(instance_type) if instance_type in offerings.catalogue() else None

    def launchable_image(self, image_id: str) -> Any:
        """An image by its id, or by the SSM parameter that names it (``resolve:ssm:/path``)."""
        name = image_id.removeprefix(_BY_PARAMETER)
        if name == image_id:
            return super().launchable_image(image_id)
        parameter = ssm_backends[self.account_id][self.region_name].get_parameter(name)
        if parameter is None:
            raise Fault("InvalidParameterValue", f"The SSM parameter '{name}' of the image ID does not exist.")
        return super().launchable_image(str(parameter.value))

    # Offerings

    def describe_instance_types(self, instance_types: list[str] | None = None, filters: Any = None) -> list[Any]:
        """The types that have machines here, with the memory that those get, so that nobody counts on AWS's."""
        known = {kind: memory for kind in offerings.catalogue() if (memory := self.memory_mib(kind)) is not None}
        if unknown := [kind for kind in instance_types or () if kind not in known]:
            text = f"The following supplied instance types do not exist: [{', '.join(unknown)}]"
            raise Fault("InvalidInstanceType", text)
        found = []
        for kind, memory in known.items():
            if not instance_types or kind in instance_types:
                shown = InstanceType(kind)
                shown["MemoryInfo"] = {"SizeInMiB": memory}
                found.append(shown)
        return list(generic_filter(filters, found)) if filters else found

    def demand_offered(self, kind: str, zone: str, image: Any) -> None:
        """Raise Fault, as EC2 words it, unless machines of a type can be had in a zone, for an image."""
        if not offerings.exists(kind):
            raise Fault("InvalidParameterValue", f"Invalid value '{kind}' for InstanceType.")
        if image.architecture and image.architecture not in offerings.architectures(kind):
            raise Fault(
                "InvalidParameterValue",
                f"The architecture '{offerings.architectures(kind)[0]}' of the specified instance type does not match"
                f" the architecture '{image.architecture}' of the specified AMI. Specify an instance type and an AMI"
                " that have matching architectures, and try again. You can use 'describe-instance-types' or"
                " 'describe-images' to discover the architecture of the instance type or AMI.",
            )
        if self.memory_mib(kind) is None:
            raise Fault(
                "Unsupported",
                "The requested configuration is currently not supported. Please check the documentation for supported"
                f" configurations. (The local cloud has no machines of type {kind}.)",
            )
        if not offerings.offered(kind, zone):
            text = (
                f"Your requested instance type ({kind}) is not supported in your requested Availability Zone ({zone})"
            )
            others = ", ".join(sorted(set(self._zones()) & offerings.zones_of(kind)))
            hint = f" Please retry your request by not specifying an Availability Zone or choosing {others}."
            raise Fault("Unsupported", f"{text}.{hint if others else ''}")

    def describe_availability_zones(self, *args: Any, **kwargs: Any) -> list[Any]:
        """The zones that this cloud has."""
        return [zone for zone in super().describe_availability_zones(*args, **kwargs) if zone.name in self._zones()]

    def _zones(self) -> list[str]:
        return [zone for zone, _ in self.settings.subnets]

    def zone_for(self, data: Data, kind: str, *, spot: bool) -> str:
        """Where to launch when the request leaves it open: its placement group's zone, else the first that has any."""
        group = self.placement_groups.get((data.get("Placement") or {}).get("GroupName") or "")
        if group is not None and group.strategy == "cluster" and (zones := self._zones_of_group(group)):
            return min(zones)
        fit = [zone for zone in self._zones() if offerings.offered(kind, zone)]
        lifecycle = _lifecycle(spot=spot)
        return next((zone for zone in fit if not self.rules.shortage(kind, zone, lifecycle)), (fit or self._zones())[0])

    # Quotas

    def quota_value(self, quota: quotas.Quota) -> float:
        """The applied value of a quota."""
        return self.quota_values.get(quota.code, quota.applied)

    def quota_room(self, kind: str, *, spot: bool) -> int:
        """How many vCPUs a launch of a type may still take."""
        quota = quotas.quota_of(kind, spot=spot)
        return quotas.room(quota, self.quota_value(quota), self._counted())

    def _counted(self) -> Iterator[tuple[str, bool, int]]:
        known = offerings.catalogue()
        for instance in self.by_id.values():
            kind = instance.instance_type
            if instance.state in COUNTED and kind in known:
                yield kind, instance.lifecycle == "spot", known[kind].vcpus

    # Capacity

    def bounded(self, kind: str, zone: str, maximum: int, *, spot: bool) -> tuple[int, Fault | None]:
        """How many of ``maximum`` instances can be had, and what to tell when that is fewer."""
        vcpus = offerings.catalogue()[kind].vcpus
        allowed = min(self.quota_room(kind, spot=spot) // vcpus, maximum)
        short = self._over_quota(kind, spot=spot) if allowed < maximum else None
        left = self.rules.capacity(kind, zone, _lifecycle(spot=spot))
        if left is not None and left < allowed:
            allowed, short = left, self._insufficient(kind, zone, spot=spot)
        return allowed, short

    def demand_start(self, instances: Iterable[Any]) -> None:
        """Raise Fault unless stopped instances can all be had again."""
        wanted = Counter((one.instance_type, one.placement.zone, one.lifecycle == "spot") for one in instances)
        for (kind, zone, spot), count in wanted.items():
            allowed, short = self.bounded(kind, zone, count, spot=spot)
            if short and allowed < count:
                raise short

    def _over_quota(self, kind: str, *, spot: bool) -> Fault:
        if spot:
            return Fault("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
        limit = int(self.quota_value(quotas.quota_of(kind, spot=False)))
        return Fault(
            "VcpuLimitExceeded",
            f"You have requested more vCPU capacity than your current vCPU limit of {limit} allows for the instance"
            " bucket that the specified instance type belongs to. Please visit"
            " http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.",
        )

    def _insufficient(self, kind: str, zone: str, *, spot: bool) -> Fault:
        if spot:
            text = "There is no Spot capacity available that matches your request."
            return Fault("InsufficientInstanceCapacity", text, 500)
        fit = (z for z in self._zones() if z != zone and offerings.offered(kind, z))
        others = ", ".join(z for z in fit if not self.rules.shortage(kind, z, "on-demand"))
        text = (
            f"We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone})."
            " Our system will be working on provisioning additional capacity."
        )
        hint = (
            f" You can currently get {kind} capacity by not specifying an Availability Zone in your request or"
            f" choosing {others}."
        )
        # A fault of EC2's, not of the caller's: the SDKs try it again by themselves.
        return Fault("InsufficientInstanceCapacity", text + (hint if others else ""), 500)

    def demand_price(self, kind: str, zone: str, most: Any) -> None:
        """Raise Fault when a spot instance costs more than its request says that it may."""
        price = prices.spot(kind, zone, self.api_now())
        if most in (None, "") or price is None:
            return
        if fleet_request.price(most, "maxPrice") < price:
            raise Fault(
                "SpotMaxPriceTooLow",
                f"Your Spot request price of {most} is lower than the minimum required Spot request fulfillment price"
                f" of {price:g}.",
            )

    def outbid(self, instance: Any, most: str) -> bool:
        """Whether a spot instance's price is above the highest that its request pays."""
        price = prices.spot(str(instance.instance_type), str(instance.placement.zone), self.api_now())
        return price is not None and price > fleet_request.price(most, "maxPrice")

    # Placement groups

    def demand_group(self, data: Data, kind: str, zone: str, count: int) -> None:
        """Raise Fault unless a launch fits into the placement group that it names, if any."""
        name = (data.get("Placement") or {}).get("GroupName")
        if not name:
            return
        group = self.placement_groups.get(name)
        if group is None:
            raise Fault("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
        supported = offerings.catalogue()[kind].facts["PlacementGroupInfo"]["SupportedStrategies"]
        if group.strategy not in supported:
            raise Fault(
                "InvalidParameterCombination",
                f"{group.strategy.capitalize()} placement groups are not supported by the '{kind}' instance type."
                " Specify a supported instance type or change the placement group strategy, and try again.",
            )
        zones = self._zones_of_group(group)
        if group.strategy == "cluster" and zones and zone not in zones:
            raise Fault(
                "InvalidParameterCombination",
                f"The cluster placement group '{name}' is in the Availability Zone {min(zones)}; instances in {zone}"
                " can't be launched into it.",
            )
        there = sum(1 for one in self.members(group) if one.placement.zone == zone)
        if group.strategy == "spread" and there + count > SPREAD_MOST:
            raise Fault(
                "InsufficientInstanceCapacity",
                f"The spread placement group '{name}' can have at most {SPREAD_MOST} running instances in an"
                " Availability Zone.",
                500,
            )

    def members(self, group: Any) -> list[Any]:
        """The instances of a placement group that have not ended."""
        return [
            one
            for one in self.by_id.values()
            if one.state not in ("shutting-down", "terminated") and one.placement.group_name == group.name
        ]

    def _zones_of_group(self, group: Any) -> set[str]:
        return {str(one.placement.zone) for one in self.members(group)}


def _lifecycle(*, spot: bool) -> str:
    return "spot" if spot else "on-demand"
