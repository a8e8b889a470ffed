"""The record of one instant fleet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.utils import random_fleet_id

from hcluster.localcloud.api.launch import Data
from hcluster.localcloud.api.parts import TaggedEC2Resource


@dataclass(slots=True)
class Outcome:
    """What a fleet launched and what it could not. ``instances`` and ``errors`` are in the API's shape."""

    instances: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    capacity: float = 0.0
    on_demand: float = 0.0
    """Of the capacity, what is on-demand."""

    def instance_ids(self) -> list[str]:
        """Everything that was launched."""
        return [i for group in self.instances for i in group["InstanceIds"]]


class InstantFleet(TaggedEC2Resource):  # type: ignore[misc]
    """A fleet that launched once."""

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
        self.client_token = request.get("ClientToken") or ""
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

    @property
    def fulfilled_capacity(self) -> float:
        """For DescribeFleets."""
        return self.outcome.capacity

    @property
    def fulfilled_on_demand_capacity(self) -> float:
        """For DescribeFleets."""
        return self.outcome.on_demand

    def terminate_instances(self) -> None:
        """DeleteFleets with TerminateInstances."""
        known = [i for i in self.outcome.instance_ids() if i in self.ec2_backend.by_id]
        if known:
            self.ec2_backend.terminate_instances(known)
