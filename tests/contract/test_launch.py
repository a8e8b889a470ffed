"""What ports.Compute promises about templates, fleets and instances."""

from __future__ import annotations

import ipaddress

import pytest

from hcluster.errors import NotFoundError
from hcluster.model.launch import Disk
from tests.contract.world import TYPES, World

NOBODYS = "i-0badbadbadbadbad0"
PUBLIC_KEY = "ssh-ed25519 " + "A" * 68 + " hcluster"


def test_a_fleet_has_the_nodes_that_were_asked_for(world: World) -> None:
    subnets = world.vpc()[2][:2]
    image = world.register_image(f"{world.name}-image", world.tags)
    before = world.clock.now()
    result = world.fleet(world.template(image=image), 3, subnets=subnets, market="spot")
    assert len(set(result.instances)) == 3
    nodes = world.compute.instances(world.tags)
    assert {one.id for one in nodes} == set(result.instances)
    blocks = [ipaddress.ip_network(one) for one in world.compute.subnet_cidrs(subnets).values()]
    for one in nodes:
        assert one.alive
        assert one.type in TYPES
        assert one.market == "spot"
        assert one.image == image
        assert any(ipaddress.ip_address(one.private_ip) in block for block in blocks)
        assert one.private_dns == f"ip-{one.private_ip.replace('.', '-')}.ec2.internal"
        assert one.zone.startswith(world.compute.region())
        assert before - 2 <= one.launched.timestamp() <= world.clock.now() + 2
        assert one.reason == ""
    assert len({one.private_ip for one in nodes}) == 3


def test_nodes_become_running(world: World) -> None:
    world.fleet(world.template())
    world.until(lambda: [one.state for one in world.compute.instances(world.tags)] == ["running"])


def test_on_demand_nodes_say_so(world: World) -> None:
    world.fleet(world.template())
    assert [one.market for one in world.compute.instances(world.tags)] == ["on-demand"]


def test_tags_of_the_fleet_win_over_those_of_the_template(world: World) -> None:
    template = world.template(tags={"hcluster:group": "core", "from": "template"})
    world.fleet(template, tags={"hcluster:group": "task"})
    (node,) = world.compute.instances(world.tags)
    assert node.tags["hcluster:group"] == "task"
    assert node.tags["from"] == "template"


def test_instances_are_found_by_all_their_tags_literally(world: World) -> None:
    template = world.template()
    first = world.fleet(template, attempt="a", tags={"hcluster:group": "core"})
    world.fleet(template, attempt="b", tags={"hcluster:group": "task"})
    found = world.compute.instances({**world.tags, "hcluster:group": "core"})
    assert [one.id for one in found] == list(first.instances)
    assert world.compute.instances({**world.tags, "hcluster:group": "nobody"}) == []
    assert world.compute.instances({**world.tags, "hcluster:group": "*"}) == []


def test_tags_of_running_instances_are_set_and_the_others_stay(world: World) -> None:
    template = world.template(tags={"hcluster:group": "core"})
    first, second = world.fleet(template, 2).instances
    world.compute.tag([first, NOBODYS], {"hcluster:told": "a"})
    world.compute.tag([first], {"hcluster:told": "b"})
    tags = {one.id: one.tags for one in world.compute.instances(world.tags)}
    assert (tags[first]["hcluster:told"], tags[first]["hcluster:group"]) == ("b", "core")
    assert "hcluster:told" not in tags[second]
    world.compute.tag([], {"hcluster:told": "c"})


def test_the_same_token_again_launches_nothing_more(world: World) -> None:
    template = world.template()
    first = world.fleet(template, 2)
    assert set(world.fleet(template, 2).instances) == set(first.instances)
    assert len(world.compute.instances(world.tags)) == 2
    other = world.fleet(template, 1, attempt="second")
    assert not set(other.instances) & set(first.instances)
    assert len(world.compute.instances(world.tags)) == 3


def test_a_launch_from_a_missing_template_or_image_is_not_found(world: World) -> None:
    with pytest.raises(NotFoundError):
        world.fleet("lt-0badbadbadbadbad0")
    with pytest.raises(NotFoundError):
        world.fleet(world.template(image="ami-0badbadbadbadbad0"), attempt="second")
    assert world.compute.instances(world.tags) == []


def test_a_shortage_is_told_beside_what_was_launched(world: World) -> None:
    template = world.template()
    result = world.fleet(template, 11, subnets=[world.small_subnet], types=TYPES[:1])
    assert (len(result.instances), result.errors) == (11, ())
    short = world.fleet(template, 2, attempt="second", subnets=[world.small_subnet])
    assert short.instances == ()
    assert {code for code, _ in short.errors} == {"InsufficientFreeAddressesInSubnet"}
    assert all(message for _, message in short.errors)


