"""Clusters by the beginning of their names: what is asked, what wins, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hcluster.cli.app import ENTRIES
from hcluster.cli.lazy import load
from hcluster.cli.naming import takes_a_cluster
from hcluster.errors import HclusterError
from hcluster.model import names
from tests.unit.cli_world import FLIGHTS, Cli


@pytest.fixture
def two(ready: Cli, tmp_path: Path) -> Cli:
    """Clusters `flights` and `flights-2` are up, `fleet` has ended and left its events."""
    text = Path(FLIGHTS).read_text().replace("name: flights", "name: flights-2")
    (tmp_path / "second.yaml").write_text(text)
    assert ready("up", str(tmp_path / "second.yaml")) == 0, ready.err
    ready.cloud.store.put("clusters/fleet/events/1.json", b"{}")
    return ready


def test_the_beginning_of_a_name_is_enough_when_one_cluster_begins_so(ready: Cli) -> None:
    assert ready.json("show", "fli")["name"] == "flights"
    assert ready.err.splitlines()[-1] == "fli is cluster flights"
    assert ready("exec", "f", "--group", "master", "--", "hostname") == 0
    assert "master: hostname" in ready.out


def test_a_whole_name_wins_over_longer_ones_and_nothing_is_looked_up_for_it(
    two: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folders(_prefix: str) -> list[str]:
        raise AssertionError("looked up")

    monkeypatch.setattr(two.cloud.store, "folders", folders)
    assert two.json("show", "flights")["name"] == "flights"
    assert "is cluster" not in two.err


def test_several_that_begin_so_are_listed_and_nothing_is_done(two: Cli) -> None:
    assert two("exec", "fl", "--", "reboot") == 2
    assert two.err.startswith("error: fl may be any of these clusters: flights, flights-2 [ambiguous-name]")
    assert two.cloud.connector.commands == []


def test_only_a_cluster_that_is_not_there_is_looked_for_under_longer_names(two: Cli) -> None:
    assert two("exec", "flights", "--instance", "i-nobody", "--", "reboot") == 1
    assert "cluster flights has no such node" in two.err
    assert "flights-2" not in two.err
    assert two.cloud.connector.commands == []


def test_with_yes_nothing_less_than_a_whole_name_will_do(ready: Cli) -> None:
    assert ready("job", "kill", "fli", "application_1795318021901_0007", "--yes") == 1
    assert "hint: with --yes the whole name is needed: flights" in ready.err
    assert ready.cloud.connector.commands == []


def test_clusters_that_live_come_before_those_that_have_ended(two: Cli) -> None:
    assert two("nodes", "fle") == 1
    assert "there is no cluster fleet" in two.err
    assert two("nodes", "flights-") == 0
    assert "flights-2" in two.err


def test_a_name_that_is_nearly_right_is_proposed(ready: Cli) -> None:
    assert ready("show", "flihgts") == 1
    assert "hint: did you mean flights?" in ready.err


@pytest.mark.parametrize("given", ["x", "Ü", "platfor"])
def test_what_no_cluster_begins_with_is_the_same_error_as_ever(ready: Cli, given: str) -> None:
    assert ready("show", given) == 1
    assert "[no-cluster]" in ready.err


def test_when_the_look_up_fails_the_first_answer_counts(ready: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_prefix: str) -> list[str]:
        raise HclusterError("no permission to list")

    monkeypatch.setattr(ready.cloud.store, "folders", broken)
    assert ready("show", "fli", "--output", "json") == 1
    assert json.loads(ready.err.splitlines()[-1])["error"]["message"].startswith("there is no cluster fli")


def test_the_platforms_node_is_reached_by_its_whole_name_only(ready: Cli) -> None:
    assert ready("nodes", names.PLATFORM_CLUSTER) == 0
    assert ready("nodes", "plat") == 1


def test_every_command_that_takes_a_cluster_takes_its_prefix() -> None:
    """Whoever adds a verb gets it for nothing, as long as its argument is ``NAME``."""
    taking = {name for name in ENTRIES if takes_a_cluster(getattr(load(name, ENTRIES[name]), "params", []))}
    assert {"show", "nodes", "exec", "ssh", "logs", "sql", "down"} <= taking


def test_hints_name_the_cluster_that_was_meant(ready: Cli) -> None:
    assert ready("sql", "flights") == 2
    assert 'hint: hcluster sql flights "select 1", or hcluster sql flights -f query.sql' in ready.err
