"""Machines that are none, for load tests of the API: they boot, end and answer, and no process runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping

from hcluster.errors import NotFoundError
from hcluster.localcloud import types
from hcluster.localcloud.firewall import Firewall
from hcluster.localcloud.machines import Disk, MachineSpec

IMAGE_ID, IMAGE_NAME = "ami-0d00000000000000d", "debian-12-amd64-dry"
"""The base image that stands for one: nothing is ever read of it."""


class DryMachines:
    """Implements ``Machines`` with memory alone. A machine that was not booted here does not run, so a start of the
    cloud boots again what ran."""

    def __init__(self, boot_seconds: float = 0.0) -> None:
        """``boot_seconds``: how long each boot takes."""
        self._boot_seconds = boot_seconds
        self._running: dict[str, MachineSpec] = {}
        self._lock = threading.Lock()

    def boot(self, spec: MachineSpec) -> None:
        """Up, after the delay."""
        if self._boot_seconds:
            time.sleep(self._boot_seconds)
        with self._lock:
            self._running[spec.instance_id] = spec

    def power_off(self, instance_id: str, timeout: float = 30) -> None:  # noqa: ARG002 - the port's signature
        """Off at once."""
        with self._lock:
            self._running.pop(instance_id, None)

    def destroy(self, instance_id: str) -> None:
        """Gone at once."""
        self.power_off(instance_id)

    def alive(self, instance_id: str) -> bool:
        """Whether it was booted and did not end."""
        return instance_id in self._running

    def rebooting(self, instance_id: str) -> bool:  # noqa: ARG002 - the port's signature
        """Nothing runs in it that could ask for that."""
        return False

    def console(self, instance_id: str) -> str:
        """A line that says what it is."""
        return f"{instance_id} is a dry node: no process runs\n"

    def create_layer(self, instance_id: str, image_id: str) -> None:
        """There is nothing to keep."""

    def delete_layer(self, image_id: str) -> None:
        """There is nothing to remove."""

    def memory_mib(self, instance_type: str) -> int:
        """What the type has on AWS: nothing is granted here."""
        return types.aws_size(instance_type).memory_mib

    def is_baking(self, address: str) -> bool:  # noqa: ARG002 - as NodeMachines
        """No dry node installs packages."""
        return False

    def kill(self, instance_id: str) -> None:
        """It no longer runs."""
        self._known(instance_id)
        self.power_off(instance_id)

    def freeze(self, instance_id: str) -> None:
        """There is nothing to stop."""
        self._known(instance_id)

    def thaw(self, instance_id: str) -> None:
        """There is nothing to go on."""
        self._known(instance_id)

    def partition(self, instance_id: str) -> None:
        """There are no packets."""
        self._known(instance_id)

    def heal(self, instance_id: str) -> None:
        """There are no packets."""
        self._known(instance_id)

    def create_volume(self, volume_id: str, size_gib: int, snapshot_id: str = "") -> None:
        """A record is enough."""

    def delete_volume(self, volume_id: str) -> None:
        """A record is enough."""

    def attach_volume(self, instance_id: str, disk: Disk) -> None:
        """A record is enough."""

    def detach_volume(self, instance_id: str, volume_id: str) -> None:
        """A record is enough."""

    def create_snapshot(self, volume_id: str, snapshot_id: str) -> None:
        """A record is enough."""

    def delete_snapshot(self, snapshot_id: str) -> None:
        """A record is enough."""

    def sweep_volumes(self, kept: Collection[str]) -> None:
        """There are none."""

    def enforce(self, firewalls: Mapping[str, Firewall]) -> None:
        """There are no packets."""

    def _known(self, instance_id: str) -> None:
        if instance_id not in self._running:
            raise NotFoundError(f"the instance {instance_id} does not run")