def test_a_template_keeps_its_id_and_launches_what_it_says_now(world: World) -> None:
    old, new = (world.register_image(f"{world.name}-{version}", world.tags) for version in ("old", "new"))
    template = world.template(image=old)
    assert world.template(image=old) == template
    assert world.template(image=new) == template
    world.fleet(template)
    assert [one.image for one in world.compute.instances(world.tags)] == [new]
    # Back again: the newest version must be compared, not any that ever was.
    assert world.template(image=old) == template
    result = world.fleet(template, attempt="second")
    images = {one.id: one.image for one in world.compute.instances(world.tags)}
    assert images[result.instances[0]] == old
    assert world.compute.inventory(world.tags)["templates"] == 1


def test_templates_are_deleted_by_tags_and_only_once(world: World) -> None:
    world.template("a")
    world.template("b")
    assert world.compute.delete_templates({"hcluster:platform": "nobody's"}) == 0
    assert world.compute.delete_templates(world.tags) == 2
    assert world.compute.delete_templates(world.tags) == 0


def test_terminated_nodes_are_no_longer_alive_and_say_why(world: World) -> None:
    result = world.fleet(world.template(), 2)
    world.compute.terminate(result.instances)
    assert world.compute.instances(world.tags) == []
    world.terminate_all()
    ended = world.compute.instances(world.tags, alive_only=False)
    assert {one.id for one in ended} == set(result.instances)
    assert all(one.reason for one in ended)
    assert all(one.ended and one.ended >= one.launched.replace(microsecond=0) for one in ended)


def test_terminating_can_be_repeated_and_skips_unknown_ids(world: World) -> None:
    result = world.fleet(world.template(), 2)
    world.compute.terminate([])
    world.compute.terminate([NOBODYS])
    world.compute.terminate([result.instances[0], NOBODYS, *result.instances])
    world.compute.terminate(result.instances)
    assert world.compute.instances(world.tags) == []


def test_the_disks_of_a_node_end_with_it(world: World) -> None:
    world.fleet(world.template(disks=(Disk(10), Disk(20))))
    assert world.compute.inventory(world.tags)["volumes"] == 3
    assert world.compute.delete_volumes(world.tags) == 0
    world.terminate_all()
    assert world.compute.inventory(world.tags)["volumes"] == 0


def test_volumes_of_no_instance_are_deleted_by_tags(world: World) -> None:
    world.leave_volume(world.tags)
    assert world.compute.inventory(world.tags)["volumes"] == 1
    assert world.compute.delete_volumes({"hcluster:platform": "nobody's"}) == 0
    assert world.compute.delete_volumes(world.tags) == 1
    assert world.compute.delete_volumes(world.tags) == 0


def test_after_everything_is_removed_the_inventory_is_what_it_was(world: World) -> None:
    before = world.compute.inventory(world.tags)
    assert set(before) == {"instances", "interfaces", "templates", "groups", "volumes"}
    assert not any(before.values())
    world.fleet(world.template(disks=(Disk(10),)), 2)
    during = world.compute.inventory(world.tags)
    assert during["instances"] == 2
    assert during["interfaces"] >= 2
    assert during["templates"] == during["groups"] == 1
    world.terminate_all()
    world.compute.delete_interfaces(world.tags)
    world.compute.delete_templates(world.tags)
    world.compute.delete_volumes(world.tags)
    world.compute.delete_security_groups(world.tags)
    assert world.compute.inventory(world.tags) == before


def test_the_console_is_text_and_of_an_unknown_instance_not_found(world: World) -> None:
    (node,) = world.fleet(world.template()).instances
    assert isinstance(world.compute.console(node), str)
    with pytest.raises(NotFoundError):
        world.compute.console(NOBODYS)


def test_a_key_is_pushed_to_a_node_that_exists(world: World) -> None:
    (node,) = world.fleet(world.template()).instances
    world.until(lambda: all(one.state == "running" for one in world.compute.instances(world.tags)))
    world.compute.push_ssh_key(node, "admin", PUBLIC_KEY)
    with pytest.raises(NotFoundError):
        world.compute.push_ssh_key(NOBODYS, "admin", PUBLIC_KEY)


def test_the_memory_of_types_is_told_in_one_call_and_an_unknown_type_is_not_found(world: World) -> None:
    found = world.compute.memory_mib(["m5.xlarge", "m5.large"])
    assert list(found) == ["m5.xlarge", "m5.large"]
    assert found["m5.xlarge"] >= found["m5.large"] > 0
    with pytest.raises(NotFoundError):
        world.compute.memory_mib(["m5.large", "m5.nosuch"])
