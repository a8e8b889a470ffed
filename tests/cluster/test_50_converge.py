"""A running cluster follows its spec: nodes hear of changes, and a core node is replaced under work and data."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pytest

from tests.cluster.conftest import BUCKET, SMALL, Cloud, Hcluster, spec, wait_until

TIMES = "systemctl show --property=ActiveEnterTimestampMonotonic --value"
# Large enough here for Hive's session and a job beside it.
OLD = {"types": ["m5.xlarge"], "market": "on-demand", "count": 1}
NEW = {**OLD, "types": ["m5a.xlarge"]}
SITE = {"yarn-site": {"yarn.nodemanager.delete.debug-delay-sec": 1}}


@pytest.fixture(scope="module")
def brief(
    hcluster: Hcluster, cloud: Cloud, platform: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Future[None]]:
    """Cluster `brief`, whose lifetime passes while the other tests run; done once its nodes have ended, or have not."""
    assert platform["metastore_uri"]
    hcluster("up", spec(tmp_path_factory.mktemp("brief"), "brief", **SMALL, lifetime="90s"))
    nodes = [node["instance"]["id"] for node in hcluster.json("nodes", "brief")]
    assert len(nodes) == 2
    ec2 = cloud.client("ec2")

    def ended() -> bool:
        found = ec2.describe_instances(InstanceIds=nodes)["Reservations"]
        return {node["State"]["Name"] for one in found for node in one["Instances"]} == {"terminated"}

    with ThreadPoolExecutor(1) as aside:
        yield aside.submit(wait_until, "the nodes end", ended, timeout=120)
    hcluster("down", "brief", "--yes")


@pytest.fixture(scope="module")
def running(hcluster: Hcluster, brief: Future[None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Cluster `conv` with one core node, and a file in its HDFS that nobody else has."""
    assert not brief.cancelled()
    folder = tmp_path_factory.mktemp("conv")
    hcluster("up", spec(folder, "conv", core=OLD))
    on_master(hcluster, "echo precious >/tmp/f && hdfs dfs -D dfs.replication=1 -put /tmp/f /f")
    yield folder
    hcluster("down", "conv", "--yes")


def on_master(hcluster: Hcluster, command: str) -> str:
    (answer,) = hcluster.json("exec", "conv", "--group", "master", "--", "sudo", "sh", "-c", command)
    assert answer["exit_code"] == 0, answer
    return str(answer["stdout"])


def started(hcluster: Hcluster, group: str, *units: str) -> dict[str, str]:
    """When each unit of a group's one node was started."""
    (answer,) = hcluster.json("exec", "conv", "--group", group, "--", "sh", "-c", f"{TIMES} {' '.join(units)}")
    return dict(zip(units, answer["stdout"].split(), strict=True))


def test_a_changed_site_is_heard_and_restarts_what_reads_it_and_nothing_else(hcluster: Hcluster, running: Path) -> None:
    reads, others = ("hadoop-resourcemanager",), ("hadoop-namenode",)
    before = started(hcluster, "master", *reads, *others)
    worker = started(hcluster, "core", "hadoop-nodemanager", "hadoop-datanode")
    planned = hcluster.json("up", spec(running, "conv", core=OLD, site=SITE), "--plan")
    assert [(one["kind"], one["group"]) for one in planned["actions"]] == [("tell", "master"), ("tell", "core")]
    hcluster("up", spec(running, "conv", core=OLD, site=SITE))
    grep = "grep -c delete.debug-delay-sec /etc/hadoop/yarn-site.xml"
    answers = hcluster.json("exec", "conv", "--", "sh", "-c", grep)
    assert [answer["stdout"].strip() for answer in answers] == ["1", "1"]
    after = started(hcluster, "master", *reads, *others)
    assert {unit for unit in before if before[unit] != after[unit]} == set(reads)
    then = started(hcluster, "core", "hadoop-nodemanager", "hadoop-datanode")
    assert {unit for unit in worker if worker[unit] != then[unit]} == {"hadoop-nodemanager"}
    assert hcluster.json("up", spec(running, "conv", core=OLD, site=SITE), "--plan")["actions"] == []


class Jobs:
    """Jobs one after the other, so that one runs at every moment."""

    def __init__(self, hcluster: Hcluster) -> None:
        self.done: list[subprocess.CompletedProcess[str]] = []
        self.first = threading.Event()
        self._hcluster = hcluster
        self._end = threading.Event()
        self._failure: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._end.is_set():
                words = ("job", "run", "conv", "--jar", "examples", "--class", "pi", "--", "4", "100")
                self.done.append(self._hcluster(*words, timeout=600))
                self.first.set()
        except BaseException as cause:  # noqa: BLE001 - told where the test waits
            self._failure.append(cause)
            self.first.set()

    def check(self) -> None:
        """Raise what went wrong."""
        if self._failure:
            raise self._failure[0]


def core_node(hcluster: Hcluster) -> dict[str, Any]:
    (found,) = [node["instance"] for node in hcluster.json("nodes", "conv") if node["group"] == "core"]
    return dict(found)


def test_a_core_node_is_replaced_and_no_job_fails_and_no_block_is_lost(hcluster: Hcluster, running: Path) -> None:
    wanted = spec(running, "conv", core=NEW, site=SITE)
    hcluster("up", wanted)
    old = core_node(hcluster)
    assert old["type"] == "m5.xlarge", "without --replace nodes stay"
    with Jobs(hcluster) as jobs:
        assert jobs.first.wait(600)
        hcluster("up", wanted, "--replace", "--drain", "5")
    jobs.check()
    assert len(jobs.done) >= 2
    new = core_node(hcluster)
    assert (new["type"], new["id"] != old["id"]) == ("m5a.xlarge", True)
    assert on_master(hcluster, "hdfs dfs -cat /f") == "precious\n"
    assert "is HEALTHY" in on_master(hcluster, "hdfs fsck /f")
    layer = json.loads(on_master(hcluster, "cat /etc/hcluster/node.yaml"))
    assert layer["hcluster::excluded"] == {"hdfs": [], "yarn": []}


def test_a_lifetime_that_is_over_ends_the_nodes_by_themselves(
    hcluster: Hcluster, cloud: Cloud, brief: Future[None]
) -> None:
    """The last test of this file: the lifetime passes while the others run."""
    brief.result()
    rows = cloud.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="registry/clusters/brief-")["Contents"]
    row = json.loads(cloud.client("s3").get_object(Bucket=BUCKET, Key=rows[0]["Key"])["Body"].read())
    assert (row["state"], row["ended_by"]) == ("ended", "lifetime")
    hcluster("down", "brief", "--yes")
