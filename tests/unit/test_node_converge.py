"""A member of a cluster becomes what it is told to be, and answers."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from hcluster.errors import DeadlineError, NodeFailedError, UnreachableError
from hcluster.model import names
from hcluster.model.told import Told
from hcluster.node import bootstrap, drain, health, lifetime, release
from hcluster.node import converge as program
from hcluster.node.bootstrap import Paths
from hcluster.node.converge import converge, settle
from hcluster.node.imds import Imds
from hcluster.node.orders import told_by
from tests.unit.node_world import SHARED, FixedImds, Objects, release_body, user_data

EXCLUDED = {"hdfs": ["10.0.0.5"], "yarn": ["ip-10-0-0-5.ec2.internal"]}


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/health.json").write_text("[]")
    return Paths(tmp_path / "etc", tmp_path / "opt", tmp_path / "var", tmp_path / "log", tmp_path, tmp_path / "console")


class Node:
    """One node with a bucket that also holds what it may be told later."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, paths: Paths, role: str = "core") -> None:
        self.user_data, self.objects = user_data(role=role)
        self.paths = paths
        self.commands: list[list[str]] = []
        monkeypatch.setattr(program, "Bucket", lambda *_: self.objects)
        monkeypatch.setattr(release, "apply", lambda *_: 2)
        monkeypatch.setattr(lifetime, "change", lambda *_: None)
        monkeypatch.setattr(subprocess, "run", self._run)

    def _run(self, command: list[str], **named: Any) -> subprocess.CompletedProcess[str]:
        if command[0] == "tar":
            return REAL_RUN(command, **named)
        self.commands.append(command)
        return subprocess.CompletedProcess(command, 3 if "is-active" in command else 0, "", "")

    def later(self, **changes: object) -> Told:
        """Something else that it may be told: put into the bucket under its digests."""
        body, packed = json.dumps({**SHARED, **changes}).encode(), release_body()
        told = Told(hashlib.sha256(body).hexdigest(), hashlib.sha256(packed).hexdigest())
        self.objects.objects[names.node_config_key("flights", "l1", told.config)] = body
        self.objects.objects[names.release_key(told.release)] = packed
        return told

    def hears(self, told: str = "") -> int:
        return converge(cast("Imds", FixedImds(self.user_data.render(), told=told)), self.paths)

    def layer(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.paths.etc / "node.yaml").read_text())
        return found


REAL_RUN = subprocess.run


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch, paths: Paths) -> Node:
    return Node(monkeypatch, paths)


def test_without_a_tag_the_launchs_own_configuration_is_applied_again(node: Node) -> None:
    assert node.hears() == 0
    assert json.loads((node.paths.var / "converged").read_text())["puppet_exit"] == 2
    own = Told(node.user_data.config_sha256, node.user_data.release_sha256)
    assert list(node.objects.checkins) == [own.answer("converged")]


def test_what_the_tag_tells_is_applied_and_answered_and_noted(node: Node) -> None:
    told = node.later(workers=5)
    assert node.hears(told.tag(again=7)) == 0
    assert node.layer()["hcluster::workers"] == 5
    assert list(node.objects.checkins) == [told.answer("converged", 7)]
    assert (node.paths.var / "told").read_text() == told.tag(again=7) + "\n"


