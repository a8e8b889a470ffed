"""What ``doctor`` makes of what it looked up."""

from __future__ import annotations

import pytest

from hcluster.model.account import BucketFacts, SubnetFacts, VcpuQuota
from hcluster.plan import checkup
from hcluster.spec.cluster import ClusterSpec

KEPT = BucketFacts("us-east-1", encrypted=True, public_blocked=True, public_policy=False)


@pytest.mark.parametrize(
    ("offset", "ok", "warning", "word"),
    [
        (0.4, True, False, "within 1 s"),
        (-29, True, False, "within 29 s"),
        (31, True, True, "31 s ahead of"),
        (-301, False, True, "301 s behind"),
    ],
)
def test_a_clock_that_is_off_warns_before_requests_are_refused(
    offset: float, ok: bool, warning: bool, word: str
) -> None:
    found = checkup.clock(offset)
    assert (found.ok, found.warning) == (ok, warning)
    assert word in found.message
    assert bool(found.cure) == warning


def test_a_private_encrypted_bucket_in_the_region_is_fine() -> None:
    found = checkup.bucket("b", KEPT, "us-east-1")
    assert found.ok
    assert not found.warning


@pytest.mark.parametrize(
    ("facts", "ok", "words"),
    [
        (BucketFacts("us-east-1", True, True, True), False, ["lets anybody in"]),
        (BucketFacts("eu-west-1", True, True, False), True, ["eu-west-1"]),
        (BucketFacts("", False, False, False), True, ["not encrypted", "not blocked"]),
    ],
)
def test_what_is_wrong_with_a_bucket_is_told_with_its_cure(facts: BucketFacts, ok: bool, words: list[str]) -> None:
    found = checkup.bucket("b", facts, "us-east-1")
    assert found.ok == ok
    assert all(word in found.message for word in words)
    assert found.cure


def test_nodes_need_free_addresses_and_a_way_to_s3() -> None:
    open_, shut = SubnetFacts("subnet-1", "a", 3, way_out=True), SubnetFacts("subnet-2", "b", 100, way_out=False)
    assert checkup.addresses([open_], 3).ok
    assert "3 free addresses" in checkup.addresses([open_], 4).message
    assert not checkup.addresses([open_], 4).ok
    assert not checkup.addresses([shut], 1).ok
    mixed = checkup.addresses([open_, shut], 50)
    assert mixed.ok
    assert mixed.warning
    assert "subnet-2" in mixed.message


def test_a_cluster_is_held_against_the_quota_of_each_market() -> None:
    spec = ClusterSpec.model_validate(
        {
            "name": "x",
            "team": "t",
            "master": {"types": ["m5.xlarge"]},
            "core": {"types": ["m5.large", "m5.2xlarge"], "count": 3},
        }
    )
    wanted = checkup.vcpus_wanted(spec, {"m5.xlarge": 4, "m5.large": 2, "m5.2xlarge": 8})
    assert wanted == {"on-demand": 4, "spot": 24}
    quotas = [VcpuQuota("on-demand", 8, 4), VcpuQuota("spot", 32, 9)]
    on_demand, spot = checkup.quotas(quotas, wanted)
    assert on_demand.ok
    assert not spot.ok
    assert "23 of 32 vCPUs left, the cluster takes up to 24" in spot.message
    assert VcpuQuota("spot", 1, 2).left == 0


def test_old_images_are_warned_of() -> None:
    day = checkup.DAY
    assert checkup.age("a", "x", -5, 30, "c", "updates").message == "x is of today"
    assert checkup.age("a", "x", day, 30, "c", "updates").message == "x is 1 day old"
    assert not checkup.age("a", "x", 30.9 * day, 30, "c", "updates").warning
    old = checkup.age("a", "x", 31 * day, 30, "c", "updates")
    assert (old.warning, old.message, old.cure) == (True, "x is 31 days old: it lacks updates", "c")


def test_missing_programs_are_named_with_the_verbs_that_call_them() -> None:
    assert not checkup.tools({}).warning
    found = checkup.tools({"packer": "`hcluster ami bake`"})
    assert "packer is not installed, needed for `hcluster ami bake`" in found.message
    assert found.cure == "apt-get install packer"


def test_refused_actions_are_named_up_to_six_of_them() -> None:
    assert checkup.permissions("operator", ("up", "down"), 9, ()).message == "you may up, down"
    found = checkup.permissions("operator", ("up", "down"), 9, [f"ec2:A{n}" for n in range(8)])
    assert found.warning
    assert "8 of 9 actions would be refused: ec2:A0, " in found.message
    assert found.message.endswith("ec2:A5 and 2 more")
    assert "`hcluster policies operator`" in found.cure
