"""What a cloud leaves behind when its daemon is killed: found by name, removed by whoever comes next."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from hcluster.errors import LocalCloudError
from hcluster.localcloud.settings import CloudSettings
from hcluster.localcloud.system import NETNS_FOLDER, run
from hcluster.localcloud.volumes import LoopDevice, detach, loop_devices

_LOG = logging.getLogger("hcluster.localcloud")

_CGROUPS = Path("/sys/fs/cgroup")
_PATIENCE = 10.0


def find(settings: CloudSettings) -> list[str]:
    """One line for everything of this cloud that is still on the machine, besides its folder; [] when all is gone."""
    found = [f"process {pid} in a control group" for pid in _processes(settings)]
    found += [f"mount {target}" for target in _mounts(settings)]
    found += [f"loop device {device.path} of {file}" for file, device in _loops(settings)]
    found += [f"network namespace {name}" for name in _namespaces(settings)]
    found += [f"control group {path}" for path in _control_groups(settings)]
    if Path("/sys/class/net", settings.host_link).exists():
        found.append(f"link {settings.host_link}")
    if run(["ip", "-4", "route", "show", settings.cidr, "metric", str(settings.block_metric)]).stdout.strip():
        found.append(f"route {settings.cidr}")
    if settings.runtime.exists():
        found.append(f"folder {settings.runtime}")
    return found


def clean(settings: CloudSettings) -> None:
    """Remove all that ``find`` finds. The daemon must have ended (or be the caller, before it makes anything)."""
    _kill_nodes(settings)
    for target in _mounts(settings):
        run(["umount", "--lazy", target], check=False)
    for _, device in _loops(settings):
        try:
            detach(device)
        except LocalCloudError as failure:
            _LOG.warning("%s", failure)
    # Node namespaces first: their links end with them.
    for name in sorted(_namespaces(settings), key=len, reverse=True):
        for pid in run(["ip", "netns", "pids", name], check=False).stdout.split():
            _kill(int(pid))
        run(["ip", "netns", "del", name], check=False)
    if Path("/sys/class/net", settings.host_link).exists():
        run(["ip", "link", "del", settings.host_link], check=False)
    run(["ip", "route", "del", "unreachable", settings.cidr, "metric", str(settings.block_metric)], check=False)
    for group in _control_groups(settings):
        _remove_group(group)
    shutil.rmtree(settings.runtime, ignore_errors=True)


def _kill_nodes(settings: CloudSettings) -> None:
    for state in (_CGROUPS / "freezer" / settings.cgroup).rglob("freezer.state"):
        # With version 1 a frozen process never takes its signal.
        state.write_text("THAWED")
    deadline = time.monotonic() + _PATIENCE
    while (pids := list(_processes(settings))) and time.monotonic() < deadline:
        for pid in pids:
            _kill(pid)
        time.sleep(0.05)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _control_groups(settings: CloudSettings) -> list[Path]:
    """The parents of the nodes' groups: one a hierarchy with version 1, one with version 2."""
    candidates = [_CGROUPS / settings.cgroup, *(path / settings.cgroup for path in _CGROUPS.glob("*") if path.is_dir())]
    return [path for path in candidates if path.is_dir()]


def _processes(settings: CloudSettings) -> Iterator[int]:
    seen: set[int] = set()
    for group in _control_groups(settings):
        for path in group.rglob("cgroup.procs"):
            try:
                seen.update(int(pid) for pid in path.read_text().split())
            except OSError:
                continue
    seen.discard(0)
    yield from sorted(seen)


def _remove_group(group: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        for folder, _, _ in os.walk(group, topdown=False):
            try:
                Path(folder).rmdir()
            except OSError:
                continue
        if not group.exists() or time.monotonic() > deadline:
            return
        time.sleep(0.05)


def _mounts(settings: CloudSettings) -> list[str]:
    """Mount points below the cloud's folder, the innermost first."""
    prefix = f"{settings.folder}/"
    targets = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [target for target in map(_unescape, reversed(targets)) if target.startswith(prefix)]


def _unescape(target: str) -> str:
    # /proc/mounts writes blanks as octal escapes.
    return target.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def _loops(settings: CloudSettings) -> list[tuple[Path, LoopDevice]]:
    return sorted(loop_devices(settings.folder / "volumes").items())


def _namespaces(settings: CloudSettings) -> list[str]:
    if not NETNS_FOLDER.is_dir():
        return []
    own = settings.namespace
    return [path.name for path in NETNS_FOLDER.iterdir() if path.name == own or path.name.startswith(own + "-")]
