"""Every command's JSON has a documented schema, and is what that says.

Beside this, ``cli_world.Cli`` checks whatever any test lets a command print as JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hcluster.cli import app
from hcluster.cli.app import ENTRIES
from hcluster.cli.lazy import load
from hcluster.cli.output.shapes import ERROR, Silent, shapes
from hcluster.localcloud import control
from tests.unit.cli_output import demand, demand_error
from tests.unit.cli_world import EXAMPLES, FLIGHTS, Cli

PLATFORM = str(EXAMPLES / "platform.yaml")
UNIT = Path(__file__).parent


def commands() -> list[str]:
    """Words of every command that there is."""
    found = []
    for name, entry in ENTRIES.items():
        inner = getattr(load(name, entry), "commands", None)
        found += [name] if inner is None else [f"{name} {one}" for one in inner]
    return found


RUNS: dict[str, tuple[str, ...]] = {
    "up": (FLIGHTS,),
    "wait": ("flights",),
    "resize": ("flights", "core=3"),
    "down": ("flights", "--yes"),
    "list": (),
    "show": ("flights",),
    "nodes": ("flights",),
    "events": ("flights",),
    "exec": ("flights", "--", "true"),
    "logs": ("flights", "master", "--unit", "hive-server2"),
    "data put": (FLIGHTS, "data/"),
    "data list": ("data/",),
    "platform up": (),
    "platform status": (),
    "platform down": ("--yes", "--delete-data"),
    "ami list": (),
    "policies": ("--platform", PLATFORM),
    "spec schema": ("cluster",),
    "spec validate": (PLATFORM,),
    "spec init": ("--name", "a", "--yes"),
    "completion": ("bash", "--install"),
    "version": (),
    "local status": ("--name", "nobody"),
}
"""What is run here over the fake cloud."""

ELSEWHERE = {
    "sql": "test_cli_work.py",
    "job run": "test_cli_work.py",
    **{f"job {verb}": "test_cli_job.py" for verb in ("list", "kill", "logs")},
    "cp": "test_cli_cp.py",
    "proxy": "test_cli_proxy.py",
    **{
        f"local {fault}": "test_cli_faults.py"
        for fault in (
            *("interrupt", "shortage", "throttle", "error", "delay", "lag"),
            *("clock", "kill", "freeze", "partition", "undo"),
        )
    },
}
"""Where it is run, when that takes more than words."""


def test_every_command_says_what_it_prints_and_none_that_does_not_exist() -> None:
    """Whoever adds a command adds its type to cli/output/shapes.py, and a call of it above."""
    known = shapes()
    assert set(known) - {ERROR} == set(commands())
    tested = set(RUNS) | set(ELSEWHERE) | set(MADE)
    assert {name for name, shape in known.items() if not isinstance(shape, Silent)} - {ERROR} == tested


@pytest.mark.parametrize("command", RUNS)
def test_what_a_command_prints_is_what_its_schema_says(
    ready: Cli, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    words = RUNS[command]
    if command == "platform down":
        assert ready("down", "flights", "--yes") == 0
    before, rest = (words[: words.index("--")], words[words.index("--") :]) if "--" in words else (words, ())
    call = (*command.split(), *before, "--output", "json", *rest)
    assert ready(*call) == 0, ready.err
    demand(call, ready.out)


@pytest.mark.parametrize(("command", "file"), ELSEWHERE.items())
def test_what_is_run_elsewhere_is_checked_there(command: str, file: str) -> None:
    text = (UNIT / file).read_text()
    assert "cli_world import" in text or "cli_output import" in text, f"{command} is not checked in {file}"


def _cloud(verb: str, monkeypatch: pytest.MonkeyPatch, _tmp_path: Path) -> tuple[str, ...]:
    def done(name: str, state: Path, *_rest: object, **_options: object) -> control.CloudStatus:
        return control.status(name, state)

    monkeypatch.setattr(control, verb, done)
    return ("local", verb, "--name", "nobody", *(("--yes",) if verb == "reset" else ()))


def _bake(monkeypatch: pytest.MonkeyPatch, _tmp_path: Path) -> tuple[str, ...]:
    from hcluster.cli import ami
    from hcluster.images import bake
    from hcluster.model.image import Image

    image = Image("ami-0123456789abcdef0", "hcluster-hadoop-1", "available", "2026-01-10T12:00:00Z", {"a": "b"})
    parent = bake.Baked(image, "f" * 64, baked=False, reason="no input changed", seconds=0.0)
    made = bake.Baked(image, "e" * 64, baked=True, reason="forced", seconds=81.5, parents=(parent,))
    monkeypatch.setattr(ami, "_bakery", lambda *_: None)
    monkeypatch.setattr(bake, "bake", lambda *_, **__: made)
    return ("ami", "bake")


def _dist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[str, ...]:
    from hcluster.images import distribution

    built = distribution.Distribution(tmp_path / "x.tar.zst", "f" * 64, built=True)
    monkeypatch.setattr(distribution, "build", lambda *_, **__: built)
    return ("ami", "dist")


def _lock(monkeypatch: pytest.MonkeyPatch, _tmp_path: Path) -> tuple[str, ...]:
    from hcluster.images import distribution

    monkeypatch.setattr(distribution, "renew_lock", lambda *_, **__: (500, 3))
    return ("ami", "lock")


def _publish(monkeypatch: pytest.MonkeyPatch, _tmp_path: Path) -> tuple[str, ...]:
    from hcluster.releases import publish

    monkeypatch.setattr(publish, "validate", lambda _: 1)
    return ("puppet", "publish")


def _doctor(monkeypatch: pytest.MonkeyPatch, _tmp_path: Path) -> tuple[str, ...]:
    from hcluster.flows import doctor
    from hcluster.model.views import Finding

    found = [Finding("bucket", ok=True, message="fine", warning=True, cure="look")]
    monkeypatch.setattr(doctor, "doctor", lambda *_, **__: found)
    return ("doctor",)


MADE: dict[str, Callable[[pytest.MonkeyPatch, Path], tuple[str, ...]]] = {
    "ami bake": _bake,
    "ami dist": _dist,
    "ami lock": _lock,
    "puppet publish": _publish,
    "doctor": _doctor,
    **{f"local {verb}": partial(_cloud, verb) for verb in ("start", "stop", "reset")},
}
"""What needs Packer, Maven, Puppet or root; only its own end is played."""


@pytest.mark.parametrize("command", MADE)
def test_what_ends_outside_of_the_process_prints_what_its_schema_says(
    ready: Cli, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = (*MADE[command](monkeypatch, tmp_path), "--output", "json")
    assert ready(*call) == 0, ready.err
    demand(call, ready.out)


@pytest.mark.parametrize(
    "words", [("show", "nobody"), ("up", "nowhere.yaml"), ("down", "flights"), ("logs", "flights", "master", "-u", ";")]
)
def test_errors_are_of_the_documented_form(ready: Cli, words: tuple[str, ...]) -> None:
    code = ready(*words, "--output", "json")
    found = demand_error(ready.err)
    assert (found["exit_code"], ready.out) == (code, "")


def test_times_are_what_json_schema_calls_date_time(ready: Cli) -> None:
    shown = ready.json("show", "flights")
    moment = datetime.fromisoformat(shown["created"])
    assert moment.tzinfo == UTC
    assert shown["nodes"][0]["phase_at"].endswith("Z")


def test_a_call_that_only_prints_text_says_so(ready: Cli) -> None:
    silent = [name for name, shape in shapes().items() if isinstance(shape, Silent)]
    assert {"ssh", "data cat"} <= set(silent)
    for name in silent:
        assert app.run(["spec", "schema", "output", *name.split()]) == 2


def test_a_command_without_a_documented_form_fails_this_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    """The net itself: a new field, and a new command, are caught."""
    with pytest.raises(AssertionError, match="'new' was unexpected"):
        demand(("version",), '{"hcluster": "1", "python": "3", "distribution": null, "schemas": {}, "new": 1}')
    monkeypatch.setitem(ENTRIES, "novelty", ENTRIES["version"])
    with pytest.raises(AssertionError):
        test_every_command_says_what_it_prints_and_none_that_does_not_exist()
    known: Any = demand(("version",), '{"hcluster": "1", "python": "3", "distribution": null, "schemas": {}}')
    assert known["hcluster"] == "1"
