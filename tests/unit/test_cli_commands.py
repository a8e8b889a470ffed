"""The commands over a fake cloud: what they print, where, and how they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hcluster.flows import doctor as flows_doctor
from hcluster.flows import down as flows_down
from hcluster.flows import platform as flows_platform
from hcluster.flows import up as flows_up
from hcluster.model import names
from hcluster.testing import NodeScript
from tests.unit.cli_output import demand_error
from tests.unit.cli_world import EXAMPLES, FLIGHTS, Cli


def test_up_shows_progress_on_stderr_and_the_cluster_on_stdout(ready: Cli) -> None:
    assert "state     ready" in ready.out
    assert "ready     3 of 3 nodes" in ready.out
    assert "lifetime  standing" in ready.out
    assert "launching 3 nodes" in ready.err
    assert "launching" not in ready.out
    assert "\x1b" not in ready.out + ready.err, "no colours when piped"


def test_a_listing_and_a_view_agree_in_both_outputs(ready: Cli) -> None:
    assert ready("list") == 0
    assert ready.out.splitlines()[0].split() == ["NAME", "TEAM", "OWNER", "STATE", "READY", "AGE", "MASTER"]
    assert ready.out.splitlines()[1].split()[:5] == ["flights", "analytics", "jane", "ready", "3/3"]
    listed = ready.json("list")
    shown = ready.json("show", "flights")
    assert listed == [shown]
    assert (shown["name"], shown["state"], shown["ready_nodes"], shown["wanted"]) == (
        "flights",
        "ready",
        3,
        {"master": 1, "core": 2},
    )
    assert shown["nodes"] == ready.json("nodes", "flights")
    assert ready("nodes", "flights") == 0
    assert [line.split()[1] for line in ready.out.splitlines()] == ["GROUP", "master", "core", "core"]


def test_output_may_stand_before_or_after_the_command(ready: Cli) -> None:
    assert ready("--output", "json", "list") == 0
    before = ready.out
    assert ready("list", "--output", "json") == 0
    assert ready.out == before
    assert json.loads(before)[0]["name"] == "flights"


def test_the_platform_file_may_stand_before_or_after_the_command(cli: Cli) -> None:
    cli("--platform", "a.yaml", "list")
    cli("list", "--platform", "b.yaml")
    cli("-p", "a.yaml", "platform", "status", "--platform", "c.yaml")
    assert [str(state.platform_file) for state in cli.states] == ["a.yaml", "b.yaml", "c.yaml"]


def test_down_asks_for_yes_where_nobody_can_answer_and_twice_is_fine(ready: Cli) -> None:
    assert ready("down", "flights") == 2
    assert "hcluster down flights --yes" in ready.err
    assert ready("down", "flights", "--yes") == 0
    assert "flights: removed 3 nodes" in ready.out
    assert ready("down", "flights", "--yes") == 0
    assert "flights: there was nothing left to remove" in ready.out
    assert ready.json("list") == []


def test_ssh_opens_the_masters_shell_and_hands_on_its_code(ready: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from hcluster.testing import FakeRemote

    opened: list[str] = []

    def shell(self: FakeRemote) -> int:
        opened.append(self.instance.tags[names.TAG_GROUP])
        return 3

    monkeypatch.setattr(FakeRemote, "shell", shell)
    assert ready("ssh", "flights") == 3
    assert ready("ssh", "flights", "--instance", "core") == 3
    assert opened == ["master", "core"]
    assert all(remote.closed for remote in ready.cloud.connector.remotes)


def test_logs_print_what_the_node_has(ready: Cli) -> None:
    assert ready("logs", "flights", "master", "--unit", "hadoop-namenode", "-n", "5") == 0
    assert "hadoop-namenode" in ready.out
    assert ready.json("logs", "flights", "master", "-u", "hive-server2")["unit"] == "hive-server2"
    assert ready("logs", "flights", "master", "--unit", "; rm -rf /") == 2


def test_an_unknown_cluster_is_a_failure_with_a_cure(ready: Cli) -> None:
    assert ready("show", "flihgts") == 1
    assert ready.out == ""
    assert ready.err.startswith("error: there is no cluster flihgts on platform demo [no-cluster]")
    assert "hint: did you mean flights?\n      `hcluster list`" in ready.err


def test_errors_are_json_when_output_is(ready: Cli) -> None:
    assert ready("show", "nobody", "--output", "json") == 1
    error = json.loads(ready.err.splitlines()[-1])["error"]
    assert (error["reference"], error["exit_code"]) == ("no-cluster", 1)
    assert ready.out == ""


def test_a_wrong_spec_is_wrong_usage_with_every_finding(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("name: Bad\nteam: nobody\n")
    assert cli("up", str(path)) == 2
    assert ":1: name: " in cli.err
    assert ":2: team: " in cli.err
    assert cli.cloud.compute.calls == []


@pytest.mark.parametrize(
    "arguments",
    [("lst",), ("up",), ("up", FLIGHTS, "more"), ("list", "--no-such-option"), ("--output", "xml", "list"), ()],
)
def test_wrong_usage_ends_with_2_and_says_so_on_stderr(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli(*arguments) == 2
    assert cli.err.startswith("Usage: hcluster")
    assert cli.out == ""
    if arguments:
        assert "\nerror: " in cli.err
        assert "[usage]\nhint: `hcluster" in cli.err
        assert cli(*arguments, "--output", "json") == 2
        assert demand_error(cli.err)["reference"] == "usage"
        assert cli.err.count("\n") == 1


def test_doctor_lists_every_check_with_its_cure_and_fails_when_one_does(cli: Cli) -> None:
    assert cli("doctor") == 1
    assert "hcluster platform up" in cli.out
    assert cli("doctor", "--output", "json") == 1
    assert {one["check"] for one in json.loads(cli.out)} >= {"credentials", "bucket", "network", "image", "release"}


def test_doctor_is_content_with_a_platform_that_is_up(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from hcluster.model.views import Finding

    monkeypatch.setattr(flows_doctor, "doctor", lambda _ctx, _spec, **_: [Finding("bucket", ok=True, message="fine")])
    assert cli("doctor", FLIGHTS) == 0
    assert cli.out.split() == ["ok", "bucket", "fine"]


def test_the_platform_goes_up_is_shown_and_goes_down(cli: Cli) -> None:
    cli.prepare()
    assert "metastore  thrift://" in cli.out
    assert cli.json("platform", "status")["bucket"] == "hcluster-demo"
    assert cli("platform", "down") == 2
    assert cli("platform", "down", "--yes") == 0
    assert cli.cloud.store.exists()
    assert cli("platform", "down", "--yes", "--delete-data") == 0
    assert not cli.cloud.store.exists()


@pytest.mark.parametrize(
    ("flow", "name", "arguments", "cure"),
    [
        (flows_up, "up", ("up", FLIGHTS), f"`hcluster up {FLIGHTS}`"),
        (flows_down, "down", ("down", "flights", "--yes"), "`hcluster down flights`"),
        (flows_platform, "up", ("platform", "up"), "`hcluster platform up`"),
    ],
)
def test_ctrl_c_ends_with_130_and_says_how_to_go_on(
    ready: Cli, monkeypatch: pytest.MonkeyPatch, flow: Any, name: str, arguments: tuple[str, ...], cure: str
) -> None:
    def interrupted(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(flow, name, interrupted)
    assert ready(*arguments) == 130
    assert "[interrupted]" in ready.err
    assert cure in ready.err
    if "flights" in arguments[-1] or "flights" in arguments[1]:
        assert "what exists now: 3 instances" in ready.err


def test_ctrl_c_anywhere_else_ends_with_130(ready: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ready.cloud.compute, "instances", interrupted)
    assert ready("list") == 130
    assert "interrupted" in ready.err


def test_a_bug_leaves_its_trace_in_a_file_and_none_on_the_terminal(
    ready: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def buggy(*_args: object) -> None:
        raise ZeroDivisionError("what a pity")

    monkeypatch.setattr(ready.cloud.compute, "instances", buggy)
    assert ready("list") == 1
    assert "Traceback" not in ready.err
    assert "unexpected: ZeroDivisionError: what a pity [bug]" in ready.err
    (report,) = (tmp_path / "state" / "errors").iterdir()
    assert str(report) in ready.err
    assert "Traceback" in report.read_text()
    assert report.stat().st_mode & 0o777 == 0o600


def test_a_node_that_fails_is_told_with_what_exists_and_the_ways_on(cli: Cli) -> None:
    cli.prepare()
    cli.script = NodeScript.failing("puppet", "no such module")
    assert cli("up", FLIGHTS) == 1
    assert "failed in step puppet: no such module" in cli.err
    assert "hcluster down flights" in cli.err


def test_specs_are_validated_without_any_call(cli: Cli) -> None:
    platform = str(EXAMPLES / "platform.yaml")
    assert cli("spec", "validate", platform) == 0
    assert cli("--platform", platform, "spec", "validate", FLIGHTS) == 0
    assert cli.out.endswith("cluster flights of team analytics is fine (1 master, 2 core)\n")
    assert cli.json("spec", "validate", FLIGHTS, "--platform", platform)[0]["spec"]["name"] == "flights"
    assert cli("spec", "validate", FLIGHTS) == 2
    assert "[no-platform-file]" in cli.err
    assert cli.json("spec", "schema", "cluster")["title"] == "ClusterSpec"
    assert cli.states == []
