"""Help is written for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hcluster.cli import app
from hcluster.cli.app import ENTRIES
from hcluster.cli.lazy import load
from hcluster.cli.naming import takes_a_cluster
from tests.unit.cli_world import EXAMPLES, Cli
from tests.unit.test_cli_outputs import commands


def helped(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert app.run([*words.split(), "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", commands())
def test_no_help_shows_types_of_python_braces_or_lines_that_a_terminal_breaks(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = helped(command, capsys)
    assert text.startswith(f"Usage: hcluster {command} ")
    for wrong in ("<str>", "<int", "<float", "list[", "{", "[[", "......", "x>=", "<=x"):
        assert wrong not in text, wrong
    assert "[required]" not in text.partition("\nOptions:")[0]
    examples = text.partition("Examples:")[2].partition("\n\n")[0].splitlines()
    long = [line for line in text.splitlines() if len(line) > 80 and line not in examples]
    assert long == [], "wider than a terminal of 80 columns"


def leaf(words: str) -> Any:
    name, *inner = words.split()
    command = load(name, ENTRIES[name])
    return command.commands[inner[0]] if inner else command


def test_arguments_that_may_be_several_say_so() -> None:
    for command in commands():
        for parameter in leaf(command).params:
            if parameter.param_type_name == "argument" and parameter.nargs != 1:
                assert "..." in (parameter.metavar or "") or parameter.metavar.startswith("--"), command


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("show", "Usage: hcluster show [OPTIONS] NAME\n"),
        ("doctor", "Usage: hcluster doctor [OPTIONS] [FILE]\n"),
        ("spec validate", "Usage: hcluster spec validate [OPTIONS] FILE...\n"),
        ("exec", "Usage: hcluster exec [OPTIONS] NAME -- COMMAND...\n"),
        ("local interrupt", "Usage: hcluster local interrupt [OPTIONS] [NODE]...\n"),
        ("policies", "Usage: hcluster policies [OPTIONS] [VERB-GROUP]\n"),
    ],
)
def test_usage_lines(command: str, usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert helped(command, capsys).startswith(usage)


@pytest.mark.parametrize("group", [name for name, entry in ENTRIES.items() if hasattr(load(name, entry), "commands")])
def test_a_group_lists_its_commands_in_whole_sentences(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = helped(group, capsys)
    assert "..." not in text.partition("\nCommands:")[2]
    assert text.endswith(f"\n  `hcluster {group} COMMAND --help` tells more, with examples.\n")
    told = " ".join(text.split())
    for command in load(group, ENTRIES[group]).commands.values():
        assert f" {command.name} {command.help.partition('.')[0].replace(chr(10), ' ')}" in told


def test_ranges_of_numbers_are_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert "[1 to 500]" in " ".join(helped("events", capsys).split())
    assert "[default: 200; 1 to 100000]" in " ".join(helped("logs", capsys).split())
    assert "[default: 900; at least 1]" in " ".join(helped("up", capsys).split())


NONSENSE = ("", "flights/", "../../etc", "a b", "a;b", "\x1b[31m")
TAKES_A_CLUSTER = [command for command in commands() if takes_a_cluster(leaf(command).params)]


@pytest.mark.parametrize("command", TAKES_A_CLUSTER)
def test_what_cannot_be_a_name_is_refused_before_anything_is_asked(command: str, cli: Cli) -> None:
    rest = {"resize": ["core=3"], "exec": ["--", "true"], "logs": ["master"], "sql": ["select 1"]}
    rest |= {"job run": ["--jar", "examples"], "job kill": ["7"], "job logs": ["7"]}
    for name in NONSENSE:
        assert cli(*command.split(), name, *rest.get(command, [])) == 2
        assert cli.err.startswith(f"error: {name!r} is not the name of a cluster [usage]\nhint: `hcluster {command} ")
    assert cli.states == []


def test_a_folder_and_a_file_that_is_no_text_are_no_platform(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\x00\xff\xfe\x80")
    for file, said in ((tmp_path, "is a folder, not a file"), (binary, "not UTF-8 text")):
        assert app.run(["--platform", str(file), "list"]) == 2
        err = capsys.readouterr().err
        assert said in err
        assert "\nhint: " in err


def test_an_object_that_is_not_there_is_told_with_where_to_look(ready: Cli) -> None:
    assert ready("data", "cat", "data/flights/none.csv") == 1
    assert "[not-found]" in ready.err
    assert "hint: `hcluster data list data/flights/` shows what there is" in ready.err


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        ("throttle", 'hcluster local throttle "ec2:Describe*" --rate 2'),
        ("clock", "hcluster local clock --ahead 20m"),
        ("interrupt --for 5m i-1", "leave one of them out"),
    ],
)
def test_wrong_usage_of_faults_comes_with_a_cure(words: str, cure: str, cli: Cli) -> None:
    assert cli("local", *words.split()) == 2
    assert f"hint: {cure}" in cli.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("up f.yaml --timeout soon", "invalid value for '--timeout': must be a number [usage]"),
        ("up f.yaml --timeout 0", "invalid value for '--timeout': must be at least 1 [usage]"),
        ("logs flights master --lines x", "invalid value for '--lines' / '-n': must be a whole number [usage]"),
        ("proxy flights --port 99999", "invalid value for '--port': must be at most 65535 [usage]"),
        ("wait flights --for never", "invalid value for '--for': 'never' is not one of 'ready', 'down' [usage]"),
        ("list --output xml", "invalid value for '--output': 'xml' is not one of table, json [usage]"),
    ],
)
def test_a_wrong_value_is_told_in_words_for_people(words: str, said: str, cli: Cli) -> None:
    assert cli(*words.split()) == 2
    assert f"error: {said}\nhint: `hcluster {words.split(maxsplit=1)[0]} --help`" in cli.err


@pytest.mark.parametrize(
    ("words", "said", "cure"),
    [
        ("cp nosuch.txt flights:", "there is no file nosuch.txt here", "NAME:PATH"),
        ("resize flights core=0", "cannot have these counts [usage]\n  core.count: must be at least 1", "core=5"),
        ("sql flights -f nosuch.sql", "cannot read nosuch.sql", "-f names a file of this machine"),
        ("data put nosuch data/", "nosuch does not exist", "hcluster data put FILE KEY"),
        ("data put . data/", ". is a folder", "hcluster data put FILE KEY"),
        ("data list s3a://other/data/", "is not in the platform's bucket", "write the key alone"),
        ("policies operator --team nobody", "nobody is no team of platform demo", "its teams are analytics, science"),
        ("policies operator --account 12", "12 is no account's number", "twelve digits"),
    ],
)
def test_what_is_not_there_comes_with_a_cure(words: str, said: str, cure: str, ready: Cli) -> None:
    code = ready("--platform", str(EXAMPLES / "platform.yaml"), *words.split())
    assert code in (1, 2)
    assert said in ready.err
    assert cure in ready.err.partition("\nhint: ")[2]


def test_numbers_and_lists_of_specs_are_told_in_words_for_people(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("name: a\nteam: analytics\ncore: {count: 0, types: [t9]}\n")
    assert cli("--platform", str(EXAMPLES / "platform.yaml"), "spec", "validate", str(file)) == 2
    assert "core.count: must be at least 1\n" in cli.err
    assert "core.types[0]: 't9' does not match" in cli.err
    assert ": 2 findings [spec-invalid]" in cli.err
