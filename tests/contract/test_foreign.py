"""What was made by somebody else under a name of ours is refused, by the fakes as by the adapter."""

from __future__ import annotations

import pytest

from hcluster.errors import ConflictError
from hcluster.model.launch import TemplateRequest
from tests.contract.world import POLICY, World

STRANGER = {"hcluster:platform": "stranger"}


@pytest.mark.parametrize("tags", [STRANGER, {"project": "x"}])
def test_a_security_group_of_somebody_else_is_a_conflict(world: World, tags: dict[str, str]) -> None:
    vpc, name = world.vpc()[0], f"hcluster-{world.name}-foreign"
    made = world.compute.ensure_security_group(name, vpc=vpc, allow_from={}, allow_cidrs=(), tags=tags)
    with pytest.raises(ConflictError, match=f"security group {name}.* exists"):
        world.compute.ensure_security_group(name, vpc=vpc, allow_from={}, allow_cidrs=(), tags=world.tags)
    assert world.compute.ensure_security_group(name, vpc=vpc, allow_from={}, allow_cidrs=(), tags=tags) == made
    assert world.compute.inventory(world.tags)["groups"] == 0


@pytest.mark.parametrize("tags", [STRANGER, {"project": "x"}])
def test_a_role_or_profile_of_somebody_else_is_a_conflict_and_keeps_its_policy(
    world: World, tags: dict[str, str]
) -> None:
    name = f"hcluster-{world.name}-foreign"
    world.compute.ensure_instance_profile(name, POLICY, tags=tags)
    with pytest.raises(ConflictError, match=f"{name} exists"):
        world.compute.ensure_instance_profile(name, {**POLICY, "Statement": []}, tags=world.tags)
    assert world.compute.delete_instance_profiles(world.tags) == 0
    assert world.compute.delete_instance_profiles(tags) >= 1


@pytest.mark.parametrize("region", ["eu-west-1"])
def test_a_role_of_the_platform_of_the_same_name_in_another_region_is_a_conflict(world: World, region: str) -> None:
    name = f"hcluster-{world.name}-foreign"
    world.foreign_profile(name, {**world.tags, "hcluster:region": region})
    with pytest.raises(ConflictError, match=f"of the same name in {region}"):
        world.compute.ensure_instance_profile(name, POLICY, tags=world.tags)
    assert world.compute.delete_instance_profiles(world.tags) == 0


def test_a_launch_template_of_somebody_else_is_a_conflict(world: World) -> None:
    def request(tags: dict[str, str]) -> TemplateRequest:
        return TemplateRequest(
            name=f"hcluster-{world.name}-foreign",
            image=world.register_image(f"{world.name}-{len(tags)}-{min(tags.values())}", world.tags),
            instance_profile=f"hcluster-{world.name}",
            security_groups=(world.group(),),
            user_data="{}",
            tags=tags,
        )

    world.compute.ensure_instance_profile(f"hcluster-{world.name}", POLICY, tags=world.tags)
    world.compute.ensure_template(request(STRANGER))
    with pytest.raises(ConflictError, match=f"launch template hcluster-{world.name}-foreign exists"):
        world.compute.ensure_template(request(world.tags))
    assert world.compute.inventory(world.tags)["templates"] == 0
