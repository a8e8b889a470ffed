"""CreateFleet of type instant: overrides become pools, pools are filled, what a pool refuses is told as an error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from moto.ec2.exceptions import EC2ClientError

from hcluster.localcloud.api import launch
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.fleet import InstantFleet, Outcome
from hcluster.localcloud.api.instances import DEFAULT_TYPE, Instances
from hcluster.localcloud.api.launch import Data, Order, Template
from hcluster.localcloud.api.market import allocation, fleet_request, offerings, prices, requirements
from hcluster.localcloud.api.market.allocation import Pool
from hcluster.localcloud.api.market.fleet_request import Part, Wanted

UNFULFILLABLE = Fault(
    "UnfulfillableCapacity",
    "Unable to fulfill capacity due to your request configuration. Please adjust your request and try again.",
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One template with one override and one type. Without a ``pool`` it cannot be launched at all: see ``fault``."""

    template: Template
    override: Data
    data: Data
    kind: str
    subnet: Any = None
    pool: Pool | None = None
    fault: Fault | EC2ClientError | None = None

    def described(self) -> dict[str, Any]:
        """As LaunchTemplateAndOverrides."""
        specification = {"LaunchTemplateId": self.template.id, "Version": self.template.version}
        overrides = {key: value for key, value in self.override.items() if key != "InstanceRequirements"}
        return {
            "LaunchTemplateSpecification": specification,
            "Overrides": overrides | ({"InstanceType": self.kind} if "InstanceRequirements" in self.override else {}),
        }


@dataclass(slots=True)
class Filling:
    """One part of a fleet while it is launched."""

    fleet: InstantFleet
    part: Part
    candidates: dict[Pool, Candidate]
    caller: str
    launched: dict[Pool, list[Any]] = field(default_factory=dict)
    errors: dict[int, tuple[Candidate, Any]] = field(default_factory=dict)
    """By the candidate's place: one error a pool, the first."""

    def refuse(self, candidate: Candidate, fault: Any, place: int) -> None:
        """Note why a pool gave fewer than asked."""
        self.errors.setdefault(place, (candidate, fault))


