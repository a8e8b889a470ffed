"""A cloud has real nodes or dry ones, for as long as it exists."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from hcluster.errors import LocalCloudError
from hcluster.localcloud.control import _check_kind
from hcluster.localcloud.settings import CloudSettings, record, settings_on


@pytest.fixture
def settings(tmp_path: Path) -> CloudSettings:
    return settings_on("demo", tmp_path / "demo", IPv4Network("10.77.0.0/16"))


@pytest.mark.parametrize("dry_nodes", [True, False])
def test_a_cloud_starts_again_with_nodes_of_its_kind_only(settings: CloudSettings, *, dry_nodes: bool) -> None:
    _check_kind(settings, dry_nodes=dry_nodes)
    record(settings)
    _check_kind(settings, dry_nodes=dry_nodes)
    with pytest.raises(LocalCloudError, match=f"has {'dry' if dry_nodes else 'real'} nodes") as raised:
        _check_kind(settings, dry_nodes=not dry_nodes)
    same = " --dry-nodes" if dry_nodes else ""
    assert raised.value.hint.startswith(f"hcluster local start --name demo{same}, or")


def test_a_start_that_failed_before_there_was_a_cloud_decides_nothing(settings: CloudSettings) -> None:
    _check_kind(settings, dry_nodes=True)
    _check_kind(settings, dry_nodes=False)
    record(settings)
    _check_kind(settings, dry_nodes=False)
