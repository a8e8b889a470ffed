"""What the command line costs before it does anything, and that its help is true."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hcluster.cli.app import ENTRIES
from hcluster.cli.lazy import load

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPT = Path(sys.executable).with_name("hcluster")
HEAVY = ("boto3", "botocore", "paramiko", "pydantic", "moto", "rich", "yaml", "thrift", "typing_extensions", "asyncio")
LIMIT_SECONDS = 0.2


def cpu_seconds(*arguments: str) -> float:
    """User and system time of the quickest of three calls: the machine may be busy."""
    program = (
        "import os, subprocess, sys; before = os.times(); subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, "
        "check=True); after = os.times(); "
        "print(after.children_user + after.children_system - before.children_user - before.children_system)"
    )
    command = [sys.executable, "-c", program, str(SCRIPT), *arguments]
    return min(float(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout) for _ in range(3))


def test_help_costs_at_most_200_ms_of_cpu() -> None:
    assert cpu_seconds("--help") <= LIMIT_SECONDS


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from hcluster.cli.app import run; code = run(['--help']); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[] 0"


def test_version_is_told() -> None:
    done = subprocess.run([SCRIPT, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("hcluster ")


def test_ctrl_c_in_a_terminal_ends_with_130_and_without_a_trace() -> None:
    program = (
        "import sys, time; from hcluster.cli import app, wire; "
        "wire.context = lambda state: (print('ready', flush=True), time.sleep(60)); sys.exit(app.run(['list']))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == b"error: interrupted [interrupted]\n"


def test_a_reader_that_goes_away_is_no_error_worth_a_message() -> None:
    command = [str(SCRIPT), "spec", "validate", str(EXAMPLES / "platform.yaml"), "--output", "json"]
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (1, b"")


def test_the_shell_completes_commands_without_loading_them() -> None:
    environment = {"_HCLUSTER_COMPLETE": "complete_bash", "COMP_WORDS": "hcluster no", "COMP_CWORD": "1", "PATH": ""}
    done = subprocess.run([SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["nodes"]


def leaves(name: str) -> list[tuple[str, Any]]:
    """(path, command) of a command, or of all commands of a group."""
    command = load(name, ENTRIES[name])
    inner = getattr(command, "commands", None)
    return [(f"{name} {key}", one) for key, one in inner.items()] if inner is not None else [(name, command)]


@pytest.mark.parametrize("name", ENTRIES)
def test_every_command_has_help_an_example_and_the_shared_options(name: str) -> None:
    for path, command in leaves(name):
        text = f"{command.help}\n{command.epilog or ''}"
        assert command.get_short_help_str(), path
        assert f"hcluster {path}" in text or f"{path} " in text, f"{path} has no example"
        options = {option for parameter in command.params for option in parameter.opts}
        assert "--output" in options, path
        assert "--platform" in options, path
        for parameter in command.params:
            assert getattr(parameter, "help", "") or parameter.name == "help", f"{path}: {parameter.name} has no help"


@pytest.mark.parametrize("name", ENTRIES)
def test_the_list_of_commands_says_what_the_command_says(name: str) -> None:
    command = load(name, ENTRIES[name])
    assert command.get_short_help_str(limit=200).rstrip(".") == ENTRIES[name].help.rstrip(".")
