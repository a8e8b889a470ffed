"""Interfaces and security groups."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.aws.account import Account, refused
from tests.contract.aws.conftest import Later, make_group

NOBODYS = "eni-0badbadbadbadbad0"


def make_interface(account: Account, later: Later, subnet: str, **more: Any) -> dict[str, Any]:
    """A network interface of its own."""
    made = account.ec2.create_network_interface(
        SubnetId=subnet, TagSpecifications=account.tagged("network-interface"), **more
    )["NetworkInterface"]
    later(account.ec2.delete_network_interface, NetworkInterfaceId=made["NetworkInterfaceId"])
    return dict(made)


def shown(account: Account, interface: str) -> dict[str, Any]:
    """An interface as it is described."""
    found = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    return dict(found[0])


# Interfaces


def test_an_interface_has_its_address_and_name_before_any_instance(account: Account, later: Later, subnet: str) -> None:
    """So that the others can be told where a node will be.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNetworkInterface.html
    """
    made = make_interface(account, later, subnet, Description="contract")
    found = account.until(
        lambda: shown(account, made["NetworkInterfaceId"]), lambda found: found["Status"] == "available"
    )
    assert found["PrivateIpAddress"] == made["PrivateIpAddress"]
    assert found["PrivateDnsName"].startswith("ip-" + made["PrivateIpAddress"].replace(".", "-"))
    assert (found["SubnetId"], found["Description"]) == (subnet, "contract")
    assert set(account.tags[0].items()) <= set(found["TagSet"][0].items())
    assert found["SourceDestCheck"] is True


def test_the_same_token_makes_one_interface(account: Account, later: Later, subnet: str) -> None:
    """And other parameters with it are refused.

    docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
    """
    token = account.name("token")
    first = make_interface(account, later, subnet, ClientToken=token)
    again = make_interface(account, later, subnet, ClientToken=token)
    assert again["NetworkInterfaceId"] == first["NetworkInterfaceId"]
    with refused("IdempotentParameterMismatch"):
        make_interface(account, later, subnet, ClientToken=token, Description="another")


def test_an_address_is_given_once_and_only_from_the_subnet(account: Account, later: Later, subnet: str) -> None:
    """Asking for one that is taken fails.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    first = make_interface(account, later, subnet)
    with refused("InvalidIPAddress.InUse"):
        make_interface(account, later, subnet, PrivateIpAddress=first["PrivateIpAddress"])
    with refused("InvalidParameterValue"):
        make_interface(account, later, subnet, PrivateIpAddress="192.0.2.1")


def test_an_interface_made_first_outlives_its_instance(account: Account, later: Later, subnet: str) -> None:
    """It is in use meanwhile, and cannot be deleted.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-eni.html
    """
    made = make_interface(account, later, subnet)
    name = made["NetworkInterfaceId"]
    nic = {"DeviceIndex": 0, "NetworkInterfaceId": name}
    one = account.run(NetworkInterfaces=[nic], TagSpecifications=account.tagged("instance", "volume"))["Instances"][0]
    assert one["PrivateIpAddress"] == made["PrivateIpAddress"]
    found = account.until(lambda: shown(account, name), lambda found: found["Status"] == "in-use")
    assert found["Attachment"]["InstanceId"] == one["InstanceId"]
    assert found["Attachment"]["DeleteOnTermination"] is False
    with refused("InvalidParameterValue") as caught:
        account.ec2.delete_network_interface(NetworkInterfaceId=name)
    assert "in use" in str(caught.value)
    with refused("InvalidNetworkInterface.InUse"):
        account.run(NetworkInterfaces=[nic], TagSpecifications=account.tagged("instance", "volume"))
    account.terminate(one["InstanceId"])
    account.until(lambda: shown(account, name)["Status"] == "available")


