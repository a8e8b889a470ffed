"""First of all: this machine can boot one node. No image needs baking for it."""

from __future__ import annotations

import socket

from tests.cluster.conftest import Cloud, wait_until


def test_a_node_of_the_base_image_boots_answers_ssh_and_ends_without_a_trace(cloud: Cloud) -> None:
    before = cloud.inventory()
    client = cloud.client("ec2")
    base = client.describe_images(Filters=[{"Name": "name", "Values": ["debian-12-amd64-*"]}])["Images"][0]
    vpc = client.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]
    group = client.create_security_group(GroupName="one-node", Description="ssh", VpcId=vpc["VpcId"])["GroupId"]
    client.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp=vpc["CidrBlock"]
    )
    launched = client.run_instances(
        ImageId=base["ImageId"], InstanceType="m5.large", MinCount=1, MaxCount=1, SecurityGroupIds=[group]
    )
    name = launched["Instances"][0]["InstanceId"]

    def state() -> dict[str, object]:
        node: dict[str, object] = client.describe_instances(InstanceIds=[name])["Reservations"][0]["Instances"][0]
        return node

    wait_until(
        "the node leaves pending",
        lambda: state()["State"]["Name"] != "pending",  # type: ignore[index]
        timeout=60,
    )
    node = state()
    assert node["State"]["Name"] == "running", node.get("StateReason")  # type: ignore[index]
    with socket.create_connection((str(node["PrivateIpAddress"]), 22), timeout=5) as ssh:
        assert ssh.recv(4) == b"SSH-"
    client.terminate_instances(InstanceIds=[name])
    wait_until("the node ends", lambda: state()["State"]["Name"] == "terminated")  # type: ignore[index]
    client.delete_security_group(GroupId=group)
    wait_until("nothing is left of it", lambda: cloud.inventory() == before)