class FleetLaunches(Instances):
    """EC2's records with fleets that launch once."""

    fleets: dict[str, InstantFleet]

    def launch_fleet(self, request: Data, caller: str = "") -> InstantFleet:
        """CreateFleet, ``request`` in the API's shape; ``caller``: the ARN of whoever asks."""
        wanted = fleet_request.read(request)
        fleet = InstantFleet(self, request)
        candidates = [self._candidates(request, wanted, part) for part in wanted.parts]
        fleet.add_tags(launch.joined_tags(request.get("TagSpecifications") or ()).get("fleet", {}))
        for part, found in zip(wanted.parts, candidates, strict=True):
            self._fill(fleet, part, found, caller)
        self.fleets[fleet.id] = fleet
        return fleet

    # From overrides to pools

    def _candidates(self, request: Data, wanted: Wanted, part: Part) -> list[Candidate]:
        found: list[Candidate] = []
        named: list[tuple[str, str]] = []
        seen: set[tuple[str, str]] = set()
        for config in request.get("LaunchTemplateConfigs") or ():
            template = self.template_of(config.get("LaunchTemplateSpecification"))
            if template is None:
                raise Fault("MissingParameter", "The request must contain the parameter LaunchTemplateSpecification")
            for override in config.get("Overrides") or [{}]:
                rules = override.get("InstanceRequirements")
                data = self._data(template, override, request)
                for kind in self._kinds(template, override, data, part):
                    one = self._candidate(template, override, data, kind, len(found), wanted, part)
                    key = (kind, one.pool.zone if one.pool else "")
                    if rules and key in seen:
                        continue
                    if not rules and one.pool:
                        named.append(key)
                    seen.add(key)
                    found.append(one)
        fleet_request.demand_distinct(named)
        return found

    def _data(self, template: Template, override: Data, request: Data) -> dict[str, Any]:
        zone = override.get("AvailabilityZone")
        placement = {
            **(template.data.get("Placement") or {}),
            **(override.get("Placement") or {}),
            **({"AvailabilityZone": zone} if zone else {}),
        }
        data = launch.merge(template.data, {**override, "Placement": placement or None})
        tags = request.get("TagSpecifications") or ()
        return launch.merge(data, {"TagSpecifications": [t for t in tags if t.get("ResourceType") != "fleet"]})

    def _kinds(self, template: Template, override: Data, data: Data, part: Part) -> list[str]:
        """The types that an override stands for."""
        rules = override.get("InstanceRequirements")
        if not rules and not override.get("InstanceType") and not template.data.get("InstanceType"):
            rules = template.data.get("InstanceRequirements")
        if not rules:
            return [str(data.get("InstanceType") or DEFAULT_TYPE)]
        types = requirements.matching(offerings.catalogue().values(), rules, self.memory_mib)
        zone = self._subnet_for(data, types[0].name, spot=part.spot).availability_zone if types else ""
        types = [one for one in types if offerings.offered(one.name, zone)]

        def cost(kind: str) -> float | None:
            return prices.spot(kind, zone, self.api_now()) if part.spot else prices.on_demand(kind)

        types = requirements.protected(types, rules, cost, spot=part.spot)
        if not types:
            raise Fault("InvalidFleetConfig", "No instance type matches the InstanceRequirements of an override.")
        return [one.name for one in types]

    def _candidate(
        self, template: Template, override: Data, data: Data, kind: str, place: int, wanted: Wanted, part: Part
    ) -> Candidate:
        options: dict[str, Any] = {"InstanceType": kind}
        if part.spot:
            most = {"MaxPrice": override["MaxPrice"]} if override.get("MaxPrice") else {}
            options["InstanceMarketOptions"] = {"MarketType": "spot", "SpotOptions": most}
        data = {**data, **options}
        try:
            subnet = self._checked(data, spot=part.spot)["subnet"]
        except (Fault, EC2ClientError) as fault:
            return Candidate(template, override, data, kind, fault=_in_a_fleet(fault))
        zone = str(subnet.availability_zone)
        known, now = offerings.catalogue()[kind], self.api_now()
        weight = override.get("WeightedCapacity")
        if weight is None:
            weight = {"vcpu": known.vcpus, "memory-mib": self.memory_mib(kind)}.get(wanted.unit) or 1
        cost = prices.spot(kind, zone, now) if part.spot else prices.on_demand(kind)
        depth = prices.depth(kind, zone, known.vcpus, now)
        left = self.rules.capacity(kind, zone, part.lifecycle)
        pool = Pool(
            place=place,
            instance_type=kind,
            zone=zone,
            weight=float(weight),
            priority=float(override.get("Priority", math.inf)),
            price=float(cost or 0),
            depth=depth if left is None else min(depth, left),
        )
        return Candidate(template, override, data, kind, subnet, pool)

    # From pools to instances

    def _fill(self, fleet: InstantFleet, part: Part, candidates: Sequence[Candidate], caller: str) -> None:
        by_pool = {one.pool: one for one in candidates if one.pool}
        filling = Filling(fleet, part, by_pool, caller)
        for place, one in enumerate(candidates):
            if one.fault:
                filling.refuse(one, one.fault, place)
        pools, got = self._chosen(filling), 0.0
        if pools:
            got = allocation.fill(
                pools,
                part.target,
                part.terms,
                lambda pool, count: self._launch_from(filling, pool, count),
                part.most_dollars,
            )
        if got < part.target and not filling.errors and candidates:
            filling.refuse(candidates[0], UNFULFILLABLE, 0)
        if got < part.minimum:
            if launched := [instance.id for made in filling.launched.values() for instance in made]:
                self.terminate_instances(launched)
            filling.launched, got = {}, 0.0
        self._tell(fleet.outcome, filling, got)

    def _chosen(self, filling: Filling) -> list[Pool]:
        """The pools to launch from: all, or those of the one type or zone that serves best. None when it is foreseeable
        that the minimum is not met; the errors say why."""
        part = filling.part
        pools = list(filling.candidates)
        if not part.terms.single_type and not part.terms.single_zone:
            return pools
        choices = list(allocation.choices(pools, part.target, part.terms))
        foreseen = [self._foreseen(filling, choice) for choice in choices]
        enough = next((i for i, got in enumerate(foreseen) if got >= part.target), None)
        if enough is None:
            enough = max(range(len(choices)), key=lambda i: (foreseen[i], -i), default=None)
        if enough is None:
            return []
        if foreseen[enough] >= part.minimum:
            return choices[enough]
        for pool in pools:
            self._given(filling, pool, math.ceil(part.target / pool.weight), tell=True)
        return []

    def _foreseen(self, filling: Filling, pools: Sequence[Pool]) -> float:
        """The capacity that pools would give, without launching."""
        part = filling.part
        return allocation.fill(
            pools, part.target, part.terms, lambda pool, count: self._given(filling, pool, count), part.most_dollars
        )

    def _given(self, filling: Filling, pool: Pool, count: int, *, tell: bool = False) -> int:
        """How many of ``count`` instances a pool would give; with ``tell``, why they are fewer goes to the errors."""
        one, spot = filling.candidates[pool], filling.part.spot
        allowed, short = self.bounded(pool.instance_type, pool.zone, count, spot=spot)
        try:
            if spot:
                self.demand_price(pool.instance_type, pool.zone, one.override.get("MaxPrice"))
            self.demand_group(one.data, pool.instance_type, pool.zone, 1)
        except Fault as fault:
            allowed, short = 0, fault
        if tell and short:
            filling.refuse(one, short, pool.place)
        return allowed

    def _launch_from(self, filling: Filling, pool: Pool, count: int) -> int:
        """Launch from one pool; how many came."""
        one, part = filling.candidates[pool], filling.part
        if throttled := self.rules.inside("ec2", "RunInstances", filling.caller):
            filling.refuse(one, throttled, pool.place)
            return 0
        try:
            order = Order(one.data, part.spot, one.template, filling.fleet.id)
            reservation, short = self.attempt(order, 1, count)
        except (Fault, EC2ClientError) as fault:
            filling.refuse(one, fault, pool.place)
            return 0
        if short:
            filling.refuse(one, short, pool.place)
        filling.launched.setdefault(pool, []).extend(reservation.instances)
        return len(reservation.instances)

    def _tell(self, outcome: Outcome, filling: Filling, got: float) -> None:
        lifecycle = filling.part.lifecycle
        outcome.capacity += got
        outcome.on_demand += 0.0 if filling.part.spot else got
        zones = {zone.name: zone.zone_id for zone in self.describe_availability_zones()}
        for pool, made in filling.launched.items():
            one = filling.candidates[pool]
            outcome.instances.append(
                {
                    "LaunchTemplateAndOverrides": one.described(),
                    "Lifecycle": lifecycle,
                    "InstanceIds": [instance.id for instance in made],
                    "InstanceType": pool.instance_type,
                    "Platform": None,
                    "AvailabilityZone": pool.zone,
                    "AvailabilityZoneId": zones.get(pool.zone),
                    "SubnetId": one.subnet.id,
                }
            )
        outcome.errors += [_error(one, lifecycle, fault) for one, fault in _in_order(filling.errors)]

    # Afterwards

    def start_instances(self, instance_ids: list[str]) -> list[tuple[Any, Any]]:
        """Boot stopped instances, for which there must be room again."""
        self.demand_start(one for one, before in self._each(instance_ids) if before.name == "stopped")
        return super().start_instances(instance_ids)

    def describe_fleets(self, fleet_ids: list[str] | None) -> list[InstantFleet]:
        """Instant fleets are shown to those who name them, as on AWS."""
        unknown = [one for one in fleet_ids or () if one not in self.fleets]
        if unknown:
            raise Fault("InvalidFleetId.NotFound", f"The fleet ID '{unknown[0]}' does not exist")
        return [self.fleets[one] for one in fleet_ids or ()]


