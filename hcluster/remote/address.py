"""Which addresses may be contacted, and what a bastion is; pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from hcluster.errors import UnreachableError, UsageError

SSH_PORT = 22


@dataclass(frozen=True, slots=True)
class Bastion:
    """A host that is passed on the way to the nodes."""

    host: str
    user: str = ""
    port: int = SSH_PORT

    @property
    def known_hosts_name(self) -> str:
        """How known_hosts files write it."""
        return self.host if self.port == SSH_PORT else f"[{self.host}]:{self.port}"


def parse_bastion(text: str) -> Bastion | None:
    """Read ``[user@]host[:port]`` (an IPv6 address in brackets); None when ``text`` is empty.

    Raises:
        UsageError: it is none of these.
    """
    if not text.strip():
        return None
    user, at, rest = text.strip().rpartition("@")
    host, colon, port = rest.rpartition(":") if not rest.endswith("]") else (rest, "", "")
    if not colon:
        host, port = rest, str(SSH_PORT)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not host or (at and not user) or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UsageError(
            f"network.bastion is {text!r}, which is not [user@]host[:port]",
            hint="write it like admin@bastion.example.com:22 in platform.yaml",
        )
    return Bastion(host=host, user=user, port=int(port))


def require_inside(address: str, cidrs: Sequence[str], *, what: str) -> None:
    """Refuse an address that is not inside the platform's network.

    A recycled or forged address must never receive a packet, so this runs before any socket is opened.

    Raises:
        UnreachableError: ``address`` is empty, malformed or outside every block of ``cidrs``.
    """
    try:
        wanted = ipaddress.ip_address(address)
    except ValueError:
        raise UnreachableError(
            f"{what} has no usable address ({address or 'none'})", hint="look at its state with: hcluster nodes NAME"
        ) from None
    if not any(wanted in ipaddress.ip_network(block) for block in cidrs):
        raise UnreachableError(
            f"{what} has the address {address}, which is outside the platform's network",
            context=f"the platform's network is {', '.join(cidrs) or 'not known'}",
            hint="check aws, region and network in platform.yaml, then run: hcluster platform up",
        )
