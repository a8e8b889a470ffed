"""CreateFleet of type instant: template and overrides merged, capacity shared out, shortages told as errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.utils import random_fleet_id

from hcluster.localcloud.api import launch
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.instances import Instances
from hcluster.localcloud.api.launch import Data, Order, Template
from hcluster.localcloud.api.parts import TaggedEC2Resource

_TRANSIENT = ("settings", "work", "layers", "shown", "rules")
"""What belongs to the running server; it sets them again after a load."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One template with one override."""

    template: Template
    override: Data
    weight: float

    def described(self) -> dict[str, Any]:
        """As LaunchTemplateAndOverrides."""
        specification = {"LaunchTemplateId": self.template.id, "Version": self.template.version}
        return {"LaunchTemplateSpecification": specification, "Overrides": dict(self.override)}


@dataclass(slots=True)
class Outcome:
    """What a fleet launched and what it could not."""

    instances: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    capacity: float = 0.0


class InstantFleet(TaggedEC2Resource):  # type: ignore[misc]
    """A fleet that launched once; the record of it."""

    def __init__(self, backend: Any, request: Data) -> None:
        self.ec2_backend = backend
        self.id = random_fleet_id()
        self.fleet_id = self.id
        self.type = "instant"
        self.fleet_state = self.state = "active"
        self.create_time = utcnow()
        self.launch_template_configs = request.get("LaunchTemplateConfigs") or []
        self.target_capacity_specification = request.get("TargetCapacitySpecification") or {}
        self.spot_options = request.get("SpotOptions") or None
        self.on_demand_options = request.get("OnDemandOptions") or None
        self.target_capacity = 0
        self.outcome = Outcome()

    @property
    def instances(self) -> list[dict[str, Any]]:
        """For DescribeFleets."""
        return self.outcome.instances

    @property
    def errors(self) -> list[dict[str, Any]]:
        """For DescribeFleets."""
        return self.outcome.errors

    def instance_ids(self) -> list[str]:
        """Everything that it launched."""
        return [i for group in self.outcome.instances for i in group["InstanceIds"]]

    def terminate_instances(self) -> None:
        """DeleteFleets with TerminateInstances."""
        known = [i for i in self.instance_ids() if i in self.ec2_backend.by_id]
        if known:
            self.ec2_backend.terminate_instances(known)


