"""Whether this machine can run a local cloud; everything that is missing is told at once."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

from hcluster.errors import LocalCloudError
from hcluster.localcloud.system import environment, run

COMMANDS = {
    "runc": "runc",
    "mmdebstrap": "mmdebstrap",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "nft": "nftables",
    "mount": "mount",
    "losetup": "mount",
    "setpriv": "util-linux",
    "packer": "packer",
}
"""Command: the Debian package that brings it."""


def check(
    *,
    user_id: Callable[[], int] = os.geteuid,
    which: Callable[[str], str | None] = lambda command: shutil.which(command, path=environment()["PATH"]),
    system: Callable[[], str] = platform.system,
    filesystems: Path = Path("/proc/filesystems"),
    load: Callable[[], object] = lambda: run(["sh", "-c", "modprobe --quiet overlay"], check=False),
) -> None:
    """Return when all is there.

    Raises:
        LocalCloudError: not Linux, not root, packages or overlay mounts missing; the hint cures it.
    """
    if system() != "Linux":
        raise LocalCloudError("a local cloud needs a Linux machine", hint="use AWS from here: see README.md")
    if user_id() != 0:
        raise LocalCloudError(
            "a local cloud needs root: it makes network namespaces, mounts and containers",
            hint="run as root, for example: sudo -E hcluster local start",
        )
    missing = sorted({package for command, package in COMMANDS.items() if which(command) is None})
    if missing:
        raise LocalCloudError(
            f"this machine lacks {', '.join(missing)} for a local cloud",
            hint=f"apt-get install --yes --no-install-recommends {' '.join(missing)}",
        )
    if filesystems.is_file() and "overlay" not in filesystems.read_text().split():
        # It may be a module that is not loaded yet.
        load()
        if "overlay" not in filesystems.read_text().split():
            raise LocalCloudError("this kernel has no overlay file system, which the nodes' roots are made of")
