"""What the API's machines promise, tried on the double that the other tests use."""

from __future__ import annotations

import pytest

from hcluster.errors import NotFoundError
from hcluster.localcloud.machines import Disk, Machines, MachineSpec
from tests.unit.api_cloud import FakeMachines


def _booted() -> FakeMachines:
    machines = FakeMachines()
    machines.create_volume("vol-1", 8)
    disks = (Disk("vol-1", 1),)
    machines.boot(MachineSpec("i-1", "ami-1", "10.77.16.4", "ip-10-77-16-4", "ec2.internal", "m5.large", disks))
    return machines


def test_the_double_is_one_of_the_port() -> None:
    machines: Machines = FakeMachines()
    assert not machines.alive("i-1")


@pytest.mark.parametrize("fault", ["kill", "freeze", "thaw", "partition", "heal"])
def test_a_fault_needs_a_running_machine(fault: str) -> None:
    machines = _booted()
    getattr(machines, fault)("i-1")
    machines.destroy("i-1")
    with pytest.raises(NotFoundError):
        getattr(machines, fault)("i-1")


def test_a_killed_machine_is_no_longer_alive() -> None:
    machines = _booted()
    machines.kill("i-1")
    assert not machines.alive("i-1")


def test_disks_come_with_the_boot_and_outlive_the_machine() -> None:
    machines = _booted()
    assert machines.disks["i-1"] == {Disk("vol-1", 1)}
    machines.destroy("i-1")
    assert machines.volumes == {"vol-1": 8}
    assert not machines.disks
