"""Large results of ``hcluster sql``: in bounded memory, to readers that leave, as processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import pytest
from TCLIService import ttypes

from tests.unit.hive_server import HiveServer, Script

KINDS = ttypes.TTypeId
ROOT = Path(__file__).resolve().parents[2]
MANY = 300_000
"""Some 45 MiB as Python's values."""


def many(rows: int) -> Script:
    return Script(columns=[("n", KINDS.BIGINT_TYPE), ("name", KINDS.STRING_TYPE)], generated=rows)


@pytest.fixture
def server() -> Iterator[HiveServer]:
    with HiveServer({"select few": many(2_000), "select many": many(MANY)}) as running:
        yield running


def start(server: HiveServer, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.unit.work_child", str(server.port), "sql", "flights", *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process: subprocess.Popen[bytes]) -> tuple[int, list[str]]:
    """Exit code and lines of stderr of a process whose output is closed."""
    with cast("IO[bytes]", process.stderr) as stream:
        lines = stream.read().decode().splitlines()
    return process.wait(timeout=60), lines


def kibibytes(server: HiveServer, statement: str) -> tuple[int, int]:
    """(lines of CSV, largest resident size) of a statement read to its end."""
    process = start(server, statement, "--format", "csv")
    with cast("IO[bytes]", process.stdout) as stream:
        lines = sum(1 for _ in stream)
    code, told = ended(process)
    assert code == 0, told
    return lines, int(told[-1])


def test_many_rows_take_no_more_memory_than_few_and_come_in_large_batches(server: HiveServer) -> None:
    few, least = kibibytes(server, "select few")
    many, most = kibibytes(server, "select many")
    assert (few, many) == (2_001, MANY + 1)
    assert most - least < 24 * 1024
    assert "close select many" in server.events
    asked = [int(event.split()[-1]) for event in server.events if event.startswith("fetch ")]
    assert asked[0] == 1_000
    assert max(asked) == 10_000


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_reader_that_leaves_ends_the_command_at_once_and_the_query_on_the_server(
    server: HiveServer, form: str
) -> None:
    process = start(server, "select many", "--format", form)
    with cast("IO[bytes]", process.stdout) as stream:
        for _ in range(3):
            assert stream.readline()
    code, told = ended(process)
    assert code == 0
    assert not [line for line in told if "rror" in line or "Traceback" in line]
    assert server.events[-2:] == ["close select many", "close session"]
    fetched = sum(int(event.split()[1]) for event in server.events if event.startswith("fetch "))
    assert fetched < MANY / 4


def test_a_query_that_still_runs_is_cancelled_on_the_server_when_its_reader_leaves(server: HiveServer) -> None:
    server.scripts["select slow"] = Script(polls=-1)
    process = start(server, "select slow; insert into t select 1; select slow")
    cast("IO[bytes]", process.stdout).close()
    code, told = ended(process)
    assert code == 0, told
    done = [event for event in server.events if event.startswith(("execute", "cancel"))]
    assert done == ["execute select slow", "cancel select slow", "execute insert into t select 1"]
    assert server.events[-1] == "close session"
