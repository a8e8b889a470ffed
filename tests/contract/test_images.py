"""What ports.Images promises."""

from __future__ import annotations

import pytest

from hcluster.errors import NotFoundError
from tests.contract.world import World

NOBODYS = "ami-0badbadbadbadbad0"


def test_images_are_found_by_all_their_tags_newest_first(world: World) -> None:
    old = world.register_image(f"{world.name}-1", {**world.tags, "hcluster:image": "hadoop"})
    world.clock.sleep(1.1)  # EC2's creation dates may be whole seconds
    new = world.register_image(f"{world.name}-2", {**world.tags, "hcluster:image": "hadoop"})
    other = world.register_image(f"{world.name}-3", {**world.tags, "hcluster:image": "other"})
    found = world.images.images({**world.tags, "hcluster:image": "hadoop"})
    assert [image.id for image in found] == [new, old]
    assert {image.id for image in world.images.images(world.tags)} == {old, new, other}
    assert world.images.images({"hcluster:platform": "nobody's"}) == []
    assert found[0].state == "available"
    assert found[0].name == f"{world.name}-2"
    assert found[0].tags["hcluster:image"] == "hadoop"
    assert found[0].created > found[1].created


def test_an_image_is_found_by_id(world: World) -> None:
    image = world.register_image(f"{world.name}-1", world.tags)
    assert world.images.image(image).name == f"{world.name}-1"
    with pytest.raises(NotFoundError) as caught:
        world.images.image(NOBODYS)
    assert NOBODYS in caught.value.message


def test_the_base_image_is_the_newest_of_a_name_pattern_and_owner(world: World) -> None:
    assert world.images.base_image(world.base_pattern, world.base_owner).id == world.newest_base
    with pytest.raises(NotFoundError) as caught:
        world.images.base_image("no-such-image-*", world.base_owner)
    assert "no-such-image-*" in caught.value.message


def test_imdsv2_can_be_required_again_and_only_of_an_image_that_is_there(world: World) -> None:
    image = world.register_image(f"{world.name}-1", world.tags)
    world.images.require_imdsv2(image)
    world.images.require_imdsv2(image)
    with pytest.raises(NotFoundError):
        world.images.require_imdsv2(NOBODYS)


def test_a_deregistered_image_is_gone_and_that_can_be_repeated(world: World) -> None:
    image = world.register_image(f"{world.name}-1", world.tags)
    world.images.deregister(image)
    world.images.deregister(image)
    world.images.deregister(NOBODYS)
    assert world.images.images(world.tags) == []
    with pytest.raises(NotFoundError):
        world.images.image(image)
