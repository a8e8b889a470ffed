"""Real nodes: runc containers with systemd as PID 1 on an overlay of their image's layers."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import shutil
import signal
import socket
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from hcluster.errors import LocalCloudError, NotFoundError
from hcluster.localcloud import cgroups, disks, oci, types
from hcluster.localcloud.console import Console, ConsoleReader, TerminalSocket
from hcluster.localcloud.device_rules import Allowed
from hcluster.localcloud.firewall import Firewall
from hcluster.localcloud.layers import Layers
from hcluster.localcloud.machines import Disk, MachineSpec
from hcluster.localcloud.network import CloudNetwork
from hcluster.localcloud.node_firewalls import NodeFirewalls
from hcluster.localcloud.settings import CloudSettings
from hcluster.localcloud.system import in_namespace, run, write_atomically
from hcluster.localcloud.volumes import LoopDevice, Volumes

_LOG = logging.getLogger("hcluster.localcloud")

BOOT_TIMEOUT = 60.0
SSH_PORT = 22
KILL_TIMEOUT = 10.0
POWER_OFF_SIGNAL = signal.SIGRTMIN + 4
"""systemd(1): starts poweroff.target."""


class _Running:
    """A booted node. ``handle`` is a pidfd, which names its PID 1 for good; ``console`` keeps its terminal open.

    Both are closed with the last reference: a thread that still looks at the node never sees another file's number.
    """

    def __init__(self, spec: MachineSpec, pid: int, console: int) -> None:
        self.spec = spec
        self.pid = pid
        self.handle = os.pidfd_open(pid)
        self.console = console
        self.disks: dict[str, tuple[Disk, LoopDevice]] = {}
        """By volume."""

    def __del__(self) -> None:
        os.close(self.handle)
        os.close(self.console)

    def rebooting(self) -> bool:
        """Whether PID 1 ended by reboot(2): it then looks as if SIGHUP had killed it, and SIGINT after a power off.
        Only its parent is told, which this process is when it adopts orphans."""
        try:
            found = os.waitid(os.P_PIDFD, self.handle, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return found is not None and (found.si_code, found.si_status) == (os.CLD_KILLED, signal.SIGHUP)

    def bury(self) -> None:
        """Let go of PID 1, which has ended, as its parent has to."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self.handle, os.WEXITED | os.WNOHANG)

    def ended(self, timeout: float = 0) -> bool:
        """Whether PID 1 ends within ``timeout`` seconds."""
        return bool(select.select([self.handle], [], [], timeout)[0])