def test_an_interface_made_by_a_launch_ends_with_its_instance(account: Account) -> None:
    """Nobody would know of it otherwise.

    docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-eni.html
    """
    one = account.run()["Instances"][0]
    (nic,) = one["NetworkInterfaces"]
    assert nic["Attachment"]["DeleteOnTermination"] is True
    account.terminate(one["InstanceId"])
    filters = [{"Name": "network-interface-id", "Values": [nic["NetworkInterfaceId"]]}]
    account.until(lambda: not account.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"])


def test_a_second_interface_is_attached_and_detached(account: Account, later: Later, running: str, subnet: str) -> None:
    """By its attachment's id; an index is taken once.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachNetworkInterface.html
    """
    zone = account.instance(running)["Placement"]["AvailabilityZone"]
    there = next(one["SubnetId"] for one in account.subnets() if one["AvailabilityZone"] == zone)
    name = make_interface(account, later, there)["NetworkInterfaceId"]
    if account.local:
        # A difference that is left: an instance of the local cloud has the interface that it was launched with.
        with refused("AttachmentLimitExceeded"):
            account.ec2.attach_network_interface(InstanceId=running, NetworkInterfaceId=name, DeviceIndex=1)
        return
    attachment = account.ec2.attach_network_interface(InstanceId=running, NetworkInterfaceId=name, DeviceIndex=1)
    account.until(lambda: shown(account, name)["Status"] == "in-use")
    assert len(account.instance(running)["NetworkInterfaces"]) == 2
    account.ec2.detach_network_interface(AttachmentId=attachment["AttachmentId"], Force=True)
    account.until(lambda: shown(account, name)["Status"] == "available")
    account.until(lambda: len(account.instance(running)["NetworkInterfaces"]) == 1)


def test_interfaces_are_found_by_tag_group_and_state(account: Account, later: Later, subnet: str, group: str) -> None:
    """What a removal of a cluster goes by.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkInterfaces.html
    """
    name = make_interface(account, later, subnet, Groups=[group])["NetworkInterfaceId"]
    filters = [
        *account.mine(),
        {"Name": "group-id", "Values": [group]},
        {"Name": "status", "Values": ["available"]},
        {"Name": "subnet-id", "Values": [subnet]},
    ]

    def found() -> list[str]:
        listed = account.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
        return [one["NetworkInterfaceId"] for one in listed]

    account.until(found, lambda ids: ids == [name])
    filters[1] = {"Name": "group-id", "Values": ["sg-0badbadbadbadbad0"]}
    assert found() == []


def test_an_interface_that_does_not_exist_is_named_by_its_own_code(account: Account, later: Later, subnet: str) -> None:
    """Also once it is deleted.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    with refused("InvalidNetworkInterfaceID.NotFound"):
        account.ec2.describe_network_interfaces(NetworkInterfaceIds=[NOBODYS])
    made = make_interface(account, later, subnet)
    account.ec2.delete_network_interface(NetworkInterfaceId=made["NetworkInterfaceId"])
    with refused("InvalidNetworkInterfaceID.NotFound"):
        account.ec2.delete_network_interface(NetworkInterfaceId=made["NetworkInterfaceId"])


def test_a_subnet_counts_its_free_addresses(account: Account, later: Later, small_subnet: str) -> None:
    """Five of sixteen are AWS's own.

    docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
    """

    def free() -> int:
        found = account.ec2.describe_subnets(SubnetIds=[small_subnet])["Subnets"]
        return int(found[0]["AvailableIpAddressCount"])

    account.until(free, lambda count: count == 11)
    make_interface(account, later, small_subnet)
    account.until(free, lambda count: count == 10)


# Security groups


def rules(account: Account, group: str) -> list[tuple[Any, ...]]:
    """What comes in, one (protocol, from, to, source) each."""
    found = account.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    return sorted(
        (one["IpProtocol"], one.get("FromPort"), one.get("ToPort"), source)
        for one in found["IpPermissions"]
        for source in [pair["GroupId"] for pair in one["UserIdGroupPairs"]]
        + [block["CidrIp"] for block in one["IpRanges"]]
    )


SSH = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "192.0.2.0/24"}]}


def test_a_new_group_lets_everything_out_and_nothing_in(account: Account, group: str) -> None:
    """One egress rule to everywhere.

    docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html
    """
    found = account.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    assert found["IpPermissions"] == []
    (out,) = found["IpPermissionsEgress"]
    assert (out["IpProtocol"], [block["CidrIp"] for block in out["IpRanges"]]) == ("-1", ["0.0.0.0/0"])


def test_the_name_of_a_group_is_taken_once_a_network(account: Account, group: str) -> None:
    """Whoever comes second adopts it.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    found = account.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    with refused("InvalidGroup.Duplicate"):
        account.ec2.create_security_group(GroupName=found["GroupName"], Description="x", VpcId=found["VpcId"])
    filters = [{"Name": "group-name", "Values": [found["GroupName"]]}, {"Name": "vpc-id", "Values": [found["VpcId"]]}]
    listed = account.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    assert [one["GroupId"] for one in listed] == [group]


def test_a_rule_is_added_once_and_taken_back_once(account: Account, group: str) -> None:
    """A second time is told as such.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html
    """
    account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH])
    assert rules(account, group) == [("tcp", 22, 22, "192.0.2.0/24")]
    with refused("InvalidPermission.Duplicate"):
        account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH])
    account.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[SSH])
    assert rules(account, group) == []
    with refused("InvalidPermission.NotFound"):
        account.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[SSH])


