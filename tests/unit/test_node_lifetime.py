from __future__ import annotations

import subprocess

import pytest

from hcluster.errors import NodeFailedError
from hcluster.node.lifetime import arrange, command
from hcluster.plan.nodes import expires_at


def test_a_node_ends_itself_when_its_lifetime_is_over() -> None:
    assert command(1_000_600, 1_000_000.0)[-4:] == [
        "--on-active=600",
        "--timer-property=AccuracySec=1s",
        "/usr/local/bin/hcluster-node",
        "expire",
    ]


def test_a_node_that_boots_too_late_ends_at_once() -> None:
    assert "--on-active=1" in command(1_000, 2_000.0)


def test_a_standing_cluster_arranges_nothing() -> None:
    assert expires_at(1_000.0, 0) == 0
    arrange(0)


def test_the_end_is_the_launch_and_the_lifetime() -> None:
    assert expires_at(1_000.5, 3_600) == 4_600


@pytest.mark.parametrize("fault", [FileNotFoundError("systemctl"), subprocess.TimeoutExpired("systemctl", 20)])
def test_a_machine_that_cannot_arrange_its_end_says_so(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    def run(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(NodeFailedError, match="cannot be arranged"):
        arrange(1_000)
