"""The OCI configuration of a node: what runc is told. Pure: settings in, a dictionary out.

Fields: https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hcluster.localcloud.types import PIDS_LIMIT, Size

CFS_PERIOD_US = 100_000

# What systemd as PID 1, sshd, dpkg and Hadoop need; no SYS_MODULE, SYS_TIME, SYS_RAWIO, SYSLOG or SYS_RESOURCE, which
# would reach the machine below.
_CAPABILITIES = tuple(
    f"CAP_{name}"
    for name in (
        *("AUDIT_CONTROL", "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_OWNER"),
        *("KILL", "LEASE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "SETFCAP", "SETGID"),
        *("SETPCAP", "SETUID", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_NICE", "SYS_PTRACE", "SYS_TTY_CONFIG"),
    )
)

_FUSE = (10, 229)
DEVICES = (
    (1, 3),  # null
    (1, 5),  # zero
    (1, 7),  # full
    (1, 8),  # random
    (1, 9),  # urandom
    (5, 0),  # tty
    (5, 1),  # console: runc puts the node's own terminal there
    (5, 2),  # ptmx
    (136, None),  # pts
    _FUSE,
)
"""Character devices that every node may open: major and minor, None for all of a major."""

_ALWAYS_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sysrq-trigger")
_MASKED = (
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
)


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What differs between nodes."""

    root: str
    """Mounted root file system."""
    hostname: str
    network_namespace: str
    """Path of the namespace."""
    cgroup: str
    """Absolute path within each hierarchy."""
    size: Size
    sysctls: Sequence[str]
    """Folders of this machine's /proc/sys: all but net, which each namespace has its own of, are read-only."""
    unified_cgroups: bool
    """Whether this machine has cgroup v2 alone."""
    fuse: bool
    """Whether this machine has /dev/fuse."""


def config(node: NodeConfig) -> dict[str, object]:
    """The content of the bundle's config.json."""
    return {
        "ociVersion": "1.0.2",
        "hostname": node.hostname,
        "root": {"path": node.root, "readonly": False},
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            # In a container systemd reads its kernel arguments from PID 1's own.
            "args": ["/sbin/init", "systemd.journald.forward_to_console=1", "systemd.journald.max_level_console=info"],
            "cwd": "/",
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "container=oci", "TERM=dumb"],
            "noNewPrivileges": False,
            "capabilities": {kind: list(_CAPABILITIES) for kind in ("bounding", "effective", "permitted")},
        },
        "mounts": _mounts(),
        "linux": {
            "namespaces": [
                *({"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup")),
                {"type": "network", "path": node.network_namespace},
            ],
            "cgroupsPath": node.cgroup,
            "resources": _resources(node),
            "devices": _device_nodes(node),
            "maskedPaths": list(_MASKED),
            "readonlyPaths": [*_ALWAYS_READ_ONLY, *(f"/proc/sys/{name}" for name in node.sysctls if name != "net")],
        },
    }


def _mounts() -> list[dict[str, object]]:
    def mount(target: str, kind: str, *options: str) -> dict[str, object]:
        return {"destination": target, "type": kind, "source": kind, "options": list(options)}

    return [
        mount("/proc", "proc"),
        mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        mount("/dev/shm", "tmpfs", "nosuid", "nodev", "mode=1777"),  # noqa: S108 - the node's, not this machine's
        mount("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
        mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
        mount("/sys/fs/cgroup", "cgroup", "nosuid", "noexec", "nodev", "rw"),
        mount("/run", "tmpfs", "nosuid", "nodev", "mode=755"),
    ]


def _resources(node: NodeConfig) -> dict[str, object]:
    memory = node.size.memory_mib << 20
    devices: list[dict[str, object]] = [{"allow": False, "access": "rwm"}]
    for major, minor in DEVICES:
        rule: dict[str, object] = {"allow": True, "type": "c", "major": major, "access": "rwm"}
        devices.append(rule if minor is None else rule | {"minor": minor})
    limits: dict[str, object] = {"limit": memory}
    if node.unified_cgroups:
        # Memory and swap together: no swap. Version 1 knows this only with swap accounting, which may be off.
        limits["swap"] = memory
    return {
        "devices": devices,
        "memory": limits,
        "cpu": {"quota": node.size.vcpus * CFS_PERIOD_US, "period": CFS_PERIOD_US},
        "pids": {"limit": PIDS_LIMIT},
    }


def _device_nodes(node: NodeConfig) -> list[dict[str, object]]:
    """The usual ones are made by runc itself."""
    if not node.fuse:
        return []
    major, minor = _FUSE
    return [{"path": "/dev/fuse", "type": "c", "major": major, "minor": minor, "fileMode": 0o666, "uid": 0, "gid": 0}]
