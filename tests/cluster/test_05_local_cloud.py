"""The local cloud itself: it keeps what it should over stop and kill, and leaves nothing on the machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hcluster.localcloud import leftovers
from hcluster.localcloud.settings import derive
from tests.cluster.conftest import HCLUSTER, STATE, Cloud, wait_until

NAME = "test-machines"


def _local(verb: str, *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [HCLUSTER, "--output", "json", "local", verb, "--name", NAME, *options],
        env={**os.environ, "HCLUSTER_STATE": str(STATE)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    status: dict[str, Any] = json.loads(done.stdout)
    return status


@pytest.fixture(scope="module")
def other() -> Iterator[Cloud]:
    """A second cloud, beside the one of the other tests; removed at the end."""
    _local("start")
    yield Cloud(NAME, STATE / "local" / NAME)
    _local("reset", "--yes")


@pytest.fixture(scope="module")
def node(other: Cloud) -> str:
    """Id of a node of the base image."""
    client = other.client("ec2")
    base = client.describe_images(Filters=[{"Name": "name", "Values": ["debian-12-amd64-*"]}])["Images"][0]
    launched = client.run_instances(ImageId=base["ImageId"], InstanceType="t3.large", MinCount=1, MaxCount=1)
    name = str(launched["Instances"][0]["InstanceId"])
    _runs(other, name)
    return name


def _runs(cloud: Cloud, name: str) -> None:
    def state() -> str:
        found = cloud.client("ec2").describe_instances(InstanceIds=[name])["Reservations"][0]["Instances"][0]
        return str(found["State"]["Name"])

    wait_until(f"{name} runs", lambda: state() == "running", timeout=60)


def _left() -> list[str]:
    return leftovers.find(derive(NAME, STATE))


def test_two_clouds_run_side_by_side_with_networks_of_their_own(cloud: Cloud, other: Cloud) -> None:
    settings = [derive(one.name, STATE) for one in (cloud, other)]
    assert settings[0].cidr != settings[1].cidr
    assert all(one.client("sts").get_caller_identity()["Account"] == "123456789012" for one in (cloud, other))


def test_the_metadata_address_is_never_on_this_machine(other: Cloud) -> None:
    assert other.name == NAME
    addresses = subprocess.run(["ip", "-4", "address"], capture_output=True, text=True, check=True).stdout
    assert "169.254.169.254" not in addresses


def test_start_again_changes_nothing(other: Cloud) -> None:
    before = _local("status")
    assert _local("start")["pid"] == before["pid"]
    assert other.name == NAME


def test_stop_leaves_nothing_on_the_machine_and_start_brings_back_what_ran(other: Cloud, node: str) -> None:
    bucket = other.client("s3")
    bucket.create_bucket(Bucket="kept")
    bucket.put_object(Bucket="kept", Key="a", Body=b"kept")
    assert _local("stop")["state"] == "stopped"
    assert _left() == []
    assert _local("stop")["state"] == "stopped"
    _local("start")
    _runs(other, node)
    assert other.client("s3").get_object(Bucket="kept", Key="a")["Body"].read() == b"kept"


def test_two_starts_at_once_make_one_cloud(other: Cloud, node: str) -> None:
    _local("stop")
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: _local("start"), range(2))
    assert one["state"] == two["state"] == "running"
    assert one["pid"] == two["pid"]
    state = derive(NAME, STATE).folder.parent.parent
    assert len([line for line in _processes() if f"--name {NAME} --state {state} " in line]) == 1
    _runs(other, node)


def _processes() -> list[str]:
    """Command lines of the daemons that run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "hcluster.localcloud.daemon" in line:
            found.append(line)
    return found


def test_what_a_killed_daemon_leaves_is_removed_by_the_next_start(other: Cloud, node: str) -> None:
    os.kill(_local("status")["pid"], signal.SIGKILL)
    wait_until("the daemon is gone", lambda: _local("status")["state"] == "crashed")
    assert any("mount" in line for line in _left())
    assert _local("start")["running"]
    _runs(other, node)


def test_what_a_killed_daemon_leaves_is_removed_by_stop(other: Cloud, node: str) -> None:
    os.kill(_local("status")["pid"], signal.SIGKILL)
    assert _local("stop")["state"] == "stopped"
    assert _left() == []
    _local("start")
    _runs(other, node)


def test_reset_deletes_the_cloud_and_keeps_the_shared_cache(other: Cloud) -> None:
    assert _local("reset", "--yes")["state"] == "absent"
    assert not other.folder.exists()
    assert _left() == []
    assert list(Path(STATE, "cache", "base").glob("*/image.json"))
    assert _local("reset", "--yes")["state"] == "absent"
