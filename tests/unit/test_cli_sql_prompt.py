"""The prompt of sql: what it keeps, pages, runs again and prints, without a terminal; the terminal has tests beside."""

from __future__ import annotations

import io
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from TCLIService import ttypes

from hcluster.cli import wire
from hcluster.cli.sql import command as sql
from hcluster.cli.sql import pager
from hcluster.cli.sql import terminal as sql_terminal
from hcluster.cli.sql.complete import Candidate
from hcluster.cli.sql.history import KEPT, History, kept
from hcluster.cli.sql.prompt import Prompt
from hcluster.cli.sql.terminal import LineEditor, PlainLines, complete_text
from hcluster.executors.hive_names import DATABASES, Names
from hcluster.executors.statements import changes_names, database_of, finished
from hcluster.flows import reach
from tests.unit.hive_server import HiveServer, Script

KINDS = ttypes.TTypeId


def names_of(*values: str) -> Script:
    column = ttypes.TColumn(stringVal=ttypes.TStringColumn(list(values), b""))
    return Script(columns=[("name", KINDS.STRING_TYPE)], values=[column])


@pytest.fixture
def server() -> Iterator[HiveServer]:
    scripts = {
        "show databases": names_of("default", "zoo"),
        "show tables in `default`": names_of("flights"),
        "show tables in `zoo`": names_of("cages"),
        "describe `zoo`.`cages`": names_of("id", "animal", "", "# Partition Information", "# col_name", "day", "day"),
        "select 1": names_of("one", "two"),
    }
    with HiveServer(scripts) as running:
        yield running


class Typed:
    """Types texts, then Ctrl-D; an exception is raised, a function called."""

    def __init__(self, *texts: Any) -> None:
        self.texts = list(texts)
        self.prompts: list[str] = []

    def read(self, prompt: str) -> str:
        self.prompts.append(prompt)
        while self.texts:
            text = self.texts.pop(0)
            if isinstance(text, str):
                return text
            if not callable(text):
                raise text
            text()
        raise EOFError