def _in_order(errors: dict[int, tuple[Candidate, Any]]) -> Iterator[tuple[Candidate, Any]]:
    return (errors[place] for place in sorted(errors))


def _error(one: Candidate, lifecycle: str, fault: Any) -> dict[str, Any]:
    return {
        "LaunchTemplateAndOverrides": one.described(),
        "Lifecycle": lifecycle,
        "ErrorCode": fault.code,
        "ErrorMessage": fault.message,
    }


def _in_a_fleet(fault: Fault | EC2ClientError) -> Fault | EC2ClientError:
    """What a launch calls Unsupported, a fleet calls its configuration."""
    if fault.code != "Unsupported":
        return fault
    return Fault("InvalidFleetConfiguration", str(fault.message).split(". Please retry", 1)[0].removesuffix(".") + ".")


def deletions(fleets: dict[str, InstantFleet], asked: Iterable[str], *, terminate: bool) -> tuple[list[Any], list[Any]]:
    """(ids to delete, UnsuccessfulFleetDeletions) of DeleteFleets: instant fleets end with their instances."""
    good, bad = [], []
    for one in asked:
        if one not in fleets:
            error = {"Code": "fleetIdDoesNotExist", "Message": f"The fleet ID '{one}' does not exist"}
        elif not terminate:
            text = "A fleet of type instant can only be deleted together with its instances (TerminateInstances)."
            error = {"Code": "fleetNotInDeletableState", "Message": text}
        else:
            good.append(one)
            continue
        bad.append({"FleetId": one, "Error": error})
    return good, bad
