"""Specs on the command line: a first one from questions, checks of several, schemas."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from hcluster.cli.spec import init as spec_init
from hcluster.cli.spec.init import Answers, Checker, text
from hcluster.errors import NotFoundError, UnreachableError
from hcluster.spec.load import load_cluster, load_platform
from tests.unit.cli_world import EXAMPLES, FLIGHTS, Cli
from tests.unit.test_cli_questions import typing

PLATFORM = str(EXAMPLES / "platform.yaml")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, without a platform."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("HCLUSTER_TEAM", raising=False)
    return tmp_path / "here"


def test_questions_propose_what_the_platform_says_and_the_file_is_a_spec_with_comments(
    cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typing(monkeypatch, "night\nscience\n4h\nm5.xlarge\n\n3\n\n")
    assert cli("--platform", PLATFORM, "spec", "init") == 0, cli.err
    assert "Team (analytics, science) [analytics]: " in cli.err
    assert "How long it lives: standing, or such as 90m, 8h, 2d [standing]: " in cli.err
    assert cli.out == "night.yaml describes cluster night; what it would do and cost: `hcluster up night.yaml --plan`\n"
    spec = load_cluster(here / "night.yaml", load_platform(Path(PLATFORM)))
    assert (spec.name, spec.team, spec.lifetime, spec.core.types) == ("night", "science", 4 * 3600, ("m5.xlarge",))
    assert spec.wanted() == {"master": 1, "core": 3}
    assert "# bootstrap:" in (here / "night.yaml").read_text()


def test_a_wrong_answer_is_told_and_asked_again(cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typing(monkeypatch, "\nBad Name\nno\nnobody\nscience\nlong\n2d\ncheap\nspot\nmany\n-1\n2\n1\n")
    assert cli("--platform", PLATFORM, "spec", "init", "x.yaml", "--type", "m5.large") == 0, cli.err
    assert cli.err.count("Name of the cluster: ") == 3
    for told in (
        "it needs one",
        "name: ",
        "`nobody` is no team of platform demo",
        "write a number and a unit",
        "must be 'on",
    ):
        assert told in cli.err
    found = yaml.safe_load((here / "x.yaml").read_text())
    assert (found["name"], found["core"]["count"], found["task"]["count"]) == ("no", 2, 1)
    assert found["core"]["types"] == found["task"]["types"] == ["m5.large"]


def test_options_alone_make_a_spec_without_a_platform_and_without_a_terminal(cli: Cli, here: Path) -> None:
    found = cli.json("spec", "init", "--name", "a", "--lifetime", "standing", "--core", "5", "--yes")
    assert found["file"] == "a.yaml"
    assert (found["spec"]["team"], found["spec"]["core"]["count"]) == ("default", 5)
    assert (here / "a.yaml").is_file()
    assert cli.states == [], "nothing is asked of any cloud"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "[nobody-to-ask]"),
        (("--yes",), "the cluster needs a name"),
        (("--name", "A b", "--yes"), "this would be no cluster: name: "),
        (("--name", "a\nb: c", "--yes"), "this would be no cluster: "),
        (("--name", "a", "--core", "0", "--yes"), "core.count"),
        (("--name", "a", "--team", "x]", "--yes"), "this would be no cluster: "),
        (("--name", "a", "--type", "m5.large, m5.xlarge", "--yes"), "core.types[0]"),
        (("no/such/folder/a.yaml", "--name", "a", "--yes"), "cannot be written"),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_would_be_no_spec_is_wrong_usage_and_writes_nothing(cli: Cli, words: tuple[str, ...], told: str) -> None:
    assert cli("spec", "init", *words) == 2
    assert told in cli.err
    assert list(Path.cwd().iterdir()) == []


def test_a_file_that_exists_is_written_over_by_those_who_said_so(
    cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "a.yaml").write_text("precious")
    words = "spec init --name a --team t --lifetime 8h --type m5.large --market spot --core 1 --task 0"
    whole = words.split()
    assert cli(*whole) == 2
    assert "[nobody-to-ask]" in cli.err
    typing(monkeypatch, "n\n")
    assert cli(*whole) == 1
    assert (here / "a.yaml").read_text() == "precious"
    typing(monkeypatch, "y\n")
    assert cli(*whole) == 0
    assert "name: a" in (here / "a.yaml").read_text()


ANSWERS = Answers("a", "analytics", "8h", "x9.large", "spot", "2", "0")


def test_a_type_that_the_cloud_does_not_know_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_types: object) -> dict[str, int]:
        raise NotFoundError("x9.large does not exist in us-east-1", reference="no-such-type")

    monkeypatch.setattr(cli.cloud.compute, "memory_mib", unknown)
    check = Checker(load_platform(Path(PLATFORM)), lambda: cli.cloud.compute)
    assert check(ANSWERS, "type") == "x9.large does not exist in us-east-1"
    assert check(ANSWERS, "market") == "", "only the answer that was just given is looked up"


def test_a_cloud_that_does_not_answer_keeps_nobody_from_writing_a_spec(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[object] = []

    def away(types: object) -> dict[str, int]:
        asked.append(types)
        raise UnreachableError("no answer")

    monkeypatch.setattr(cli.cloud.compute, "memory_mib", away)
    check = Checker(None, lambda: cli.cloud.compute)
    assert check(ANSWERS, "type") == ""
    assert "was not checked" in capsys.readouterr().err
    assert check(Answers("a", "t", "8h", "m5.large", "spot", "2", "0"), "type") == ""
    assert len(asked) == 1


@pytest.mark.parametrize("word", ["no", "null", "1e3", "8h", "0x1f", "a: b", "- a", '"', "ü", "~", "2013-01-01"])
def test_what_is_typed_stays_text_in_yaml(word: str) -> None:
    assert yaml.safe_load(f"a: {spec_init._scalar(word)}") == {"a": word}
    assert yaml.safe_load(f"a: [{spec_init._scalar(word)}]") == {"a": [word]}


def test_the_comments_of_the_file_are_true() -> None:
    """What is commented out is a spec, too."""
    lines = text(ANSWERS).splitlines()
    start = lines.index("")
    uncommented = [
        re.sub(r"^( *)# ", r"\1", line) if re.match(r" *# ( *[a-z.-]+:|  +[-#])", line) else line for line in lines
    ]
    found = yaml.safe_load("\n".join(uncommented[start:]))
    assert set(found) >= {"master", "site", "bootstrap", "tags"}
    assert found["core"]["disks"] == [{"size_gib": 100, "type": "gp3"}]
    from hcluster.spec.cluster import ClusterSpec

    ClusterSpec.model_validate(found)


def test_several_files_are_checked_at_once_and_one_that_is_wrong_fails(cli: Cli, tmp_path: Path) -> None:
    wrong = tmp_path / "bad.yaml"
    wrong.write_text("name: Bad\nteam: nobody\n")
    assert cli("--platform", PLATFORM, "spec", "validate", PLATFORM, str(wrong), FLIGHTS) == 2
    assert cli.out.count(" is fine") == 2
    assert cli.err.count("[spec-invalid]") == 1
    assert cli("--platform", PLATFORM, "spec", "validate", str(wrong), FLIGHTS, "--output", "json") == 2
    bad, good = json.loads(cli.out)
    assert (bad["kind"], bad["spec"], len(bad["findings"])) == ("cluster", None, 2)
    assert (good["findings"], good["spec"]["name"]) == ([], "flights")
    assert cli.states == []


def test_settings_are_checked_as_up_would_take_them(cli: Cli) -> None:
    words = ("--platform", PLATFORM, "spec", "validate", FLIGHTS)
    assert cli.json(*words, "--set", "core.count=5")[0]["spec"]["core"]["count"] == 5
    assert cli(*words, "--set", "core.cuont=5") == 2
    assert "--set core.cuont=5" in cli.err
    assert cli(*words, PLATFORM, "--set", "core.count=5") == 2
    assert "--set is for clusters" in cli.err


def test_a_tag_that_makes_nodes_deaf_is_warned_of_and_is_no_error(cli: Cli) -> None:
    words = ("--platform", PLATFORM, "spec", "validate", FLIGHTS)
    assert cli(*words, "--set", "tags.cost center=seven") == 0, cli.err
    assert "warning: tags: no running node can be told anything with `cost center`" in cli.out
    (warned,) = cli.json(*words, "--set", "tags.cost center=seven")[0]["warnings"]
    assert "use other keys" in warned
    assert cli.json(*words)[0]["warnings"] == []


def test_schemas_of_files_and_of_outputs(cli: Cli) -> None:
    for kind in ("cluster", "platform", "image"):
        assert cli.json("spec", "schema", kind)["type"] == "object"
    assert cli.json("spec", "schema", "output", "job", "run")["title"] == "job run"
    assert {"list", "show", "error"} <= set(cli.json("spec", "schema", "output"))
    assert cli("spec", "schema", "output", "lst") == 2
    assert "did you mean 'list'?" in cli.err
    assert cli("spec", "schema", "output", "ssh") == 2
    assert "it is a shell" in cli.err
    assert cli("spec", "schema", "cluster", "list") == 2
    assert cli("spec", "schema", "cloud") == 2


def test_an_image_is_seen_from_its_keys(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nparent: hadoop\ndescription: ours\n")
    assert cli("spec", "validate", str(tmp_path / "mine.yaml")) == 0, cli.err
    assert "image mine on hadoop is fine" in cli.out
