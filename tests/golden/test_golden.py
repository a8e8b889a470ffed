"""What hcluster writes for others to read stays as it is, unless somebody means to change it.

Renew the files with ``HCLUSTER_RENEW_GOLDEN=1 pytest tests/golden`` and look at the difference before committing it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hcluster.flows.launch import Ground, GroupPlan, template_request
from hcluster.model import names
from hcluster.model.launch import Disk
from hcluster.model.platform import PlatformRecord
from hcluster.plan import callers
from hcluster.plan.access import platform_policy, team_policy
from hcluster.plan.nodes import node_config, platform_node_config
from hcluster.spec.cluster import ClusterSpec
from hcluster.spec.load import load_cluster, load_platform, schema

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
PLATFORM = load_platform(EXAMPLES / "platform.yaml")
FLIGHTS = load_cluster(EXAMPLES / "flights.yaml", PLATFORM)
FULL = ClusterSpec.model_validate(
    {
        "name": "full",
        "team": "science",
        "owner": "jane",
        "image": "ami-0123456789abcdef0",
        "puppet": {"channel": "next"},
        "lifetime": "90m",
        "master": {"types": ["r5.xlarge"], "disks": [{"size_gib": 100}]},
        "core": {"types": ["m5.large", "m5a.large"], "market": "on-demand", "count": 3},
        "task": {"count": 10, "disks": [{"size_gib": 500, "type": "st1"}]},
        "site": {"core-site": {"fs.s3a.threads.max": 64}, "hive-site": {"hive.exec.parallel": True}},
        "bootstrap": [{"name": "motd", "script": "#!/bin/sh\necho hi\n", "args": ["a b"]}],
        "tags": {"cost-centre": "42"},
    }
)
RECORD = PlatformRecord(
    name="demo",
    bucket="hcluster-demo",
    region="us-east-1",
    vpc="vpc-0123456789abcdef0",
    network=("10.64.0.0/16",),
    subnets=("subnet-0123456789abcdef0",),
    metastore_uri="thrift://ip-10-64-16-4.ec2.internal:9083",
    metastore_node="i-0123456789abcdef0",
    groups={"science": "sg-0123456789abcdef0", "platform": "sg-0123456789abcdef1"},
    profiles={"science": "hcluster-demo-science-node", "platform": "hcluster-demo-platform-node"},
)
MEMORY = dict.fromkeys(("m5.large", "m5.xlarge", "m5a.large", "m5.2xlarge", "r5.large", "r5.xlarge", "m6i.large"), 8192)
MASTER = "ip-10-64-16-5.ec2.internal"
CALLERS = callers.Scope("demo", "hcluster-demo", "us-east-1", "123456789012")


def templates() -> object:
    """Launch templates of the full cluster, their user-data read back."""
    ground = Ground(
        cluster="full",
        launch="20260101t000000-abcd",
        image=FULL.image,
        profile=RECORD.profiles["science"],
        security_group=RECORD.groups["science"],
        subnets=RECORD.subnets,
        release="d" * 64,
        tags={**FULL.tags, names.TAG_PLATFORM: "demo", names.TAG_CLUSTER: "full"},
    )
    store = SimpleNamespace(bucket="hcluster-demo", endpoint=lambda: "http://10.64.0.1:4566")
    ctx = cast("Any", SimpleNamespace(platform=PLATFORM, store=store))
    config = (names.node_config_key("full", ground.launch, "c" * 64), "c" * 64)
    plans = [
        GroupPlan(
            group=name,
            role=name,
            missing=group.count,
            types=group.types,
            market=group.market,
            disks=tuple(Disk(disk.size_gib, disk.type) for disk in group.disks),
            alive=(),
            interface="eni-0123456789abcdef0" if name == "master" else "",
        )
        for name, group in FULL.groups().items()
    ]
    found = [asdict(template_request(ctx, ground, plan, config)) for plan in plans]
    return [{**template, "user_data": json.loads(str(template["user_data"]))} for template in found]


GOLDEN: dict[str, Callable[[], object]] = {
    "spec-flights.json": lambda: json.loads(FLIGHTS.to_json()),
    "spec-full.json": lambda: json.loads(FULL.to_json()),
    "schema-platform.json": lambda: schema("platform"),
    "schema-cluster.json": lambda: schema("cluster"),
    "node-config-flights.json": lambda: node_config(FLIGHTS, RECORD, master_host=MASTER, memory_mib=MEMORY),
    "node-config-full.json": lambda: node_config(FULL, RECORD, master_host=MASTER, memory_mib=MEMORY),
    "node-config-platform.json": lambda: platform_node_config(RECORD, node_host="ip-10-64-16-4.ec2.internal"),
    "policy-team.json": lambda: team_policy("hcluster-demo", "us-east-1"),
    "policy-platform.json": lambda: platform_policy("hcluster-demo", "us-east-1"),
    **{f"policy-caller-{group}.json": partial(callers.policy, group, CALLERS) for group in callers.VERBS},
    "policy-caller-operator-of-science.json": lambda: callers.policy("operator", replace(CALLERS, team="science")),
    "templates-full.json": templates,
}


@pytest.mark.parametrize("name", GOLDEN)
def test_what_is_written_is_what_was_agreed(name: str) -> None:
    text = json.dumps(GOLDEN[name](), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    path = HERE / name
    if os.environ.get("HCLUSTER_RENEW_GOLDEN"):
        path.write_text(text)
    assert path.is_file(), f"{name} does not exist; renew it as the module's docstring says"
    assert text == path.read_text()


def test_no_golden_file_is_left_over() -> None:
    assert {path.name for path in HERE.glob("*.json")} == set(GOLDEN)