def test_one_bad_rule_adds_none_of_a_call(account: Account, group: str) -> None:
    """All or nothing.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html
    """
    bad = SSH | {"IpRanges": [{"CidrIp": "192.0.2.0/33"}]}
    with refused("InvalidParameterValue"):
        account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH, bad])
    assert rules(account, group) == []


def test_each_rule_has_an_id_of_its_own(account: Account, group: str) -> None:
    """By which it is described and taken back.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroupRules.html
    """
    made = account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH])["SecurityGroupRules"]
    (rule,) = made
    assert rule["SecurityGroupRuleId"].startswith("sgr-")
    assert (rule["IsEgress"], rule["CidrIpv4"]) == (False, "192.0.2.0/24")
    found = account.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
    assert sorted(one["IsEgress"] for one in found["SecurityGroupRules"]) == [False, True]
    account.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])
    assert rules(account, group) == []


def test_a_group_that_anothers_rule_names_is_not_deleted(account: Account, later: Later, group: str) -> None:
    """Nor is one that names itself kept by that.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html
    """
    other = make_group(account, later)
    for member in (group, other):
        permission = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": other}]}
        account.ec2.authorize_security_group_ingress(GroupId=member, IpPermissions=[permission])
    assert rules(account, group) == [("-1", None, None, other)]
    with refused("DependencyViolation"):
        account.ec2.delete_security_group(GroupId=other)
    account.ec2.revoke_security_group_ingress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": other}]}]
    )
    account.ec2.delete_security_group(GroupId=other)
    with refused("InvalidGroup.NotFound"):
        account.ec2.describe_security_groups(GroupIds=[other])


def test_a_group_that_an_interface_has_is_not_deleted(account: Account, later: Later, subnet: str, group: str) -> None:
    """Also when no instance has the interface.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html
    """
    make_interface(account, later, subnet, Groups=[group])
    with refused("DependencyViolation"):
        account.ec2.delete_security_group(GroupId=group)


def test_the_default_group_stays(account: Account) -> None:
    """Every network has one.

    docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html
    """
    filters = [
        {"Name": "group-name", "Values": ["default"]},
        {"Name": "vpc-id", "Values": [account.subnets()[0]["VpcId"]]},
    ]
    (found,) = account.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    with refused("CannotDelete"):
        account.ec2.delete_security_group(GroupId=found["GroupId"])


def test_a_rule_that_names_a_group_that_does_not_exist_is_refused(account: Account, group: str) -> None:
    """As is a group that does not exist itself.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    permission = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-0badbadbadbadbad0"}]}
    with refused("InvalidGroup.NotFound"):
        account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    with refused("InvalidGroup.NotFound"):
        account.ec2.delete_security_group(GroupId="sg-0badbadbadbadbad0")


@pytest.mark.usefixtures("local")
def test_a_group_has_sixty_rules_by_default(account: Account, group: str) -> None:
    """A real account's quota may have been raised.

    docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
    """
    many = [SSH | {"IpRanges": [{"CidrIp": f"192.0.2.{number}/32"} for number in range(61)]}]
    with refused("RulesPerSecurityGroupLimitExceeded"):
        account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=many)


def test_the_groups_of_an_interface_are_changed_while_it_is_there(
    account: Account, later: Later, subnet: str, group: str
) -> None:
    """What a replaced rule set needs no new instance for.

    docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyNetworkInterfaceAttribute.html
    """
    name = make_interface(account, later, subnet, Groups=[group])["NetworkInterfaceId"]
    other = make_group(account, later)
    account.ec2.modify_network_interface_attribute(NetworkInterfaceId=name, Groups=[other])
    account.until(lambda: [one["GroupId"] for one in shown(account, name)["Groups"]] == [other])
    account.ec2.delete_network_interface(NetworkInterfaceId=name)
