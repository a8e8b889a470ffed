"""What ``doctor`` says of daemons that run without their class-data archive."""

from __future__ import annotations

from dataclasses import replace

from hcluster.flows import archives, platform, up
from hcluster.model.node import Instance
from hcluster.testing import NodeScript
from tests.unit.test_flows import World, flights

WHY = {"hadoop-datanode.service": "/opt/hadoop/archives/hadoop.jsa is missing"}


def scripts(instance: Instance) -> NodeScript:
    plain = NodeScript()
    told = {"archives": WHY if instance.tags.get("hcluster:group") == "core" else {}}
    return replace(plain, bodies={**plain.bodies, "ready": told})


def test_doctor_warns_of_daemons_without_their_archive_by_cluster_and_group() -> None:
    world = World(scripts)
    platform.up(world.context())
    up.up(world.context(), flights())
    found = archives.look_at_archives(world.context())
    assert found.warning
    assert found.message == f"flights core: hadoop-datanode.service: {WHY['hadoop-datanode.service']}"
    assert "hcluster ami bake" in found.cure


def test_without_nodes_or_with_nodes_that_tell_of_none_all_is_well() -> None:
    world = World()
    assert not archives.look_at_archives(world.context()).warning
    platform.up(world.context())
    up.up(world.context(), flights())
    found = archives.look_at_archives(world.context())
    assert (found.ok, found.warning) == (True, False)
