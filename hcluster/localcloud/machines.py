"""The port between the cloud's API and the machines behind it: the API decides, an implementation boots and ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


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


class Machines(Protocol):
    """Real machines by instance id. Each method may be called from several threads at once, for different machines."""

    def boot(self, spec: MachineSpec) -> None:
        """Start it and wait until sshd answers (deadline 60 s). Raises LocalCloudError with the reason. A machine that
        was powered off boots again with the root that it had."""

    def power_off(self, instance_id: str, timeout: float = 30) -> None:
        """End it in order, by force after ``timeout`` seconds; its root is kept. Repeatable."""

    def destroy(self, instance_id: str) -> None:
        """End it and remove everything that it had (root, network, limits, name). Repeatable."""

    def alive(self, instance_id: str) -> bool:
        """Whether it runs."""

    def console(self, instance_id: str) -> str:
        """What it printed on its console, "" for an unknown one."""

    def create_layer(self, instance_id: str, image_id: str) -> None:
        """Keep what the machine changed on its root as image ``image_id``, without machine-id and SSH host keys."""

    def delete_layer(self, image_id: str) -> None:
        """Forget an image's layer; no machine and no other image needs it any more. Repeatable."""

    def memory_mib(self, instance_type: str) -> int:
        """The memory limit of machines of this type, MiB."""
