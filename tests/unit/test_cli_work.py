"""The commands sql and job, with a HiveServer2 and a master on loopback: what they print, where, and how they end."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest
from TCLIService import ttypes

from hcluster.cli import app, wire
from hcluster.cli.output import rows
from hcluster.cli.sql import command as sql
from hcluster.executors import yarn
from hcluster.executors.hive import HiveSession, Result
from hcluster.executors.hive_columns import Column
from hcluster.flows import reach
from tests.unit.cli_output import demand
from tests.unit.hive_server import APPLICATION, HiveServer, Script
from tests.unit.sshd import SshServer
from tests.unit.test_remote_session import NODE, connector

KINDS = ttypes.TTypeId
COUNTS = Script(
    columns=[("carrier", KINDS.STRING_TYPE), ("n", KINDS.BIGINT_TYPE)],
    values=[
        ttypes.TColumn(stringVal=ttypes.TStringColumn(["UA", "a,b", ""], b"\x04")),
        ttypes.TColumn(i64Val=ttypes.TI64Column([58665, 0, 3], b"\x02")),
    ],
    log=[f"INFO  : Status: Running (Executing on YARN cluster with App id {APPLICATION})"],
)


def written(form: rows.Format, names: list[str], types: list[str], values: list[tuple[object, ...]]) -> str:
    out = io.StringIO()
    assert rows.write(out, form, names, types, values) == len(values)
    return out.getvalue()


def test_a_table_is_aligned_numbers_to_the_right_and_safe_for_terminals() -> None:
    text = written("table", ["k", "number"], ["string", "bigint"], [("a", 5), (None, 1234567), ("x\ny\x1b[31m", None)])
    assert text == "k          number\na               5\nNULL      1234567\nx\\ny[31m     NULL\n"


def test_a_table_without_rows_is_its_header() -> None:
    assert written("table", ["k"], ["string"], []) == "k\n"


def test_a_table_longer_than_a_block_has_one_header() -> None:
    lines = written("table", ["n"], ["int"], [(each,) for each in range(2500)]).splitlines()
    assert len(lines) == 2501
    assert (lines[0].strip(), lines[1].strip(), lines[-1].strip()) == ("n", "0", "2499")


def test_csv_quotes_what_needs_it_and_leaves_null_empty() -> None:
    text = written("csv", ["a", "b"], ["string", "boolean"], [('say "x", y', True), (None, False)])
    assert text == 'a,b\n"say ""x"", y",true\n,false\n'


def test_json_is_one_array_with_unique_keys_and_only_what_json_has() -> None:
    text = written("json", ["a", "a", "f"], ["int", "int", "double"], [(1, None, float("nan")), (2, 3, 0.5)])
    assert json.loads(text) == [{"a": 1, "a_2": None, "f": "nan"}, {"a": 2, "a_2": 3, "f": 0.5}]
    assert json.loads(written("json", ["a"], ["int"], [])) == []


@pytest.fixture
def server() -> Iterator[HiveServer]:
    with HiveServer({"q": COUNTS}) as running:
        yield running


def use(monkeypatch: pytest.MonkeyPatch, remote: Any) -> None:
    """Let the command find a cluster ``flights`` whose master is reached through ``remote``."""
    context = SimpleNamespace(
        principal=SimpleNamespace(user="jane"),
        connector=SimpleNamespace(connect=lambda _instance, _cluster: remote),
        clock=wire.SystemClock(),
    )
    monkeypatch.setattr(wire, "context", lambda _state: context)
    monkeypatch.setattr(reach, "master", lambda _context, name: NODE if name == "flights" else None)


@pytest.fixture
def hive(server: HiveServer, monkeypatch: pytest.MonkeyPatch) -> HiveServer:
    use(monkeypatch, SimpleNamespace(open_channel=server.open_channel, close=lambda: server.events.append("closed")))
    return server


def test_rows_go_to_stdout_and_progress_to_stderr(hive: HiveServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["sql", "flights", "q"]) == 0
    out, err = capsys.readouterr()
    assert out == "carrier      n\nUA       58665\na,b       NULL\nNULL         3\n"
    assert APPLICATION in err
    assert hive.sessions[0].username == "jane"
    assert hive.events[0] == "channel 127.0.0.1:10000"
    assert hive.events[-2:] == ["close session", "closed"]


@pytest.mark.parametrize("words", [["--format", "json"], ["--output", "json"]])
def test_rows_as_json(hive: HiveServer, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert app.run(["sql", "flights", "q", *words]) == 0
    assert demand(["sql"], capsys.readouterr().out)[:2] == [
        {"carrier": "UA", "n": 58665},
        {"carrier": "a,b", "n": None},
    ]


def test_a_file_of_statements_runs_in_one_session_with_settings(
    hive: HiveServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "x.sql").write_text("-- first;\nset a=b;\nq;\n")
    assert app.run(["sql", "flights", "-f", str(tmp_path / "x.sql"), "--format", "csv", "--set", "k=v=w"]) == 0
    assert capsys.readouterr().out == 'carrier,n\nUA,58665\n"a,b",\n,3\n'
    assert [event for event in hive.events if event.startswith("execute")] == ["execute set a=b", "execute q"]
    assert hive.sessions[0].configuration["k"] == "v=w"


def test_the_first_statement_that_fails_ends_the_call(hive: HiveServer, capsys: pytest.CaptureFixture[str]) -> None:
    hive.scripts["bad"] = Script(compile_error="FAILED: ParseException line 1:0 near 'bad'")
    assert app.run(["sql", "flights", "x; bad; y"]) == 1
    err = capsys.readouterr().err
    assert "error: ParseException line 1:0 near 'bad' [query-failed]" in err
    assert "statement 2 of 3" in err
    assert "execute y" not in hive.events
    assert hive.events[-2:] == ["close session", "closed"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["q", "-f", "x"],
        ["-f", "/nonexistent"],
        ["q", "--set", "k"],
        ["q", "--format", "xml"],
        [" ; "],
        ["select 'a"],
    ],
)
def test_wrong_usage_is_told_before_anything_is_contacted(
    hive: HiveServer, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert app.run(["sql", "flights", *words]) == 2
    assert hive.events == []


def test_ctrl_c_cancels_the_query_on_the_server(hive: HiveServer, capsys: pytest.CaptureFixture[str]) -> None:
    hive.scripts["slow"] = Script(polls=-1)

    def press() -> None:
        # Once its state is asked for, the client waits for the query.
        while not any(one.polled for one in hive.operations.copy().values()):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    assert app.run(["sql", "flights", "slow"]) == 130
    assert "cancel slow" in hive.events
    err = capsys.readouterr().err
    assert "cancelled on the server" in err
    assert "error: the query was cancelled [interrupted]" in err


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A master whose hadoop is a script that the test writes."""
    with SshServer(tmp_path) as server, connector(server).connect(NODE, "flights") as remote:
        use(monkeypatch, remote)
        monkeypatch.setattr(
            "hcluster.cli.flow.replace", lambda context, **more: SimpleNamespace(**vars(context), **more)
        )
        monkeypatch.setattr(yarn, "HADOOP", str(tmp_path / "hadoop"))
        monkeypatch.setattr(yarn, "YARN", "true")
        yield tmp_path


