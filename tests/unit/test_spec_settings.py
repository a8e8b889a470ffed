"""Fields that the command line sets over a cluster's YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from hcluster.errors import SpecError
from hcluster.spec.cluster import ClusterSpec
from hcluster.spec.load import load_cluster
from hcluster.spec.platform import PlatformSpec

PLATFORM = PlatformSpec(name="demo", bucket="hcluster-demo", teams=("analytics",), defaults={"lifetime": "8h"})
TEXT = """\
name: flights
team: analytics
core: {count: 3, types: [m5.large]}
site: {yarn-site: {a.b: "1"}}
tags: {project: x}
"""


def load(folder: Path, *given: str) -> ClusterSpec:
    path = folder / "flights.yaml"
    path.write_text(TEXT)
    return load_cluster(path, PLATFORM, given)


def findings(folder: Path, *given: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(folder, *given)
    return list(caught.value.findings)


def test_a_setting_wins_over_the_file_and_leaves_the_rest_of_it(tmp_path: Path) -> None:
    spec = load(tmp_path, "core.count=5", "task.count=1")
    assert (spec.core.count, spec.core.types, spec.task.count) == (5, ("m5.large",), 1)


def test_values_are_yaml_and_lists_are_replaced_while_mappings_are_merged(tmp_path: Path) -> None:
    spec = load(
        tmp_path,
        "core.types=[m5a.large, m5.xlarge]",
        "core.disks=[{size_gib: 100}, {size_gib: 4, type: gp2}]",
        "lifetime=standing",
        "tags={cost-centre: '42'}",
    )
    assert spec.core.types == ("m5a.large", "m5.xlarge")
    assert [(disk.size_gib, disk.type) for disk in spec.core.disks] == [(100, "gp3"), (4, "gp2")]
    assert spec.lifetime == 0
    assert spec.tags == {"project": "x", "cost-centre": "42"}


def test_a_key_of_ones_own_is_all_the_rest_of_the_path(tmp_path: Path) -> None:
    spec = load(
        tmp_path,
        "site.yarn-site.yarn.nodemanager.vmem-check-enabled=false",
        'site."core-site".fs.s3a.threads.max=64',
        "tags.cost.centre=a=b",
        'tags."x=y"=z',
    )
    assert spec.site["yarn-site"] == {"a.b": "1", "yarn.nodemanager.vmem-check-enabled": "false"}
    assert spec.site["core-site"] == {"fs.s3a.threads.max": "64"}
    assert spec.tags == {"project": "x", "cost.centre": "a=b", "x=y": "z"}


def test_of_two_settings_of_one_field_the_later_one_counts(tmp_path: Path) -> None:
    assert load(tmp_path, "core.count=5", "core.count=4").core.count == 4


def test_nothing_is_the_empty_text(tmp_path: Path) -> None:
    assert load(tmp_path, "owner=").owner == ""
    assert load(tmp_path, "tags.note= ").tags["note"] == ""


def test_the_name_may_be_set_so_that_one_file_serves_two_clusters(tmp_path: Path) -> None:
    assert load(tmp_path, "name=other").name == "other"


def test_findings_name_the_setting_that_is_wrong_and_all_are_told_at_once(tmp_path: Path) -> None:
    found = findings(tmp_path, "core.count=0", "task.cuont=1", "tags.project=7", "lifetime=later", "cores.count=1")
    assert len(found) == 5
    every = "\n".join(found)
    assert "--set core.count=0: core.count: " in every
    assert "--set task.cuont=1: task.cuont: unknown key, did you mean `count`?" in every
    assert "--set tags.project=7: tags.project: must be text, not 7; quote it" in every
    assert "--set lifetime=later: lifetime: " in every
    assert "--set cores.count=1: cores: unknown key, did you mean `core`?" in every


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("core.count", "is not PATH=VALUE"),
        ("=5", "path cannot be read"),
        ("core..count=5", "path cannot be read"),
        (".core.count=5", "path cannot be read"),
        ('core."count=5', "is not PATH=VALUE"),
        ("core.types[0]=m5.large", "give the whole list"),
        ("core.types=[m5.large", "not valid YAML"),
        ("core.count=5\nname: other", "not valid YAML"),
        ("tags=*x", "not valid YAML"),
        ("lifetime=!!binary aGk=", "not allowed"),
    ],
)
def test_a_setting_that_cannot_be_read_is_told_with_the_reason(tmp_path: Path, given: str, said: str) -> None:
    (found,) = findings(tmp_path, given)
    assert found.startswith(f"--set {given}: ")
    assert said in found


def test_what_the_file_lacks_is_still_told_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "flights.yaml"
    path.write_text("name: flights\n")
    with pytest.raises(SpecError) as caught:
        load_cluster(path, PLATFORM, ["core.count=1"])
    assert [one for one in caught.value.findings if one.endswith("flights.yaml:1: team: is required")]
