"""A cloud's API on loopback sockets, with machines that only remember what they were told."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from hcluster.errors import LocalCloudError, NotFoundError
from hcluster.localcloud.api.server import ApiServer
from hcluster.localcloud.firewall import Firewall
from hcluster.localcloud.machines import Disk, MachineSpec
from hcluster.localcloud.settings import CloudSettings, settings_on

BASE = "ami-0123456789abcdef0"
NETWORK = "10.77.0.0/16"
_SESSION = boto3.Session(aws_access_key_id="unused", aws_secret_access_key="unused", region_name="us-east-1")


class FakeMachines:
    """Implements the Machines port: remembers what runs, what is off, and each image's layer."""

    def __init__(self) -> None:
        self.running: dict[str, MachineSpec] = {}
        self.roots: set[str] = set()
        self.layers: dict[str, str] = {}
        self.calls: list[tuple[str, str]] = []
        self.broken = ""
        self.gate = threading.Event()
        self.gate.set()
        self.booting = self.most = 0
        self.frozen: set[str] = set()
        self.rebooted: set[str] = set()
        """Those that were rebooted from inside."""
        self.partitioned: set[str] = set()
        self.volumes: dict[str, int] = {}
        self.snapshots: dict[str, str] = {}
        self.disks: dict[str, set[Disk]] = {}
        """By instance; those of an instance that is off are not in it."""
        self.full = self.busy = ""
        self.firewalls: dict[str, Firewall] = {}
        self.enforced = 0
        self._lock = threading.Lock()

    def boot(self, spec: MachineSpec) -> None:
        with self._lock:
            self.booting += 1
            self.most = max(self.most, self.booting)
        try:
            assert self.gate.wait(60)
            time.sleep(0.01)
            self.calls.append(("boot", spec.instance_id))
            if self.broken:
                raise LocalCloudError(self.broken)
            assert {disk.volume_id for disk in spec.disks} <= set(self.volumes), spec
            self.running[spec.instance_id] = spec
            self.disks[spec.instance_id] = set(spec.disks)
            self.roots.add(spec.instance_id)
        finally:
            with self._lock:
                self.booting -= 1

    def power_off(self, instance_id: str, timeout: float = 30) -> None:
        self.calls.append(("power_off", instance_id))
        self.running.pop(instance_id, None)
        self.disks.pop(instance_id, None)

    def destroy(self, instance_id: str) -> None:
        self.calls.append(("destroy", instance_id))
        self.running.pop(instance_id, None)
        self.roots.discard(instance_id)
        self.disks.pop(instance_id, None)

    def alive(self, instance_id: str) -> bool:
        return instance_id in self.running

    def rebooting(self, instance_id: str) -> bool:
        return instance_id in self.rebooted and instance_id not in self.running

    def console(self, instance_id: str) -> str:
        return f"[    0.000000] {instance_id} booted\n"

    def create_layer(self, instance_id: str, image_id: str) -> None:
        if self.broken:
            raise LocalCloudError(self.broken)
        self.layers[image_id] = instance_id

    def delete_layer(self, image_id: str) -> None:
        self.layers.pop(image_id, None)

    def memory_mib(self, instance_type: str) -> int:
        return 1024

    def _live(self, instance_id: str) -> None:
        if instance_id not in self.running:
            raise NotFoundError(f"the instance {instance_id} does not run")

    def kill(self, instance_id: str) -> None:
        self._live(instance_id)
        self.calls.append(("kill", instance_id))
        self.running.pop(instance_id)

    def freeze(self, instance_id: str) -> None:
        self._live(instance_id)
        self.frozen.add(instance_id)

    def thaw(self, instance_id: str) -> None:
        self._live(instance_id)
        self.frozen.discard(instance_id)

    def partition(self, instance_id: str) -> None:
        self._live(instance_id)
        self.partitioned.add(instance_id)

    def heal(self, instance_id: str) -> None:
        self._live(instance_id)
        self.partitioned.discard(instance_id)

    def create_volume(self, volume_id: str, size_gib: int, snapshot_id: str = "") -> None:
        if self.full:
            raise LocalCloudError(self.full)
        if snapshot_id and volume_id not in self.volumes:
            assert snapshot_id in self.snapshots, snapshot_id
        self.volumes[volume_id] = max(size_gib, self.volumes.get(volume_id, 0))

    def delete_volume(self, volume_id: str) -> None:
        assert not any(volume_id == disk.volume_id for disks in self.disks.values() for disk in disks), volume_id
        self.volumes.pop(volume_id, None)

    def attach_volume(self, instance_id: str, disk: Disk) -> None:
        self._live(instance_id)
        assert disk.volume_id in self.volumes, disk
        self.disks.setdefault(instance_id, set()).add(disk)

    def detach_volume(self, instance_id: str, volume_id: str) -> None:
        if self.busy:
            raise LocalCloudError(self.busy)
        found = self.disks.get(instance_id, set())
        self.disks[instance_id] = {disk for disk in found if disk.volume_id != volume_id}

    def create_snapshot(self, volume_id: str, snapshot_id: str) -> None:
        if self.full:
            raise LocalCloudError(self.full)
        self.snapshots[snapshot_id] = volume_id

    def delete_snapshot(self, snapshot_id: str) -> None:
        self.snapshots.pop(snapshot_id, None)

    def sweep_volumes(self, kept: Collection[str]) -> None:
        self.volumes = {name: size for name, size in self.volumes.items() if name in kept}
        self.snapshots = {name: volume for name, volume in self.snapshots.items() if name in kept}

    def enforce(self, firewalls: Mapping[str, Firewall]) -> None:
        self.firewalls = dict(firewalls)
        self.enforced += 1


