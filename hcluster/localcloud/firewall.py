"""What an instance's security groups let pass: as a value, and as the nftables ruleset of its namespace. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address


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
    """CIDRs (IPv4) at the other end."""
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


TABLE = "hcluster"
_PORTS = {"tcp": "tcp", "udp": "udp", "6": "tcp", "17": "udp"}
_ANYWHERE = "0.0.0.0/0"


def members(firewalls: Iterable[Firewall]) -> dict[str, tuple[str, ...]]:
    """Addresses by security group, in order."""
    found: dict[str, list[str]] = {}
    for firewall in firewalls:
        for group in firewall.groups:
            found.setdefault(group, []).append(firewall.address)
    return {group: tuple(sorted(addresses, key=IPv4Address)) for group, addresses in found.items()}


def closed() -> str:
    """The ruleset of a node that nothing may reach and that reaches nothing but itself."""
    return _table([], _chain("input", [_LOOPBACK_IN]), _chain("output", [_LOOPBACK_OUT]))


def render(firewall: Firewall, addresses: Mapping[str, Sequence[str]], services: Sequence[str]) -> str:
    """The ruleset for `nft -f`, in one transaction: no packet passes between the old one and this.

    ``addresses``: the members of each group. ``services``: addresses of the metadata service and of DNS, which are
    always reachable, as https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html says.
    """
    named = sorted({group for rule in (*firewall.ingress, *firewall.egress) for group in rule.groups})
    sets = [_set(group, addresses[group]) for group in named if addresses.get(group)]
    known = frozenset(group for group in named if addresses.get(group))
    incoming = [line for rule in firewall.ingress for line in _lines(rule, "saddr", known)]
    outgoing = [line for rule in firewall.egress for line in _lines(rule, "daddr", known)]
    always = f"ip daddr {{ {', '.join(services)} }} accept"
    return _table(
        sets,
        _chain("input", [_LOOPBACK_IN, _ANSWERS, *dict.fromkeys(incoming)]),
        _chain("output", [_LOOPBACK_OUT, _ANSWERS, always, *dict.fromkeys(outgoing)]),
    )


_LOOPBACK_IN, _LOOPBACK_OUT = 'iifname "lo" accept', 'oifname "lo" accept'
_ANSWERS = "ct state established,related accept"


def _table(sets: Sequence[str], *chains: str) -> str:
    # Made first, so that deleting it is right whether or not it was there.
    head = f"table ip {TABLE}\ndelete table ip {TABLE}\n"
    return f"{head}table ip {TABLE} {{\n" + "".join((*sets, *chains)) + "}\n"


def _set(group: str, addresses: Sequence[str]) -> str:
    return f"  set {_set_name(group)} {{\n    type ipv4_addr\n    elements = {{ {', '.join(addresses)} }}\n  }}\n"


def _set_name(group: str) -> str:
    return group.replace("-", "_")


def _chain(hook: str, lines: Iterable[str]) -> str:
    body = "".join(f"    {line}\n" for line in (f"type filter hook {hook} priority filter; policy drop;", *lines))
    return f"  chain {hook} {{\n{body}  }}\n"


def _lines(rule: Rule, side: str, known: frozenset[str]) -> Iterator[str]:
    what = _what(rule)
    for network in rule.networks:
        where = "" if network == _ANYWHERE else f"ip {side} {network}"
        yield " ".join(filter(None, (where, what, "accept")))
    for group in rule.groups:
        if group in known:
            yield " ".join(filter(None, (f"ip {side} @{_set_name(group)}", what, "accept")))


def _what(rule: Rule) -> str:
    """The packets of a rule, in nft's words; "" for all."""
    if rule.protocol == "-1":
        return ""
    if (protocol := _PORTS.get(rule.protocol)) is not None:
        if rule.first < 0 or (rule.first, rule.last) == (0, 65535):
            return f"meta l4proto {protocol}"
        return f"{protocol} dport {rule.first}" + ("" if rule.first == rule.last else f"-{rule.last}")
    if rule.protocol in ("icmp", "1"):
        if rule.first < 0:
            return "meta l4proto icmp"
        return f"icmp type {rule.first}" + ("" if rule.last < 0 else f" icmp code {rule.last}")
    return f"meta l4proto {rule.protocol}"
