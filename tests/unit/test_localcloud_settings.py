"""A local cloud's names, network and files follow from its name."""

from __future__ import annotations

import json
import stat
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from hcluster.errors import LocalCloudError, UsageError
from hcluster.localcloud import aws_profile, settings


def test_the_same_name_always_gives_the_same_cloud(tmp_path: Path) -> None:
    assert settings.derive("demo", tmp_path) == settings.derive("demo", tmp_path)


def test_addresses_lie_where_the_contract_puts_them(tmp_path: Path) -> None:
    cloud = settings.settings_on("demo", tmp_path / "local/demo", IPv4Network("10.70.0.0/16"))
    assert (cloud.gateway, cloud.host_ip) == ("10.70.0.1", "10.70.255.253")
    assert cloud.subnets == (
        ("us-east-1a", "10.70.16.0/20"),
        ("us-east-1b", "10.70.32.0/20"),
        ("us-east-1c", "10.70.48.0/20"),
    )
    assert cloud.endpoint_url == "http://10.70.0.1:4566"
    assert cloud.proxy_url == "http://10.70.0.1:3128"
    assert cloud.cache == tmp_path / "cache"


def test_only_addresses_of_its_own_network_belong_to_a_cloud(tmp_path: Path) -> None:
    cloud = settings.settings_on("demo", tmp_path, IPv4Network("10.70.0.0/16"))
    assert cloud.contains("10.70.16.4")
    assert not cloud.contains("10.71.0.4")
    assert not cloud.contains("192.0.2.1")


def test_networks_with_a_route_are_passed_over(tmp_path: Path) -> None:
    first = IPv4Network(settings.derive("demo", tmp_path).cidr)
    second = IPv4Network(settings.derive("demo", tmp_path, [first]).cidr)
    third = IPv4Network(
        settings.derive("demo", tmp_path, [first, IPv4Network(f"{second.network_address + 9}/32")]).cidr
    )
    assert len({first, second, third}) == 3
    assert all(network.subnet_of(settings.POOL) for network in (first, second, third))


def test_a_machine_whose_routes_cover_the_pool_has_no_room(tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match="already has a route"):
        settings.derive("demo", tmp_path, [IPv4Network("10.0.0.0/8")])


def test_a_recorded_network_stays_whatever_routes_there_are(tmp_path: Path) -> None:
    cloud = settings.settings_on("demo", tmp_path / "local/demo", IPv4Network("10.99.0.0/16"))
    settings.record(cloud)
    assert settings.derive("demo", tmp_path, [IPv4Network("10.99.0.0/16")]) == cloud


def test_a_damaged_record_names_the_cure(tmp_path: Path) -> None:
    folder = tmp_path / "local/demo"
    folder.mkdir(parents=True)
    (folder / "cloud.json").write_text("{")
    with pytest.raises(LocalCloudError) as caught:
        settings.derive("demo", tmp_path)
    assert caught.value.hint == "hcluster local reset --name demo"


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "../a", "a" * 33])
def test_names_that_could_not_be_part_of_a_path_or_profile_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        settings.derive(name, tmp_path)


def test_a_state_folder_that_overlay_mounts_cannot_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match="colon"):
        settings.derive("demo", tmp_path / "a:b")


def test_clouds_of_one_name_in_two_state_folders_do_not_meet(tmp_path: Path) -> None:
    one, other = settings.derive("demo", tmp_path / "one"), settings.derive("demo", tmp_path / "other")
    assert one.namespace != other.namespace
    assert one.host_link != other.host_link
    assert one.cgroup != other.cgroup
    assert one.runtime != other.runtime


def test_link_names_fit_into_the_kernels_fifteen_characters(tmp_path: Path) -> None:
    assert len(settings.derive("a" * 32, tmp_path).host_link) <= 15


def test_the_profile_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    cloud = settings.derive("demo", tmp_path)
    aws_profile.write(cloud, "AKIA1", "geheim")
    aws_profile.write(cloud, "AKIA1", "geheim")
    config, credentials = cloud.aws_folder / "config", cloud.aws_folder / "credentials"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (cloud.aws_folder, config, credentials)] == [
        0o700,
        0o600,
        0o600,
    ]
    assert f"[profile hcluster-demo]\nregion = us-east-1\nendpoint_url = {cloud.endpoint_url}\n" == config.read_text()
    assert "[hcluster-demo]" in credentials.read_text()
    assert "aws_secret_access_key = geheim" in credentials.read_text()
    assert sorted(path.name for path in cloud.aws_folder.iterdir()) == ["config", "credentials"]


def test_the_record_is_json_that_people_can_read(tmp_path: Path) -> None:
    cloud = settings.derive("demo", tmp_path)
    settings.record(cloud)
    assert json.loads((cloud.folder / "cloud.json").read_text()) == {"cidr": cloud.cidr}
