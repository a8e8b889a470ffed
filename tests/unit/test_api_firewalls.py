"""Security groups: what the machines are told of them, and when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hcluster.localcloud.api.firewalls import Enforcer
from hcluster.localcloud.firewall import Firewall, Rule
from tests.unit.api_cloud import NETWORK, Cloud, FakeMachines, running_cloud, until

ANYWHERE = Rule("-1", -1, -1, networks=("0.0.0.0/0",))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as found:
        yield found


def _group(cloud: Cloud, name: str, *permissions: dict[str, Any]) -> str:
    ec2 = cloud.client("ec2")
    group = str(ec2.create_security_group(GroupName=name, Description="a test")["GroupId"])
    if permissions:
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=list(permissions))
    return group


def _ssh(cidr: str) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": cidr}]}


def _told(cloud: Cloud, instance: str) -> Firewall:
    return cloud.machines.firewalls[instance]


def test_the_default_group_admits_its_members_only(cloud: Cloud) -> None:
    instance = cloud.run(1)[0]
    found = _told(cloud, instance)
    assert found.address == cloud.describe(instance)["PrivateIpAddress"]
    assert found.ingress == (Rule("-1", -1, -1, groups=found.groups),)
    assert found.egress == (ANYWHERE,)


def test_the_rules_of_all_groups_of_an_instance_count(cloud: Cloud) -> None:
    other = _group(cloud, "other")
    first = _group(cloud, "first", _ssh(NETWORK))
    second = _group(
        cloud, "second", {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, "IpRanges": [{"CidrIp": NETWORK}]}
    )
    by_group = {"IpProtocol": "udp", "FromPort": 1, "ToPort": 9, "UserIdGroupPairs": [{"GroupId": other}]}
    cloud.client("ec2").authorize_security_group_ingress(GroupId=second, IpPermissions=[by_group])
    found = _told(cloud, cloud.run(1, SecurityGroupIds=[first, second])[0])
    assert set(found.groups) == {first, second}
    assert set(found.ingress) == {
        Rule("tcp", 22, 22, networks=(NETWORK,)),
        Rule("icmp", 8, -1, networks=(NETWORK,)),
        Rule("udp", 1, 9, groups=(other,)),
    }


def test_machines_know_the_rules_before_an_instance_runs(cloud: Cloud) -> None:
    group = _group(cloud, "early", _ssh(NETWORK))
    instance = cloud.run(1, SecurityGroupIds=[group])[0]
    assert _told(cloud, instance).groups == (group,)


def test_a_change_of_a_group_reaches_running_machines(cloud: Cloud) -> None:
    ec2, group = cloud.client("ec2"), _group(cloud, "changing", _ssh(NETWORK))
    instance = cloud.run(1, SecurityGroupIds=[group])[0]
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[_ssh(NETWORK)])
    until(lambda: not _told(cloud, instance).ingress, "the rule is gone", timeout=3)
    ec2.revoke_security_group_egress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    until(lambda: not _told(cloud, instance).egress, "nothing goes out", timeout=3)


def test_an_instance_can_get_other_groups(cloud: Cloud) -> None:
    ec2, instance = cloud.client("ec2"), cloud.run(1)[0]
    group, other = _group(cloud, "wanted"), _group(cloud, "interface's")
    ec2.modify_instance_attribute(InstanceId=instance, Groups=[group])
    until(lambda: _told(cloud, instance).groups == (group,), "the instance's groups", timeout=3)
    interface = cloud.describe(instance)["NetworkInterfaces"][0]
    assert [g["GroupId"] for g in interface["Groups"]] == [group]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface["NetworkInterfaceId"], Groups=[other])
    until(lambda: _told(cloud, instance).groups == (other,), "the interface's groups", timeout=3)
    assert [g["GroupId"] for g in cloud.describe(instance)["SecurityGroups"]] == [other]


def test_a_terminated_instance_is_no_member_any_more(cloud: Cloud) -> None:
    instance = cloud.run(1)
    cloud.client("ec2").terminate_instances(InstanceIds=instance)
    until(lambda: instance[0] not in cloud.machines.firewalls, "it is forgotten", timeout=3)


def test_what_groups_do_not_say_is_not_told_again(cloud: Cloud) -> None:
    instance = cloud.run(1)[0]
    time.sleep(0.6)
    before = cloud.machines.enforced
    cloud.client("ec2").create_tags(Resources=[instance], Tags=[{"Key": "a", "Value": "b"}])
    time.sleep(0.6)
    assert cloud.machines.enforced == before


def test_a_second_interface_is_refused(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    interfaces = [{"DeviceIndex": 0}, {"DeviceIndex": 1}]
    with pytest.raises(ClientError) as error:
        cloud.run(1, NetworkInterfaces=interfaces)
    assert error.value.response["Error"]["Code"] == "AttachmentLimitExceeded"
    instance = cloud.run(1)[0]
    spare = ec2.create_network_interface(SubnetId=cloud.describe(instance)["SubnetId"])["NetworkInterface"]
    with pytest.raises(ClientError) as error:
        ec2.attach_network_interface(NetworkInterfaceId=spare["NetworkInterfaceId"], InstanceId=instance, DeviceIndex=1)
    assert error.value.response["Error"]["Code"] == "AttachmentLimitExceeded"


def test_interfaces_live_as_their_launch_says(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    given = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    ids = [
        cloud.run(1, NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": given}])[0],
        cloud.run(1, NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet, "DeleteOnTermination": False}])[0],
        cloud.run(1, NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet}])[0],
    ]
    attached = [cloud.describe(one)["NetworkInterfaces"][0] for one in ids]
    assert [one["Attachment"]["DeleteOnTermination"] for one in attached] == [False, False, True]
    ec2.terminate_instances(InstanceIds=ids)
    cloud.wait(ids, "terminated")
    left = {i["NetworkInterfaceId"]: i["Status"] for i in ec2.describe_network_interfaces()["NetworkInterfaces"]}
    names = [one["NetworkInterfaceId"] for one in attached]
    assert [left.get(name) for name in names] == ["available", "available", None]


def test_machines_that_could_not_be_told_are_told_again() -> None:
    machines, found = FakeMachines(), {"i-1": Firewall("10.77.16.4", (), (), ())}
    failures = [OSError("once")]

    def read() -> dict[str, Firewall]:
        if failures:
            raise failures.pop()
        return found

    enforcer = Enforcer(machines, read)
    with pytest.raises(OSError, match="once"):
        enforcer.settle()
    enforcer.settle()
    enforcer.settle()
    assert (machines.firewalls, machines.enforced) == (found, 1)
