"""The disks of running nodes: their device nodes, the links by which systemd's rules name them, the leave to open them.

A node's root is root on what it has: each folder on the way is opened by itself and never through a symbolic link, so
that no node can lead this process elsewhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hcluster.errors import LocalCloudError
from hcluster.localcloud import cgroups, device_rules
from hcluster.localcloud.device_rules import Allowed
from hcluster.localcloud.machines import Disk
from hcluster.localcloud.volumes import LoopDevice

_GROUP = 6
"""Debian's group "disk"."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_LINKS = ("disk", "by-id")


def device_name(disk: Disk) -> str:
    """Its name in /dev."""
    return f"nvme{disk.number}n1"


def link_name(disk: Disk) -> str:
    """Its name in /dev/disk/by-id: model and serial number, as an EBS volume tells them."""
    return "nvme-Amazon_Elastic_Block_Store_" + disk.volume_id.replace("-", "")


def plug(pid: int, disk: Disk, device: LoopDevice) -> None:
    """Show a device to the node whose PID 1 is ``pid``; again is fine. Raises LocalCloudError."""
    with _folder(pid, "dev") as devices:
        _remove(devices, device_name(disk))
        number = os.makedev(device.major, device.minor)
        os.mknod(device_name(disk), stat.S_IFBLK | 0o660, number, dir_fd=devices)
        os.chown(device_name(disk), 0, _GROUP, dir_fd=devices, follow_symlinks=False)
    with _folder(pid, "dev", *_LINKS) as links:
        _remove(links, link_name(disk))
        os.symlink(f"../../{device_name(disk)}", link_name(disk), dir_fd=links)


def unplug(pid: int, disk: Disk) -> None:
    """Take it away; gone already is fine. Raises LocalCloudError."""
    with _folder(pid, "dev", *_LINKS) as links:
        _remove(links, link_name(disk))
    with _folder(pid, "dev") as devices:
        _remove(devices, device_name(disk))


def permit(group: str, device: LoopDevice, *, every: Sequence[Allowed]) -> None:
    """Let the node's processes open a device. ``every``: all that they may open then, the device among it."""
    if cgroups.unified():
        device_rules.enforce(cgroups.group(group, "devices"), every)
    else:
        device_rules.allow(cgroups.group(group, "devices"), device.major, device.minor)


def forbid(group: str, device: LoopDevice, *, every: Sequence[Allowed]) -> None:
    """Take the leave back. ``every``: all that they may open from now on."""
    if cgroups.unified():
        device_rules.enforce(cgroups.group(group, "devices"), every)
    else:
        device_rules.deny(cgroups.group(group, "devices"), device.major, device.minor)


@contextmanager
def _folder(pid: int, *names: str) -> Iterator[int]:
    """A handle on a folder of the node, made when it is missing."""
    try:
        handle = os.open(f"/proc/{pid}/root", _FOLDER)
        try:
            for name in names:
                handle = _inner(handle, name)
            yield handle
        finally:
            os.close(handle)
    except OSError as cause:
        raise LocalCloudError(f"/{'/'.join(names)} of process {pid}: {cause.strerror}") from cause


def _inner(handle: int, name: str) -> int:
    """A handle on a folder's folder, instead of its own."""
    try:
        inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=handle)
    except FileNotFoundError:
        os.mkdir(name, 0o755, dir_fd=handle)
        inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=handle)
    os.close(handle)
    return inner


def _remove(folder: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
