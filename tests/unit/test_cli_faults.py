"""`hcluster local` breaks things on purpose: from the command line through the control channel into a cloud."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hcluster.cli import app
from hcluster.cli.local import fault_rules
from hcluster.errors import UsageError
from hcluster.localcloud.channel import Channel, path_of
from hcluster.localcloud.settings import CloudSettings, derive
from hcluster.localcloud.system import start_time
from hcluster.model.names import TAG_CLUSTER, TAG_GROUP
from tests.unit.api_cloud import Cloud, running_cloud
from tests.unit.cli_output import demand

SPOT: dict[str, Any] = {"InstanceMarketOptions": {"MarketType": "spot"}}


class Cli:
    """Runs `hcluster local …`."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: str, code: int = 0) -> str:
        assert app.run(["local", *words]) == code, self._capsys.readouterr()
        self.out, self.err = self._capsys.readouterr()
        return self.out

    def json(self, *words: str) -> Any:
        return demand(("local", *words), self(*words, "--output", "json"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture
def cloud(shared: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Its channel is where `hcluster local` looks for the cloud `default`."""
    monkeypatch.setattr(CloudSettings, "runtime", tmp_path / "run")
    monkeypatch.setenv("HCLUSTER_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HCLUSTER_USER", "jane")
    (tmp_path / "run").mkdir()
    facts = {"pid": os.getpid(), "start": start_time(os.getpid()), "state": "ready", "since": 0}
    (tmp_path / "run" / "daemon.json").write_text(json.dumps(facts))
    with Channel(path_of(derive("default", tmp_path / "state")), shared.server.controls.handle):
        yield shared
    shared.server.controls.handle("undo", {})


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


COMMANDS: list[tuple[tuple[str, ...], str]] = [
    (
        ("shortage", "m5.*", "--zone", "us-east-1a", "--market", "spot", "--left", "2"),
        "2 more spot instances of type m5",
    ),
    (("throttle", "ec2:Describe*", "--rate", "2", "--burst", "10"), "2 requests a second, 10 at once"),
    (("throttle", "--as-aws"), "as many requests as EC2 takes"),
    (("error", "RunInstances", "InternalError", "--times", "3", "--after"), "InternalError, the first 3, after"),
    (("delay", "s3:*", "200ms", "--jitter", "1s", "--seed", "4"), "0.2 s and up to 1 s more"),
    (("lag", "5s"), "lags 5 s behind"),
    (("clock", "--behind", "20m"), "1200 s behind"),
    (("clock", "--ahead", "2h", "--for", "5m"), "7200 s ahead (until "),
]


@pytest.mark.parametrize(("words", "text"), COMMANDS, ids=lambda value: value[0] if isinstance(value, tuple) else "")
@pytest.mark.usefixtures("cloud")
def test_each_fault_says_what_is_broken_and_how_to_undo_it_and_status_lists_it(
    cli: Cli, words: tuple[str, ...], text: str
) -> None:
    said = cli(*words)
    assert text in said
    undo = said.strip().splitlines()[-1].split("hcluster local ")[1]
    listed = cli.json("status")["faults"]
    assert [fault["effect"]["kind"] for fault in listed] == [words[0]]
    assert listed[0]["by"] == "jane"
    assert listed[0]["made"].endswith("Z")
    assert text.removesuffix(" (until ") in cli("status")
    assert cli(*undo.split()).strip() == f"{listed[0]['id']}: undone"
    assert cli.json("status")["faults"] == []


def test_a_fault_of_the_command_line_is_felt_over_the_api(cloud: Cloud, cli: Cli) -> None:
    cli("error", "ec2:DescribeRegions", "Unavailable", "--status", "503", "--message", "later")
    with pytest.raises(ClientError, match=r"\(Unavailable\).*: later"):
        cloud.client("ec2").describe_regions()
    assert cli.json("status")["faults"][0]["hits"] == 1
    cli("undo", "--all")
    cloud.client("ec2").describe_regions()


def test_nodes_are_chosen_by_cluster_and_group(cloud: Cloud, cli: Cli) -> None:
    def tags(group: str) -> dict[str, Any]:
        pairs = [{"Key": TAG_CLUSTER, "Value": "flights"}, {"Key": TAG_GROUP, "Value": group}]
        return {"TagSpecifications": [{"ResourceType": "instance", "Tags": pairs}]}

    master = cloud.run(**tags("master"))
    core = cloud.run(3, **tags("core"), **SPOT)
    frozen = cli.json("freeze", "--cluster", "flights", "--group", "core", "--count", "2")
    assert sorted(fault["effect"]["instance_id"] for fault in frozen) == sorted(core)[:2]
    cut = cli.json("partition", "--cluster", "flights", "--role", "master", "--for", "1h")
    assert [fault["effect"]["instance_id"] for fault in cut] == master
    assert cloud.machines.partitioned == set(master)
    told = cli("interrupt", "--cluster", "flights", "--count", "1", "--notice", "1h", "--reason", "price")
    assert f"{min(core)} has notice: terminate for price (until " in told
    cli("undo", master[0])
    assert cloud.machines.partitioned == set()
    advised = cli.json("interrupt", sorted(core)[2], "--rebalance")
    assert advised[0]["text"] == f"{sorted(core)[2]} has a rebalance recommendation"
    assert cli("status").count("frozen") == 2
    done = cli.json("kill", master[0], core[0])
    assert done["killed"] == [master[0], core[0]]
    assert [fault["effect"]["how"] for fault in done["faults"]] == ["killed"]
    cloud.wait(core[:1], "terminated")
    cli("undo", done["faults"][0]["id"])
    cloud.wait(master, "running")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("kill",), "nothing says which nodes are meant"),
        (("kill", "i-1", "--cluster", "flights"), "not both"),
        (("kill", "--cluster", "none"), "there are no running nodes in the cluster none"),
        (("interrupt", "i-1", "--for", "5m"), "--for goes with --rebalance"),
        (("delay", "*", "soon"), "'soon' is no duration"),
        (("delay", "*", "1h"), "between 0 and 600 seconds"),
        (("throttle",), "name the action"),
        (("throttle", "*", "--as-aws"), "name the action"),
        (("clock",), "either --ahead or --behind"),
        (("undo",), "name the faults to undo, or --all"),
        (("undo", "f1", "--all"), "name the faults to undo, or --all"),
        (("undo", "f0"), "there is no fault f0"),
        (("error", "*", "X", "--probability", "2"), "the probability is"),
    ],
)
@pytest.mark.usefixtures("cloud")
def test_what_makes_no_sense_is_refused_with_a_cure(cli: Cli, words: tuple[str, ...], message: str) -> None:
    usage = "there " not in message
    cli(*words, code=2 if usage else 1)
    assert message in cli.err


def test_without_a_cloud_the_cure_is_named(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CloudSettings, "runtime", tmp_path)
    monkeypatch.setenv("HCLUSTER_STATE", str(tmp_path))
    cli("shortage", "--name", "demo", code=1)
    assert "the local cloud demo is not running" in cli.err
    assert "hcluster local start --name demo" in cli.err


@pytest.mark.usefixtures("cloud")
def test_a_status_that_cannot_ask_for_faults_says_so(cli: Cli, tmp_path: Path) -> None:
    path_of(derive("default", tmp_path / "state")).unlink()
    assert "faults" in cli("status")
    assert "is not running" in cli.out
    assert cli.json("status")["faults"] is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 0), ("7", 7), ("1.5s", 1.5), ("250ms", 0.25), ("2m", 120), ("1h", 3600), ("1d", 86400)]
)
def test_durations_have_units(text: str, seconds: float) -> None:
    assert fault_rules.seconds(text) == seconds


@pytest.mark.parametrize("text", ["-1s", "1 s", "m", "1w", "inf"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        fault_rules.seconds(text)
