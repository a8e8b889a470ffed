"""The fake cloud's VPC, security groups and interfaces."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hcluster.errors import CapacityError, ConflictError, DeadlineError, NotFoundError, UsageError
from hcluster.model import names
from hcluster.ports import Clock
from hcluster.testing.probes import Probe, Probed, no_probe, probed

VPC = "vpc-00000000000000001"
CIDR = "10.64.0.0/16"
RESERVED = 4
"""Addresses at the start of a subnet that the cloud keeps; the last is kept, too."""
DETACH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Rule:
    """One ingress rule; ``port`` 0 is everything."""

    source: str
    port: int = 0


@dataclass(slots=True)
class Group:
    """A security group."""

    id: str
    name: str
    vpc: str
    tags: dict[str, str]
    rules: set[Rule] = field(default_factory=set)


@dataclass(slots=True)
class Interface:
    """A network interface; ``holder`` is the instance that has it."""

    id: str
    subnet: str
    address: str
    groups: tuple[str, ...]
    tags: dict[str, str]
    holder: str = ""
    own: bool = True
    """Made by ``ensure_interface``, not by a launch, so that it outlives its instance."""

    @property
    def dns(self) -> str:
        """Its private DNS name."""
        return f"ip-{self.address.replace('.', '-')}.ec2.internal"


class InMemoryNetwork(Probed):
    """The part of ``hcluster.ports.Compute`` that is about the network."""

    port = "compute"

    def __init__(self, clock: Clock, *, subnets: Mapping[str, str] | None = None, probe: Probe = no_probe) -> None:
        super().__init__(probe)
        self.clock = clock
        self.has_default_vpc = True
        self.groups: dict[str, Group] = {}
        self.interfaces: dict[str, Interface] = {}
        self._interface_tokens: dict[str, tuple[object, Interface]] = {}
        self._numbers: dict[str, Iterator[int]] = {}
        self._subnets = dict(subnets or {f"subnet-{n:017x}": f"10.64.{16 * n}.0/20" for n in (1, 2, 3)})

    @probed
    def default_network(self) -> tuple[str, tuple[str, ...], tuple[str, ...]] | None:
        """(VPC id, its CIDR blocks, subnet ids) of the default VPC, None when there is none."""
        return (VPC, (CIDR,), tuple(self._subnets)) if self.has_default_vpc else None

    @probed
    def network(self, vpc: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """The same of a VPC by id. Raises NotFoundError."""
        if vpc != VPC:
            raise NotFoundError(f"no VPC {vpc}")
        return VPC, (CIDR,), tuple(self._subnets)

    @probed
    def subnet_cidrs(self, subnets: Sequence[str]) -> dict[str, str]:
        """CIDR block of each subnet."""
        return {subnet: self._cidr(subnet) for subnet in subnets}

    @probed
    def subnet_zones(self, subnets: Sequence[str]) -> dict[str, str]:
        """Availability zone of each subnet, in the order asked for. Raises NotFoundError when one is missing."""
        return {subnet: self.zone_of(subnet) for subnet in subnets}

    @probed
    def ensure_security_group(
        self, name: str, *, vpc: str, allow_from: Mapping[str, int], allow_cidrs: Sequence[str], tags: Mapping[str, str]
    ) -> str:
        """Create or adopt the group by name, with its rules. Returns its id."""
        if vpc != VPC:
            raise NotFoundError(f"no VPC {vpc}")
        for source in allow_from:
            if source not in self.groups:
                raise NotFoundError(f"no security group {source}")
        group = next((one for one in self.groups.values() if (one.name, one.vpc) == (name, vpc)), None)
        if group is not None:
            demand_own(group.tags, tags, f"security group {name}", group.id)
        else:
            identity = self.new_id("sg")
            group = self.groups[identity] = Group(identity, name, vpc, dict(tags))
        group.rules |= {Rule(group.id), *(Rule(source, port) for source, port in allow_from.items())}
        group.rules |= {Rule(cidr, 22) for cidr in allow_cidrs}
        return group.id

    @probed
    def delete_security_groups(self, tags: Mapping[str, str]) -> int:
        """Delete groups that carry ``tags``; how many. Groups still in use raise ConflictError."""
        demand_tags(tags)
        doomed = {one.id for one in self.groups.values() if tags.items() <= one.tags.items()}
        users = [one.id for one in self.interfaces.values() if doomed & set(one.groups)]
        if users:
            raise ConflictError(f"security groups are still used by {len(users)} network interfaces")
        named = [one.name for one in self.groups.values() for rule in one.rules if rule.source in doomed - {one.id}]
        if set(named) - {self.groups[one].name for one in doomed}:
            raise ConflictError(f"rules of {named[0]} still name one of the security groups")
        for identity in doomed:
            del self.groups[identity]
        return len(doomed)

    @probed
    def ensure_interface(
        self,
        *,
        subnet: str,
        groups: Sequence[str],
        description: str,
        client_token: str,
        tags: Mapping[str, str],
        more_tags: Mapping[str, str] | None = None,
    ) -> tuple[str, str, str]:
        """(id, private address, private DNS name) of the interface that carries all ``tags``, made with ``tags`` and
        ``more_tags`` when there is none. Raises CapacityError when the subnet has no free address, ConflictError when
        the token was used for another one."""
        demand_tags(tags)
        found = next((one for one in self.interfaces.values() if tags.items() <= one.tags.items()), None)
        if found is None:
            every = {**tags, **(more_tags or {})}
            asked = (subnet, tuple(groups), description, tuple(sorted(every.items())))
            known = self._interface_tokens.get(client_token)
            if known and known[0] != asked:
                raise ConflictError("the client token was used with other arguments (IdempotentParameterMismatch)")
            # As with EC2, the same token brings back the same interface, even one that was deleted meanwhile.
            found = known[1] if known else self.make_interface(subnet, groups, every)
            self._interface_tokens[client_token] = (asked, found)
        return found.id, found.address, found.dns

    def delete_interfaces(self, tags: Mapping[str, str]) -> int:
        """Delete available interfaces with ``tags``, waiting up to 60 s for those still detaching; how many.

        Raises:
            DeadlineError: one still detaches after that.
        """
        demand_tags(tags)
        deadline = self.clock.now() + DETACH_SECONDS
        deleted = self._delete_free_interfaces(tags)
        while self._leaving(tags):
            if self.clock.now() >= deadline:
                raise DeadlineError(f"network interfaces still detach after {DETACH_SECONDS:.0f} s")
            # Not under the lock: what is slept through changes this very state.
            self.clock.sleep(1.0)
            deleted += self._delete_free_interfaces(tags)
        return deleted

    def make_interface(
        self, subnet: str, groups: Sequence[str], tags: Mapping[str, str], *, holder: str = "", own: bool = True
    ) -> Interface:
        """A new interface with the first free address. Raises CapacityError."""
        block = ipaddress.IPv4Network(self._cidr(subnet))
        taken = {one.address for one in self.interfaces.values()}
        usable = itertools.islice(block, RESERVED, block.num_addresses - 1)
        address = next((str(one) for one in usable if str(one) not in taken), "")
        if not address:
            raise CapacityError(f"no free address in {subnet} (InsufficientFreeAddressesInSubnet)")
        identity = self.new_id("eni")
        made = Interface(identity, subnet, address, tuple(groups), dict(tags), holder, own)
        self.interfaces[identity] = made
        return made

    def new_id(self, kind: str) -> str:
        """The next id of a kind: i-00000000000000001, then …2."""
        return f"{kind}-{next(self._numbers.setdefault(kind, itertools.count(1))):017x}"

    def zone_of(self, subnet: str) -> str:
        """The zone that a subnet is in."""
        self._cidr(subnet)
        return "us-east-1" + "abcdef"[sorted(self._subnets).index(subnet) % 6]

    def leaving(self, instance: str) -> bool:
        """Whether an instance is on its way out."""
        raise NotImplementedError

    @probed
    def _delete_free_interfaces(self, tags: Mapping[str, str]) -> int:
        free = [one.id for one in self._interfaces_with(tags) if not one.holder]
        for identity in free:
            del self.interfaces[identity]
        return len(free)

    def _leaving(self, tags: Mapping[str, str]) -> list[str]:
        with self.lock:
            return [one.id for one in self._interfaces_with(tags) if one.holder and self.leaving(one.holder)]

    def _interfaces_with(self, tags: Mapping[str, str]) -> list[Interface]:
        return [one for one in self.interfaces.values() if tags.items() <= one.tags.items()]

    def _cidr(self, subnet: str) -> str:
        if subnet not in self._subnets:
            raise NotFoundError(f"no subnet {subnet}")
        return self._subnets[subnet]


def demand_tags(tags: Mapping[str, str]) -> None:
    """As the adapter: never delete by no tags at all."""
    if not tags:
        raise UsageError("this needs at least one tag: without one it would take everything in the account")


def demand_own(own: Mapping[str, str], tags: Mapping[str, str], what: str, identity: str) -> None:
    """As the adapter: refuse what was found by its name and was not made for the same platform."""
    holder, wanted = own.get(names.TAG_PLATFORM, ""), tags.get(names.TAG_PLATFORM, "")
    if holder != wanted:
        whose = f"belongs to platform {holder}" if holder else "was not made by hcluster"
        raise ConflictError(f"{what} exists and {whose}", hint=f"choose another `name`, or remove {identity}")
