"""What this machine may use: memory and processors as the kernel will really grant them."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

_UNLIMITED_BYTES = 1 << 60
"""Control groups of version 1 say "no limit" with a number close to 2^63."""


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().split()[0]
    except (OSError, IndexError):
        return None
    return int(text) if text.lstrip("-").isdigit() else None


def memory_mib(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """The smaller of the machine's memory and the control group's limit (the rule that the JVM follows too), in MiB."""
    total_kib = next(
        int(line.split()[1]) for line in (proc / "meminfo").read_text().splitlines() if line.startswith("MemTotal:")
    )
    limits = [_number(cgroup / name) for name in ("memory.max", "memory/memory.limit_in_bytes")]
    known = [limit for limit in limits if limit is not None and 0 < limit < _UNLIMITED_BYTES]
    return min([total_kib * 1024, *known]) // (1 << 20)


def vcpus(cgroup: Path = Path("/sys/fs/cgroup"), online: int | None = None) -> int:
    """Processors, or fewer when a CPU quota says so; at least 1."""
    count = online if online is not None else len(os.sched_getaffinity(0))
    quota, period = _number(cgroup / "cpu/cpu.cfs_quota_us"), _number(cgroup / "cpu/cpu.cfs_period_us")
    try:
        words = (cgroup / "cpu.max").read_text().split()
        if words[0] != "max":
            quota, period = int(words[0]), int(words[1])
    except (OSError, IndexError):
        pass
    if quota and quota > 0 and period:
        count = min(count, math.ceil(quota / period))
    return max(1, count)


def booted_at(proc: Path = Path("/proc"), now: float | None = None) -> float:
    """Epoch seconds at which this machine's first process began: its boot, also on a shared kernel."""
    # The command in brackets may hold blanks; what begins after it has field 3 first.
    began = int((proc / "1/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    uptime = float((proc / "uptime").read_text().split()[0])
    return (time.time() if now is None else now) - (uptime - began)
