"""Answers are those that moto would write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.core.serialize import EC2Serializer

from hcluster.localcloud.api.serializing import CloudSerializer
from tests.unit.api_cloud import BASE, Cloud, running_cloud

_TAGS = [
    {"ResourceType": kind, "Tags": [{"Key": "a<b", "Value": "&'\" ü"}, {"Key": "empty", "Value": ""}]}
    for kind in ("instance", "volume", "network-interface", "spot-instances-request")
]


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with running_cloud(tmp_path) as made:
        yield made


def _fill(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    ec2.create_key_pair(KeyName="key")
    ec2.create_launch_template(
        LaunchTemplateName="template",
        LaunchTemplateData={"ImageId": BASE, "InstanceType": "m5.large", "UserData": "eA=="},
    )
    group = ec2.create_security_group(GroupName="g", Description="d")["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=1, ToPort=2, CidrIp="10.0.0.0/8")
    cloud.run(2, TagSpecifications=_TAGS[:3], SecurityGroupIds=[group], KeyName="key")
    cloud.run(1, TagSpecifications=_TAGS, InstanceMarketOptions={"MarketType": "spot"})
    ended = cloud.run(1)
    ec2.terminate_instances(InstanceIds=ended)
    cloud.wait(ended, "terminated")


def test_every_answer_is_the_one_that_moto_would_write(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    differ: list[tuple[str, str, str]] = []
    ours = CloudSerializer._serialize_result
    moto: Any = EC2Serializer._serialize_result

    def both(self: Any, resp: Any, result: Any) -> Any:
        mine = str(ours(self, resp, result)["body"])
        theirs = str(moto(self, dict(resp, headers={}), result)["body"])
        mine, theirs = (re.sub("<requestId>.*?</requestId>", "", text) for text in (mine, theirs))
        compared.append(self.operation_name)
        if mine != theirs:
            differ.append((self.operation_name, mine, theirs))
        return ours(self, resp, result)

    monkeypatch.setattr(CloudSerializer, "_serialize_result", both)
    _fill(cloud)
    ec2 = cloud.client("ec2")
    for name in (
        "instance_status", "instance_types", "network_interfaces", "volumes", "images", "snapshots", "subnets", "vpcs",
        "security_groups", "security_group_rules", "route_tables", "key_pairs", "launch_templates", "tags",
        "spot_instance_requests", "availability_zones", "regions", "network_acls", "dhcp_options", "fleets",
        "addresses", "iam_instance_profile_associations", "prefix_lists", "managed_prefix_lists",
    ):  # fmt: skip
        getattr(ec2, f"describe_{name}")(**({"InstanceTypes": ["m5.large"]} if name == "instance_types" else {}))
    ec2.describe_launch_template_versions(LaunchTemplateName="template")
    assert not differ, differ[0]
    assert len(set(compared)) > 25
