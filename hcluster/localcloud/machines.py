"""The port between the cloud's API and the machines behind it: the API decides, an implementation boots and ends."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from hcluster.localcloud.firewall import Firewall


@dataclass(frozen=True, slots=True)
class Disk:
    """A volume that a machine has: the block device /dev/nvme<number>n1."""

    volume_id: str
    number: int
    """From 1 on: 0 stands for the root."""


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """What a machine is to be."""

    instance_id: str
    image_id: str
    private_ip: str
    hostname: str
    """Short, "ip-10-64-16-5"."""
    domain: str
    """"ec2.internal"."""
    instance_type: str
    disks: tuple[Disk, ...] = ()
    """Its volumes, there before its PID 1 runs."""
    key_pair: bool = False
    """Whether it was launched with one, as machines are on which an image is baked."""


class Machines(Protocol):
    """Real machines by instance id. Each method may be called from several threads at once, for different machines."""

    def boot(self, spec: MachineSpec) -> None:
        """Start it and wait until sshd answers (deadline 60 s). Raises LocalCloudError with the reason. A machine that
        was powered off boots again with the root that it had; its disks are those of ``spec``, which all exist."""

    def power_off(self, instance_id: str, timeout: float = 30) -> None:
        """End it in order, by force after ``timeout`` seconds; its root is kept. Repeatable."""

    def destroy(self, instance_id: str) -> None:
        """End it and remove everything that it had (root, network, limits, name). Repeatable."""

    def alive(self, instance_id: str) -> bool:
        """Whether it runs."""

    def rebooting(self, instance_id: str) -> bool:
        """Whether it ended by itself in order to be booted again, as after `systemctl reboot` in it."""

    def console(self, instance_id: str) -> str:
        """What it printed on its console, "" for an unknown one."""

    def create_layer(self, instance_id: str, image_id: str) -> None:
        """Keep what the machine changed on its root as image ``image_id``, without machine-id and SSH host keys."""

    def delete_layer(self, image_id: str) -> None:
        """Forget an image's layer; no machine and no other image needs it any more. Repeatable."""

    def memory_mib(self, instance_type: str) -> int:
        """The memory limit of machines of this type, MiB."""

    # Faults on purpose: they act on a running machine, raise NotFoundError for any other, and can be repeated.

    def kill(self, instance_id: str) -> None:
        """End its PID 1 with SIGKILL, as when the hardware fails. Nobody is told; ``alive`` says so."""

    def freeze(self, instance_id: str) -> None:
        """Stop all its processes where they are; they keep what they hold, and connections stay open."""

    def thaw(self, instance_id: str) -> None:
        """Let them go on."""

    def partition(self, instance_id: str) -> None:
        """Drop every packet from and to it, those of the metadata service and of DNS included. It keeps its link."""

    def heal(self, instance_id: str) -> None:
        """Let its packets pass again."""

    # Volumes: block devices with a life of their own. All can be repeated.

    def create_volume(self, volume_id: str, size_gib: int, snapshot_id: str = "") -> None:
        """Make a volume, empty or as the snapshot was, or grow it; raises LocalCloudError when it cannot be kept."""

    def delete_volume(self, volume_id: str) -> None:
        """Remove it; no machine has it."""

    def attach_volume(self, instance_id: str, disk: Disk) -> None:
        """Give a running machine a further disk. Raises LocalCloudError with the reason."""

    def detach_volume(self, instance_id: str, volume_id: str) -> None:
        """Take a disk from a machine; raises LocalCloudError while something in the machine uses it (a file system
        that is mounted)."""

    def create_snapshot(self, volume_id: str, snapshot_id: str) -> None:
        """Keep what the volume holds now."""

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Forget it; volumes made of it keep their data."""

    def sweep_volumes(self, kept: Collection[str]) -> None:
        """Remove all volumes and snapshots but these: what was cut off while it was made or deleted."""

    # Network

    def enforce(self, firewalls: Mapping[str, Firewall]) -> None:
        """Let each machine's packets pass by its firewall, from now on and in one step. ``firewalls`` holds all
        machines by instance id, with those that still boot; what is not in it reaches nothing and nobody."""