@pytest.mark.parametrize("part", ["config", "release"])
def test_what_has_another_digest_than_the_tag_says_is_never_applied(
    node: Node, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    told = node.later(workers=5)
    key = names.node_config_key("flights", "l1", told.config) if part == "config" else names.release_key(told.release)
    node.objects.objects[key] += b" "
    monkeypatch.setattr(release, "apply", lambda *_: pytest.fail("applied"))
    assert node.hears(told.tag()) == 1
    answer = node.objects.checkins[told.answer("unconverged")]
    assert (answer["reference"], answer["step"]) == ("digest-mismatch", "fetch")
    assert not (node.paths.etc / "node.yaml").exists()
    assert (node.paths.var / "told").read_text() == told.tag() + "\n", "the same is not tried for ever"


def test_a_tag_that_hcluster_did_not_write_says_nothing(node: Node) -> None:
    assert node.hears("rm -rf /") == 0
    assert node.layer()["hcluster::workers"] == SHARED["workers"]


def test_a_failure_is_answered_with_the_end_of_the_log(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise NodeFailedError("puppet apply failed with exit code 4", context="Error: no such value")

    monkeypatch.setattr(release, "apply", fail)
    told = node.later(workers=5)
    assert node.hears(told.tag()) == 1
    answer = node.objects.checkins[told.answer("unconverged")]
    assert (answer["message"], answer["log_tail"]) == ("puppet apply failed with exit code 4", "Error: no such value")


def test_a_daemon_that_does_not_come_back_is_a_failure(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*_: object, **__: object) -> dict[str, float]:
        raise DeadlineError("not up after 300 s: hadoop-nodemanager.service")

    monkeypatch.setattr(health, "wait", late)
    told = node.later(workers=5)
    assert node.hears(told.tag()) == 1
    assert node.objects.checkins[told.answer("unconverged")]["step"] == "health"


def test_a_node_that_is_told_something_has_followed_when_the_cluster_has_it_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = {"name": "yarn", "unit": "hadoop-nodemanager.service", "url": "http://10.64.16.5:8088/x", "text": "RUNNING"}
    (node.paths.etc / "joins.json").write_text(json.dumps([page]))
    asked: list[str] = []

    def never(joins: list[health.Join], *_: object) -> dict[str, float]:
        asked.extend(join.name for join in joins)
        raise DeadlineError("the cluster had not taken it in")

    monkeypatch.setattr(health, "wait_joined", never)
    told = node.later(workers=5)
    assert node.hears(told.tag()) == 1
    assert node.objects.checkins[told.answer("unconverged")]["step"] == "joining"
    assert node.hears(told.tag()) == 0, "the timer, which may come while the node is drained"
    assert asked == ["yarn"]


def test_a_bucket_that_cannot_be_reached_is_tried_again_later(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise UnreachableError("S3 does not answer")

    monkeypatch.setattr(Objects, "check_in", refuse)
    assert node.hears(node.later(workers=5).tag()) == 1
    assert not (node.paths.var / "told").exists()


def test_a_reboot_goes_on_with_what_was_told_last(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    told = node.later(workers=5)
    imds = FixedImds(node.user_data.render(), told=told.tag())
    now, called = told_by(node.user_data, imds.identity())
    assert (called, now.config_sha256, now.release_sha256) == (told, told.config, told.release)
    monkeypatch.setattr(bootstrap, "Bucket", lambda *_: node.objects)
    shared = bootstrap.prepare(now, imds.identity(), cast("Any", node.objects), bootstrap.Marks(), node.paths)
    assert shared["workers"] == 5


def test_a_master_lets_its_daemons_read_the_lists_once_and_watches_over_the_draining(
    monkeypatch: pytest.MonkeyPatch, paths: Paths
) -> None:
    node = Node(monkeypatch, paths, "master")
    told = node.later(excluded=EXCLUDED, drain_seconds=60)
    assert node.hears(told.tag()) == 0
    assert node.layer()["hcluster::excluded"] == EXCLUDED
    asked = [command for command in node.commands if command[0] in ("hdfs", "yarn")]
    assert asked == drain.commands(EXCLUDED, 60)
    assert asked[1][-3:] == ["-g", "60", "-server"]
    assert node.commands[-1][-2:] == [drain.PROGRAM, "drain"]
    node.commands.clear()
    assert node.hears(told.tag()) == 0
    assert not [command for command in node.commands if command[0] in ("hdfs", "yarn")]
    assert node.hears(node.later().tag()) == 0
    assert [command for command in node.commands if command[0] in ("hdfs", "yarn")] == drain.commands({}, 0)


def test_a_worker_drains_nobody(node: Node) -> None:
    assert node.hears(node.later(excluded=EXCLUDED, drain_seconds=60).tag()) == 0
    assert not [command for command in node.commands if command[0] in ("hdfs", "yarn", "systemd-run")]


def test_what_systemd_has_queued_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    left = ["7", "7", ""]
    monkeypatch.setattr(
        subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0, left.pop(0) + "\n", "")
    )
    settle(["hadoop-namenode.service"])
    assert left == []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0, "7\n", ""))
    with pytest.raises(DeadlineError, match="hadoop-namenode"):
        settle(["hadoop-namenode.service"], deadline_seconds=0)


def info(state: str = "", *, dead: bool = False) -> dict[str, str]:
    """The NameNode's bean, with one DataNode."""
    one = {"a:9866": {"xferaddr": "10.0.0.5:9866", "adminState": state}}
    return {"LiveNodes": json.dumps({} if dead or not state else one), "DeadNodes": json.dumps(one if dead else {})}


def workers(*states: str) -> dict[str, Any]:
    """The ResourceManager's answer."""
    found = [{"nodeHostName": "ip-10-0-0-5.ec2.internal", "state": state, "numContainers": 2} for state in states]
    return {"nodes": {"node": found} if found else None}


def test_a_node_is_empty_when_hdfs_has_its_blocks_elsewhere_and_yarn_has_given_it_up() -> None:
    assert drain.remaining(EXCLUDED, info("Decommissioned"), workers()) == []
    assert drain.remaining(EXCLUDED, info(dead=True), workers()) == []
    assert drain.remaining(EXCLUDED, info("Decommission In Progress"), workers()) == [
        "HDFS: 10.0.0.5 is Decommission In Progress"
    ]
    assert drain.remaining(EXCLUDED, info("In Service"), workers("RUNNING"))[0] == "HDFS: 10.0.0.5 is In Service"
    assert drain.remaining(EXCLUDED, info("Decommissioned"), workers("DECOMMISSIONING")) == [
        "YARN: ip-10-0-0-5.ec2.internal is DECOMMISSIONING with 2 containers"
    ]
    # A NameNode that has just started does not know its DataNodes yet.
    assert drain.remaining(EXCLUDED, info(), workers()) == ["HDFS: 10.0.0.5 is unknown"]


class Draining:
    """A cluster whose answers come one after the other; time passes with each."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.now = 0.0
        self.said: list[str] = []
        self.told = True

    def ask(self, url: str) -> Any:
        if "/jmx" not in url:
            return workers()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {"beans": [answer]}

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def check_in(self, phase: str, _body: Mapping[str, object]) -> None:
        self.said.append(phase)

    def watch(self) -> int:
        values = {"hcluster::excluded": EXCLUDED, "hcluster::master_host": "m", "hcluster::drain_seconds": 60}
        return drain.watch(
            values,
            "drained.0123456789abcdef",
            lambda: self.told,
            self.check_in,
            ask=self.ask,
            sleep=self.sleep,
            clock=lambda: self.now,
        )


def test_the_master_answers_once_all_is_empty_whatever_daemons_say_meanwhile() -> None:
    busy = info("Decommission In Progress")
    one = Draining(OSError("connection refused"), busy, {"no": "bean"}, busy, info("Decommissioned"))
    assert one.watch() == 0
    assert one.said == ["drained.0123456789abcdef"]


def test_draining_ends_with_its_deadline_or_with_the_next_order() -> None:
    one = Draining(info("Decommission In Progress"))
    assert (one.watch(), one.said) == (1, [])
    assert one.now >= 660
    other = Draining(info("Decommission In Progress"))
    other.told = False
    assert (other.watch(), other.said) == (0, [])


def test_another_end_is_arranged_and_outlasts_a_reboot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 3 if "is-active" in command else 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    assert lifetime.told(tmp_path, 100) == 100
    lifetime.change(100, 100, tmp_path)
    assert commands == []
    lifetime.change(4_000_000_000, 100, tmp_path)
    assert [command[:2] for command in commands] == [
        ["systemctl", "stop"],
        ["systemctl", "is-active"],
        ["systemd-run", "--quiet"],
    ]
    assert lifetime.told(tmp_path, 100) == 4_000_000_000
    commands.clear()
    lifetime.change(0, 100, tmp_path)
    assert [command[:2] for command in commands] == [["systemctl", "stop"]]
    assert lifetime.told(tmp_path, 100) == 0