def hadoop(master: Path, body: str) -> None:
    (master / "hadoop").write_text(f"#!/bin/sh\n{body}\n")
    (master / "hadoop").chmod(0o755)


def test_a_jobs_output_and_its_applications(master: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    hadoop(master, f'echo "Submitted application {APPLICATION}" >&2; shift; echo "$@"')
    assert app.run(["job", "run", "flights", "--jar", "examples", "--class", "pi", "--", "-D", "a=b c", "4"]) == 0
    out, err = capsysbinary.readouterr()
    assert out == f"{yarn.EXAMPLES} pi -D a=b c 4\n".encode()
    assert APPLICATION.encode() in err


def test_a_job_as_json(master: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hadoop(master, f'echo "Submitted application {APPLICATION}" >&2; echo answer')
    assert app.run(["job", "run", "flights", "--jar", "examples", "--output", "json"]) == 0
    told = demand(["job", "run"], capsys.readouterr().out)
    assert (told["applications"], told["exit_code"], told["stdout"]) == ([APPLICATION], 0, "answer\n")


def test_a_failed_job_ends_with_its_own_code(master: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    hadoop(master, "echo half; echo Error: it broke >&2; exit 7")
    assert app.run(["job", "run", "flights", "--jar", "examples"]) == 7
    out, err = capsysbinary.readouterr()
    assert out == b"half\n"
    assert b"error: the job examples failed with exit code 7 [job-failed]\n  Error: it broke" in err


@pytest.mark.parametrize("code", [0, 7])
def test_a_job_whose_output_nobody_reads_ends_with_its_own_code(
    master: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], code: int
) -> None:
    hadoop(master, f"echo one; sleep 0.3; echo two; exit {code}")
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        assert app.run(["job", "run", "flights", "--jar", "examples"]) == code
        monkeypatch.undo()
    assert ("exit code 7" in capfd.readouterr().err) == bool(code)


def test_a_reader_that_has_seen_enough_is_no_failure() -> None:
    script = (
        "import sys, typer\nfrom hcluster.cli.output.pipes import quiet_pipe\n"
        "try:\n  with quiet_pipe():\n    [print('x' * 1000) for _ in range(10000)]\n"
        "except typer.Exit as end:\n  sys.exit(end.exit_code)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 0


def test_statements_after_one_whose_reader_is_gone_are_still_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Session:
        ran: ClassVar[list[str]] = []

        def execute(self, statement: str, **_options: object) -> Result:
            self.ran.append(statement)
            return Result((Column("n", "int"),), iter([(1,)]), 0.1)

    def gone(*_arguments: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(sql, "write", gone)
    monkeypatch.setattr(sql, "drop_output", lambda: None)
    sql._run(cast("HiveSession", Session()), ["select 1", "insert into t values (1)"], "csv", 60)
    assert Session.ran == ["select 1", "insert into t values (1)"]
