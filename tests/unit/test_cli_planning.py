"""Plans, settings, launches left alone and waited for, as commands."""

from __future__ import annotations

import pytest

from hcluster.flows import up as flows_up
from hcluster.testing import NodeScript
from tests.unit.cli_world import FLIGHTS, Cli


def test_a_plan_prints_actions_prices_and_the_command_that_does_it(cli: Cli) -> None:
    cli.prepare()
    assert cli("up", FLIGHTS, "--set", "core.count=3", "--plan") == 0, cli.err
    assert "launch 3 spot nodes (m5.large" in cli.out
    assert "the cluster does not exist yet" in cli.out
    assert "0 -> 3" in cli.out
    assert "price list of 2026-07-20" in cli.out
    assert "expected: unknown, there was no run like this yet" in cli.out
    assert cli.out.rstrip().endswith(f"To do it: hcluster up {FLIGHTS} --set core.count=3")
    assert cli.json("list") == []


def test_a_plan_with_nothing_to_do_is_fine_too(ready: Cli) -> None:
    assert ready("up", FLIGHTS, "--plan") == 0, ready.err
    assert "flights: nothing to do" in ready.out
    assert ready.out.rstrip().endswith("Nothing was changed.")
    found = ready.json("up", FLIGHTS, "--plan")
    assert (found["verb"], found["cluster"], found["actions"]) == ("up", "flights", [])
    assert found["cost"]["groups"][-1]["difference"] == {"low": 0.0, "high": 0.0}


def test_the_plan_of_down_asks_nothing_and_does_nothing(ready: Cli) -> None:
    assert ready("down", "flights", "--plan") == 0, ready.err
    assert "terminate 2 nodes" in ready.out
    assert "3 -> 0" in ready.out
    assert ready.json("list")[0]["ready_nodes"] == 3
    assert ready("down", "fli", "--plan") == 0, ready.err
    assert "fli is cluster flights" in ready.err
    assert "terminate 2 nodes" in ready.out
    assert ready("down", "flights", "--yes") == 0
    assert ready("down", "flights", "--plan") == 0, ready.err
    assert "flights: nothing to do" in ready.out


def test_a_setting_that_is_wrong_is_named(ready: Cli) -> None:
    assert ready("up", FLIGHTS, "--set", "core.cuont=3", "--set", "lifetime=later") == 2
    assert "--set core.cuont=3: core.cuont: unknown key, did you mean `count`?" in ready.err
    assert "--set lifetime=later: lifetime: " in ready.err


def test_settings_win_over_the_file(ready: Cli) -> None:
    shown = ready.json("up", FLIGHTS, "--set", "core.count=4", "--set", "task.count=1")
    assert shown["wanted"] == {"master": 1, "core": 4, "task": 1}


def test_up_may_be_left_alone_and_waited_for(cli: Cli) -> None:
    cli.prepare()
    assert cli("up", FLIGHTS, "--no-wait") == 0, cli.err
    assert "state     starting" in cli.out
    assert cli.out.rstrip().endswith("hcluster wait flights")
    assert cli("wait", "flights") == 0, cli.err
    assert "state     ready" in cli.out


def test_a_failed_node_ends_the_wait_with_code_1(cli: Cli) -> None:
    cli.prepare()
    cli.script = NodeScript.failing("puppet", "no such package")
    assert cli("up", FLIGHTS, "--no-wait") == 0, cli.err
    assert cli("wait", "flights") == 1
    assert "failed in step puppet: no such package" in cli.err


def test_the_end_is_waited_for(ready: Cli) -> None:
    assert ready("wait", "flights", "--for", "down", "--timeout", "5") == 1
    assert "[deadline]" in ready.err
    assert ready("down", "flights", "--yes") == 0
    assert ready.json("wait", "flights", "--for", "down") == {"name": "flights", "gone": True}
    assert ready("wait", "nobody", "--for", "down") == 1
    assert "[no-cluster]" in ready.err


def test_resize_shows_the_price_grows_the_cluster_and_speaks_of_the_yaml(ready: Cli) -> None:
    assert ready("resize", "flights", "core=4", "--plan") == 0, ready.err
    assert "launch 2 spot nodes" in ready.out
    assert "To do it: hcluster resize flights core=4" in ready.out
    assert ready("resize", "flights", "core=4", "task=1") == 0, ready.err
    assert "USD an hour instead of" in ready.err
    assert "core.count: 4, task.count: 1 now; its YAML should, too" in ready.err
    assert "ready     6 of 6 nodes" in ready.out
    assert ready("resize", "flights", "core=4") == 0, "what is there already is fine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("core",), "is not GROUP=COUNT"),
        (("core=many",), "is not GROUP=COUNT"),
        (("core=-1",), "is not GROUP=COUNT"),
        (("core=3", "core=4"), "given twice"),
        (("master=2",), "master cannot be resized"),
        (("core=1",), "core.count cannot be changed"),
    ],
)
def test_counts_that_make_no_sense_are_refused_as_wrong_usage(ready: Cli, words: tuple[str, ...], said: str) -> None:
    assert ready("resize", "flights", *words) == 2
    assert said in ready.err
    assert ready.json("show", "flights")["wanted"] == {"master": 1, "core": 2}


def test_what_cannot_be_left_alone_is_refused(ready: Cli) -> None:
    code = ready("up", FLIGHTS, "--set", "core.types=[m5.xlarge]", "--replace", "--no-wait")
    assert (code, "[needs-waiting]" in ready.err) == (2, True)
    assert ready("up", FLIGHTS, "--set", "core.types=[m5.xlarge]", "--plan") == 0
    assert "not without --replace: type m5.xlarge instead of m5.large" in ready.out


def test_ctrl_c_names_the_command_with_its_settings(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.prepare()

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(flows_up, "up", interrupted)
    assert cli("up", FLIGHTS, "--set", "tags.a=b c", "--replace") == 130
    assert f"continue: `hcluster up {FLIGHTS} --set 'tags.a=b c' --replace`" in cli.err
