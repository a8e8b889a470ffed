"""What the shell proposes, how often the cloud is asked for it, and the scripts that make shells ask."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hcluster.cli import app, complete, wire
from hcluster.errors import UnreachableError
from hcluster.spec.load import load_platform
from tests.unit.cli_world import EXAMPLES, Cli

PLATFORM = str(EXAMPLES / "platform.yaml")
BIN = Path(sys.executable).parent


class Shell:
    """Presses Tab at the end of a line."""

    def __init__(self, cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.err = ""
        self.cli, self._capsys, self._patch = cli, capsys, monkeypatch
        monkeypatch.setenv("HCLUSTER_PLATFORM", PLATFORM)

    def __call__(self, line: str) -> list[str]:
        words = line.split(" ")
        self._patch.setenv("_HCLUSTER_COMPLETE", "complete_bash")
        self._patch.setenv("COMP_WORDS", line)
        self._patch.setenv("COMP_CWORD", str(len(words) - 1))
        with pytest.raises(SystemExit):
            app.run([])
        self._patch.delenv("_HCLUSTER_COMPLETE")
        out, self.err = self._capsys.readouterr()
        return out.split()


@pytest.fixture
def shell(ready: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(ready, monkeypatch, capsys)


def test_clusters_nodes_groups_and_teams_are_proposed(shell: Shell) -> None:
    assert shell("hcluster show ") == ["flights", "platform"]
    assert shell("hcluster down ") == ["flights"]
    assert shell("hcluster exec fl") == ["flights"]
    assert shell("hcluster exec flights --group ") == ["master", "core", "task"]
    ids = [node.id for node in shell.cli.cloud.compute.instances({"hcluster:cluster": "flights"})]
    proposed = shell("hcluster logs flights ")
    assert set(proposed) == {"master", "core", *ids}
    assert shell(f"hcluster logs flights {ids[0][:-1]}") == [one for one in ids if one.startswith(ids[0][:-1])]
    assert shell("hcluster policies operator --team ") == ["analytics", "science"]
    assert shell("hcluster up ") == [], "files are the shell's own business"
    assert shell("hcluster cp ") == []
    assert shell("hcluster cp a fl") == ["flights:"]
    assert shell("hcluster cp flights:/etc/ho") == []


def test_commands_are_proposed_from_the_table_alone(shell: Shell) -> None:
    assert shell("hcluster comp") == ["completion"]
    assert shell("hcluster platform s") == ["status"]
    assert shell("hcluster completion ") == ["bash", "zsh", "fish"]


def test_one_answer_serves_for_a_minute(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell("hcluster show ")
    asked = len(shell.cli.states)
    for _ in range(3):
        assert shell("hcluster nodes f") == ["flights"]
    assert len(shell.cli.states) == asked
    monkeypatch.setattr(complete, "FRESH_SECONDS", 0.0)
    shell("hcluster show ")
    assert len(shell.cli.states) == asked + 1


def test_a_cloud_that_fails_is_left_alone_for_a_while_and_what_was_known_stands_in(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell("hcluster show ")
    tries: list[object] = []

    def away(*arguments: object, **_options: object) -> None:
        tries.append(arguments)
        raise UnreachableError("no answer")

    monkeypatch.setattr(complete, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(shell.cli.cloud.compute, "instances", away)
    assert shell("hcluster show ") == ["flights", "platform"]
    assert shell("hcluster show ") == ["flights", "platform"]
    assert len(tries) == 1
    monkeypatch.setattr(complete, "STALE_SECONDS", 0.0)
    monkeypatch.setattr(complete, "RETRY_SECONDS", 0.0)
    assert shell("hcluster show ") == []


def test_a_cloud_that_does_not_answer_in_time_is_not_waited_for(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    forever = threading.Event()
    ended: list[bool] = []
    monkeypatch.setattr(complete, "PATIENCE_SECONDS", 0.01)

    def slow(*_arguments: object, **_options: object) -> list[object]:
        forever.wait(60)
        ended.append(True)
        return []

    monkeypatch.setattr(shell.cli.cloud.compute, "instances", slow)
    assert shell("hcluster show ") == []
    assert ended == []
    forever.set()


def test_not_even_a_bug_disturbs_the_line_that_is_being_typed(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell.cli.cloud.compute, "instances", lambda *_a, **_o: None)
    assert shell("hcluster show ") == []
    assert shell.err == ""


@pytest.mark.parametrize("content", ["", "{", "[]", '{"at": "x"}', '{"new": 1}', "null"])
def test_a_cache_that_cannot_be_read_is_made_anew(shell: Shell, content: str) -> None:
    shell("hcluster show ")
    (cache,) = (Path(os.environ["HCLUSTER_STATE"]) / "completion").iterdir()
    assert json.loads(cache.read_text())["teams"] == ["analytics", "science"]
    cache.write_text(content)
    assert shell("hcluster show ") == ["flights", "platform"]


def test_without_a_platform_nothing_is_proposed_and_nothing_said(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HCLUSTER_PLATFORM")
    monkeypatch.chdir(tmp_path)
    assert shell("hcluster show ") == []
    (tmp_path / "platform.yaml").write_text("name: [")

    def wrong(_state: object) -> None:
        load_platform(tmp_path / "platform.yaml")

    monkeypatch.setattr(wire, "context", wrong)
    assert shell("hcluster show ") == []


def test_the_answer_from_the_cache_loads_nothing_heavy(shell: Shell) -> None:
    shell("hcluster show ")
    program = (
        "import sys, hcluster.cli.app as app\ntry:\n  app.run([])\nexcept SystemExit:\n  pass\n"
        "print([name for name in ('boto3', 'yaml', 'rich', 'hcluster.spec') if name in sys.modules])"
    )
    asked = {"_HCLUSTER_COMPLETE": "complete_bash", "COMP_WORDS": "hcluster show ", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **asked}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n") == ["flights", "platform", "[]", ""]


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_each_script_is_one_that_its_shell_can_read(cli: Cli, name: str, tmp_path: Path) -> None:
    assert cli("completion", name) == 0
    script = tmp_path / "script"
    script.write_text(cli.out)
    assert "_HCLUSTER_COMPLETE" in cli.out
    if shutil.which(name):
        subprocess.run([name, "-n", script], check=True)


def test_bash_completes_with_the_script() -> None:
    line = (
        "source <(hcluster completion bash); COMP_WORDS=(hcluster no); COMP_CWORD=1; _hcluster_completion hcluster; "
        'printf "%s\\n" "${COMPREPLY[@]}"; complete -p hcluster'
    )
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "--norc", "-c", line], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "nodes"
    assert "_hcluster_completion" in done.stdout.split("\n")[1]


def in_shell(name: str, line: str, **environment: str) -> list[str]:
    """Lines that a shell without anybody's settings prints."""
    program = shutil.which(name)
    if not program:
        pytest.skip(f"{name} is not on this machine; apt-get install {name}")
    every = {**os.environ, **environment, "PATH": f"{BIN}:{os.environ['PATH']}"}
    bare = {"zsh": ["-f"], "fish": ["--no-config"]}[name]
    done = subprocess.run([program, *bare, "-c", line], env=every, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def in_zsh(words: str, how: str = "source <(hcluster completion zsh)", **environment: str) -> list[str]:
    """What zsh's own function for proposals is given at the end of a line."""
    own = 'compdef() { print "$@" }; _describe() { print -rl -- "${(@P)2}" }; _files() { print files }'
    line = f"{own}; {how}; words=({words}); CURRENT=${{#words}}; _hcluster_completion"
    return in_shell("zsh", line, **environment)


def test_zsh_completes_commands_with_what_they_do_options_and_files() -> None:
    assert in_zsh("hcluster no") == ["_hcluster_completion hcluster", "nodes:List the nodes of a cluster."]
    asked = in_zsh("hcluster exec flights --gr")[1:]
    assert asked == ["--group:Only nodes of master, core or task; repeatable."]
    assert in_zsh("hcluster completion zs")[1:] == ["zsh"]
    assert in_zsh("hcluster up examples/fl")[1:] == ["files"]
    assert in_zsh("hcluster platform do")[1:] == [
        "down:End the platform's node and remove its roles and groups; data is kept."
    ]


def test_zsh_completes_at_the_first_tab_where_it_is_installed(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = Path(cli.json("completion", "zsh", "--install")["file"])
    assert file == tmp_path / ".zfunc" / "_hcluster"
    assert file.read_text().startswith("#compdef hcluster\n")
    assert ".zfunc" in (tmp_path / ".zshrc").read_text()
    loaded = "words=(hcluster no); CURRENT=2; fpath+=(~/.zfunc); autoload -Uz _hcluster; _hcluster"
    assert in_zsh("hcluster no", loaded, HOME=str(tmp_path))[0] == "nodes:List the nodes of a cluster."


def test_zsh_evaluates_nothing_that_it_is_proposed(shell: Shell, tmp_path: Path) -> None:
    """Names come from tags, which others may write."""
    shell("hcluster show ")
    (cache,) = (Path(os.environ["HCLUSTER_STATE"]) / "completion").iterdir()
    known = json.loads(cache.read_text())
    name = f"a$(touch {tmp_path}/evaluated)`id`:b"
    cache.write_text(json.dumps({**known, "clusters": {name: {}}}))
    assert in_zsh("hcluster show a")[1:] == [name.replace(":", "\\:") + ":0 nodes"]
    assert not (tmp_path / "evaluated").exists()


def test_fish_completes_commands_with_what_they_do_options_and_files(tmp_path: Path) -> None:
    (tmp_path / "alpha.yaml").touch()
    asked = "hcluster completion fish | source; cd $FOLDER; complete -C"
    at = {"FOLDER": str(tmp_path), "HOME": str(tmp_path)}
    assert in_shell("fish", f"{asked} 'hcluster no'", **at) == ["nodes\tList the nodes of a cluster."]
    assert in_shell("fish", f"{asked} 'hcluster completion zs'", **at) == ["zsh"]
    assert in_shell("fish", f"{asked} 'hcluster exec flights --gr'", **at)[0].startswith("--group\t")
    assert in_shell("fish", f"{asked} 'hcluster up al'", **at) == ["alpha.yaml"]


def test_it_is_installed_in_the_home_folder_once(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for _ in range(2):
        found = cli.json("completion", "bash", "--install")
    assert Path(found["file"]).read_text().startswith("_hcluster_completion()")
    assert (tmp_path / ".bashrc").read_text().count(found["file"]) == 1


def test_versions_are_told_without_a_cloud(cli: Cli) -> None:
    found = cli.json("version")
    assert found["distribution"].keys() == {"hadoop", "hive", "tez"}
    assert found["schemas"].keys() == {"cluster", "platform", "image", "output"}
    assert cli("version") == 0
    assert f"hcluster            {found['hcluster']}" in cli.out
    assert cli.states == []
