"""What a changed spec asks for."""

from __future__ import annotations

import pytest

from hcluster.plan.changes import changes
from hcluster.spec.cluster import ClusterSpec

BASE: dict[str, object] = {"name": "a", "team": "t", "core": {"count": 3}}


def spec(**values: object) -> ClusterSpec:
    return ClusterSpec.model_validate(BASE | values)


def test_equal_specs_have_no_changes() -> None:
    assert changes(spec(), spec()) == []


@pytest.mark.parametrize(
    ("values", "field", "policy"),
    [
        ({"name": "b"}, "name", "refused"),
        ({"team": "u"}, "team", "refused"),
        ({"lifetime": "4h"}, "lifetime", "live"),
        ({"core": {"count": 4}}, "core.count", "live"),
        ({"core": {"count": 2}}, "core.count", "refused"),
        ({"core": {"count": 3, "types": ["r5.large"]}}, "core.types", "replace-nodes"),
        ({"task": {"count": 1}}, "task.count", "live"),
        ({"master": {"market": "spot"}}, "master.market", "refused"),
        ({"master": {"disks": [{"size_gib": 1}]}}, "master.disks", "refused"),
        ({"image": "ami-0123456789abcdef0"}, "image", "replace-nodes"),
        ({"site": {"core-site": {"a": 1}}}, "site", "live"),
        ({"puppet": {"channel": "next"}}, "puppet.channel", "live"),
        ({"bootstrap": [{"name": "x", "script": "#!/bin/sh"}]}, "bootstrap", "replace-nodes"),
        ({"tags": {"a": "b"}}, "tags", "replace-nodes"),
    ],
)
def test_each_change_has_the_policy_of_its_field_and_a_reason(
    values: dict[str, object], field: str, policy: str
) -> None:
    found = changes(spec(), spec(**values))
    assert [(change.field, change.policy) for change in found] == [(field, policy)]
    assert found[0].reason


def test_several_changes_come_in_the_order_of_the_schema_with_both_values() -> None:
    found = changes(spec(), spec(tags={"a": "b"}, lifetime="4h"))
    assert [(change.field, change.old, change.new) for change in found] == [
        ("lifetime", "standing", "4h"),
        ("tags", {}, {"a": "b"}),
    ]