class CloudBackend(Instances):
    """EC2 of the local cloud."""

    def __init__(self, region_name: str, account_id: str, settings: Any) -> None:
        self.settings = settings
        self.by_id, self.tokens, self.parents = {}, {}, {}
        self.pushed, self.shown = {}, {}
        self.quota_values, self.placement_groups = {}, {}
        super().__init__(region_name, account_id)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in _TRANSIENT}

    @property
    def _url_module(self) -> Any:
        from moto.ec2 import urls

        return urls

    def describe_instance_types(self, instance_types: list[str] | None = None, filters: Any = None) -> list[Any]:
        """Moto's answer with the memory that machines of a type really get here, so that nobody counts on AWS's."""
        return [self._as_granted(found) for found in super().describe_instance_types(instance_types, filters)]

    def _as_granted(self, described: Any) -> Any:
        granted = self.work.memory_mib(described["InstanceType"])
        if granted is None:
            return described
        shown = type(described)(described["InstanceType"])
        shown["MemoryInfo"] = {"SizeInMiB": granted}
        return shown

    def launch_fleet(self, request: Data) -> InstantFleet:
        """CreateFleet, ``request`` in the API's shape."""
        if (request.get("Type") or "maintain") != "instant":
            raise Fault("UnsupportedOperation", "The local cloud supports fleets of type instant only.")
        fleet = InstantFleet(self, request)
        pools = self._pools(request)
        fleet.add_tags(launch.joined_tags(request.get("TagSpecifications") or ()).get("fleet", {}))
        spot, on_demand = _capacity(request)
        for wanted, is_spot in ((on_demand, False), (spot, True)):
            options = (request.get("SpotOptions") if is_spot else request.get("OnDemandOptions")) or {}
            if wanted > 0:
                outcome = Outcome()
                self._fill(fleet, pools, wanted, request, spot=is_spot, outcome=outcome)
                minimum = float(options.get("MinTargetCapacity") or 0)
                if outcome.capacity < minimum:
                    self.terminate_instances([i for group in outcome.instances for i in group["InstanceIds"]])
                    outcome.instances = []
                fleet.outcome.instances += outcome.instances
                fleet.outcome.errors += outcome.errors
                fleet.outcome.capacity += outcome.capacity
        self.fleets[fleet.id] = fleet
        return fleet

    def _pools(self, request: Data) -> list[Pool]:
        pools = []
        for config in request.get("LaunchTemplateConfigs") or ():
            template = self.template_of(config.get("LaunchTemplateSpecification"))
            if template is None:
                raise Fault("MissingParameter", "The request must contain the parameter LaunchTemplateSpecification")
            overrides = config.get("Overrides") or [{}]
            pools += [Pool(template, o, float(o.get("WeightedCapacity") or 1)) for o in overrides]
        if not pools:
            raise Fault("MissingParameter", "The request must contain the parameter LaunchTemplateConfigs")
        # A lower number comes first; without one, last.
        return sorted(pools, key=lambda pool: float(pool.override.get("Priority", math.inf)))

    def _fill(
        self, fleet: InstantFleet, pools: Sequence[Pool], wanted: float, request: Data, *, spot: bool, outcome: Outcome
    ) -> None:
        """Ask each pool in turn until the capacity is there; what a pool refuses becomes an error of the fleet."""
        for pool in pools:
            missing = wanted - outcome.capacity
            if missing <= 0 and not _refusable(pool):
                break
            count = math.ceil(max(missing, 0) / pool.weight)
            try:
                self._checked(self._data(pool, request))
                if not count:
                    continue
                order = Order(self._data(pool, request), spot, pool.template, fleet.id)
                launched = self.launch(order, 1, count).instances
            except (Fault, EC2ClientError) as fault:
                outcome.errors.append(
                    {
                        "LaunchTemplateAndOverrides": pool.described(),
                        "Lifecycle": "spot" if spot else "on-demand",
                        "ErrorCode": fault.code,
                        "ErrorMessage": fault.message,
                    }
                )
                continue
            outcome.capacity += len(launched) * pool.weight
            outcome.instances.append(
                {
                    "LaunchTemplateAndOverrides": pool.described(),
                    "Lifecycle": "spot" if spot else "on-demand",
                    "InstanceIds": [instance.id for instance in launched],
                    "InstanceType": launched[0].instance_type,
                    "Platform": None,
                }
            )

    def _data(self, pool: Pool, request: Data) -> dict[str, Any]:
        override = dict(pool.override)
        zone = override.get("AvailabilityZone")
        placement = override.get("Placement") or ({"AvailabilityZone": zone} if zone else None)
        data = launch.merge(pool.template.data, {**override, "Placement": placement})
        tags = request.get("TagSpecifications") or ()
        return launch.merge(data, {"TagSpecifications": [t for t in tags if t.get("ResourceType") != "fleet"]})


def _refusable(pool: Pool) -> bool:
    """Overrides without a type are checked by what the template says, once."""
    return bool(pool.override.get("InstanceType"))


def _capacity(request: Data) -> tuple[float, float]:
    """(spot, on-demand) of the target capacity; what neither claims goes to the default kind."""
    target = request.get("TargetCapacitySpecification") or {}
    total = float(target.get("TotalTargetCapacity") or 0)
    if total <= 0:
        raise Fault("InvalidParameterValue", "TotalTargetCapacity must be positive.")
    spot, on_demand = float(target.get("SpotTargetCapacity") or 0), float(target.get("OnDemandTargetCapacity") or 0)
    rest = max(total - spot - on_demand, 0)
    if target.get("DefaultTargetCapacityType") == "spot":
        return spot + rest, on_demand
    return spot, on_demand + rest
