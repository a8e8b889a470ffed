"""What the market keeps over a restart: quotas and placement groups. A file of its own, as a process has one cloud."""

from __future__ import annotations

from pathlib import Path

from tests.unit.api_cloud import running_cloud

ASKED = {"ServiceCode": "ec2", "QuotaCode": "L-34B43A08"}


def test_granted_quotas_and_placement_groups_survive_a_restart(tmp_path: Path) -> None:
    with running_cloud(tmp_path) as first:
        first.client("service-quotas").request_service_quota_increase(**ASKED, DesiredValue=30_000)
        first.client("ec2").create_placement_group(GroupName="close", Strategy="cluster")
    with running_cloud(tmp_path) as again:
        assert again.client("service-quotas").get_service_quota(**ASKED)["Quota"]["Value"] == 30_000
        (group,) = again.client("ec2").describe_placement_groups(GroupNames=["close"])["PlacementGroups"]
        assert (group["Strategy"], group["State"]) == ("cluster", "available")
