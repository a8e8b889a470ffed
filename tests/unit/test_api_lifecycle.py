"""What becomes of an instance whose machine fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.api_cloud import Cloud, FakeMachines, running_cloud, until


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with running_cloud(tmp_path) as found:
        yield found


def test_a_start_that_fails_stops_the_instance_and_keeps_its_root(cloud: Cloud) -> None:
    ec2, ids = cloud.client("ec2"), cloud.run(1)
    ec2.stop_instances(InstanceIds=ids)
    cloud.wait(ids, "stopped")
    cloud.machines.broken = "the layer of the image ami-1 is missing on disk"
    ec2.start_instances(InstanceIds=ids)
    until(lambda: cloud.describe(ids[0]).get("StateReason", {}).get("Code") == "Server.InternalError", "the reason")
    assert cloud.describe(ids[0])["State"]["Name"] == "stopped"
    assert "is missing on disk" in cloud.describe(ids[0])["StateReason"]["Message"]
    assert ids[0] in cloud.machines.roots
    cloud.machines.broken = ""
    ec2.start_instances(InstanceIds=ids)
    cloud.wait(ids, "running")


def test_a_reboot_that_fails_stops_the_instance(cloud: Cloud) -> None:
    ids = cloud.run(1)
    cloud.machines.broken = "sshd did not answer"
    cloud.client("ec2").reboot_instances(InstanceIds=ids)
    cloud.wait(ids, "stopped")
    assert cloud.describe(ids[0])["StateReason"]["Code"] == "Server.InternalError"


def test_what_ran_and_cannot_be_booted_after_a_restart_is_stopped(tmp_path: Path) -> None:
    machines = FakeMachines()
    with running_cloud(tmp_path, machines) as cloud:
        ids = cloud.run(1)
    machines.broken = "the layer of the image ami-1 is missing on disk"
    with running_cloud(tmp_path, machines) as cloud:
        cloud.server.resume()
        cloud.wait(ids, "stopped")
        assert ids[0] in machines.roots


def test_an_image_that_the_disk_cannot_keep_has_failed_and_its_instance_runs_on(cloud: Cloud) -> None:
    ids = cloud.run(1)
    cloud.machines.broken = "No space left on device"
    image = cloud.client("ec2").create_image(InstanceId=ids[0], Name="full", NoReboot=True)["ImageId"]

    def shown() -> dict[str, object]:
        return dict(cloud.client("ec2").describe_images(ImageIds=[image])["Images"][0])

    until(lambda: shown()["State"] == "failed", "the image failed")
    assert "No space left on device" in str(shown()["StateReason"])
    assert cloud.describe(ids[0])["State"]["Name"] == "running"


def test_an_image_that_was_not_told_before_a_kill_has_failed_and_leaves_no_layer(tmp_path: Path) -> None:
    machines = FakeMachines()
    with running_cloud(tmp_path, machines) as cloud:
        image = cloud.client("ec2").create_image(InstanceId=cloud.run(1)[0], Name="late", NoReboot=True)["ImageId"]
        until(lambda: image in machines.layers, "the layer is made")
        until(lambda: cloud.server._backend.amis[image].state == "available", "the image is told")
        cloud.server._backend.amis[image].state = "pending"
        cloud.server.save()
    with running_cloud(tmp_path, machines) as cloud:
        cloud.server.resume()
        assert cloud.client("ec2").describe_images(ImageIds=[image])["Images"][0]["State"] == "failed"
        until(lambda: image not in machines.layers, "its layer is gone")


def test_a_machine_that_died_is_seen(cloud: Cloud) -> None:
    ids = cloud.run(1)
    cloud.machines.kill(ids[0])
    cloud.wait(ids, "stopped")


def test_a_reboot_from_inside_leaves_the_instance_running(cloud: Cloud) -> None:
    ids = cloud.run(1)
    before = cloud.machines.calls.count(("boot", ids[0]))
    cloud.machines.rebooted.add(ids[0])
    cloud.machines.kill(ids[0])
    until(lambda: cloud.machines.alive(ids[0]), "it is booted again")
    assert cloud.machines.calls.count(("boot", ids[0])) == before + 1
    assert cloud.describe(ids[0])["State"]["Name"] == "running"
