"""What identifies one local cloud: names, folder, network and ports, all derived from its name."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from hcluster.errors import LocalCloudError, UsageError

POOL = IPv4Network("10.64.0.0/10")
"""Each cloud takes one /16 of it."""

METADATA_ADDRESS = "169.254.169.254"
METADATA_PORT = 80
DOMAIN = "ec2.internal"

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_ZONES = ("a", "b", "c")


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """One local cloud. Addresses are text, ``cidr`` a /16; ``subnets`` holds (zone, cidr) of each default subnet."""

    name: str
    folder: Path
    """Everything that lasts: ``<state>/local/NAME``."""
    cidr: str
    gateway: str
    """Address of the API, DNS and package proxy."""
    host_ip: str
    """This machine's own address on the cloud's network."""
    subnets: tuple[tuple[str, str], ...]
    api_port: int = 4566
    proxy_port: int = 3128
    region: str = "us-east-1"
    account_id: str = "123456789012"

    @property
    def key(self) -> str:
        """Eight hex digits of name and folder: two clouds of one name in two state folders do not meet."""
        return hashlib.sha256(f"{self.name}\n{self.folder}".encode()).hexdigest()[:8]

    @property
    def namespace(self) -> str:
        """Network namespace of the bridge; those of the nodes start with it and a hyphen."""
        return f"hcl-{self.key}"

    @property
    def host_link(self) -> str:
        """This machine's end of the link into the cloud; at most 15 characters, as the kernel wants."""
        return f"hcl{self.key}"

    @property
    def block_metric(self) -> int:
        """Metric of the unreachable route: worse than any other, and this cloud's own, which tells whose it is."""
        return 0xFF000000 | int(self.key[:6], 16)

    @property
    def cgroup(self) -> str:
        """Parent of the nodes' control groups, in every hierarchy."""
        return f"hcl-{self.key}"

    @property
    def runtime(self) -> Path:
        """What does not outlast a reboot: pid file, sockets, runc's state."""
        return Path("/run/hcluster") / self.key

    @property
    def lock(self) -> Path:
        """Held by the daemon as long as it lives."""
        return self.runtime.with_name(f"{self.key}.daemon")

    @property
    def cache(self) -> Path:
        """Shared by all clouds of the state folder."""
        return self.folder.parent.parent / "cache"

    @property
    def endpoint_url(self) -> str:
        """The API's address."""
        return f"http://{self.gateway}:{self.api_port}"

    @property
    def proxy_url(self) -> str:
        """The package proxy's address."""
        return f"http://{self.gateway}:{self.proxy_port}"

    @property
    def profile(self) -> str:
        """Name of the AWS profile."""
        return f"hcluster-{self.name}"

    @property
    def aws_folder(self) -> Path:
        """Folder of the AWS ``config`` and ``credentials`` files."""
        return self.folder / "aws"

    @property
    def log(self) -> Path:
        """What the daemon says."""
        return self.folder / "daemon.log"

    def contains(self, address: str) -> bool:
        """Whether an address is one of this cloud's."""
        return IPv4Address(address) in IPv4Network(self.cidr)


def derive(name: str, state: Path, taken: Iterable[IPv4Network] = ()) -> CloudSettings:
    """Settings of the cloud ``name`` below the state folder.

    The network recorded by an earlier start wins; otherwise it follows from the name, moved on past networks in
    ``taken`` (this machine's routes). Nothing is written: see ``record``.

    Raises:
        UsageError: the name has other characters than a-z, 0-9 and hyphens, or more than 32.
        LocalCloudError: no free network, or a folder that overlay mounts cannot name.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' cannot name a local cloud", hint="use up to 32 lower-case letters, digits and inner hyphens"
        )
    # Resolved: mounts are listed by their real paths.
    folder = state.resolve() / "local" / name
    if set(str(folder)) & set(":,\\\n"):
        raise LocalCloudError(
            f"the state folder {folder} has a colon, comma, backslash or newline in its path",
            hint="set HCLUSTER_STATE to a folder without them",
        )
    recorded = _recorded(folder)
    return settings_on(name, folder, recorded or choose_network(name, tuple(taken)))


def settings_on(name: str, folder: Path, network: IPv4Network) -> CloudSettings:
    """Settings with a given /16."""
    blocks = list(network.subnets(new_prefix=20))[1 : 1 + len(_ZONES)]
    return CloudSettings(
        name=name,
        folder=folder,
        cidr=str(network),
        gateway=str(network.network_address + 1),
        host_ip=str(network.broadcast_address - 2),
        subnets=tuple((f"us-east-1{zone}", str(block)) for zone, block in zip(_ZONES, blocks, strict=True)),
    )


def choose_network(name: str, taken: Iterable[IPv4Network]) -> IPv4Network:
    """The first free /16 of the pool, counted from the one that the name's hash points to.

    Raises:
        LocalCloudError: all 64 are taken.
    """
    networks = list(POOL.subnets(new_prefix=16))
    first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % len(networks)
    used = tuple(taken)
    for network in networks[first:] + networks[:first]:
        if not any(network.overlaps(other) for other in used):
            return network
    raise LocalCloudError(
        f"every network of {POOL} already has a route on this machine",
        hint="stop other local clouds: hcluster local stop",
    )


def record(settings: CloudSettings) -> None:
    """Keep the network for later starts."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    (settings.folder / "cloud.json").write_text(json.dumps({"cidr": settings.cidr}) + "\n")


def _recorded(folder: Path) -> IPv4Network | None:
    try:
        return IPv4Network(json.loads((folder / "cloud.json").read_text())["cidr"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError) as cause:
        raise LocalCloudError(
            f"{folder / 'cloud.json'} is not readable: {cause}", hint=f"hcluster local reset --name {folder.name}"
        ) from cause