@pytest.fixture
def sit(server: HiveServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs a sitting with typed texts; the reader, with the prompts that it was shown."""
    remote = SimpleNamespace(open_channel=server.open_channel, close=lambda: server.events.append("closed"))
    context: Any = SimpleNamespace(
        principal=SimpleNamespace(user="jane"),
        connector=SimpleNamespace(connect=lambda _instance, _cluster: remote),
        clock=wire.SystemClock(),
    )
    monkeypatch.setattr(reach, "master", lambda _context, _name: SimpleNamespace(private_ip="10.0.0.9"))
    monkeypatch.setenv("PAGER", "cat")
    with ExitStack() as stack:

        def run(*texts: Any) -> Typed:
            link = stack.enter_context(sql._Link(context, "flights", {}))
            typed = Typed(*texts)
            Prompt("flights", link, typed, lambda: server.events.append("refresh")).run()
            return typed

        yield run


def ran(server: HiveServer) -> list[str]:
    return [event.removeprefix("execute ") for event in server.events if event.startswith("execute")]


def test_statements_run_in_one_session_and_rows_are_counted(
    sit: Any, server: HiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    sit("select 1;", "set a=b; select 1;")
    assert capsys.readouterr().out == "name\none\ntwo\n(2 rows)\n" * 2
    assert ran(server) == ["select 1", "set a=b", "select 1"]
    assert len(server.sessions) == 1


@pytest.mark.parametrize("word", ["\\q", "quit;", "EXIT", " \\q ;"])
def test_leaving(sit: Any, server: HiveServer, word: str) -> None:
    sit(word, "select 1;")
    assert ran(server) == []


def test_commands_list_describe_and_choose(
    sit: Any, server: HiveServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "rows.csv"
    sit("\\d", "\\d zoo.cages;", "\\l", "\\format csv", f"\\o {out}", "select 1;", "\\o", "\\timing", "select 1;")
    assert ran(server)[:3] == ["show tables", "describe zoo.cages", "show databases"]
    assert out.read_text() == "name\none\ntwo\n"
    assert "time: " in capsys.readouterr().out


@pytest.mark.parametrize("typed", ["\\nosuch", "\\format xml", "\\pager perhaps", "\\o /nonexistent/x"])
def test_what_is_no_command_is_told_and_the_sitting_goes_on(
    sit: Any, server: HiveServer, capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    sit(typed, "select 1;")
    assert capsys.readouterr().err
    assert ran(server) == ["select 1"]


def test_an_error_ends_the_statements_typed_with_it_but_not_the_sitting(
    sit: Any, server: HiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.scripts["bad"] = Script(compile_error="FAILED: ParseException line 1:0 near 'bad'")
    sit("bad; select 2;", "select 1;")
    assert "error: ParseException line 1:0 near 'bad' [query-failed]" in capsys.readouterr().err
    assert ran(server) == ["bad", "select 1"]


def test_a_given_up_line_asks_again(sit: Any, server: HiveServer) -> None:
    sit(KeyboardInterrupt(), "select 1;")
    assert ran(server) == ["select 1"]


def test_the_prompt_names_the_database_in_use(sit: Any) -> None:
    assert sit("use Zoo;", "select 1;").prompts == ["flights:default> ", "flights:zoo> ", "flights:zoo> "]


def test_names_are_read_again_after_ddl(sit: Any, server: HiveServer) -> None:
    sit("select 1;")
    assert "refresh" not in server.events
    sit("create table t(i int);")
    assert server.events.count("refresh") == 1


def test_a_connection_lost_meanwhile_is_opened_again_with_its_database(
    sit: Any, server: HiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    sit("use zoo;", server.drop, "insert into t values (1);")
    assert ran(server) == ["use zoo", "use `zoo`", "insert into t values (1)"]
    told = capsys.readouterr().err
    assert told.count("was lost, connecting again") == 1
    assert "error" not in told


def test_a_session_that_the_server_forgot_is_opened_again(
    sit: Any, server: HiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.forgets = True
    sit("select 1;")
    assert len(server.sessions) == 2
    assert "(2 rows)" in capsys.readouterr().out


@pytest.mark.parametrize(("statement", "times"), [("select slow", 2), ("insert into t select slow", 1)])
def test_what_ran_when_the_connection_was_lost_is_repeated_only_if_it_reads(
    sit: Any, server: HiveServer, capsys: pytest.CaptureFixture[str], statement: str, times: int
) -> None:
    server.scripts[statement] = Script(polls=-1)

    def cut() -> None:
        while not server.operations:
            threading.Event().wait(0.01)
        server.scripts[statement] = Script()
        server.drop()

    threading.Thread(target=cut, daemon=True).start()
    sit(f"{statement};", "select 1;")
    assert ran(server) == [*[statement] * times, "select 1"]
    assert ("it may have run or not" in capsys.readouterr().err) == (times == 1)


# What is kept.


def test_history_is_its_owners_alone_bounded_and_without_repetition(tmp_path: Path) -> None:
    history = History(tmp_path / "new" / "sql_history")
    for number in range(KEPT + 250):
        history.add(f"select {number};")
        history.add(f"select {number};")
    history.add("select\n'é';")
    path = tmp_path / "new" / "sql_history"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text().splitlines()) <= KEPT + 200
    assert history.load()[-2:] == [f"select {KEPT + 249};", "select\n'é';"]
    assert len(history.load()) <= KEPT


@pytest.mark.parametrize(
    "text",
    [
        " select 1;",
        "\tselect 1;",
        "set fs.s3a.secret.key=x;",
        "set javax.jdo.option.ConnectionPassword=x;",
        "",
        "x" * 20000,
    ],
)
def test_what_begins_with_a_blank_or_seems_secret_is_not_kept(text: str) -> None:
    assert not kept(text)
    assert kept("select tokens from t;")


def test_a_history_that_cannot_be_kept_or_read_disturbs_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    history = History(tmp_path / "file" / "below")
    history.add("select 1;")
    assert history.load() == []
    (tmp_path / "broken").write_text('not json\n"select 1;"\n7\n')
    assert History(tmp_path / "broken").load() == ["select 1;"]


def test_several_prompts_write_into_one_history(tmp_path: Path) -> None:
    path = tmp_path / "h"

    def write_all(name: str) -> None:
        for number in range(40):
            History(path).add(f"{name} {number};")

    writers = [threading.Thread(target=write_all, args=(name,)) for name in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(History(path).load()) == 160


# Where it is typed.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("select 1", False),
        ("select 1;", True),
        ("select 1; -- done", True),
        ("select ';", False),
        ("select ';'", False),
        ("select 1; select 2", False),
        ("/* ;", False),
        ("-- only a comment;", False),
        ("\\d", True),
        ("exit", True),
    ],
)
def test_enter_sends_whole_statements(text: str, expected: bool) -> None:
    assert complete_text(text) == expected
    assert finished(";") is True


def edit(history: History, keys: str) -> str:
    with create_pipe_input() as typed:
        typed.send_text(keys)
        return LineEditor(history, lambda _before, _after: (0, []), input=typed, output=DummyOutput()).read("> ")


def test_a_statement_of_several_lines_is_one_text_and_one_entry(tmp_path: Path) -> None:
    history = History(tmp_path / "h")
    assert edit(history, "select\r1\r;\r") == "select\n1\n;"
    assert history.load() == ["select\n1\n;"]
    assert edit(history, "\x1b[A\r") == "select\n1\n;"
    assert edit(history, " select 2;\r") == " select 2;"
    assert history.load() == ["select\n1\n;"]


def test_keys_give_up_or_leave(tmp_path: Path) -> None:
    history = History(tmp_path / "h")
    with pytest.raises(KeyboardInterrupt):
        edit(history, "select\x03")
    with pytest.raises(EOFError):
        edit(history, "\x04")


def test_tab_replaces_what_is_typed_of_a_word() -> None:
    tab = sql_terminal._Tab(lambda before, after: (len(before + after), [Candidate("select", "keyword")]))
    (one,) = tab.get_completions(Document("sel"), CompleteEvent())
    assert (one.text, one.start_position, one.display_meta_text) == ("select", -3, "keyword")


def test_a_terminal_that_only_writes_lines_gets_lines(tmp_path: Path) -> None:
    history = History(tmp_path / "h")
    lines = iter(["select", "1;"])
    prompts: list[str] = []

    def read_line(prompt: str) -> str:
        prompts.append(prompt)
        return next(lines)

    plain = PlainLines(history, read_line)
    assert plain.read("flights> ") == "select\n1;"
    assert prompts == ["flights> ", "      -> "]
    assert history.load() == ["select\n1;"]
    assert isinstance(sql_terminal.reader(history, lambda _b, _a: (0, []), {"TERM": "dumb"}), PlainLines)


@pytest.mark.parametrize(
    ("statement", "database", "ddl"),
    [
        ("use zoo", "zoo", False),
        (" USE `Zoo` ", "zoo", False),
        ("used x", "", False),
        ("create table x(i int)", "", True),
    ],
)
def test_statements_that_change_what_may_be_named(statement: str, database: str, ddl: bool) -> None:
    assert (database_of(statement), changes_names(statement)) == (database, ddl)


# What completion knows.


def known(names: Names, key: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    for _ in range(3000):
        if names.names(key) == wanted:
            return
        threading.Event().wait(0.01)
    raise AssertionError((key, names.names(key)))


def test_names_are_read_in_the_background_and_again_when_told(server: HiveServer) -> None:
    from hcluster.executors import hive

    with Names(lambda: hive.connect(server, host="h", user="u", clock=wire.SystemClock())) as names:  # type: ignore[arg-type]
        known(names, DATABASES, ("default", "zoo"))
        known(names, ("zoo",), ("cages",))
        known(names, ("zoo", "cages"), ("id", "animal", "day"))
        server.scripts["show tables in `zoo`"] = names_of("cages", "birds")
        assert names.names(("zoo",)) == ("cages",)
        server.drop()
        names.refresh()
        known(names, ("zoo",), ("cages", "birds"))
        server.scripts["describe `zoo`.`nosuch`"] = Script(compile_error="no such table")
        known(names, ("zoo", "nosuch"), ())


# Paging.


@pytest.mark.parametrize(
    ("environment", "there", "expected"),
    [
        ({}, {"less"}, ["less", "-S", "-X"]),
        ({}, set(), []),
        ({"PAGER": "more -e"}, {"more"}, ["more", "-e"]),
        ({"PAGER": ""}, {"less"}, []),
        ({"PAGER": "cat"}, {"cat"}, []),
        ({"PAGER": "nosuch"}, {"less"}, []),
        ({"PAGER": "'"}, {"less"}, []),
    ],
)
def test_the_pager_is_the_users_own(environment: dict[str, str], there: set[str], expected: list[str]) -> None:
    assert pager.command(environment, lambda name: name if name in there else None) == expected


def paged(tmp_path: Path, texts: list[str], script: str = "tr a-z A-Z") -> str:
    with (tmp_path / "out").open("w+") as out:
        with pager.Paged(out, ["sh", "-c", script], 20, 5) as stream:
            stream.writelines(texts)
        out.seek(0)
        return out.read()


def test_what_fits_on_the_screen_is_not_paged_and_what_is_long_or_wide_is(tmp_path: Path) -> None:
    assert paged(tmp_path, ["a\n", "b\n"]) == "a\nb\n"
    assert paged(tmp_path, ["a\n"] * 9) == "A\n" * 9
    assert paged(tmp_path, ["x" * 30 + "\n"]) == "X" * 30 + "\n"


def test_a_pager_that_is_left_ends_the_rows(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError):
        paged(tmp_path, ["line\n"] * 100_000, "head -1")
    assert (tmp_path / "out").read_text() == "line\n"


def test_a_pager_that_does_not_start_is_told_and_rows_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = io.StringIO()
    out.fileno = lambda: 1  # type: ignore[method-assign]
    with pager.Paged(out, ["/nonexistent"], 20, 2) as stream:
        stream.writelines(["a\n"] * 5)
    assert out.getvalue() == "a\n" * 5
    assert "/nonexistent" in capsys.readouterr().err
