"""Hive statements against a stateful HiveServer2 on loopback, and what its texts are read as."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from TCLIService import ttypes

from hcluster.errors import DeadlineError, QueryError, UnreachableError
from hcluster.executors import hive_text
from hcluster.executors.hive import HiveSession, connect
from hcluster.model.events import Progress
from tests.unit.hive_server import APPLICATION, HiveServer, Script

KINDS = ttypes.TTypeId
RUNNING = f"INFO  : Status: Running (Executing on YARN cluster with App id {APPLICATION})"
HEADER = ["VERTICES", "MODE", "STATUS", "TOTAL", "COMPLETED", "RUNNING", "PENDING", "FAILED", "KILLED"]
TABLE = [
    ["Map 1 ..........", "container", "SUCCEEDED", "4", "4", "0", "0", "0", "0"],
    ["Reducer 2", "container", "RUNNING", "2", "1", "1", "0", "1", "0"],
]


class Time:
    """A clock that moves only when it sleeps."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@pytest.fixture
def server() -> Iterator[HiveServer]:
    with HiveServer() as running:
        yield running


def session(server: HiveServer, **settings: str) -> HiveSession:
    return connect(server, host="10.64.0.5", user="ann", clock=Time(), settings=settings)  # type: ignore[arg-type]


def strings(*values: str, nulls: bytes = b"") -> Any:
    return ttypes.TColumn(stringVal=ttypes.TStringColumn(list(values), nulls))


def test_rows_come_typed_with_nulls_and_exact_text(server: HiveServer) -> None:
    server.scripts["q"] = Script(
        columns=[
            ("n", KINDS.BIGINT_TYPE),
            ("s", KINDS.STRING_TYPE),
            ("b", KINDS.BOOLEAN_TYPE),
            ("t", KINDS.TIMESTAMP_TYPE),
        ],
        values=[
            ttypes.TColumn(i64Val=ttypes.TI64Column([1, 0, 3], b"\x02")),
            strings("a", "é", "", nulls=b"\x04"),
            ttypes.TColumn(boolVal=ttypes.TBoolColumn([True, False, True], b"")),
            strings("2013-01-01 05:00:00.123456789", "x", "y"),
        ],
    )
    with session(server) as hive:
        result = hive.execute("q")
        assert [(column.name, column.type) for column in result.columns] == [
            ("n", "bigint"),
            ("s", "string"),
            ("b", "boolean"),
            ("t", "timestamp"),
        ]
        assert list(result.rows) == [
            (1, "a", True, "2013-01-01 05:00:00.123456789"),
            (None, "é", False, "x"),
            (3, None, True, "y"),
        ]
    assert server.events == ["channel 10.64.0.5:10000", "execute q", "close q", "close session"]


def test_the_session_carries_user_and_settings(server: HiveServer) -> None:
    with session(server, **{"hive.execution.engine": "mr"}):
        pass
    assert server.sessions[0].username == "ann"
    assert server.sessions[0].configuration["hive.execution.engine"] == "mr"


def test_a_refused_setting_is_a_query_error(server: HiveServer) -> None:
    server.refuse_session = "Failed to open new session: Cannot modify hive.x at runtime."
    with pytest.raises(QueryError, match=r"Cannot modify hive\.x"):
        session(server)


def test_a_statement_without_rows_is_closed_at_once(server: HiveServer) -> None:
    with session(server) as hive:
        result = hive.execute("create table t(i int)")
        assert (result.columns, list(result.rows)) == ((), [])
        assert server.events[-1] == "close create table t(i int)"


def test_progress_shows_the_application_and_its_vertices(server: HiveServer) -> None:
    update = ttypes.TProgressUpdateResp(HEADER, TABLE, 0.83, 0, "VERTICES: 01/02", 0)
    server.scripts["q"] = Script(log=["INFO  : Compiling", RUNNING], polls=2, progress=update)
    seen: list[Progress] = []
    with session(server) as hive:
        result = hive.execute("q", report=seen.append)
    assert result.application_ids == (APPLICATION,)
    assert seen[1] == Progress("query", f"{APPLICATION} · Map 1 4/4 · Reducer 2 1/2 (1 failed)", 83, 100)
    assert seen[-1].state == "ok"
    assert APPLICATION in seen[-1].text


def test_cancelling_ends_the_operation_on_the_server_and_says_so(server: HiveServer) -> None:
    server.scripts["slow"] = Script(polls=-1, log=[RUNNING])
    seen: list[Progress] = []
    with session(server) as hive:
        with pytest.raises(QueryError) as caught:
            hive.execute("slow", report=seen.append, cancelled=lambda: len(seen) > 2)
        assert caught.value.reference == "query-cancelled"
        assert server.events[-2:] == ["cancel slow", "close slow"]
        assert seen[-1] == Progress("query", f"cancelled on the server: {APPLICATION}", state="failed")
        assert hive.execute("next").columns == ()


def test_a_query_past_its_deadline_is_cancelled_on_the_server(server: HiveServer) -> None:
    server.scripts["slow"] = Script(polls=-1)
    with session(server) as hive, pytest.raises(DeadlineError, match="did not end in time"):
        hive.execute("slow", timeout=3)
    assert "cancel slow" in server.events


