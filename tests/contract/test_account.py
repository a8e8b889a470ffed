"""What ports.Account promises."""

from __future__ import annotations

import pytest

from hcluster.errors import NotFoundError
from tests.contract.world import World


def test_the_administrator_is_refused_nothing(world: World) -> None:
    assert world.account.refused(["ec2:CreateFleet", "s3:PutObject"], [], {}) == ()


def test_the_clocks_of_one_machine_agree(world: World) -> None:
    assert abs(world.account.clock_offset()) < 3


def test_a_bucket_that_the_store_made_is_private_and_encrypted(world: World) -> None:
    with pytest.raises(NotFoundError):
        world.account.bucket(world.store.bucket)
    world.store.ensure_bucket(world.tags)
    facts = world.account.bucket(world.store.bucket)
    assert facts.region in ("", world.compute.region())
    assert facts.encrypted
    assert facts.public_blocked
    assert not facts.public_policy


def test_subnets_tell_their_free_addresses_and_their_way_to_s3(world: World) -> None:
    subnets = world.vpc()[2]
    facts = world.account.subnets(subnets)
    assert {one.id for one in facts} == set(subnets)
    assert all(one.way_out for one in facts)
    assert all(one.free_addresses > 1000 for one in facts if one.id in world.places())
    assert {one.id: one.zone for one in facts} == world.compute.subnet_zones(subnets)
    assert world.account.subnets([]) == []
    with pytest.raises(NotFoundError):
        world.account.subnets(["subnet-0badbadbadbadbad0"])


def test_what_runs_counts_against_the_quota_of_its_market(world: World) -> None:
    before = {one.market: one for one in world.account.vcpu_quotas()}
    assert set(before) == {"on-demand", "spot"}
    world.fleet(world.template(), 2, types=["m5.xlarge"])
    after = {one.market: one for one in world.account.vcpu_quotas()}
    assert sum(after[one].used - before[one].used for one in before) == 8
    assert all(after[one].limit == before[one].limit > 0 for one in before)


def test_vcpus_of_types_are_known(world: World) -> None:
    assert world.account.vcpus(["m5.large", "m5.xlarge"]) == {"m5.large": 2, "m5.xlarge": 4}
    with pytest.raises(NotFoundError):
        world.account.vcpus(["m5.gigantic"])
