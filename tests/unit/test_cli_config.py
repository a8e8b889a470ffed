"""Which platform, who acts, and where state is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from hcluster.cli import app
from hcluster.cli.config import CliState, platform_file, principal, resolve, session_name, state_folder
from hcluster.errors import SpecError, UsageError
from hcluster.model.principal import Principal


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and an empty folder to stand in."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / ".config" / "hcluster").mkdir(parents=True)
    return tmp_path


def test_the_option_wins_over_environment_folder_and_home(home: Path) -> None:
    (home / ".config/hcluster/platform.yaml").touch()
    assert resolve(None, "table", {}, home=home).platform_file == home / ".config/hcluster/platform.yaml"
    Path("platform.yaml").touch()
    assert resolve(None, "table", {}, home=home).platform_file == Path("platform.yaml")
    environment = {"HCLUSTER_PLATFORM": "from-environment.yaml"}
    assert resolve(None, "table", environment, home=home).platform_file == Path("from-environment.yaml")
    assert resolve(Path("given.yaml"), "table", environment, home=home).platform_file == Path("given.yaml")


def test_who_has_no_home_is_told_what_to_set_and_needs_none_then(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "HCLUSTER_STATE"):
        monkeypatch.delenv(variable, raising=False)
    assert app.run(["list"]) == 2
    assert "hint: set HOME, or both XDG_CONFIG_HOME and HCLUSTER_STATE" in capsys.readouterr().err
    there = {"XDG_CONFIG_HOME": str(home), "HCLUSTER_STATE": str(home / "state")}
    assert resolve(Path("given.yaml"), "table", there).platform_file == Path("given.yaml")
    assert state_folder(there) == home / "state"


def test_no_platform_file_is_wrong_usage_with_a_cure(home: Path) -> None:
    with pytest.raises(UsageError) as caught:
        platform_file(resolve(None, "table", {}, home=home))
    assert "examples/platform.yaml" in caught.value.hint
    with pytest.raises(UsageError, match=r"nowhere\.yaml does not exist"):
        platform_file(CliState(Path("nowhere.yaml")))


def test_environment_wins_over_the_configuration_file_for_each_name(home: Path) -> None:
    (home / ".config/hcluster/config.yaml").write_text("user: jane\nteam: science\n")
    state = resolve(None, "table", {"HCLUSTER_TEAM": "analytics"}, home=home)
    assert (state.user, state.team) == ("jane", "analytics")


def test_sts_is_asked_only_when_nothing_else_names_the_user() -> None:
    def asked() -> str:
        return "arn:aws:sts::123456789012:assumed-role/ops/joe@corp"

    def never() -> str:
        raise AssertionError

    assert principal(CliState(), asked) == Principal("joe@corp", "default")
    assert principal(CliState(user="jane", team="science"), never) == Principal("jane", "science")


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:iam::1:user/path/jane", "jane"),
        ("arn:aws:sts::1:assumed-role/ops/jane", "jane"),
        ("arn:aws:sts::1:federated-user/jane", "jane"),
        ("arn:aws:iam::1:root", "root"),
    ],
)
def test_the_name_in_an_arn(arn: str, name: str) -> None:
    assert session_name(arn) == name


def test_a_wrong_configuration_file_is_told_with_its_lines(home: Path) -> None:
    (home / ".config/hcluster/config.yaml").write_text("user: 7\nteem: science\n")
    with pytest.raises(SpecError) as caught:
        resolve(None, "table", {}, home=home)
    assert [line.split("config.yaml")[1][:3] for line in caught.value.findings] == [":1:", ":2:"]


@pytest.mark.parametrize("variable", ["HCLUSTER_USER", "HCLUSTER_TEAM"])
def test_names_that_cannot_be_tags_are_refused(variable: str, home: Path) -> None:
    with pytest.raises(UsageError, match="cannot be a name"):
        resolve(None, "table", {variable: "a\nb"}, home=home)


def test_state_is_kept_where_the_environment_says(home: Path) -> None:
    assert state_folder({"HCLUSTER_STATE": "/somewhere"}) == Path("/somewhere")
    assert state_folder({"XDG_STATE_HOME": str(home)}) == home / "hcluster"
    assert state_folder({}) == Path.home() / ".local/state/hcluster"
