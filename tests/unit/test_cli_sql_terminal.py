"""The prompt of sql on a real terminal, as a process of its own, with a HiveServer2 on loopback."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.hive_server import HiveServer, Script
from tests.unit.screen import Screen
from tests.unit.test_cli_sql_prompt import names_of
from tests.unit.test_cli_sql_stream import ROOT, many

PROMPT = "flights:default>"
LET_GO = "\x1b[?2004l"
"""The editor sets the terminal back, after each text."""


@pytest.fixture
def server() -> Iterator[HiveServer]:
    scripts = {
        "show databases": names_of("default"),
        "show tables in `default`": names_of("flights"),
        "select 1": names_of("one", "two"),
        "select slow": Script(polls=-1),
        "select many": many(100_000),
        "select * from flights": names_of("a flight"),
    }
    with HiveServer(scripts) as running:
        yield running


def start(server: HiveServer, folder: Path, **environment: str) -> Screen:
    command = [sys.executable, "-m", "tests.unit.work_child", str(server.port), "sql", "flights"]
    # The editor asks a terminal where its cursor is, and would wait for an answer from one that does not know.
    own = {"HCLUSTER_STATE": str(folder), "TERM": "xterm", "PAGER": "cat", "PROMPT_TOOLKIT_NO_CPR": "1", "HOME": "/"}
    return Screen(command, {**os.environ, **own, **environment}, ROOT)


def test_a_sitting_completes_cancels_keeps_its_session_and_its_history(server: HiveServer, tmp_path: Path) -> None:
    with start(server, tmp_path) as screen:
        screen.until(PROMPT)
        screen.send("select slow;\r")
        screen.until("preparing")
        screen.send("\x03")
        screen.until("query-cancelled")
        screen.until(PROMPT)
        for _ in range(6000):
            if "close show tables in `default`" in server.events:
                break
            threading.Event().wait(0.01)
        screen.send("select 1;\r")
        screen.until("(2 rows)")
        screen.until(PROMPT)
        # What Tab knows has come in the background when it is pressed.
        screen.send("select * from fl")
        screen.send("\t")
        screen.until("ights")
        screen.send(";\r")
        screen.until("a flight")
        screen.until(PROMPT)
        screen.send(" select 1;\r")
        screen.until("(2 rows)")
        screen.until(PROMPT)
        screen.send("half a statem\x03")
        # What is given up is drawn once more, behind its prompt.
        screen.until(LET_GO)
        screen.until(PROMPT)
        screen.send("\x04")
        assert screen.ended() == 0
    assert "cancel select slow" in server.events
    assert "Traceback" not in screen.shown
    kept = (tmp_path / "sql_history").read_text().splitlines()
    assert kept == ['"select slow;"', '"select 1;"', '"select * from flights;"']
    with start(server, tmp_path) as screen:
        screen.until(PROMPT)
        screen.send("\x1b[A")
        screen.until("select * from flights;")
        screen.send("\r")
        screen.until("(1 row)")
        screen.until(PROMPT)
        screen.send("\\q\r")
        assert screen.ended() == 0


def test_a_pager_that_is_left_ends_the_statement_and_the_sitting_goes_on(server: HiveServer, tmp_path: Path) -> None:
    with start(server, tmp_path, PAGER="head -2") as screen:
        screen.until(PROMPT)
        screen.send("select many;\r")
        screen.until("row 0")
        screen.until(PROMPT)
        screen.send("select 1;\r")
        screen.until("(2 rows)")
        # What is typed before the prompt is there is lost, as in every shell.
        screen.until(PROMPT)
        screen.send("\x04")
        assert screen.ended() == 0
    assert "row 1\r\n" not in screen.shown
    assert server.events.index("close select many") < server.events.index("execute select 1")


def test_a_terminal_without_a_cursor_gets_plain_lines_without_colours(server: HiveServer, tmp_path: Path) -> None:
    with start(server, tmp_path, TERM="dumb") as screen:
        screen.until(PROMPT)
        screen.send("select 1\n")
        screen.until("-> ")
        screen.send(";\n")
        screen.until("(2 rows)")
        screen.until(PROMPT)
        screen.send("\x04")
        assert screen.ended() == 0
    assert "\x1b" not in screen.shown
