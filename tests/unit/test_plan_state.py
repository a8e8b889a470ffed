"""The state of a cluster, and the end of its life."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hcluster.model.node import Instance
from hcluster.model.views import NodeView
from hcluster.plan.state import cluster_state, ends_at, missing

START = datetime(2026, 1, 1, tzinfo=UTC)
WANTED = {"master": 1, "core": 2}


def node(group: str, phase: str = "ready", state: str = "running", launched: float = 0, at: float = 60) -> NodeView:
    """A node; ``launched`` and ``at`` (of its phase) in seconds."""
    instance = Instance(
        id=f"i-{group}-{phase}-{state}-{launched}",
        state=state,
        private_ip="10.0.0.1",
        private_dns="",
        type="m5.large",
        zone="us-east-1a",
        market="spot",
        image="ami-1",
        launched=START + timedelta(seconds=launched),
    )
    return NodeView(instance, group, phase, START + timedelta(seconds=at) if phase else None)


@pytest.mark.parametrize(
    ("nodes", "state"),
    [
        ([], "claimed"),
        ([node("core", state="terminated")], "claimed"),
        ([node("core", state="terminated"), node("core", state="shutting-down")], "ending"),
        ([node("core", ""), node("core", "")], "starting"),
        ([node("master", ""), node("core", ""), node("core", "")], "starting"),
        ([node("master", "booted"), node("core"), node("core")], "starting"),
        ([node("master"), node("core"), node("core", "booted")], "starting"),
        ([node("master"), node("core"), node("core")], "ready"),
        ([node("master"), node("core"), node("core"), node("core", state="terminated")], "ready"),
        ([node("master"), node("core"), node("core"), node("core")], "ready"),
        ([node("master"), node("core")], "degraded"),
        ([node("master"), node("core"), node("core", "failed")], "degraded"),
        ([node("master"), node("core"), node("core", "booted", launched=120, at=150)], "degraded"),
        ([node("master", "failed"), node("core"), node("core")], "failed"),
        ([node("master", "booted"), node("core", "failed"), node("core")], "failed"),
        ([node("core"), node("core")], "failed"),
        ([node("master", state="terminated"), node("core"), node("core")], "failed"),
    ],
)
def test_the_state_follows_from_nodes_and_check_ins(nodes: list[NodeView], state: str) -> None:
    assert cluster_state(WANTED, nodes) == state


def test_missing_counts_living_nodes_by_group() -> None:
    nodes = [node("master"), node("core"), node("core", state="shutting-down")]
    assert missing({"master": 1, "core": 2, "task": 1}, nodes) == {"core": 1, "task": 1}
    assert missing({"core": 1}, nodes) == {}


def test_a_lifetime_counts_from_the_launch_and_standing_never_ends() -> None:
    assert ends_at(START, 0) is None
    assert ends_at(START, 3600) == START + timedelta(hours=1)