class NodeMachines:
    """The ``Machines`` of the embedded cloud. All methods may be called from any thread."""

    def __init__(self, settings: CloudSettings, network: CloudNetwork, layers: Layers) -> None:
        self._settings = settings
        self._network = network
        self._layers = layers
        self._folder = settings.folder / "instances"
        self._volumes = Volumes(settings.folder / "volumes")
        self._firewalls = NodeFirewalls(settings, network.node_namespace)
        self._consoles = ConsoleReader()
        self._running: dict[str, _Running] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()
        self._host_mib = types.host_memory_mib()
        self._host_cpus = os.cpu_count() or 1

    def boot(self, spec: MachineSpec) -> None:
        """Start the node and wait until its sshd answers.

        Raises:
            LocalCloudError: it could not start, ended meanwhile, or sshd did not answer in 60 s; it is off then.
        """
        with self._lock(spec.instance_id):
            node = self._running.get(spec.instance_id)
            if node is None or node.ended():
                self._release(spec.instance_id)
                try:
                    node = self._start(spec)
                except BaseException:
                    self._release(spec.instance_id)
                    raise
        try:
            # Asked inside, where no firewall stands between.
            in_namespace(self._network.node_namespace(spec.instance_id), lambda: _wait_for_ssh(node))
        except LocalCloudError:
            with self._lock(spec.instance_id):
                self._release(spec.instance_id)
            raise

    def power_off(self, instance_id: str, timeout: float = 30) -> None:
        """Shut the node down in order; after ``timeout`` seconds it is killed. Its root stays. Off already is fine."""
        node = self._running.get(instance_id)
        if node is not None and not node.ended() and not cgroups.frozen(self._group(instance_id)):
            signal.pidfd_send_signal(node.handle, POWER_OFF_SIGNAL)
            node.ended(timeout)
        with self._lock(instance_id):
            self._release(instance_id)

    def destroy(self, instance_id: str) -> None:
        """End the node at once and remove all of it; gone already is fine."""
        with self._lock(instance_id):
            self._release(instance_id)
            self._firewalls.forget(instance_id)
            shutil.rmtree(self._folder / instance_id, ignore_errors=True)
        self._layers.collect(self._images_in_use)

    def alive(self, instance_id: str) -> bool:
        """Whether its PID 1 runs."""
        node = self._running.get(instance_id)
        return node is not None and not node.ended()

    def rebooting(self, instance_id: str) -> bool:
        """Whether its PID 1 ended by reboot(2)."""
        node = self._running.get(instance_id)
        return node is not None and node.rebooting()

    def console(self, instance_id: str) -> str:
        """The latest 64 KiB of its console."""
        return Console(self._folder / instance_id / "console.log").tail()

    def create_layer(self, instance_id: str, image_id: str) -> None:
        """Keep what the instance changed as the top layer of a new image."""
        self._layers.create(image_id, self._spec(instance_id).image_id, self._folder / instance_id / "upper")

    def delete_layer(self, image_id: str) -> None:
        """Give the image's layer up; nodes that stand on it keep it until they end."""
        self._layers.delete(image_id, self._images_in_use)

    def memory_mib(self, instance_type: str) -> int:
        """Memory limit of a type on this machine."""
        return self._size(instance_type).memory_mib

    def kill(self, instance_id: str) -> None:
        """SIGKILL for its PID 1, and so for all of it."""
        self._kill(self._live(instance_id))

    def freeze(self, instance_id: str) -> None:
        """Stop its processes by the freezer of its control group."""
        self._live(instance_id)
        cgroups.freeze(self._group(instance_id))

    def thaw(self, instance_id: str) -> None:
        """Let its processes go on."""
        self._live(instance_id)
        cgroups.thaw(self._group(instance_id))

    def partition(self, instance_id: str) -> None:
        """Drop every packet from and to it."""
        self._live(instance_id)
        self._firewalls.partition(instance_id)

    def heal(self, instance_id: str) -> None:
        """Let its packets pass as its groups say."""
        self._live(instance_id)
        self._firewalls.heal(instance_id)

    def enforce(self, firewalls: Mapping[str, Firewall]) -> None:
        """Let the nodes' packets pass by their security groups."""
        self._firewalls.enforce(firewalls)

    def create_volume(self, volume_id: str, size_gib: int, snapshot_id: str = "") -> None:
        """A sparse file, which takes room only as it is written."""
        self._volumes.create(volume_id, size_gib, snapshot_id)

    def delete_volume(self, volume_id: str) -> None:
        """The file goes."""
        self._volumes.delete(volume_id)

    def create_snapshot(self, volume_id: str, snapshot_id: str) -> None:
        """A copy of the file."""
        self._volumes.snapshot(volume_id, snapshot_id)

    def delete_snapshot(self, snapshot_id: str) -> None:
        """The copy goes."""
        self._volumes.delete(snapshot_id)

    def sweep_volumes(self, kept: Collection[str]) -> None:
        """Remove files of volumes and snapshots that are not in ``kept``."""
        for name in self._volumes.sweep(kept):
            _LOG.info("%s was removed: nothing knows of it", name)

    def attach_volume(self, instance_id: str, disk: Disk) -> None:
        """Its loop device becomes a device of the node."""
        with self._lock(instance_id):
            self._plug(self._live(instance_id), disk)

    def detach_volume(self, instance_id: str, volume_id: str) -> None:
        """The node loses its device. Raises LocalCloudError while a file system on it is mounted."""
        with self._lock(instance_id):
            node = self._running.get(instance_id)
            if node is not None and volume_id in node.disks and not node.ended():
                if self._volumes.busy(volume_id):
                    raise LocalCloudError(f"{volume_id} is in use in {instance_id}")
                disk, device = node.disks.pop(volume_id)
                disks.unplug(node.pid, disk)
                disks.forbid(self._group(instance_id), device, every=_allowed(node))
            self._volumes.close(volume_id)

    def _live(self, instance_id: str) -> _Running:
        node = self._running.get(instance_id)
        if node is None or node.ended():
            raise NotFoundError(f"the instance {instance_id} does not run")
        return node

    def is_baking(self, address: str) -> bool:
        """Whether a running node of this address is there to be baked: one of a base image, or one with a key pair."""
        return any(
            node.spec.private_ip == address and (node.spec.key_pair or self._layers.is_base(node.spec.image_id))
            for node in list(self._running.values())
        )

    def _start(self, spec: MachineSpec) -> _Running:
        folder = self._folder / spec.instance_id
        bundle = self._settings.runtime / "bundles" / spec.instance_id
        for path in (folder / "upper", folder / "work", folder / "root", bundle):
            path.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "spec.json", json.dumps(asdict(spec)))
        # The address is checked first: nothing outside the cloud's network is ever configured.
        self._network.add_node(spec.instance_id, spec.private_ip)
        self._firewalls.begin(spec.instance_id)
        self._mount(spec, folder)
        self._write_identity(spec, folder / "root")
        write_atomically(bundle / "config.json", json.dumps(oci.config(self._config(spec, folder / "root"))))
        terminal = TerminalSocket(bundle / "terminal.sock")
        try:
            options = ("--bundle", str(bundle), "--console-socket", str(terminal.path))
            # Made first and started by a second command only where something is to be there before PID 1 runs.
            verb = ("create",) if spec.disks else ("run", "--detach")
            self._runc(*verb, *options, "--pid-file", str(bundle / "pid"), spec.instance_id)
            console = self._consoles.attach(terminal.receive(), Console(folder / "console.log"))
        finally:
            terminal.close()
        node = _Running(spec, int((bundle / "pid").read_text()), console)
        with self._guard:
            self._running[spec.instance_id] = node
        if spec.disks:
            for disk in spec.disks:
                self._plug(node, disk)
            self._runc("start", spec.instance_id)
        return node

    def _plug(self, node: _Running, disk: Disk) -> None:
        device = self._volumes.open(disk.volume_id)
        node.disks[disk.volume_id] = (disk, device)
        disks.permit(self._group(node.spec.instance_id), device, every=_allowed(node))
        disks.plug(node.pid, disk, device)

    def _release(self, instance_id: str) -> None:
        """End what runs and give back all but the files; every step holds when it was done before."""
        with self._guard:
            node = self._running.pop(instance_id, None)
        bundle = self._settings.runtime / "bundles" / instance_id
        if bundle.exists():
            if node is not None and not node.ended():
                self._kill(node)
                node.ended(KILL_TIMEOUT)
            if node is not None:
                node.bury()
            self._runc("delete", "--force", instance_id, check=False)
            shutil.rmtree(bundle, ignore_errors=True)
        root = self._folder / instance_id / "root"
        if os.path.ismount(root):
            run(["umount", "--lazy", str(root)], check=False)
        self._network.remove_node(instance_id)
        self._firewalls.end(instance_id)
        for volume_id in node.disks if node is not None else ():
            try:
                self._volumes.close(volume_id)
            except LocalCloudError:
                _LOG.exception("%s of %s was not given back", volume_id, instance_id)

    def _kill(self, node: _Running) -> None:
        signal.pidfd_send_signal(node.handle, signal.SIGKILL)
        # With control groups version 1 a frozen process takes no signal; this one is its first when it goes on.
        cgroups.thaw(self._group(node.spec.instance_id))

    def _group(self, instance_id: str) -> str:
        return f"{self._settings.cgroup}/{instance_id}"

    def _runc(self, *arguments: str, check: bool = True) -> None:
        run(["runc", "--root", str(self._settings.runtime / "runc"), *arguments], timeout=30, check=check)

    def _mount(self, spec: MachineSpec, folder: Path) -> None:
        lower = ":".join(str(root) for root in self._layers.roots(spec.image_id))
        # No index, redirects or metadata copies: a copied upper layer has to be a complete lower one.
        folders = f"lowerdir={lower},upperdir={folder}/upper,workdir={folder}/work"
        options = f"{folders},index=off,redirect_dir=off,metacopy=off"
        run(["mount", "-t", "overlay", f"hcluster-{spec.instance_id}", "-o", options, str(folder / "root")])

    def _write_identity(self, spec: MachineSpec, root: Path) -> None:
        fqdn = f"{spec.hostname}.{spec.domain}"
        files = {
            "hostname": spec.hostname + "\n",
            # Hadoop binds to the address of its own name, so that has to be the node's, not a loopback one.
            "hosts": f"127.0.0.1 localhost\n{spec.private_ip} {fqdn} {spec.hostname}\n",
            "resolv.conf": f"search {spec.domain}\nnameserver {self._settings.gateway}\noptions timeout:2 attempts:2\n",
        }
        for name, text in files.items():
            path = root / "etc" / name
            path.unlink(missing_ok=True)
            path.write_text(text)

    def _config(self, spec: MachineSpec, root: Path) -> oci.NodeConfig:
        return oci.NodeConfig(
            root=str(root),
            hostname=spec.hostname,
            network_namespace=str(self._network.node_namespace_path(spec.instance_id)),
            cgroup="/" + self._group(spec.instance_id),
            size=self._size(spec.instance_type),
            sysctls=sorted(path.name for path in Path("/proc/sys").iterdir()),
            unified_cgroups=cgroups.unified(),
            fuse=Path("/dev/fuse").exists(),
        )

    def _size(self, instance_type: str) -> types.Size:
        return types.scaled(instance_type, host_mib=self._host_mib, host_cpus=self._host_cpus)

    def _spec(self, instance_id: str) -> MachineSpec:
        try:
            found = json.loads((self._folder / instance_id / "spec.json").read_text())
        except FileNotFoundError:
            raise LocalCloudError(f"the instance {instance_id} has never been started on this machine") from None
        return MachineSpec(**found | {"disks": tuple(Disk(**disk) for disk in found.get("disks", ()))})

    def _images_in_use(self) -> Iterator[str]:
        for path in self._folder.glob("*/spec.json"):
            yield json.loads(path.read_text())["image_id"]

    def _lock(self, instance_id: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(instance_id, threading.Lock())


def _allowed(node: _Running) -> list[Allowed]:
    """All devices that the node may open."""
    found = [Allowed("c", major, minor) for major, minor in oci.DEVICES]
    return found + [Allowed("b", device.major, device.minor) for _, device in node.disks.values()]


def _wait_for_ssh(node: _Running) -> None:
    deadline = time.monotonic() + BOOT_TIMEOUT
    spec = node.spec
    while time.monotonic() < deadline:
        if node.ended():
            raise LocalCloudError(f"{spec.instance_id} ended while it booted")
        try:
            with socket.create_connection((spec.private_ip, SSH_PORT), timeout=1) as connection:
                connection.settimeout(2)
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise LocalCloudError(f"sshd of {spec.instance_id} ({spec.private_ip}) did not answer within {BOOT_TIMEOUT:g} s")
