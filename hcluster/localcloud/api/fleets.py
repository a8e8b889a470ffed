"""EC2's records, all of them together."""

from __future__ import annotations

from typing import Any

from hcluster.localcloud.api.fleet_launch import FleetLaunches
from hcluster.localcloud.api.spot import SpotRequests
from hcluster.localcloud.api.tags import TagRecords

_TRANSIENT = ("settings", "work", "volume_work", "layers", "index", "changes", "held", "rules", "announce")
"""What belongs to the running server; it sets them again after a load."""


class CloudBackend(TagRecords, SpotRequests, FleetLaunches):
    """EC2 of the local cloud."""

    def __init__(self, region_name: str, account_id: str, settings: Any) -> None:
        self.settings = settings
        self.by_id, self.tokens, self.parents = {}, {}, {}
        self.pushed = {}
        self.quota_values, self.quota_requests, self.placement_groups = {}, [], {}
        super().__init__(region_name, account_id)
        self.route_to_s3()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in _TRANSIENT}

    @property
    def _url_module(self) -> Any:
        from moto.ec2 import urls

        return urls
