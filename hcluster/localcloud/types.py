"""Instance types: what AWS gives and what this machine gives instead.

Sizes from https://docs.aws.amazon.com/ec2/latest/instancetypes/ (general purpose, compute, memory, storage, burstable).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hcluster.errors import LocalCloudError

SCALE_HOST_MIB = 128 * 1024
"""A machine of this size gives every type its full memory; a smaller one the same fraction of each."""

PIDS_LIMIT = 16384

_VCPUS = {"large": 2, "xlarge": 4} | {f"{times}xlarge": 4 * times for times in (2, 4, 8, 12, 16, 24)}
_MIB_PER_VCPU = {"c": 2048, "m": 4096, "r": 8192, "i": 7808}
_BURSTABLE = {
    "nano": (2, 512),
    "micro": (2, 1024),
    "small": (2, 2048),
    "medium": (2, 4096),
    "large": (2, 8192),
    "xlarge": (4, 16384),
    "2xlarge": (8, 32768),
}
_TYPE = re.compile(r"(?P<kind>[a-z]+)(?P<generation>\d)(?P<extras>[a-z-]*)\.(?P<size>[a-z0-9]+)")


@dataclass(frozen=True, slots=True)
class Size:
    """vCPUs and memory in MiB."""

    vcpus: int
    memory_mib: int


def aws_size(instance_type: str) -> Size:
    """What the type has on AWS.

    Raises:
        LocalCloudError: a type outside the table.
    """
    match = _TYPE.fullmatch(instance_type)
    if match and match["kind"] == "t" and match["size"] in _BURSTABLE:
        return Size(*_BURSTABLE[match["size"]])
    if match and match["kind"] in _MIB_PER_VCPU and match["size"] in _VCPUS:
        vcpus = _VCPUS[match["size"]]
        return Size(vcpus, vcpus * _MIB_PER_VCPU[match["kind"]])
    raise LocalCloudError(
        f"the local cloud does not know the instance type '{instance_type}'",
        hint="use a t, c, m, r or i type of size large to 24xlarge (t: nano to 2xlarge)",
    )


def scaled(instance_type: str, *, host_mib: int, host_cpus: int) -> Size:
    """What a node of the type gets on a machine with ``host_mib`` of memory (rounded up to whole GiB, since the kernel
    keeps some for itself) and ``host_cpus`` cores."""
    size = aws_size(instance_type)
    host_gib = -(-host_mib // 1024)
    memory = min(size.memory_mib, size.memory_mib * host_gib * 1024 // SCALE_HOST_MIB)
    return Size(min(size.vcpus, host_cpus), memory)


def host_memory_mib() -> int:
    """MemTotal of this machine."""
    match = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    if match is None:
        raise LocalCloudError("/proc/meminfo names no MemTotal")
    return int(match[1]) // 1024
