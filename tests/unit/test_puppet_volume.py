"""The script that mounts a volume, on files that e2fsprogs and util-linux take for devices; mounting alone is a stub.

And the one that makes a database beside whatever a volume holds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

MODULES = Path(__file__).parents[2] / "puppet/modules"
TOOLS = ("wipefs", "blkid", "mkfs.ext4", "fsck.ext4", "mkswap", "tune2fs")
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
LABEL = "hcluster-meta"

needs_tools = pytest.mark.skipif(
    not all(shutil.which(tool, path=PATH) for tool in TOOLS), reason="needs e2fsprogs and util-linux"
)


@dataclass
class Machine:
    """A device, and what was done with it."""

    folder: Path

    @property
    def device(self) -> Path:
        return self.folder / "device"

    def run(self, seconds: int = 0, mounted: str = "") -> subprocess.CompletedProcess[str]:
        """Run the script; ``mounted``: device number at the folder, "" for none. The device's own is 7:1."""
        (self.folder / "mounted").write_text(mounted)
        command = ["sh", str(self.folder / "script"), str(self.device), "/data", LABEL, str(seconds)]
        environment = os.environ | {"PATH": f"{self.folder}:{PATH}"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    @property
    def mounts(self) -> list[str]:
        calls = self.folder / "mounts"
        return calls.read_text().splitlines() if calls.exists() else []

    def tool(self, *words: str) -> None:
        subprocess.run([*words, str(self.device)], env=os.environ | {"PATH": PATH}, check=True, capture_output=True)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    text = (MODULES / "volume/files/volume-mount.sh").read_text()
    # A file stands for the device, and nothing is made outside of this folder.
    text = text.replace('[ -b "$device" ]', '[ -e "$device" ]').replace('mkdir -p "$folder"', ":")
    (tmp_path / "script").write_text(text)
    stubs = {
        "mount": f'echo "$*" >> {tmp_path}/mounts',
        "mountpoint": f"""
            held=$(cat {tmp_path}/mounted)
            case $1 in -q) [ -n "$held" ] ;; -d) echo "$held" ;; -x) echo 7:1 ;; esac
        """,
    }
    for name, body in stubs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    with (tmp_path / "device").open("wb") as out:
        out.truncate(16 << 20)
    return Machine(tmp_path)


@needs_tools
def test_an_empty_volume_gets_a_file_system_once_and_is_mounted(machine: Machine) -> None:
    done = machine.run()
    assert done.returncode == 0, done.stderr
    assert machine.mounts == [f"-t ext4 -o nodev,nosuid,noatime {machine.device} /data"]
    made = machine.device.read_bytes()[:4096]
    again = machine.run()
    assert (again.returncode, "making" in again.stdout) == (0, False)
    assert machine.device.read_bytes()[1024 + 104 : 1024 + 120] == made[1024 + 104 : 1024 + 120], "another file system"


@needs_tools
@pytest.mark.parametrize(
    "words",
    [("mkswap",), ("mkfs.ext4", "-q", "-F", "-L", "somebodys"), ("mkfs.ext4", "-q", "-F"), ("mkfs.ext2", "-q", "-F")],
)
def test_whatever_else_is_on_a_volume_stays_as_it_is(machine: Machine, words: tuple[str, ...]) -> None:
    machine.tool(*words)
    before = machine.device.read_bytes()
    done = machine.run()
    assert done.returncode == 1
    assert "it was left as it is" in done.stderr
    assert machine.device.read_bytes() == before
    assert machine.mounts == []


@needs_tools
def test_a_partition_table_is_something(machine: Machine) -> None:
    with machine.device.open("r+b") as out:
        out.seek(446)
        out.write(bytes([0, 0, 2, 0, 0x83, 0, 1, 0, 1, 0, 0, 0, 0xFF, 0x0F, 0, 0]))
        out.seek(510)
        out.write(b"\x55\xaa")
    before = machine.device.read_bytes()
    assert machine.run().returncode == 1
    assert machine.device.read_bytes() == before


@needs_tools
def test_a_file_system_that_was_not_unmounted_is_checked_first(machine: Machine) -> None:
    assert machine.run().returncode == 0
    machine.tool("tune2fs", "-E", "force_fsck")
    state = 1024 + 58
    assert machine.device.read_bytes()[state] != 1
    assert machine.run().returncode == 0
    assert machine.device.read_bytes()[state] == 1
    assert len(machine.mounts) == 2


@needs_tools
def test_a_file_system_that_cannot_be_repaired_alone_is_not_mounted(machine: Machine) -> None:
    assert machine.run().returncode == 0
    with machine.device.open("r+b") as out:
        out.seek(4096)  # the table of groups, without its checksums
        out.write(b"\xff" * 4096)
        out.seek(1024 + 58)
        out.write(b"\x02\x00")
    done = machine.run()
    assert done.returncode == 1
    assert len(machine.mounts) == 1


def test_a_volume_that_does_not_come_is_named_after_the_deadline(machine: Machine) -> None:
    machine.device.unlink()
    done = machine.run(seconds=1)
    assert done.returncode == 1
    assert "has not come in 1 s: is the volume attached to this instance?" in done.stderr


def test_what_is_mounted_already_is_left_and_something_else_there_is_an_error(machine: Machine) -> None:
    assert machine.run(mounted="7:1").returncode == 0
    assert machine.run(mounted="8:1").returncode == 1
    assert machine.mounts == []


def initialize(folder: Path, tmp_path: Path, *, fails: bool = False) -> subprocess.CompletedProcess[str]:
    stubs = {
        "mariadb-install-db": "for word; do case $word in --datadir=*) mkdir ${word#*=}/mysql ;; esac; done"
        + ("; exit 1" if fails else ""),
        "mariadbd": "echo 10.11",
        "chown": ":",
        "sync": ":",
    }
    for name, body in stubs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    return subprocess.run(
        ["sh", str(MODULES / "mariadb/files/mariadb-init.sh"), str(folder)],
        env=os.environ | {"PATH": f"{tmp_path}:{PATH}"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_a_database_is_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    assert initialize(folder, tmp_path).returncode == 0
    (folder / "data/mysql/mine").touch()
    assert initialize(folder, tmp_path).returncode == 0
    assert (folder / "data/mysql/mine").exists()
    assert (folder / "data/.made-by").read_text() == "10.11\n"


def test_one_that_was_interrupted_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    assert initialize(folder, tmp_path, fails=True).returncode != 0
    assert not (folder / "data").exists()
    (folder / "data").mkdir()
    assert initialize(folder, tmp_path).returncode == 0
    assert [path.name for path in folder.iterdir()] == ["data"]


def test_data_without_its_system_tables_is_refused_and_not_removed(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    (folder / "data").mkdir(parents=True)
    (folder / "data/ibdata1").write_text("tables")
    done = initialize(folder, tmp_path)
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    assert (folder / "data/ibdata1").read_text() == "tables"
