"""VPCs, security groups and network interfaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from hcluster.aws.codes import code_of, message_of
from hcluster.aws.part import Part, Record, carries, chunks, demand_own, demand_tags, tag_filters, tag_specifications
from hcluster.errors import ConflictError, DeadlineError, NotFoundError

DETACH_SECONDS = 60.0
SSH = 22


class Network(Part):
    """The network that nodes live in."""

    def default_network(self) -> tuple[str, tuple[str, ...], tuple[str, ...]] | None:
        """(VPC id, its CIDR blocks, ids of its default subnets) of the region's default VPC, None when there is none.
        What somebody added to a default VPC is for something else; it counts only where no default subnet is left."""
        filters = [{"Name": "is-default", "Values": ["true"]}]
        for vpc in self._pages("looking for the default VPC", "describe_vpcs", "Vpcs", Filters=filters):
            name = str(vpc["VpcId"])
            return name, _blocks(vpc), self._subnets(name, default_only=True) or self._subnets(name)
        return None

    def network(self, vpc: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """The same of a VPC by id. Raises NotFoundError."""
        for record in self._pages(f"looking for VPC {vpc}", "describe_vpcs", "Vpcs", VpcIds=[vpc]):
            return vpc, _blocks(record), self._subnets(vpc)
        raise NotFoundError(f"no VPC {vpc} in {self._session.region()}")

    def subnet_cidrs(self, subnets: Sequence[str]) -> dict[str, str]:
        """CIDR block of each subnet. Raises NotFoundError when one is missing."""
        if not subnets:
            return {}
        found = self._pages("looking for subnets", "describe_subnets", "Subnets", SubnetIds=list(subnets))
        return {str(record["SubnetId"]): str(record["CidrBlock"]) for record in found}

    def subnet_zones(self, subnets: Sequence[str]) -> dict[str, str]:
        """Availability zone of each subnet, in the order asked for. Raises NotFoundError when one is missing."""
        if not subnets:
            return {}
        listed = self._pages("looking for subnets", "describe_subnets", "Subnets", SubnetIds=list(subnets))
        found = {str(record["SubnetId"]): str(record["AvailabilityZone"]) for record in listed}
        return {subnet: found[subnet] for subnet in subnets}

    def ensure_security_group(
        self, name: str, *, vpc: str, allow_from: Mapping[str, int], allow_cidrs: Sequence[str], tags: Mapping[str, str]
    ) -> str:
        """Create or adopt the group by name; its members may speak to each other, are reached by members of
        ``allow_from`` (group ids) on the TCP port that it names, and from ``allow_cidrs`` on port 22. Returns its id.

        Rules are added, never taken away; what else an adopted group allows stays. Raises ConflictError when the group
        is not this platform's.
        """
        group = self._group(name, vpc, tags) or self._create_group(name, vpc, tags)
        wanted = [_from_group(group), *(_to_port(port, other) for other, port in allow_from.items())]
        wanted += [_ssh_from(cidr) for cidr in allow_cidrs]
        present = _rules(self._settle(f"security group {name}", lambda: self._group_by_id(group)))
        for permission in wanted:
            if not _rules({"IpPermissions": [permission]}) <= present:
                self._authorize(group, name, permission)
        return group

    def delete_security_groups(self, tags: Mapping[str, str]) -> int:
        """Delete groups that carry ``tags``; how many. Groups still in use raise ConflictError; none is touched."""
        demand_tags(tags, "deleting security groups")
        filters = tag_filters(tags)
        listed = self._pages("listing security groups", "describe_security_groups", "SecurityGroups", Filters=filters)
        groups = [record for record in listed if carries(record, tags)]
        self._demand_unused([str(record["GroupId"]) for record in groups])
        for record in groups:
            # A group that another one's rule names cannot be deleted, and these name each other.
            if record.get("IpPermissions"):
                with self._session.call(f"clearing security group {record['GroupName']}"):
                    self._ec2().revoke_security_group_ingress(
                        GroupId=record["GroupId"], IpPermissions=[_bare(one) for one in record["IpPermissions"]]
                    )
        return sum(self._delete_group(record) for record in groups)

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
        demand_tags(tags, "finding an interface")
        found = next(iter(self._interfaces(tags)), None)
        if found is None:
            with self._session.call(f"making a network interface in {subnet}"):
                answer = self._ec2().create_network_interface(
                    SubnetId=subnet,
                    Groups=list(groups),
                    Description=description,
                    ClientToken=client_token,
                    TagSpecifications=tag_specifications({**tags, **(more_tags or {})}, "network-interface"),
                )
            found = answer["NetworkInterface"]
        address = str(found["PrivateIpAddress"])
        return str(found["NetworkInterfaceId"]), address, self._dns_name(found, address)

    def delete_interfaces(self, tags: Mapping[str, str]) -> int:
        """Delete available interfaces with ``tags``, waiting up to 60 s for those still detaching; how many.

        Interfaces of instances that live on are left alone. Raises DeadlineError when one still detaches after that.
        """
        demand_tags(tags, "deleting interfaces")
        deadline = self._clock.now() + DETACH_SECONDS
        deleted, pause = 0, 0.5
        while True:
            found = self._interfaces(tags)
            free = [str(one["NetworkInterfaceId"]) for one in found if one["Status"] == "available"]
            deleted += sum(self._delete_interface(interface) for interface in free)
            leaving = self._leaving([one for one in found if one["Status"] != "available"])
            if not leaving:
                return deleted
            if self._clock.now() >= deadline:
                raise DeadlineError(
                    f"network interfaces {', '.join(leaving)} still detach after {DETACH_SECONDS:.0f} s",
                    hint="repeat the command once their instances have ended",
                )
            self._clock.sleep(pause)
            pause = min(pause * 2, 5.0)

    def _subnets(self, vpc: str, *, default_only: bool = False) -> tuple[str, ...]:
        filters = [{"Name": "vpc-id", "Values": [vpc]}]
        if default_only:
            filters.append({"Name": "default-for-az", "Values": ["true"]})
        found = self._pages(f"listing the subnets of {vpc}", "describe_subnets", "Subnets", Filters=filters)
        ordered = sorted(found, key=lambda one: (str(one["AvailabilityZone"]), str(one["SubnetId"])))
        return tuple(str(one["SubnetId"]) for one in ordered)

    def _group(self, name: str, vpc: str, tags: Mapping[str, str]) -> str:
        """Id of the group of that name, "" when there is none. Raises ConflictError when it is not ours."""
        filters = [{"Name": "group-name", "Values": [name]}, {"Name": "vpc-id", "Values": [vpc]}]
        found = self._pages(
            f"looking for security group {name}", "describe_security_groups", "SecurityGroups", Filters=filters
        )
        record = next((one for one in found if one["GroupName"] == name), None)
        if record is None:
            return ""
        group = str(record["GroupId"])
        demand_own(
            record, tags, f"security group {name} ({group})", f"`aws ec2 delete-security-group --group-id {group}`"
        )
        return group

    def _group_by_id(self, group: str) -> Record:
        found = self._pages(
            f"looking for security group {group}", "describe_security_groups", "SecurityGroups", GroupIds=[group]
        )
        for record in found:
            return record
        raise NotFoundError(f"no security group {group}")

    def _create_group(self, name: str, vpc: str, tags: Mapping[str, str]) -> str:
        try:
            with self._session.call(f"creating security group {name}"):
                answer = self._ec2().create_security_group(
                    GroupName=name,
                    Description=f"hcluster: {name}",
                    VpcId=vpc,
                    TagSpecifications=tag_specifications(tags, "security-group"),
                )
        except ConflictError:
            # Somebody made it since we looked.
            group = self._group(name, vpc, tags)
            if not group:
                raise
            return group
        return str(answer["GroupId"])

    def _authorize(self, group: str, name: str, permission: Record) -> None:
        def allow() -> None:
            with self._session.call(f"adding a rule to security group {name}"):
                self._ec2().authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])

        try:
            self._settle(f"security group {name}", allow)
        except ConflictError:
            return  # InvalidPermission.Duplicate: the rule has come from elsewhere meanwhile

    def _demand_unused(self, groups: Sequence[str]) -> None:
        for some in chunks(groups, 200):
            filters = [{"Name": "group-id", "Values": list(some)}]
            used = self._pages(
                "listing interfaces", "describe_network_interfaces", "NetworkInterfaces", Filters=filters
            )
            holders = [str(one["NetworkInterfaceId"]) for one in used]
            if holders:
                raise ConflictError(
                    f"security groups are still used by {len(holders)} network interfaces",
                    context=", ".join(holders[:20]),
                    hint="end the clusters first: `hcluster list`, then `hcluster down NAME`",
                )

    def _delete_group(self, record: Record) -> bool:
        try:
            with self._session.call(f"deleting security group {record['GroupName']}"):
                self._ec2().delete_security_group(GroupId=record["GroupId"])
        except NotFoundError:
            return False
        return True

    def _interfaces(self, tags: Mapping[str, str]) -> list[Record]:
        filters = tag_filters(tags)
        found = self._pages("listing interfaces", "describe_network_interfaces", "NetworkInterfaces", Filters=filters)
        # Interfaces, alone of all, call their tags TagSet.
        return [one for one in found if carries({"Tags": one.get("TagSet") or one.get("Tags")}, tags)]

    def _leaving(self, interfaces: Sequence[Record]) -> list[str]:
        """Those among interfaces in use whose instance is ending, so that they will be free soon."""
        holder = {
            str(one["NetworkInterfaceId"]): str((one.get("Attachment") or {}).get("InstanceId") or "")
            for one in interfaces
        }
        ids = sorted({instance for instance in holder.values() if instance})
        staying = {
            str(record["InstanceId"])
            for some in chunks(ids, 200)
            for reservation in self._pages(
                "listing instances",
                "describe_instances",
                "Reservations",
                Filters=[{"Name": "instance-id", "Values": list(some)}],
            )
            for record in reservation["Instances"]
            if record["State"]["Name"] not in ("shutting-down", "terminated")
        }
        return sorted(interface for interface, instance in holder.items() if instance not in staying)

    def _delete_interface(self, interface: str) -> bool:
        try:
            with self._session.call(f"deleting interface {interface}"):
                try:
                    self._ec2().delete_network_interface(NetworkInterfaceId=interface)
                except ClientError as failure:
                    # Attached since it was listed. EC2 has no code of its own for that.
                    if code_of(failure) == "InvalidParameterValue" and "in use" in message_of(failure):
                        return False
                    raise
        except NotFoundError:
            return False
        return True

    def _dns_name(self, interface: Record, address: str) -> str:
        given = interface.get("PrivateDnsName")
        if given:
            return str(given)
        # The answer to the creation may lack the name; EC2 derives it from address and region.
        region = self._session.region()
        domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
        return f"ip-{address.replace('.', '-')}.{domain}"


def _blocks(vpc: Record) -> tuple[str, ...]:
    associated = [
        str(one["CidrBlock"])
        for one in vpc.get("CidrBlockAssociationSet") or []
        if (one.get("CidrBlockState") or {}).get("State") in (None, "associated")
    ]
    return tuple(dict.fromkeys(associated)) or (str(vpc["CidrBlock"]),)


def _from_group(group: str) -> dict[str, Any]:
    return {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}


def _to_port(port: int, group: str) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": [{"GroupId": group}]}


def _ssh_from(cidr: str) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": SSH, "ToPort": SSH, "IpRanges": [{"CidrIp": cidr}]}


def _rules(group: Record) -> set[tuple[str, object, object, str]]:
    """The ingress rules of a group, one (protocol, from port, to port, source) each."""
    return {
        (str(one["IpProtocol"]), one.get("FromPort"), one.get("ToPort"), str(source))
        for one in group.get("IpPermissions") or []
        for source in [pair["GroupId"] for pair in one.get("UserIdGroupPairs") or []]
        + [block["CidrIp"] for block in one.get("IpRanges") or []]
    }


def _bare(permission: Record) -> dict[str, Any]:
    """A permission as a revocation wants it: pairs by group id alone, no empty lists."""
    bare = {key: value for key, value in permission.items() if value not in ([], None)}
    if "UserIdGroupPairs" in bare:
        bare["UserIdGroupPairs"] = [{"GroupId": pair["GroupId"]} for pair in bare["UserIdGroupPairs"]]
    return bare
