"""Placement groups: records and operations.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/placement-groups.html; what a launch into one must fulfil is in
``market_records``.
"""

from __future__ import annotations

import secrets
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.utils import generic_filter

from hcluster.localcloud.api import launch
from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.parts import EC2Response, TaggedEC2Resource

STRATEGIES = ("cluster", "spread", "partition")
MOST_PARTITIONS = 7


class PlacementGroup(TaggedEC2Resource):  # type: ignore[misc]
    """One group; its members are the instances that name it."""

    def __init__(self, backend: Any, request: launch.Data) -> None:
        self.ec2_backend = backend
        self.id = f"pg-{secrets.token_hex(8)}"
        self.name = str(request["GroupName"])
        self.strategy = str(request.get("Strategy") or "cluster")
        self.state = "available"
        self.partition_count = request.get("PartitionCount")
        self.spread_level = request.get("SpreadLevel") or ("rack" if self.strategy == "spread" else None)
        if self.strategy == "partition":
            self.partition_count = int(self.partition_count or 2)
        self.arn = f"arn:aws:ec2:{backend.region_name}:{backend.account_id}:placement-group/{self.name}"

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        """For the filters of DescribePlacementGroups."""
        values = {
            "group-name": self.name,
            "group-arn": self.arn,
            "state": self.state,
            "strategy": self.strategy,
            "spread-level": self.spread_level,
        }
        if filter_name in values:
            return values[filter_name]
        if filter_name.startswith("tag"):
            return super().get_filter_value(filter_name, method_name)
        raise Fault("InvalidParameterValue", f"The filter '{filter_name}' is invalid")

    def described(self) -> dict[str, Any]:
        """As PlacementGroup."""
        return {
            "GroupName": self.name,
            "State": self.state,
            "Strategy": self.strategy,
            "PartitionCount": self.partition_count,
            "GroupId": self.id,
            "Tags": [{"Key": tag["key"], "Value": tag["value"]} for tag in self.get_tags()],
            "GroupArn": self.arn,
            "SpreadLevel": self.spread_level,
        }


class PlacementOperations(EC2Response):  # type: ignore[misc]
    """One request to EC2 about placement groups."""

    _backend: Any

    def create_placement_group(self) -> ActionResult:
        """CreatePlacementGroup."""
        request, backend = self._request(), self._backend
        _check(request)
        name = request["GroupName"]
        if name in backend.placement_groups:
            raise Fault("InvalidPlacementGroup.Duplicate", f"The Placement Group '{name}' already exists.")
        group = PlacementGroup(backend, request)
        group.add_tags(launch.joined_tags(request.get("TagSpecifications") or ()).get("placement-group", {}))
        backend.placement_groups[name] = group
        return ActionResult({"PlacementGroup": group.described()})

    def describe_placement_groups(self) -> ActionResult:
        """DescribePlacementGroups."""
        request, groups = self._request(), list(self._backend.placement_groups.values())
        names, ids = request.get("GroupNames") or [], request.get("GroupIds") or []
        for name in names:
            if name not in self._backend.placement_groups:
                raise _unknown(name)
        for identity in ids:
            if not any(group.id == identity for group in groups):
                raise Fault("InvalidPlacementGroup.Unknown", f"The Placement Group '{identity}' is unknown.")
        if names or ids:
            groups = [group for group in groups if group.name in names or group.id in ids]
        filters = self._filters_from_querystring()
        return ActionResult({"PlacementGroups": [group.described() for group in generic_filter(filters, groups)]})

    def delete_placement_group(self) -> EmptyResult:
        """DeletePlacementGroup: only of a group without instances."""
        name = self._request().get("GroupName")
        group = self._backend.placement_groups.get(name)
        if group is None:
            raise _unknown(name)
        if self._backend.members(group):
            raise Fault(
                "InvalidPlacementGroup.InUse", f"The placement group '{name}' is in use and may not be deleted."
            )
        del self._backend.placement_groups[name]
        self._backend.tags.pop(group.id, None)
        return EmptyResult()


def _check(request: launch.Data) -> None:
    if not request.get("GroupName"):
        raise Fault("MissingParameter", "The request must contain the parameter GroupName")
    strategy = request.get("Strategy") or "cluster"
    if strategy not in STRATEGIES:
        raise Fault("InvalidParameterValue", f"Value ({strategy}) for parameter strategy is invalid.")
    count = request.get("PartitionCount")
    if count is not None and strategy != "partition":
        raise Fault("InvalidParameterCombination", "PartitionCount is valid only with the strategy partition.")
    if count is not None and not 1 <= int(count) <= MOST_PARTITIONS:
        raise Fault("InvalidParameterValue", f"Value ({count}) for parameter partitionCount is invalid.")
    if request.get("SpreadLevel") and strategy != "spread":
        raise Fault("InvalidParameterCombination", "SpreadLevel is valid only with the strategy spread.")


def _unknown(name: object) -> Fault:
    return Fault("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
