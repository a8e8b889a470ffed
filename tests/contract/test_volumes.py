"""What ports.Compute promises about volumes that outlive their instances."""

from __future__ import annotations

import pytest

from hcluster.errors import CloudError, ConflictError, NotFoundError
from hcluster.model.volume import Volume
from tests.contract.world import World


def made(world: World, name: str = "data", zone: str = "", size_gib: int = 2) -> Volume:
    subnet = world.vpc()[2][0]
    return world.compute.create_volume(
        size_gib=size_gib,
        zone=zone or world.compute.subnet_zones([subnet])[subnet],
        client_token=f"{world.name}-{name}",
        tags={**world.tags, "hcluster:volume": name},
    )


def found(world: World, name: str = "data") -> Volume:
    (volume,) = world.compute.find_volumes({**world.tags, "hcluster:volume": name})
    return volume


def running(world: World, attempt: str = "first") -> str:
    subnet = world.vpc()[2][0]
    (node,) = world.fleet(world.template(attempt), subnets=[subnet], attempt=attempt).instances
    world.until(lambda: [one.state for one in world.compute.instances(world.tags) if one.id == node] == ["running"])
    return node


def attached(world: World) -> tuple[Volume, str]:
    volume, node = made(world), running(world)
    world.until(lambda: found(world).state == "available")
    world.compute.attach_volume(volume.id, node)
    world.until(lambda: found(world).attachment == "attached")
    return found(world), node


def test_each_subnet_is_in_a_zone_of_the_region(world: World) -> None:
    subnets = world.vpc()[2]
    zones = world.compute.subnet_zones(subnets)
    assert list(zones) == list(subnets)
    assert all(zone.startswith(world.compute.region()) for zone in zones.values())
    assert world.compute.subnet_zones([]) == {}
    with pytest.raises(NotFoundError):
        world.compute.subnet_zones(["subnet-0badbadbadbadbad0"])


def test_a_volume_is_made_with_its_tags_in_its_zone_and_becomes_available(world: World) -> None:
    volume = made(world)
    world.until(lambda: found(world).state == "available")
    now = found(world)
    assert (now.id, now.size_gib, now.zone, now.holder, now.attachment) == (volume.id, 2, volume.zone, "", "")
    assert world.compute.find_volumes({**world.tags, "hcluster:volume": "*"}) == []


def test_the_same_token_again_gives_the_same_volume_and_a_conflict_for_another_one(world: World) -> None:
    first = made(world)
    assert made(world).id == first.id
    assert found(world).id == first.id
    with pytest.raises(ConflictError):
        made(world, size_gib=3)
    assert made(world, "other").id != first.id


def test_a_volume_is_attached_once_and_to_one_instance(world: World) -> None:
    volume, node = attached(world)
    assert (volume.state, volume.holder) == ("in-use", node)
    world.compute.attach_volume(volume.id, node)
    other = running(world, "second")
    with pytest.raises(ConflictError):
        world.compute.attach_volume(volume.id, other)
    assert found(world).holder == node


def test_an_attached_volume_is_not_deleted(world: World) -> None:
    attached(world)
    assert world.compute.delete_volumes({**world.tags, "hcluster:volume": "data"}) == 0
    assert found(world).state == "in-use"


def test_a_volume_outlives_its_instance_and_can_be_attached_to_the_next(world: World) -> None:
    volume, node = attached(world)
    world.compute.terminate([node])
    world.until(lambda: found(world).state == "available")
    assert found(world).holder == ""
    other = running(world, "second")
    world.compute.attach_volume(volume.id, other)
    world.until(lambda: found(world).attachment == "attached")
    assert found(world).holder == other


def test_a_free_volume_is_deleted_by_its_tags_and_only_once(world: World) -> None:
    made(world)
    kept = made(world, "other")
    world.until(lambda: found(world).state == "available")
    assert world.compute.delete_volumes({**world.tags, "hcluster:volume": "data"}) == 1
    assert world.compute.delete_volumes({**world.tags, "hcluster:volume": "data"}) == 0
    assert [one.id for one in world.compute.find_volumes(world.tags)] == [kept.id]


def test_what_does_not_exist_cannot_be_attached(world: World) -> None:
    volume, node = made(world), running(world)
    world.until(lambda: found(world).state == "available")
    with pytest.raises(NotFoundError):
        world.compute.attach_volume("vol-0badbadbadbadbad0", node)
    with pytest.raises(NotFoundError):
        world.compute.attach_volume(volume.id, "i-0badbadbadbadbad0")


def test_a_volume_of_another_zone_cannot_be_attached(world: World) -> None:
    subnets = world.vpc()[2]
    zone = world.compute.subnet_zones([subnets[1]])[subnets[1]]
    volume, node = made(world, zone=zone), running(world)
    world.until(lambda: found(world).state == "available")
    with pytest.raises(CloudError):
        world.compute.attach_volume(volume.id, node)
    assert found(world).holder == ""
