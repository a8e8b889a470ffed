"""The embedded cloud's API on loopback; says in one line of JSON how to reach it, and ends with its stdin.

A process of its own, as moto keeps its records in globals. Its machines are up at once and exist in name only.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Collection, Mapping
from ipaddress import IPv4Network
from pathlib import Path

from hcluster.localcloud.api.server import ApiServer
from hcluster.localcloud.firewall import Firewall
from hcluster.localcloud.machines import Disk, MachineSpec
from hcluster.localcloud.settings import settings_on

BASE_IMAGES = ("ami-00000000000000001", "ami-00000000000000002")
FOREIGN_BUCKET = "somebody-elses-bucket"


class InstantMachines:
    """Implements ``hcluster.localcloud.machines.Machines`` without a machine."""

    def __init__(self) -> None:
        self._up: set[str] = set()
        self._lock = threading.Lock()

    def boot(self, spec: MachineSpec) -> None:
        with self._lock:
            self._up.add(spec.instance_id)

    def power_off(self, instance_id: str, timeout: float = 30) -> None:
        with self._lock:
            self._up.discard(instance_id)

    def destroy(self, instance_id: str) -> None:
        self.power_off(instance_id)

    def alive(self, instance_id: str) -> bool:
        with self._lock:
            return instance_id in self._up

    def rebooting(self, instance_id: str) -> bool:
        return False

    def console(self, instance_id: str) -> str:
        return f"console of {instance_id}\n"

    def create_layer(self, instance_id: str, image_id: str) -> None:
        pass

    def delete_layer(self, image_id: str) -> None:
        pass

    def memory_mib(self, instance_type: str) -> int:
        return 1536

    def kill(self, instance_id: str) -> None:
        self.power_off(instance_id)

    def freeze(self, instance_id: str) -> None:
        pass

    def thaw(self, instance_id: str) -> None:
        pass

    def partition(self, instance_id: str) -> None:
        pass

    def heal(self, instance_id: str) -> None:
        pass

    def create_volume(self, volume_id: str, size_gib: int, snapshot_id: str = "") -> None:
        pass

    def delete_volume(self, volume_id: str) -> None:
        pass

    def attach_volume(self, instance_id: str, disk: Disk) -> None:
        pass

    def detach_volume(self, instance_id: str, volume_id: str) -> None:
        pass

    def create_snapshot(self, volume_id: str, snapshot_id: str) -> None:
        pass

    def delete_snapshot(self, snapshot_id: str) -> None:
        pass

    def sweep_volumes(self, kept: Collection[str]) -> None:
        pass

    def enforce(self, firewalls: Mapping[str, Firewall]) -> None:
        pass


def listening() -> socket.socket:
    """A socket on a free port of loopback."""
    made = socket.create_server(("127.0.0.1", 0))
    made.listen(128)
    return made


def main(folder: Path) -> None:
    """Serve until stdin closes."""
    server = ApiServer(settings_on("contract", folder, IPv4Network("10.64.0.0/16")), InstantMachines())
    server.load()
    server.register_base_image(BASE_IMAGES[0], "debian-12-amd64-20260101-local")
    api, imds = listening(), listening()
    keys = server.admin_keys()
    server.serve(api, imds)
    server.objects.reserve(FOREIGN_BUCKET, "999999999999")
    time.sleep(1.1)  # creation dates are whole seconds
    server.register_base_image(BASE_IMAGES[1], "debian-12-amd64-20260201-local")
    sys.stdout.write(json.dumps({"port": api.getsockname()[1], "keys": keys}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
