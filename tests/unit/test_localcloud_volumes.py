"""Volumes as files, the devices of nodes, and firewalls told to nodes, as far as no node is needed."""

from __future__ import annotations

import errno
import os
import struct
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from hcluster.errors import LocalCloudError
from hcluster.localcloud import device_rules, disks, node_firewalls
from hcluster.localcloud.device_rules import Allowed
from hcluster.localcloud.firewall import Firewall, Rule, closed
from hcluster.localcloud.machines import Disk
from hcluster.localcloud.node_firewalls import NodeFirewalls
from hcluster.localcloud.settings import settings_on
from hcluster.localcloud.volumes import GIB, Volumes

VOLUME, SNAPSHOT = "vol-0123456789abcdef0", "snap-0123456789abcdef0"


@pytest.fixture
def volumes(tmp_path: Path) -> Volumes:
    return Volumes(tmp_path / "volumes")


def _file(tmp_path: Path, name: str = VOLUME) -> Path:
    return tmp_path / "volumes" / f"{name}.img"


def _begins(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def test_a_volume_takes_room_only_as_it_is_written(volumes: Volumes, tmp_path: Path) -> None:
    volumes.create(VOLUME, 100)
    assert _file(tmp_path).stat().st_size == 100 * GIB
    assert _file(tmp_path).stat().st_blocks < 100


def test_a_volume_grows_keeps_its_data_and_never_shrinks(volumes: Volumes, tmp_path: Path) -> None:
    volumes.create(VOLUME, 1)
    with _file(tmp_path).open("r+b") as file:
        file.write(b"kept")
    volumes.create(VOLUME, 2)
    volumes.create(VOLUME, 1)
    assert _file(tmp_path).stat().st_size == 2 * GIB
    assert _begins(_file(tmp_path)) == b"kept"


def test_a_snapshot_is_as_its_volume_was(volumes: Volumes, tmp_path: Path) -> None:
    volumes.create(VOLUME, 1)
    with _file(tmp_path).open("r+b") as file:
        file.write(b"then")
    volumes.snapshot(VOLUME, SNAPSHOT)
    with _file(tmp_path).open("r+b") as file:
        file.write(b"now!")
    volumes.create("vol-00000000000000002", 3, SNAPSHOT)
    copy = _file(tmp_path, "vol-00000000000000002")
    assert (_begins(copy), copy.stat().st_size) == (b"then", 3 * GIB)
    assert copy.stat().st_blocks < 100


def test_what_cannot_be_made_leaves_nothing(volumes: Volumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(LocalCloudError, match=r"snap-.* is missing on disk"):
        volumes.create(VOLUME, 1, SNAPSHOT)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LocalCloudError, match="cannot have 1 GiB here: No space left on device"):
        volumes.create(VOLUME, 1)
    assert list((tmp_path / "volumes").iterdir()) == []


def test_a_volume_that_is_missing_on_disk_is_not_made_anew(volumes: Volumes) -> None:
    with pytest.raises(LocalCloudError, match=f"{VOLUME} is missing on disk"):
        volumes.open(VOLUME)
    with pytest.raises(LocalCloudError, match="missing on disk"):
        volumes.snapshot(VOLUME, SNAPSHOT)


@pytest.mark.parametrize("name", ["../vol-0123456789abcdef0", "vol-1/../x", "data", ""])
def test_a_name_leads_nowhere_else(volumes: Volumes, name: str) -> None:
    with pytest.raises(LocalCloudError, match="names neither"):
        volumes.create(name, 1)


def test_deleting_can_be_repeated(volumes: Volumes, tmp_path: Path) -> None:
    volumes.create(VOLUME, 1)
    volumes.delete(VOLUME)
    volumes.delete(VOLUME)
    assert not _file(tmp_path).exists()


def test_what_no_record_knows_and_half_made_copies_are_swept(volumes: Volumes, tmp_path: Path) -> None:
    for name in (VOLUME, "vol-00000000000000002", SNAPSHOT):
        volumes.create(name, 1)
    (tmp_path / "volumes/vol-00000000000000003.new").touch()
    assert volumes.sweep({VOLUME, SNAPSHOT}) == ["vol-00000000000000002"]
    assert sorted(path.stem for path in (tmp_path / "volumes").iterdir()) == [SNAPSHOT, VOLUME]


def test_a_disk_is_called_as_an_ebs_volume_is() -> None:
    disk = Disk(VOLUME, 2)
    assert disks.device_name(disk) == "nvme2n1"
    assert disks.link_name(disk) == "nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0"


def test_a_node_cannot_lead_a_device_to_another_folder(tmp_path: Path) -> None:
    """What a node puts in the place of /dev is not followed."""
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / "dev").symlink_to(elsewhere)
    handle = os.open(root, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
            disks._inner(handle, "dev")
    finally:
        os.close(handle)
    assert list(elsewhere.iterdir()) == []


def _judge(code: bytes, kind: int, access: int, major: int, minor: int) -> int:
    """Run the few instructions that the program is made of."""
    registers, context, at = [0] * 11, [access << 16 | kind, major, minor], 0
    while True:
        operation, places, offset, value = struct.unpack_from("<BBhi", code, at * 8)
        target = places & 15
        if operation == 0x61:
            registers[target] = context[offset // 4]
        elif operation == 0x54:
            registers[target] &= value
        elif operation == 0x74:
            registers[target] >>= value
        elif operation == 0xB4:
            registers[target] = value
        elif operation == 0x55 and registers[target] != value:
            at += offset
        elif operation == 0x95:
            return registers[0]
        at += 1


def test_the_devices_program_lets_pass_what_is_allowed_and_nothing_else() -> None:
    code = device_rules.program([Allowed("c", 1, 3), Allowed("c", 136, None), Allowed("b", 7, 2)])
    block, character, make, read = 1, 2, 1, 2
    assert _judge(code, character, read, 1, 3)
    assert _judge(code, character, read, 136, 77)
    assert _judge(code, block, read, 7, 2)
    assert _judge(code, block, make, 9, 9), "a device node alone opens nothing"
    assert not _judge(code, block, read, 7, 3)
    assert not _judge(code, character, read, 7, 2)
    assert not _judge(code, block, read, 1, 3)


class _Nodes:
    """Namespaces that remember what they were told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.told: list[tuple[str, str]] = []
        self.broken = ""
        monkeypatch.setattr(node_firewalls, "in_namespace", self._told)
        monkeypatch.setattr(node_firewalls, "run", lambda _, stdin: stdin)
        settings = settings_on("unit", tmp_path, IPv4Network("10.70.0.0/16"))
        self.firewalls = NodeFirewalls(settings, lambda instance: f"ns-{instance}")

    def _told(self, namespace: str, action: object) -> None:
        if self.broken:
            raise LocalCloudError(self.broken)
        self.told.append((namespace, action()))  # type: ignore[operator]

    def names(self) -> list[str]:
        """Who was told since the last call."""
        names = sorted(name for name, _ in self.told)
        self.told.clear()
        return names


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> _Nodes:
    return _Nodes(monkeypatch, tmp_path)


def _member(address: str, group: str) -> Firewall:
    return Firewall(address, (group,), (Rule("-1", -1, -1, groups=(group,)),), ())


def test_only_nodes_whose_rules_changed_are_told(nodes: _Nodes) -> None:
    one, two, other = _member("10.70.16.4", "sg-1"), _member("10.70.16.5", "sg-1"), _member("10.70.16.6", "sg-2")
    nodes.firewalls.enforce({"i-1": one, "i-3": other})
    assert nodes.names() == [], "no node is there yet"
    nodes.firewalls.begin("i-1")
    nodes.firewalls.begin("i-3")
    assert nodes.names() == ["ns-i-1", "ns-i-3"]
    nodes.firewalls.enforce({"i-1": one, "i-3": other})
    assert nodes.names() == []
    nodes.firewalls.enforce({"i-1": one, "i-2": two, "i-3": other})
    assert nodes.names() == ["ns-i-1"], "only its group has another member"
    nodes.firewalls.end("i-1")
    nodes.firewalls.enforce({"i-1": one, "i-3": other})
    assert nodes.names() == []


def test_a_node_that_no_record_knows_is_closed(nodes: _Nodes) -> None:
    nodes.firewalls.enforce({})
    nodes.firewalls.begin("i-9")
    assert nodes.told == [("ns-i-9", closed())]


def test_a_partition_lasts_over_a_reboot_and_until_it_is_healed(nodes: _Nodes) -> None:
    nodes.firewalls.enforce({"i-1": _member("10.70.16.4", "sg-1")})
    nodes.firewalls.begin("i-1")
    opened = nodes.told[-1]
    nodes.firewalls.partition("i-1")
    assert nodes.told[-1] == ("ns-i-1", closed())
    nodes.firewalls.end("i-1")
    nodes.firewalls.begin("i-1")
    assert nodes.told[-1] == ("ns-i-1", closed())
    nodes.firewalls.heal("i-1")
    assert nodes.told[-1] == opened


def test_a_node_that_could_not_be_told_is_told_with_the_next_change(nodes: _Nodes) -> None:
    wanted = {"i-1": _member("10.70.16.4", "sg-1")}
    nodes.firewalls.enforce(wanted)
    nodes.firewalls.begin("i-1")
    nodes.names()
    nodes.broken = "the kernel refused"
    nodes.firewalls.enforce(wanted | {"i-2": _member("10.70.16.5", "sg-1")})
    nodes.broken = ""
    nodes.firewalls.enforce(wanted | {"i-2": _member("10.70.16.5", "sg-1")})
    assert nodes.names() == ["ns-i-1"]