def test_reading_rows_can_be_cancelled_and_abandoned(server: HiveServer) -> None:
    column = ttypes.TColumn(i32Val=ttypes.TI32Column(list(range(10)), b""))
    server.scripts["q"] = server.scripts["r"] = Script(columns=[("n", KINDS.INT_TYPE)], values=[column])
    stop: list[int] = []
    with session(server) as hive:
        rows = hive.execute("q", cancelled=lambda: bool(stop)).rows
        assert next(rows) == (0,)
        stop.append(1)
        with pytest.raises(QueryError, match="cancelled"):
            list(rows)
        rows = hive.execute("r").rows
        assert next(rows) == (0,)
        rows.close()  # type: ignore[attr-defined]
    assert [event for event in server.events if event.startswith("close ")] == ["close q", "close r", "close session"]


def test_a_compile_error_is_told_by_its_first_line(server: HiveServer) -> None:
    server.scripts["bad"] = Script(
        compile_error="Error while compiling statement: FAILED: SemanticException [Error 10001]: Line 1:14 Table not"
        " found 'nope'\n\tat org.apache.hive.Foo(Foo.java:1)"
    )
    with session(server) as hive, pytest.raises(QueryError) as caught:
        hive.execute("bad")
    assert caught.value.message == "SemanticException [Error 10001]: Line 1:14 Table not found 'nope'"
    assert caught.value.context.startswith("bad\n")


def test_a_failed_query_closes_its_operation_and_the_session_goes_on(server: HiveServer) -> None:
    server.scripts["bad"] = Script(error="Error while processing statement: FAILED: Execution Error, return code 1")
    with session(server) as hive:
        with pytest.raises(QueryError, match="FAILED: Execution Error, return code 1"):
            hive.execute("bad")
        hive.execute("good")
    assert server.events[-4:] == ["close bad", "execute good", "close good", "close session"]


def test_a_lost_connection_is_unreachable(server: HiveServer) -> None:
    server.scripts["slow"] = Script(polls=-1)
    asked: list[int] = []

    def drop() -> bool:
        asked.append(1)
        if len(asked) == 2:
            server.drop()
        return False

    with session(server) as hive, pytest.raises(UnreachableError, match="connection to HiveServer2 ended"):
        hive.execute("slow", cancelled=drop)


def test_connecting_is_tried_until_the_deadline() -> None:
    clock = Time()

    def refuse(_host: str, _port: int) -> object:
        raise UnreachableError("nothing answers on 10.64.0.5:10000")

    with pytest.raises(UnreachableError, match=r"HiveServer2 on .* does not answer") as caught:
        connect(SimpleNamespace(open_channel=refuse), host="10.64.0.5", user="a", clock=clock, timeout=10)
    assert 8 <= clock.at <= 10
    assert "nothing answers" in caught.value.context


def test_a_server_that_never_answers_is_a_missed_deadline() -> None:
    import socket

    ours, theirs = socket.socketpair()
    with ours, theirs:
        remote: Any = SimpleNamespace(open_channel=lambda *_: ours)
        hive = HiveSession.__new__(HiveSession)
        hive._channel, hive._busy = ours, False
        from thrift.transport import TSocket, TTransport

        handle = TSocket.TSocket()
        handle.setHandle(remote.open_channel())
        with pytest.raises(DeadlineError, match="did not answer within"):
            hive._call(lambda _: TTransport.TBufferedTransport(handle).read(4), None, 0.1)
        with pytest.raises(UnreachableError, match="closed"):
            hive._call(lambda _: None, None)


EXECUTION = "Execution Error, return code 2 from org.apache.hadoop.hive.ql.exec.tez.TezTask"
DIAGNOSTICS = (
    f"Error while processing statement: FAILED: {EXECUTION}. Vertex failed, vertexName=Map 1, vertexId=vertex_1_00,"
    " diagnostics=[Task failed, taskId=task_1, diagnostics=[TaskAttempt 0 failed, info=[Error: Error while running task"
    " ( failure ) : java.lang.RuntimeException: org.apache.hadoop.hive.ql.metadata.HiveException: Hive Runtime\n"
    "\tat org.apache.Foo.bar(Foo.java:1)\nCaused by: java.io.IOException: s3a://lake/x is gone\n\tat x.Y(Y.java:2)\n]]"
)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("", "HiveServer2 gave no reason"),
        (
            "Error while compiling statement: FAILED: ParseException line 1:0 near 'x'",
            "ParseException line 1:0 near 'x'",
        ),
        ("org.apache.hive.service.cli.HiveSQLException: Error running query: x", "x"),
        (DIAGNOSTICS, f"FAILED: {EXECUTION}: java.io.IOException: s3a://lake/x is gone"),
        ("FAILED: return code 2. Vertex failed, vertexName=M", "FAILED: return code 2: Vertex failed, vertexName=M"),
    ],
)
def test_the_headline_of_an_error(message: str, expected: str) -> None:
    assert hive_text.headline(message) == expected


def test_applications_are_listed_once_in_order_and_jobs_count() -> None:
    lines = [RUNNING, RUNNING, "Starting Job = job_1700000000000_0007, Tracking URL = http://m:8088/"]
    assert hive_text.application_ids(lines) == (APPLICATION, "application_1700000000000_0007")


def test_mapreduce_stages_are_progress() -> None:
    line = "INFO  : 2026-01-01 10:00:00,000 Stage-1 map = 100%,  reduce = 33%, Cumulative CPU 3.2 sec"
    assert hive_text.mapreduce_stage(line) == ("stage 1: map 100 %, reduce 33 %", 66)
    assert hive_text.mapreduce_stage(RUNNING) is None


def test_another_progress_table_has_no_vertices() -> None:
    assert hive_text.vertices(["STAGES", "TOTAL"], [["a", "1"]]) == ()
    assert hive_text.vertices([], []) == ()