class Cloud:
    """One running API."""

    def __init__(self, folder: Path, machines: FakeMachines) -> None:
        self.machines = machines
        self._clients: dict[tuple[str, ...], Any] = {}
        self.settings: CloudSettings = settings_on("unit", folder, IPv4Network(NETWORK))
        self.server = ApiServer(self.settings, machines)
        self.server.load()
        self.server.register_base_image(BASE, "debian-12-amd64-20261101-local")
        self.keys = self.server.admin_keys()
        self._api, self._imds = _listening(), _listening()
        self.server.serve(self._api, self._imds)
        self.url = f"http://127.0.0.1:{self._api.getsockname()[1]}"
        self.imds_port = self._imds.getsockname()[1]

    def client(self, service: str, keys: tuple[str, ...] = (), region: str = "us-east-1", signature: str = "") -> Any:
        """A boto3 client; ``keys``: (access key, secret, session token), else the administrator's."""
        access, secret, token = (*(keys or self.keys), "")[:3]
        known = (service, access, secret, token, region, signature)
        if known not in self._clients:
            self._clients[known] = self._made(*known)
        return self._clients[known]

    def _made(self, service: str, access: str, secret: str, token: str, region: str, signature: str) -> Any:
        return _SESSION.client(
            service,
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            aws_session_token=token or None,
            config=Config(
                signature_version=signature or None, retries={"max_attempts": 0}, connect_timeout=30, read_timeout=60
            ),
        )

    def run(self, count: int = 1, *, wait: str = "running", **request: Any) -> list[str]:
        """Launch ``count`` instances and wait for a state; their ids."""
        request = {"ImageId": BASE, "InstanceType": "m5.large"} | request
        launched = self.client("ec2").run_instances(MinCount=count, MaxCount=count, **request)
        ids = [i["InstanceId"] for i in launched["Instances"]]
        if wait:
            self.wait(ids, wait)
        return ids

    def describe(self, instance_id: str) -> dict[str, Any]:
        """One instance as DescribeInstances shows it."""
        found = self.client("ec2").describe_instances(InstanceIds=[instance_id])
        return dict(found["Reservations"][0]["Instances"][0])

    def wait(self, ids: list[str], state: str) -> None:
        """Until all are in ``state``."""
        ec2 = self.client("ec2")

        def there() -> bool:
            found = ec2.describe_instances(InstanceIds=ids)["Reservations"]
            return all(i["State"]["Name"] == state for r in found for i in r["Instances"])

        until(there, f"{ids} {state}")

    @contextmanager
    def metadata_of(self, instance_id: str) -> Iterator[Imds]:
        """The metadata service as the instance sees it: its address stands in for loopback's meanwhile."""
        instance = self.server._backend.by_id[instance_id]
        address = instance.nics[0].private_ip_address
        instance.nics[0].private_ip_address = "127.0.0.1"
        holders = self.server._backend._holders()
        holders["127.0.0.1"] = instance.nics[0].id
        try:
            yield Imds(self.imds_port)
        finally:
            instance.nics[0].private_ip_address = address
            holders.pop("127.0.0.1", None)


class Imds:
    """A client of the metadata service."""

    def __init__(self, port: int) -> None:
        self._port = port

    def request(self, method: str, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def token(self) -> str:
        status, token = self.request("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        assert status == 200, status
        return token

    def get(self, path: str) -> str:
        status, body = self.request("GET", f"/latest/{path}", {"X-aws-ec2-metadata-token": self.token()})
        assert status == 200, (path, status)
        return body


def until(condition: Callable[[], bool], what: str, timeout: float = 60) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {timeout} s"
        time.sleep(0.01)


def _listening() -> socket.socket:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(128)
    return listening


@contextmanager
def running_cloud(folder: Path, machines: FakeMachines | None = None) -> Iterator[Cloud]:
    """A cloud whose records lie in ``folder``, until the end of the block."""
    cloud = Cloud(folder, machines or FakeMachines())
    try:
        yield cloud
    finally:
        cloud.server.shutdown()
