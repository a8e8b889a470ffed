"""What an instance's security groups let pass, as one value a set of groups."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """Packets of one protocol to or from some addresses."""

    protocol: str
    """"tcp", "udp", "icmp", a protocol's number, or "-1" for all, as EC2 writes it."""
    first: int
    """First port, or the ICMP type; -1 for all."""
    last: int
    """Last port, or the ICMP code; -1 for all."""
    networks: tuple[str, ...] = ()
    """CIDRs at the other end."""
    groups: tuple[str, ...] = ()
    """Security groups whose members are at the other end."""


@dataclass(frozen=True, slots=True)
class Firewall:
    """The rules of one instance: what no rule allows is dropped; answers to what was allowed always pass."""

    address: str
    groups: tuple[str, ...]
    """Security groups that the instance is a member of, sorted."""
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]
