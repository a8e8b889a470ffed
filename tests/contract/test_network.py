"""What ports.Compute promises about the network and about instance profiles."""

from __future__ import annotations

import ipaddress

import pytest

from hcluster.errors import CapacityError, ConflictError, NotFoundError, UsageError
from tests.contract.world import POLICY, World


def interface(world: World, name: str = "master", subnet: str = "") -> tuple[str, str, str]:
    return world.compute.ensure_interface(
        subnet=subnet or world.vpc()[2][0],
        groups=[world.group()],
        description=name,
        client_token=f"{world.name}-{name}",
        tags={**world.tags, "hcluster:group": name},
    )


def test_region_and_caller_are_known(world: World) -> None:
    account, arn = world.compute.caller()
    assert world.compute.region() == "us-east-1"
    assert len(account) == 12
    assert account in arn


def test_the_default_network_is_also_found_by_id(world: World) -> None:
    vpc, cidrs, subnets = world.vpc()
    assert world.compute.network(vpc)[:2] == (vpc, cidrs)
    assert set(subnets) <= set(world.compute.network(vpc)[2])
    assert world.small_subnet in world.compute.network(vpc)[2]
    blocks = world.compute.subnet_cidrs(subnets)
    assert set(blocks) == set(subnets)
    inside = [ipaddress.ip_network(cidr) for cidr in cidrs]
    assert all(any(ipaddress.ip_network(one).subnet_of(whole) for whole in inside) for one in blocks.values())  # type: ignore[arg-type]


def test_an_unknown_network_or_subnet_is_not_found(world: World) -> None:
    with pytest.raises(NotFoundError):
        world.compute.network("vpc-0badbadbadbadbad0")
    with pytest.raises(NotFoundError):
        world.compute.subnet_cidrs(["subnet-0badbadbadbadbad0"])
    assert world.compute.subnet_cidrs([]) == {}


def test_a_security_group_is_made_once_for_each_name(world: World) -> None:
    vpc, cidrs, _ = world.vpc()
    team = world.group("team")
    assert world.group("team") == team
    for _ in range(2):  # adopted with its rules, too
        platform = world.compute.ensure_security_group(
            f"hcluster-{world.name}-platform", vpc=vpc, allow_from={team: 9083}, allow_cidrs=cidrs, tags=world.tags
        )
    assert platform != team
    assert world.compute.inventory(world.tags)["groups"] == 2


def test_security_groups_that_name_each_other_are_deleted_together_and_only_once(world: World) -> None:
    vpc, cidrs, _ = world.vpc()
    team = world.group("team")
    platform = world.compute.ensure_security_group(
        f"hcluster-{world.name}-platform", vpc=vpc, allow_from={team: 9083}, allow_cidrs=cidrs, tags=world.tags
    )
    world.compute.ensure_security_group(
        f"hcluster-{world.name}-team", vpc=vpc, allow_from={platform: 9083}, allow_cidrs=cidrs, tags=world.tags
    )
    assert world.compute.delete_security_groups(world.tags) == 2
    assert world.compute.delete_security_groups(world.tags) == 0
    assert world.compute.inventory(world.tags)["groups"] == 0


def test_a_security_group_in_use_is_a_conflict_until_it_is_free(world: World) -> None:
    interface(world)
    with pytest.raises(ConflictError):
        world.compute.delete_security_groups(world.tags)
    assert world.compute.inventory(world.tags)["groups"] == 1
    assert world.compute.delete_interfaces(world.tags) == 1
    assert world.compute.delete_security_groups(world.tags) == 1


def test_an_interface_is_made_once_for_its_tags(world: World) -> None:
    first = interface(world, "master")
    assert interface(world, "master") == first
    assert interface(world, "platform")[0] != first[0]
    assert world.compute.inventory(world.tags)["interfaces"] == 2


def test_an_interface_has_an_address_of_its_subnet_and_a_name_of_its_address(world: World) -> None:
    subnet = world.vpc()[2][1]
    _, address, dns = interface(world, subnet=subnet)
    assert ipaddress.ip_address(address) in ipaddress.ip_network(world.compute.subnet_cidrs([subnet])[subnet])
    assert dns == f"ip-{address.replace('.', '-')}.ec2.internal"


def test_a_full_subnet_has_no_capacity_for_another_interface(world: World) -> None:
    taken = {interface(world, str(number), world.small_subnet)[1] for number in range(11)}
    assert len(taken) == 11
    with pytest.raises(CapacityError):
        interface(world, "one too many", world.small_subnet)
    assert world.compute.delete_interfaces(world.tags) == 11


def test_deleting_interfaces_can_be_repeated_and_spares_other_tags(world: World) -> None:
    interface(world, "a")
    kept = interface(world, "b")
    tags = {**world.tags, "hcluster:group": "a"}
    assert world.compute.delete_interfaces(tags) == 1
    assert world.compute.delete_interfaces(tags) == 0
    assert interface(world, "b") == kept
    world.compute.delete_interfaces(world.tags)


def test_the_interface_of_a_living_node_stays_and_goes_once_the_node_is_ending(world: World) -> None:
    made, address, _ = interface(world)
    node = world.fleet(world.template(interface=made), subnets=())
    assert len(node.instances) == 1
    assert [one.private_ip for one in world.compute.instances(world.tags)] == [address]
    tags = {**world.tags, "hcluster:group": "master"}
    assert world.compute.delete_interfaces(tags) == 0
    assert world.compute.inventory(tags)["interfaces"] == 1
    world.compute.terminate(node.instances)
    assert world.compute.delete_interfaces(tags) == 1
    assert world.compute.inventory(tags)["interfaces"] == 0


def test_an_instance_profile_is_made_once_and_takes_a_new_policy(world: World) -> None:
    name = f"hcluster-{world.name}-node"
    other = {**POLICY, "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}]}
    assert world.compute.ensure_instance_profile(name, POLICY, tags=world.tags) == name
    assert world.compute.ensure_instance_profile(name, other, tags=world.tags) == name
    assert world.compute.delete_instance_profiles(world.tags) == 1
    assert world.compute.delete_instance_profiles(world.tags) == 0


def test_only_profiles_of_our_own_name_and_tags_are_deleted(world: World) -> None:
    world.compute.ensure_instance_profile(f"somebodys-{world.name}", POLICY, tags=world.tags)
    world.compute.ensure_instance_profile(f"hcluster-{world.name}", POLICY, tags={"hcluster:platform": "another"})
    assert world.compute.delete_instance_profiles(world.tags) == 0
    assert world.compute.delete_instance_profiles({"hcluster:platform": "another"}) == 1


def test_nothing_is_ever_deleted_by_no_tags_at_all(world: World) -> None:
    compute = world.compute
    for delete in (
        compute.delete_instance_profiles,
        compute.delete_interfaces,
        compute.delete_security_groups,
        compute.delete_templates,
        compute.delete_volumes,
    ):
        with pytest.raises(UsageError):
            delete({})
