"""The network side of EC2: the default VPC, addresses that stay inside the cloud, interfaces with their lifetimes."""

from __future__ import annotations

import itertools
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from hcluster.localcloud.api.faults import Fault
from hcluster.localcloud.api.parts import EC2Backend
from hcluster.localcloud.settings import DOMAIN, CloudSettings

_RESERVED_HEAD = 4
"""AWS keeps the first four addresses and the last one of each subnet."""


def hostname(address: str) -> str:
    """Short host name of a private address."""
    return "ip-" + address.replace(".", "-")


def private_name(address: str) -> str:
    """Private DNS name of an address."""
    return f"{hostname(address)}.{DOMAIN}"


class Network(EC2Backend):  # type: ignore[misc]
    """EC2's records whose every address lies in the cloud's own network."""

    settings: CloudSettings
    cursors: dict[str, int]
    """By subnet: the last address handed out, as a number; addresses rest long before they come again."""
    held: dict[str, str] | None = None
    """The interface of each address that is in use; None until somebody asks."""

    def create_default_vpc(self) -> Any:
        """The default VPC is the cloud's network, with the subnets of its settings."""
        self.cursors = {}
        vpc = self.create_vpc(cidr_block=self.settings.cidr, is_default=True)
        for zone, cidr in self.settings.subnets:
            subnet = self.create_subnet(vpc_id=vpc.id, cidr_block=cidr, availability_zone=zone)
            subnet.default_for_az = True
        return vpc

    def route_to_s3(self) -> None:
        """The gateway endpoint through which nodes reach S3: the cloud has no other way out."""
        service = f"com.amazonaws.{self.region_name}.s3"
        for vpc in self.vpcs.values():
            if vpc.is_default and not any(one.service_name == service for one in self.vpc_end_points.values()):
                tables = [one.id for one in self.route_tables.values() if one.vpc_id == vpc.id]
                self.create_vpc_endpoint(vpc.id, service, "Gateway", None, tables)

    def create_vpc(self, cidr_block: str, *args: Any, **kwargs: Any) -> Any:
        """A VPC inside the cloud's network; others have no way to their instances."""
        self._inside(cidr_block)
        vpc = super().create_vpc(cidr_block, *args, **kwargs)
        group = self.get_default_security_group(vpc.id)
        if group is not None and not group.ingress_rules:
            # The default group's members reach each other, and nobody else reaches them.
            self.authorize_security_group_ingress(
                group.id, "-1", "", "", [], source_groups=[{"GroupId": group.id}], vpc_id=vpc.id
            )
        return vpc

    def associate_vpc_cidr_block(self, vpc_id: str, cidr_block: str, *args: Any, **kwargs: Any) -> Any:
        """A further block of a VPC must lie inside the cloud's network, too."""
        if cidr_block:
            self._inside(cidr_block)
        return super().associate_vpc_cidr_block(vpc_id, cidr_block, *args, **kwargs)

    def create_subnet(self, *args: Any, **kwargs: Any) -> Any:
        """Subnets never give public addresses: there is nothing outside."""
        subnet = super().create_subnet(*args, **kwargs)
        subnet.map_public_ip_on_launch = False
        subnet.default_for_az = False
        return subnet

    def allocate_address(self, *_: Any, **__: Any) -> Any:
        """Refused: the cloud has no public side."""
        raise Fault("AddressLimitExceeded", "The local cloud has no public addresses.")

    def _inside(self, cidr_block: str) -> None:
        try:
            block = IPv4Network(cidr_block, strict=False)
        except ValueError as error:
            raise Fault("InvalidParameterValue", f"Value ({cidr_block}) for parameter cidrBlock is invalid.") from error
        if not block.subnet_of(IPv4Network(self.settings.cidr)):
            raise Fault(
                "InvalidVpc.Range", f"The CIDR '{cidr_block}' is outside this cloud's network {self.settings.cidr}."
            )

    # Interfaces

    def create_network_interface(
        self,
        subnet: Any,
        private_ip_address: Any,
        private_ip_addresses: list[dict[str, Any]] | None = None,
        group_ids: list[str] | None = None,
        description: str | None = None,
        tags: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """An interface with a free address of its subnet, or with the one asked for."""
        if isinstance(subnet, str):
            subnet = self.get_subnet(subnet)
        for group in group_ids or ():
            if self.get_security_group_from_id(group) is None:
                raise Fault("InvalidGroup.NotFound", f"The security group '{group}' does not exist")
        wanted = _primary(private_ip_address, private_ip_addresses)
        address = self._take(subnet, wanted) if wanted else self._free(subnet)
        if IPv4Address(address) not in _network(self.settings.cidr):
            raise AssertionError(f"{address} is outside {self.settings.cidr}")
        kwargs.pop("secondary_ips_count", None)
        eni = super().create_network_interface(
            subnet, address, None, group_ids=group_ids, description=description, tags=tags, **kwargs
        )
        eni.private_dns_name = private_name(address)
        for entry in eni.private_ip_addresses:
            entry["PrivateDnsName"] = eni.private_dns_name
        self._hold(eni)
        return eni

    @staticmethod
    def groups_of(eni: Any) -> list[Any]:
        """The security groups of an interface."""
        return list(eni._group_set)  # noqa: SLF001 - moto's public one adds those of the instance

    def attach_network_interface(self, eni_id: str, instance_id: str, device_index: int) -> Any:
        """Refused: each instance has the one interface that it was launched with."""
        eni, instance = self.get_network_interface(eni_id), self.get_instance(instance_id)
        if eni.instance is not None:
            raise Fault("InvalidNetworkInterface.InUse", f"Interface: [{eni_id}] in use.")
        if int(device_index) in instance.nics:
            text = f"Instance '{instance_id}' already has an interface attached at device index '{device_index}'."
            raise Fault("InvalidParameterValue", text)
        raise one_interface(str(instance.instance_type))

    def modify_network_interface_attribute(self, eni_id: str, group_ids: list[str], *args: Any, **kwargs: Any) -> Any:
        """The groups of an instance are those of its interface."""
        groups = [self._group(group_id) for group_id in group_ids or ()]
        changed = super().modify_network_interface_attribute(eni_id, group_ids, *args, **kwargs)
        eni = self.get_network_interface(eni_id)
        if groups and eni.instance is not None:
            eni.instance.security_groups = groups
        return changed

    def _group(self, group_id: str) -> Any:
        group = self.get_security_group_from_id(group_id)
        if group is None:
            raise Fault("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        return group

    def delete_network_interface(self, eni_id: str) -> None:
        """Only what is attached to nothing can be deleted."""
        eni = self.enis.get(eni_id)
        if eni is not None and eni.instance is not None:
            raise Fault("InvalidParameterValue", f"Network interface '{eni_id}' is currently in use.")
        super().delete_network_interface(eni_id)
        for entry in eni.private_ip_addresses if eni is not None else ():
            self._holders().pop(str(entry["PrivateIpAddress"]), None)
        self.tags.pop(eni_id, None)

    def delete_security_group(self, name: str | None = None, group_id: str | None = None) -> None:
        """Refused while an interface has the group or another group's rule names it."""
        group = self.get_security_group_from_id(group_id) if group_id else self.get_security_group_by_name_or_id(name)
        if group is not None:
            for eni in list(self.enis.values()):
                if group in self.groups_of(eni):
                    raise Fault("DependencyViolation", f"resource {group.id} has a dependent object ({eni.id})")
            for other in list(self.groups[group.vpc_id].values()):
                rules = (*other.ingress_rules, *other.egress_rules)
                if other is not group and any(rule.source_group.get("GroupId") == group.id for rule in rules):
                    raise Fault("DependencyViolation", f"resource {group.id} has a dependent object ({other.id})")
        super().delete_security_group(name, group_id)

    def get_network_interface(self, eni_id: str) -> Any:
        """By id, without moto's walk over all of them."""
        return self.enis[eni_id] if eni_id in self.enis else super().get_network_interface(eni_id)

    def interface_at(self, address: str) -> Any | None:
        """The interface that has an address."""
        return self.enis.get(self._holders().get(address))

    def assign_private_ip_addresses(self, *args: Any, **kwargs: Any) -> Any:
        """Secondary addresses are in use, too."""
        self.held = None
        return super().assign_private_ip_addresses(*args, **kwargs)

    def unassign_private_ip_addresses(self, *args: Any, **kwargs: Any) -> Any:
        """They are free again."""
        self.held = None
        return super().unassign_private_ip_addresses(*args, **kwargs)

    def _holders(self) -> dict[str, str]:
        if self.held is None:
            self.held = {}
            for eni in self.enis.values():
                self._hold(eni)
        return self.held

    def _hold(self, eni: Any) -> None:
        holders = self._holders()
        for entry in eni.private_ip_addresses:
            holders[str(entry["PrivateIpAddress"])] = eni.id

    def _is_used(self, address: str) -> bool:
        return address in self._holders() or address in (self.settings.gateway, self.settings.host_ip)

    def _take(self, subnet: Any, address: str) -> str:
        try:
            inside = IPv4Address(address) in _network(subnet.cidr_block)
        except ValueError:
            inside = False
        if not inside:
            raise Fault("InvalidParameterValue", f"Address {address} does not fall within the subnet's address range")
        if self._is_used(address):
            raise Fault("InvalidIPAddress.InUse", f"Address {address} is in use.")
        return address

    def _free(self, subnet: Any) -> str:
        network = _network(subnet.cidr_block)
        first, last = int(network.network_address) + _RESERVED_HEAD, int(network.broadcast_address) - 1
        start = self.cursors.get(subnet.id, first - 1)
        for number in itertools.chain(range(start + 1, last + 1), range(first, start + 1)):
            address = str(IPv4Address(number))
            if not self._is_used(address):
                self.cursors[subnet.id] = number
                return address
        raise Fault(
            "InsufficientFreeAddressesInSubnet",
            f"There are not enough free addresses in subnet '{subnet.id}' to satisfy the request.",
        )


@cache
def _network(cidr_block: str) -> IPv4Network:
    return IPv4Network(cidr_block)


def one_interface(instance_type: str) -> Fault:
    """What a second interface is refused with."""
    return Fault("AttachmentLimitExceeded", f"Interface count 2 exceeds the limit for {instance_type}")


def _primary(address: Any, addresses: list[dict[str, Any]] | None) -> str:
    if isinstance(address, list):
        address = address[0] if address else None
    chosen = address or next((a.get("PrivateIpAddress") for a in addresses or () if a.get("Primary")), None)
    return str(chosen or "")
