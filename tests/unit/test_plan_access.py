"""The nodes' roles allow what nodes do and nothing more."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from hcluster.localcloud.api.policy import Asker, Policies, Policy, decide
from hcluster.model import names
from hcluster.model.dumps import Dump
from hcluster.plan.access import platform_policy, team_policy

BUCKET = "arn:aws:s3:::lake"


def allows(policy: Any, action: str, key: str = "") -> bool:
    """As the local cloud's evaluator judges, and with it AWS."""
    resource = f"{BUCKET}/{key}" if key else BUCKET
    return decide(Policies([Policy("node", json.dumps(policy))]), Asker(), action, resource, {}).allowed


@pytest.mark.parametrize(
    ("policy", "cluster"),
    [(team_policy("lake", "us-east-1"), "a"), (platform_policy("lake", "us-east-1"), names.PLATFORM_CLUSTER)],
)
def test_every_node_can_boot_and_report(policy: dict[str, object], cluster: str) -> None:
    assert allows(policy, "s3:ListBucket")
    assert allows(policy, "s3:GetObject", names.node_config_key("a", "l", "d"))
    assert allows(policy, "s3:GetObject", names.release_key("d"))
    assert allows(policy, "s3:GetObject", names.spec_key("a"))
    assert allows(policy, "s3:PutObject", names.checkin_key(cluster, "i-1", "ready"))
    other = "a" if cluster == names.PLATFORM_CLUSTER else names.PLATFORM_CLUSTER
    assert not allows(policy, "s3:PutObject", names.checkin_key(other, "i-1", "ready"))
    assert allows(policy, "s3:PutObject", "warehouse/t/f")
    assert allows(policy, "s3:DeleteObject", "tmp/smoke/x")


@pytest.mark.parametrize("policy", [team_policy("lake", "us-east-1"), platform_policy("lake", "us-east-1")])
def test_no_node_can_change_what_nodes_are_told(policy: dict[str, object]) -> None:
    for action in ("s3:PutObject", "s3:DeleteObject"):
        for key in (
            names.release_key("d"),
            names.channel_key("stable"),
            names.spec_key("a"),
            names.node_config_key("a", "l", "d"),
            names.PLATFORM_KEY,
        ):
            assert not allows(policy, action, key), (action, key)
    assert not allows(policy, "s3:DeleteObject", names.checkin_key("a", "i-1", "ready"))
    assert not allows(policy, "s3:DeleteBucket")


def test_jobs_of_a_team_and_the_metastore_reach_data_and_registry_with_their_folders() -> None:
    team, platform = team_policy("lake", "us-east-1"), platform_policy("lake", "us-east-1")
    key = names.registry_key("a", "l")
    assert allows(team, "s3:PutObject", "data/flights/flights.csv")
    assert allows(team, "s3:PutObject", key)
    assert not allows(team, "s3:DeleteObject", key)
    assert not allows(team, "s3:PutObject", "registry/other")
    assert allows(platform, "s3:PutObject", key)
    for policy in (team, platform):
        assert allows(policy, "s3:GetObject", "warehouse")
        assert not allows(policy, "s3:GetObject", "warehouses")


@pytest.mark.parametrize(
    ("region", "partition"), [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_arns_are_of_the_regions_partition(region: str, partition: str) -> None:
    assert f"'arn:{partition}:s3:::lake'" in str(team_policy("lake", region))


def test_only_the_platforms_node_writes_reads_and_prunes_dumps_and_nothing_else_of_the_platform() -> None:
    team, platform = team_policy("lake", "us-east-1"), platform_policy("lake", "us-east-1")
    key = Dump(datetime(2026, 3, 1, tzinfo=UTC), "a" * 64).key
    for action in ("s3:PutObject", "s3:GetObject", "s3:DeleteObject"):
        assert allows(platform, action, key)
        assert not allows(team, action, key)
    for action in ("s3:PutObject", "s3:DeleteObject"):
        assert not allows(platform, action, names.PLATFORM_KEY)
